"""The predictions of lesson 00, the map."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "00.name": Question(
        "A container of Pod `web` calls `http://api`, the name of a Service. Which modes carry the request?",
        {
            "mode 3 alone": "A Service has no process that could answer. Something must still carry the packet to a Pod.",
            "mode 3, then mode 2": "",
            "mode 1, then mode 3": "Mode 1 stays inside one Pod. The containers of `api` live in Pods of their own.",
            "mode 4": "Mode 4 is for callers outside the cluster. `web` is inside.",
        },
        answer="mode 3, then mode 2",
        why="Mode 3 turns the Service's address into the address of one Pod. From there on it is one Pod talking to another: mode 2.",
    ),
    "00.localhost": Question(
        "The sidecar `log` calls `127.0.0.1:8080`, where `web` listens. Both are containers of one Pod. "
        "In how many network namespaces is the packet seen?",
        {
            "two, one for each container": "Containers have file systems of their own. A network namespace belongs to the Pod.",
            "three, with the node between them": "The node would have to be on the way. Nothing here leaves the Pod.",
            "one": "",
        },
        answer="one",
        why="The containers of a Pod share one network namespace. The packet goes out of the device `lo` and comes in on it again.",
    ),
    "00.one-node": Question(
        "`web` calls `api-1`. Both Pods are on node-a. Which box of the picture decides where the frame goes?",
        {
            "routing · netfilter": "A router is asked when a packet leaves its subnet. Both addresses are in 10.244.1.0/24.",
            "flannel.1, the tunnel": "A tunnel leads to other nodes. `api-1` is on this one.",
            "cni0, the bridge": "",
            "eth0 of node-a": "That is the way out of the node. The frame does not leave it.",
        },
        answer="cni0, the bridge",
        why="With this CNI plug-in the Pods of a node hang on one bridge, which is a switch: it looks at the MAC address, and at "
        "nothing else.",
    ),
    "00.across": Question(
        "`web` calls `db`, which is on the other node. Which source address does `db` see?",
        {
            "192.168.50.11, the address of node-a": "That is on the outer packet, which carries ours from node to node. It is taken "
            "off before `db` sees anything.",
            "10.244.1.1, the address of cni0 on node-a": "A router sends a packet on without putting its own address into it.",
            "10.244.2.1, the address of cni0 on node-b": "A router sends a packet on without putting its own address into it.",
            "10.244.1.2, the address of web": "",
        },
        answer="10.244.1.2, the address of web",
        why="The network model of Kubernetes asks for exactly that: Pods reach Pods without NAT, so the address on arrival is the "
        "one at departure.",
    ),
    "00.break": Question(
        "We delete one line of node-a: its route to 10.244.2.0/24, the Pods of node-b. `web` calls `db` again. Where does the packet end?",
        {
            "in node-a, which finds no route": "It finds one: the default route, which matches every address.",
            "at the router below the nodes": "",
            "in node-b, which refuses it": "Without the route nothing puts the packet into the tunnel, so node-b never gets it.",
            "in db: the tunnel finds the way by itself": "The tunnel is a device. It gets what a route sends to it, and nothing else.",
        },
        answer="at the router below the nodes",
        why="The default route takes what no other route wants. It leads to the data centre's router, and that one has never heard "
        "of a Pod range.",
    ),
    "00.clusterip": Question(
        "The Service `api` has the address 10.96.20.80. In our cluster kube-proxy is not there yet. `web` sends a packet to "
        "10.96.20.80. What happens?",
        {
            "one of the two api Pods gets it": "Somebody would have to know which Pods belong to the Service. That is the work of "
            "kube-proxy.",
            "node-a gets it": "No device of node-a has that address: see the cell above.",
            "it leaves the cluster and is lost": "",
        },
        answer="it leaves the cluster and is lost",
        why="No interface has the address and no table knows it, so the default route sends the packet out of the node.",
    ),
    "00.outside": Question(
        "The client asks for `https://www.example.com/api`. The path decides which Service is meant, and it travels encrypted. Who reads it?",
        {
            "kube-proxy's rules, on a node": "Rules see addresses and ports of packets. The path is inside, and encrypted.",
            "the cloud's load balancer": "Some can. Ours hands packets on as they are.",
            "the controller, a Pod": "",
            "Pod `api` itself": "Then `api` would have been chosen before anybody knew that it was meant.",
        },
        answer="the controller, a Pod",
        why="It has the key, so TLS ends there. It reads host and path, and opens a second connection to the right Pod.",
    ),
}
