"""Questions of lesson 04: routed and cloud."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "04.next-hop": Question(
        "`node-a` and `node-b` share a segment. One route on `node-a` shall take packets for 10.244.2.0/24 there, without a tunnel. "
        "Which next hop must it name?",
        {
            "192.168.50.1, the router": "That was the way of lesson 03's first packet. The router knows no Pods.",
            "192.168.50.12, `node-b`": "",
            "10.244.2.0, the first address of the range": "Under VXLAN it was so, with an FDB entry behind it. Nobody on the real wire has "
            "that address.",
        },
        answer="192.168.50.12, `node-b`",
        why="A next hop is a neighbour that knows more. `node-b` is on the wire, and it knows its own Pods.",
    ),
    "04.gateway": Question(
        "`web` sends by its gateway, 169.254.1.1, and needs a MAC address for it. Who has this IP address?",
        {
            "the other end of its cable, on `node-a`": 'A good guess. But look: `k8s.ip_addr(shop.network, "node-a")` shows no IPv4 '
            "address there.",
            "the router": "169.254.0.0/16 is link-local: it never gets past a cable.",
            "nobody": "",
        },
        answer="nobody",
        why="Nobody needs to have it. It is enough that somebody answers when `web` asks for its MAC address.",
    ),
    "04.silence": Question(
        "`node-a` loses its default route. `web` sends to `api-1`, on the same node, to which `node-a` has a route of its own. "
        "How does that end?",
        {
            "it is delivered: no default route is needed": "Not for the packet. For what comes before it?",
            "`node-a` drops it: no route": "The route to 10.244.1.1 is still there. Does the packet get that far?",
            "`web` gets no answer to its ARP question": "",
        },
        answer="`web` gets no answer to its ARP question",
        why="Linux answers for another's address only if it has a route to it, out of another interface. For 169.254.1.1 that was "
        "the default route.",
    ),
    "04.sessions": Question(
        "A hundred nodes, each a peer of every other. How many BGP sessions are there?",
        {
            "99": "Each node has that many. How many are there in all?",
            "4,950": "",
            "9,900": "Then you have counted each session at both ends.",
        },
        answer="4,950",
        why="n (n − 1) / 2: twice the nodes, four times the sessions.",
    ),
    "04.router": Question(
        "`report` runs on `node-c`, behind the router. By BGP `node-a` has learned `10.244.3.0/26 via 192.168.50.1`. "
        "`web` sends to `report`. How does that end?",
        {
            "it is delivered": "`node-a` knows the way, and so does `node-c`. Who else has to?",
            "`node-a` drops it": "It has a route, and the router is its neighbour. The packet leaves.",
            "the router drops it": "",
        },
        answer="the router drops it",
        why="The packet is not for the router but for 10.244.3.0, and the router is nobody's BGP peer. Of Pods it has never heard.",
    ),
    "04.snat": Question(
        "`web` has 192.168.50.4, `node-a` 192.168.50.11. `web` calls `api-2`, then a server on the Internet. "
        "Which source address do the two packets have when they leave `node-a`?",
        {
            "192.168.50.4 both times": "Inside the VPC, yes. Outside, the VPC's gateway answers for the addresses of "
            "machines, not of Pods.",
            "192.168.50.11 both times": "Between Pods there is no NAT: Kubernetes demands it.",
            "192.168.50.4, then 192.168.50.11": "",
        },
        answer="192.168.50.4, then 192.168.50.11",
        why="What stays in the VPC keeps its address. What leaves it goes in the node's name.",
    ),
    "04.pods": Question(
        "An m5.large takes 3 ENIs with 10 IPv4 addresses each. How many Pods can have an address of their own?",
        {
            "30": "Each ENI keeps one address for itself.",
            "27": "",
            "110": "That many a kubelet takes by default. Where would their addresses come from?",
        },
        answer="27",
        why="3 × (10 − 1). Two system Pods use the node's own address, so that EKS sets `maxPods` to 29.",
    ),
    "04.port179": Question(
        "A firewall blocks TCP port 179 between `node-a` and `node-b`, and nothing else. `web` calls port 8080 of `api-2`. "
        "How does that end?",
        {
            "it is delivered: port 8080 is open": "The wire would take the packet. Does `node-a` still know whom to give it to?",
            "it is delivered, by way of `node-c`": "`node-c` knows both. But what a node has learned from one peer of the mesh it "
            "does not tell another.",
            "it is lost: there is no route any more": "",
        },
        answer="it is lost: there is no route any more",
        why="Port 179 is BGP's. No session, no announcement, no route: the packet takes the default route, to a router that knows no Pods.",
    ),
}
