"""Questions of lesson 08: Ingress."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "08.doors": Question(
        "Could kube-proxy's rules let both Services share one address, and choose between them by the path?",
        {
            "yes, with a rule that looks for `/api`": "In which packet would it look? The choice is made at the first one.",
            "no: when the choice is made, there is no path yet": "",
            "no, because of TLS": "In plain HTTP it is the same. When does the path come?",
        },
        answer="no: when the choice is made, there is no path yet",
        why="The endpoint is chosen for the first packet of a connection, a SYN. It holds no byte of HTTP.",
    ),
    "08.data": Question(
        "We apply this Ingress to a cluster in which nobody has installed anything for it. What happens?",
        {
            "the API server refuses it: there is no controller": "It checks the form of an object, and not whether somebody will read it.",
            "every node gets rules for `/api` and `/web`": "Who would write them? kube-proxy reads Services and EndpointSlices.",
            "it is stored, and nothing else happens": "",
        },
        answer="it is stored, and nothing else happens",
        why="An Ingress is a wish, as a LoadBalancer Service is. No part of Kubernetes itself fulfils it.",
    ),
    "08.peer": Question(
        "The client, 203.0.113.7, asks for `http://www.example.com/api`. Which source address do the packets have that reach `api`?",
        {
            "203.0.113.7, the client's": "Then the client's connection would have to go on to `api`. Who read the path, and from what?",
            "10.244.1.0, `flannel.1` of `node-a`": "A node masquerades on the way to the controller. And from there on?",
            "10.244.2.5, the controller's": "",
        },
        answer="10.244.2.5, the controller's",
        why="The client's connection ends in the controller, which opens a second one, of its own.",
    ),
    "08.forwarded": Question(
        "A controller tells the Pod who has called it, in the header `X-Forwarded-For`. In the first picture it names 10.244.1.0, a node: "
        "`node-a` masqueraded, so the controller itself does not know the client. Which Service needs `externalTrafficPolicy: Local`?",
        {
            "`api`, whose Pods want to know": "By whose rules does the *client's* packet come in? Nobody outside calls Service `api`.",
            "`edge`, the controller's": "",
            "none: behind a controller the client is lost": "The controller can write what it sees. How does it come to see the client?",
        },
        answer="`edge`, the controller's",
        why="The client's connection comes in by Service `edge`, and ends there. On the second one the controller calls a Pod.",
    ),
    "08.prefix": Question(
        "One rule: path `/foo`, pathType Prefix. Which of these requests does not fit?",
        {
            "`/foo/`": "A slash at the end counts for nothing here.",
            "`/foo/bar`": "The elements are `foo` and `bar`, and the first is the rule's.",
            "`/foobar`": "",
            "`/foo?size=2`": "What follows the question mark is the query, no part of the path.",
        },
        answer="`/foobar`",
        why="A Prefix goes by whole elements between slashes, and `foobar` is another element than `foo`.",
    ),
    "08.longest": Question(
        "Three rules of one host, in this order: Prefix `/` → `web`, Prefix `/api` → `api`, Exact `/api` → `web`. Who gets `/api`?",
        {
            "the first, Prefix `/`: it stands on top": "The order in the manifest counts for nothing.",
            "the second, Prefix `/api`": "Two rules are equally long. Which kind goes first?",
            "the third, Exact `/api`": "",
        },
        answer="the third, Exact `/api`",
        why="The longest path goes first, and among equally long ones Exact goes before Prefix.",
    ),
    "08.wildcard": Question(
        "A rule for host `*.example.com`. Which of these hosts fits?",
        {
            "`example.com`": "The star stands for something. Here is nothing before the dot.",
            "`shop.example.com`": "",
            "`a.shop.example.com`": "The star would have to stand for `a.shop`: how many labels is that?",
            "all three": "The star stands for exactly one label.",
        },
        answer="`shop.example.com`",
        why="In an Ingress, the star is exactly one label. (In the Gateway API, lesson 09, it is one or more.)",
    ),
    "08.unready": Question(
        "A rule fits, and leads to Service `api`. None of its Pods is ready. What does the client get?",
        {
            "404 from the controller": "404 means: no rule. There is one.",
            "503 from the controller": "",
            "no answer, until it gives up": "Nobody drops anything. The controller has an open connection to the client.",
        },
        answer="503 from the controller",
        why="The controller knows the endpoints, and knows that there is none. 503: I cannot serve this now.",
    ),
    "08.tls": Question(
        "Now the client asks for `https://www.example.com/api`. What travels between the controller and `api`?",
        {
            "the client's TLS, passed on": "To choose by the path, the controller has to read it. So who has decrypted?",
            "a TLS connection of the controller's own": "It could. No field of an Ingress asks for it.",
            "plain HTTP": "",
        },
        answer="plain HTTP",
        why="TLS ends where the key is: in the controller. What follows is a connection of its own, plain unless you arrange otherwise.",
    ),
    "08.sni": Question(
        "One address, two hosts, a certificate for each. By what does the controller choose the certificate?",
        {
            "by the header Host": "That header comes inside of TLS. The certificate is needed before.",
            "by the path": "The path comes inside of TLS as well.",
            "by the name in the TLS handshake": "",
            "by the address that was called": "There is only one.",
        },
        answer="by the name in the TLS handshake",
        why="The client's first TLS message names the server it wants (Server Name Indication), in clear text unless both ends "
        "use Encrypted Client Hello.",
    ),
}
