"""Questions of lesson 03: overlays."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "03.plain": Question(
        "Only the plug-in `bridge` is installed. `web` on `node-a` sends to `api-2` on `node-b`. Who drops the packet?",
        {
            "`node-a`: it has no route to 10.244.2.0/24": "It has a default route, and a default route matches everything. The "
            "packet leaves.",
            "the router between the machines": "",
            "`node-b`: the packet is not for its address": "It never gets that far. Who would send it to `node-b`?",
        },
        answer="the router between the machines",
        why="`node-a` sends what it does not know to its default gateway. That router knows the machines' own subnets. Of Pod "
        "addresses it has never heard.",
    ),
    "03.outer": Question(
        "Under VXLAN the packet travels inside another. What is the outer destination address?",
        {
            "10.244.2.2, `api-2`": "That is the inner one. The network between the nodes could not deliver it: that was the problem.",
            "192.168.50.12, `node-b`": "",
            "10.244.2.0, `flannel.1` on `node-b`": "Close: that is the next hop inside the overlay. It is a Pod-range address too, "
            "so the underlay does not know it.",
        },
        answer="192.168.50.12, `node-b`",
        why="The outer packet goes from node to node, between addresses that the underlay knows. What is inside is no business of its.",
    ),
    "03.entries": Question(
        '`node-a` must turn "a packet for 10.244.2.2" into "a datagram to 192.168.50.12". In how many tables must it look, '
        "until `flannel.1` can send?",
        {
            "one": "One would do if the route named the node. It names a device and a next hop; the rest is looked up as for any "
            "Ethernet device.",
            "two": "A route and a neighbour give a MAC address. On a real wire that would be enough. In a tunnel, who has that MAC?",
            "three": "",
        },
        answer="three",
        why="Route: 10.244.2.0/24 goes by 10.244.2.0 on `flannel.1`. Neighbour: 10.244.2.0 has this MAC. FDB: this MAC is behind "
        "192.168.50.12.",
    ),
    "03.ttl": Question(
        "`web` sends with TTL 64. Which TTLs does a capture on `node-a`'s `eth0` show?",
        {
            "outer 64, inner 64": "Before the tunnel there was a routing decision on `node-a`: one off the inner TTL.",
            "outer 64, inner 63": "",
            "outer 63, inner 63": "The outer packet is made on `node-a`. It starts afresh, with 64.",
        },
        answer="outer 64, inner 63",
        why="`node-a` routes the Pod's packet into the tunnel, which costs one, and then makes a new packet around it.",
    ),
    "03.mtu": Question(
        "The nodes now speak IPv6 among themselves, over the same 1500 bytes. What is the largest packet that a Pod may send?",
        {
            "1450": "That was for IPv4. The outer header is IPv6's now: how long is it?",
            "1444": "Outer IP, UDP and VXLAN are off. What else of the Pod's frame travels inside the datagram?",
            "1430": "",
            "1410": "Only the outer header got longer. The Pod's own IP header is a part of its packet.",
        },
        answer="1430",
        why="1500 − 40 (outer IPv6) − 8 (UDP) − 8 (VXLAN) − 14 (the Pod's Ethernet header) = 1430.",
    ),
    "03.ipip": Question(
        "The Pod's IP packet goes straight into another IPv4 packet. How many bytes does that add?",
        {
            "20": "",
            "28": "That would be with a UDP header. IPIP has none: the outer header says itself that IP comes next.",
            "34": "The outer Ethernet header is the wire's own; any packet has one there. Inside there is none.",
            "50": "That was VXLAN: outer IP, UDP, VXLAN, and the Pod's Ethernet header. What of these is left?",
        },
        answer="20",
        why="One IPv4 header, and nothing else. The Pods' MTU is 1480.",
    ),
    "03.ipip-ttl": Question(
        "`web` sends with TTL 64 again, now over IPIP. Which TTLs does a capture on `node-a`'s `eth0` show?",
        {
            "outer 64, inner 63": "That was VXLAN, whose outer header starts afresh. `tunl0` does it in another way.",
            "outer 63, inner 63": "",
            "outer 63, inner 64": "`node-a` routes the Pod's packet before it goes into the tunnel, as before. That costs one inside.",
        },
        answer="outer 63, inner 63",
        why="One off for the routing on `node-a`, and then `tunl0` copies the TTL of the packet inside: it was given none of its own.",
    ),
    "03.hole": Question(
        "One switch on the way carries only 1400 bytes and says nothing. A small packet arrives. What becomes of a TCP segment that "
        "fills the Pod's MTU?",
        {
            "the Pod is told to send less": "Only a router can tell, with ICMP. A switch drops frames that are too long, in silence.",
            "it arrives in fragments": "Only a sender or a router cuts packets. A switch does not.",
            "it vanishes, every time": "",
        },
        answer="it vanishes, every time",
        why="The handshake works, small requests work, and the first large answer hangs. That is the MTU black hole.",
    ),
    "03.fdb": Question(
        "We delete one line on `node-a`: the FDB entry for `node-b`. How does the packet end?",
        {
            "`flannel.1` floods it to all nodes": "A VXLAN device can do that, if an all-zero entry names them. Flannel gives it "
            "none: it knows every node beforehand.",
            "`flannel.1` drops it": "",
            "`node-a` asks by ARP and finds it again": "The MAC address is still known, from the neighbour table. What is missing "
            "is the node behind it.",
        },
        answer="`flannel.1` drops it",
        why="No far end for that MAC, no datagram: `NO_TX_TARGET`. With learning off, nothing will bring the entry back but flanneld.",
    ),
}
