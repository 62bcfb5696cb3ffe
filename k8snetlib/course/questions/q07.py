"""Questions of lesson 07: Service types."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "07.outside": Question(
        "The client outside knows the ClusterIP of `web`, 10.96.10.80, and sends to it. How does that end?",
        {
            "it reaches `web`": "The address would have to be somewhere on its way. It is in the rules of the nodes alone.",
            "a node rejects it": "No node ever sees it. Who would send it to one?",
            "the router has no route for it": "",
        },
        answer="the router has no route for it",
        why="The ClusterIP is on no interface, and nobody announces it. Outside the cluster it is a number like any other.",
    ),
    "07.source": Question(
        "The client, 203.0.113.7, calls port 30080 of `node-b`. `web` runs on `node-a`. Which source address does `web` see?",
        {
            "203.0.113.7, the client's": "Then `web` would answer to the client directly, past `node-b`, and the client would not know "
            "who that is.",
            "192.168.50.12, `eth0` of `node-b`": "An address of `node-b`, yes. But which one? By which interface does the packet leave, on "
            "its way to a Pod on another node?",
            "10.244.2.0, `flannel.1` of `node-b`": "",
            "10.96.10.80, the ClusterIP": "It plays no part here: the rules replace the destination by the Pod's address in one step.",
        },
        answer="10.244.2.0, `flannel.1` of `node-b`",
        why="`node-b` masquerades, and MASQUERADE takes the address of the interface by which the packet leaves: the tunnel's.",
    ),
    "07.local": Question(
        "Now `externalTrafficPolicy: Local`. The client calls port 30080 of `node-b`, where no `web` runs. How does that end?",
        {
            "it reaches `web`, which sees the client's address": "That would be the second hop again, and an answer that goes past `node-b`.",
            "“connection refused”": "Refused would be an answer. There *is* an endpoint, only not here, so the rule drops.",
            "nothing comes back": "",
        },
        answer="nothing comes back",
        why="Local means: endpoints of this node, or none. What arrives at the wrong node is dropped without a word.",
    ),
    "07.pending": Question(
        "A Service of type LoadBalancer: who gives it its address?",
        {
            "the API server": "It gives ClusterIPs and node ports. The address outside is not in its hands.",
            "kube-proxy": "kube-proxy reads Services and writes rules. It gives nothing to the API.",
            "a controller that is no part of Kubernetes itself": "",
        },
        answer="a controller that is no part of Kubernetes itself",
        why="A cloud's controller, or one that you install. If there is none, nobody is told, and nothing happens.",
    ),
    "07.inside": Question(
        "Pod `api-1` calls the load balancer's address, 198.51.100.9. Does its packet pass the load balancer?",
        {
            "yes, like everybody's": "It would, if its own node did not know that address. What do the rules look for?",
            "no": "",
        },
        answer="no",
        why="The rules of every node hold the balancer's address beside the ClusterIP. The Pod's own node takes the short way.",
    ),
    "07.near": Question(
        "No `api` runs on `node-b`. Pod `db`, on `node-b`, calls Service `api`. Under which of these settings does the call fail?",
        {
            "`internalTrafficPolicy: Local`": "",
            "`trafficDistribution: PreferSameNode`": "It says *prefer*. If the node has none, it takes another.",
            "both": "One of them is a wish and not a wall.",
        },
        answer="`internalTrafficPolicy: Local`",
        why="A policy is a wall, a distribution is a preference: near if possible, far if not.",
    ),
    "07.alias": Question(
        "An ExternalName Service `partner` stands for `pay.example.com`, with `port: 80` and `targetPort: 8443`. `web` calls "
        "`http://partner`. Which port does it connect to?",
        {
            "80": "",
            "8443": "Somebody would have to change the port of a packet. Who, and where?",
            "none: an ExternalName has no ports": "The manifest may list ports. Neither DNS nor kube-proxy reads them.",
        },
        answer="80",
        why="DNS answers with another name, and that is all. The port is what the client chose.",
    ),
    "07.bypass": Question(
        "We take the masquerade rules off `node-b` and call its port 30080 again, with policy Cluster. What becomes of the call?",
        {
            "`web` gets it, and the client gets the answer": "Follow the answer: to whom does `web` send it, and by which way?",
            "`web` gets it, and the client resets the answer": "",
            "`node-b` drops it": "Nothing stops the way there: DNAT and routing work as before.",
        },
        answer="`web` gets it, and the client resets the answer",
        why="`web` answers to the client itself, past `node-b`. The answer comes from 10.244.1.2, to whom the client never spoke.",
    ),
}
