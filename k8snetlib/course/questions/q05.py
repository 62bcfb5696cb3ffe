"""Questions of lesson 05: Services and DNS."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "05.knows": Question(
        "Service `api` has two Pods behind it. Which of these stands in the Service object itself?",
        {
            "the addresses of the Pods": "They change whenever a Pod is replaced. Somebody else keeps that list.",
            "the names of the Pods": "Pods are replaced by others with other names. A Service does not care.",
            "labels that the Pods have": "",
        },
        answer="labels that the Pods have",
        why="Its `selector` is `app=api`. Whoever carries that label is meant, today and tomorrow.",
    ),
    "05.ready": Question(
        "`api-1` fails its readiness probe. Is its address still in the EndpointSlice?",
        {
            "no, it is taken out": "So it was in the old Endpoints object, more or less: not-ready addresses stood in a list apart. "
            "An EndpointSlice keeps the address, with a condition.",
            "yes, marked as not ready": "",
            "yes, and nothing shows": "There are three conditions beside each address. Plain `kubectl get` does not print them.",
        },
        answer="yes, marked as not ready",
        why="The endpoint stays, with `ready: false`. Who reads the slice decides what that means, and kube-proxy sends nothing new there.",
    ),
    "05.where": Question(
        "10.96.20.80 is the ClusterIP of `api`. On which interface is that address?",
        {
            "on `eth0` of every node": "Then every node would answer ARP for it. None does.",
            "on `cni0`, the Pods' gateway": "`cni0` has 10.244.1.1 and nothing else.",
            "on `eth0` of both `api` Pods": "They have their own addresses. They have never heard of the Service.",
            "on none": "",
        },
        answer="on none",
        why="No machine has it. It is a number that rules look for. (In IPVS mode, deprecated, every node has it on `kube-ipvs0`.)",
    ),
    "05.ndots": Question(
        "`web` calls `example.com`. How many questions does its resolver send that cannot succeed, before the one that can?",
        {
            "none: the name has a dot, so it is complete": "With `ndots:5`, a name with fewer than five dots is tried in the search "
            "list first.",
            "3": "Three domains are tried. But a program usually asks for IPv4 and IPv6 addresses.",
            "6": "",
        },
        answer="6",
        why="Three search domains, an A and an AAAA question for each. A final dot, `example.com.`, saves them all.",
    ),
    "05.path": Question(
        "`web` and `api-1` are both on `node-a`. `web` sends to 10.96.20.80, and the rules pick `api-1`. Does the packet pass `eth0` "
        "of `node-a`?",
        {
            "yes: it is routed to the default gateway first": "That would need a routing decision with the old address. When does DNAT happen?",
            "yes: kube-proxy receives it there": "kube-proxy receives nothing. It only wrote the rules.",
            "no": "",
        },
        answer="no",
        why="The address is changed in PREROUTING, before the kernel looks for a route. Then 10.244.1.3 is a neighbour on `cni0`.",
    ),
    "05.reply": Question(
        "`api-1` answers. Which source address does `web` see?",
        {
            "10.244.1.3, `api-1`": "So the packet leaves `api-1`. But `web` waits for an answer from somebody else.",
            "10.244.1.1, the gateway": "Nobody replaces the source by the node's here: the Pods see each other's own addresses.",
            "10.96.20.80, the ClusterIP": "",
        },
        answer="10.96.20.80, the ClusterIP",
        why="`node-a` remembers the connection and undoes the change. `web` never learns which Pod it was.",
    ),
    "05.hairpin": Question(
        "Service `web` has one Pod: `web`. Now `web` calls its own Service. Which source address does it see on what arrives?",
        {
            "127.0.0.1": "The packet goes out through `eth0` and comes back through it. It never was local.",
            "10.244.1.2, its own": "A kernel drops a packet from outside that claims to come from itself. Something has to be done.",
            "10.244.1.1, `cni0` of its node": "",
        },
        answer="10.244.1.1, `cni0` of its node",
        why="For this one case the rules change the source too (masquerade), so that the answer goes to the node, and not astray.",
    ),
    "05.refused": Question(
        "The selector has a typo, `app=apo`. What does the client get from `curl http://api`?",
        {
            "“could not resolve host”": "The name and the ClusterIP are still there. DNS looks at the Service, not at its Pods.",
            "a timeout": "It would be one if the packet were dropped silently. kube-proxy writes a rule that answers.",
            "“connection refused”": "",
        },
        answer="“connection refused”",
        why="Without an endpoint there is a REJECT rule on every node. It sends *ICMP port unreachable* back, which is “connection refused”.",
    ),
    "05.bridge": Question(
        "On `node-a` somebody sets `net.bridge.bridge-nf-call-iptables = 0`. Which calls of `web` to `api` break?",
        {
            "none": "The request still arrives, since it is routed. Look at the answer.",
            "those that `api-1`, on the same node, answers": "",
            "those that `api-2`, on `node-b`, answers": "Its answers are routed through `node-a`, past conntrack, as before.",
            "all": "Answers from `node-b` are routed, and pass conntrack as before.",
        },
        answer="those that `api-1`, on the same node, answers",
        why="Its answer goes over the bridge, from port to port, and conntrack never sees it. It comes from 10.244.1.3, to whom `web` "
        "never spoke, and it waits in vain. About every second call ends in a timeout.",
    ),
}
