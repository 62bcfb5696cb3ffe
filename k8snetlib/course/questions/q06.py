"""Questions of lesson 06: inside kube-proxy."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "06.thirds": Question(
        "The three rules say 0.333…, 0.500 and nothing. What share of the connections does the second endpoint get?",
        {
            "a half": "A half of what reaches its rule. Who reaches it?",
            "a third": "",
            "a sixth": "0.333 × 0.5 counts what both rules take. The second one never sees what the first one took.",
        },
        answer="a third",
        why="The first rule takes a third. Two thirds go on to the second, which takes a half of them: 2/3 × 1/2 = 1/3. A third is left.",
    ),
    "06.next": Question(
        "A connection's first packet was sent to `api-3`. Where does its second packet go?",
        {
            "each packet is drawn anew: a third each": "Then no TCP connection would live longer than one packet.",
            "to `api-3`": "",
            "to the next endpoint in turn": "That would be round robin, packet by packet. There is no counter in these rules.",
        },
        answer="to `api-3`",
        why="Rules of the nat table are asked for the first packet of a connection alone. After that conntrack remembers the answer.",
    ),
    "06.nobody": Question(
        "A Service's selector matches no Pod. `web` connects to its cluster IP. What does `web` see?",
        {
            "nothing, until it times out": "That is what a drop looks like. There is a rule that answers.",
            "connection refused, at once": "",
            "the name does not resolve": "A ClusterIP Service has its name as long as it exists. Its endpoints do not matter for that.",
        },
        answer="connection refused, at once",
        why="kube-proxy has nowhere to send it, and says so: a REJECT rule in the filter table answers with ICMP.",
    ),
    "06.maps": Question(
        "In the nftables mode, a cluster has 10,000 Services. How many rules does the kernel look at to find the right one?",
        {
            "about 10,000": "That is the iptables mode: one rule for each Service, in one list.",
            "about 14, the logarithm": "No tree is searched here.",
            "one, with one lookup": "",
        },
        answer="one, with one lookup",
        why="All cluster IPs are keys of one verdict map, a hash table. One rule looks the destination up and goes where the map says.",
    ),
    "06.localhost": Question(
        "A Service of type NodePort has port 30080. On the node itself somebody runs `curl 127.0.0.1:30080`. In which mode does it work?",
        {
            "in all": "Only one mode turns on `route_localnet`, without which the kernel lets no packet from 127.0.0.1 out.",
            "in iptables alone": "",
            "in nftables alone": "The newer mode left it out on purpose: it opened the node's loopback to its neighbours (CVE-2020-8558).",
        },
        answer="in iptables alone",
        why="The iptables mode sets `route_localnet` and masquerades. nftables and IPVS do not (for nftables, 1.37 has an opt-in proxy).",
    ),
    "06.mark": Question(
        "We delete the one rule of the chain KUBE-MARK-MASQ. `api-1` connects to its own Service and draws itself. What happens?",
        {
            "nothing changes": "Somebody needs that mark: look who jumps to the chain.",
            "`api-1` gets a packet from its own address, and drops it": "",
            "the packet is sent to another endpoint": "Endpoints are chosen before anybody looks at marks.",
        },
        answer="`api-1` gets a packet from its own address, and drops it",
        why="Without the mark nobody masquerades. The kernel of `api-1` finds its own address as the source of a packet from outside.",
    ),
}
