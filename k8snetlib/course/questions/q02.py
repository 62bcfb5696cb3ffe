"""Questions of lesson 02: Pods on one node."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "02.cable": Question(
        "`web` has an interface `eth0`. Where is the other end of its cable?",
        {
            "in `api-1`": "Then three Pods would need three cables each. One cable goes to one place: the node.",
            "in the node, as `veth-web`": "",
            "nowhere, a Pod's interface is not a cable": "It is: a veth is always a pair. What goes in at one end comes out at the other.",
        },
        answer="in the node, as `veth-web`",
        why="A veth pair has one end in the Pod's namespace and one in the node's. The node plugs its end into the bridge `cni0`.",
    ),
    "02.mac": Question(
        "`web` sends a packet to `api-1`, on the same node. Which destination MAC address does the frame carry?",
        {
            "`cni0`'s": "The bridge has an address of its own, but it is a switch here: nobody addresses a frame to a switch.",
            "`api-1`'s `eth0`": "",
            "`veth-api-1`'s": "That is a port of the bridge, as a switch has ports. Ports are not addressed.",
        },
        answer="`api-1`'s `eth0`",
        why="Both Pods are in 10.244.1.0/24, so `web` asks for the MAC address of 10.244.1.3 itself and writes it on the frame.",
    ),
    "02.flood": Question(
        '`web` asks "who has 10.244.1.3?". Who on the node gets to see the question?',
        {
            "only `api-1`": "The bridge cannot know yet who that is: finding out is what the question is for.",
            "only the node": "The node gets it, on `cni0`. But a broadcast goes to everyone on the segment.",
            "every Pod on the bridge, and the node": "",
        },
        answer="every Pod on the bridge, and the node",
        why="The question goes to ff:ff:ff:ff:ff:ff, and a bridge sends that out of every port and up to its own host.",
    ),
    "02.ttl": Question(
        "The packet leaves `web` with TTL 64. Which TTL does `api-1` see?",
        {
            "64": "",
            "63": "A router takes one off. Look for a routing decision on the node: there is none.",
            "62": "That is what a Pod on another node sees: two nodes have routed the packet then.",
        },
        answer="64",
        why="A bridge switches frames by MAC address and never opens the packet. No router was involved.",
    ),
    "02.netfilter": Question(
        "The node has an iptables rule that drops everything from `web` in the chain FORWARD. The packet to `api-1` is only "
        "switched, never routed. Does it arrive?",
        {
            "yes, iptables is for routed packets": "That would be so without br_netfilter. With `bridge-nf-call-iptables = 1`, "
            "which Kubernetes asks for, bridged packets go through iptables too.",
            "no, it is dropped": "",
        },
        answer="no, it is dropped",
        why="br_netfilter hands bridged packets to the same chains. Services would not work without it: their replies could bypass "
        "the translation.",
    ),
    "02.unplug": Question(
        "We pull `veth-api-1` out of the bridge. Nothing changes in `web` or `api-1`. Where does a packet from `web` to `api-1` end?",
        {
            "at the bridge: no such port": "The bridge never gets the packet. Something has to happen before there is a frame to send.",
            "in `web`: nobody answers its ARP question": "",
            "in `api-1`: its socket is gone": "The process in `api-1` is fine. It just never hears of the packet.",
        },
        answer="in `web`: nobody answers its ARP question",
        why="Without an answer there is no MAC address, without a MAC address no frame. The kernel gives up after three questions: "
        "`NEIGH_FAILED`.",
    ),
}
