"""The predictions of lesson 01, containers in a Pod."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "01.share": Question(
        "Pod `web` has two containers, `web` and `log`. How many network namespaces are made for it?",
        {
            "two, one for each container": "That is Docker's way with two containers of their own. A Pod exists so that its "
            "containers need not be apart.",
            "one": "",
            "none, it uses the node's": "Only a Pod with `hostNetwork: true` does that.",
        },
        answer="one",
        why="One Pod, one network namespace: one set of devices, addresses, routes, rules and ports for all its containers.",
    ),
    "01.devices": Question(
        "`log` opens a connection to `127.0.0.1:8080`. Which devices does the packet pass?",
        {
            "eth0 of the Pod and its veth end on the node": "That is the way out of the Pod. 127.0.0.1 is inside.",
            "lo of the node": "The node has a `lo` too, but it is another one: each network namespace has its own.",
            "lo of the Pod, then the bridge cni0": "The bridge joins Pods. Nobody outside this Pod is asked.",
            "lo of the Pod, and no other": "",
        },
        answer="lo of the Pod, and no other",
        why="The table `local` of the namespace says that 127.0.0.0/8 is here, on `lo`. What leaves through `lo` comes in on `lo`.",
    ),
    "01.elsewhere": Question(
        "Now `api-1` opens a connection to `127.0.0.1:8080`. It is another Pod, on the same node as `web`. Who answers?",
        {
            "web: it listens on 8080 on this node": "A port is open in a network namespace, not on a node.",
            "nobody": "Then no process of `api-1` would listen on 8080. One does.",
            "api-1 itself": "",
        },
        answer="api-1 itself",
        why="The same address, in another namespace, is another place. Every Pod has a 127.0.0.1 of its own.",
    ),
    "01.clash": Question(
        "By mistake the sidecar `log` listens on 8080 too. Which container does not come up?",
        {
            "web": "",
            "log": "It would be so if `log` came second. A native sidecar starts before the app.",
            "both: the API server refuses the Pod": "The API server warns where both ports are declared, and takes the Pod. Ports "
            "that nobody declares it cannot see.",
            "neither: each container has its own ports": "Ports belong to the network namespace, and there is one.",
        },
        answer="web",
        why="The sidecar starts first and takes the port. The app asks for the same one, gets “address already in use”, and exits. "
        "The container that fails is not always the one with the mistake.",
    ),
    "01.pairs": Question(
        "`web` listens on TCP port 8080, on every address. What can `log` still take?",
        {
            "TCP port 8080 on 127.0.0.1 alone": "“Every address” includes 127.0.0.1, so the kernel refuses.",
            "UDP port 8080": "",
            "nothing with the number 8080": "TCP and UDP count their ports apart.",
        },
        answer="UDP port 8080",
        why="Two sockets clash if protocol, port and address all overlap. TCP 8080 and UDP 8080 do not.",
    ),
    "01.restart": Question(
        "`web` crashes and the kubelet starts that container again. Which address does the Pod have now?",
        {
            "the same": "",
            "a new one, as every new container gets one": "A new Pod gets a new address. This one is the same Pod.",
            "none, until all its containers are up": "The address was there before the first container started.",
        },
        answer="the same",
        why="The address is on a device of the network namespace, and the namespace stays as long as the Pod's sandbox does. "
        "Containers come and go in it.",
    ),
    "01.bind": Question(
        "`web` now listens on `127.0.0.1:8080` instead of on every address. From where can it still be reached?",
        {
            "from every Pod on node-a": "Those Pods have a 127.0.0.1 of their own, and at 10.244.1.2 nobody listens.",
            "from its own Pod, at 127.0.0.1 and at 10.244.1.2": "At 127.0.0.1, yes. But a socket bound to one address hears that "
            "address alone.",
            "from its own Pod, at 127.0.0.1 alone": "",
            "from node-a, where the kubelet probes it": "A probe over TCP or HTTP goes to the Pod's address, 10.244.1.2.",
        },
        answer="from its own Pod, at 127.0.0.1 alone",
        why="The socket is bound to one address of one network namespace. No other address leads to it, and no other namespace has "
        "this one.",
    ),
}
