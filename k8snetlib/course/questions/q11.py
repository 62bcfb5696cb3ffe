"""Questions of lesson 11: Internet to Pod and back."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "11.connections": Question(
        "A browser outside asks for `https://www.example.com/api`. The balancer passes packets on, the Ingress controller runs in a Pod, "
        "and so does `api`. How many TCP connections does the request need?",
        {
            "one, from the browser to `api`": "Somebody on the way reads `/api`, and decides. To read it, one must be an end.",
            "two": "",
            "three: the balancer has its own": "Some balancers do. This one changes no address, and is no end. It chooses a node.",
        },
        answer="two",
        why="One ends in the controller, which opens the other. Every node in between forwards packets, and has no connection of its own.",
    ),
    "11.restores": Question(
        "`node-a` has made `edge-1` the destination and itself the source. Who gives the answer its two addresses back?",
        {
            "`edge-1`, which knows whom it answers": "It knows 10.244.1.0, which called it. Has it ever heard of 203.0.113.7?",
            "`node-b`, where `edge-1` runs": "`node-b` has tracked the packet, too, but it changed nothing, so it restores nothing.",
            "`node-a`": "",
            "the balancer": "The answer does not even pass it.",
        },
        answer="`node-a`",
        why="Whoever changed it has the entry, in its conntrack table, and nobody else has. So the answer must come by the same node.",
    ),
    "11.forgotten": Question(
        "Between request and answer, `node-a` loses its conntrack table. What becomes of the answer of `edge-1`?",
        {
            "it reaches the client, with odd addresses": "It is addressed to 10.244.1.0. Whose address is that?",
            "`node-a` takes it for itself, and refuses it": "",
            "`node-a` works out the client anew from its rules": "The rules say where a new request goes. They know no client.",
        },
        answer="`node-a` takes it for itself, and refuses it",
        why="Without the entry, 10.244.1.0 is what it says: an address of `node-a`, where nobody listens at that port.",
    ),
    "11.path": Question(
        "Which of these can read the path `/api`?",
        {
            "the load balancer, `node-a`, `edge-1` and `api-1`": "The browser has encrypted it. Who holds a key?",
            "`edge-1` and `api-1`": "",
            "`edge-1` alone": "It decrypts, and how does it pass the request on?",
        },
        answer="`edge-1` and `api-1`",
        why="TLS ends in `edge-1`. On the second connection the request is plain, so `api-1` reads it; so could whoever sits on that way.",
    ),
    "11.same": Question(
        "The same request under another network plug-in: a tunnel here, none there. Which of these stays the same?",
        {
            "the source address that the controller sees": "A node masquerades with the address of the interface by which the packet "
            "leaves. With a tunnel that is another one.",
            "the number of bytes on the wire": "A tunnel wraps each packet.",
            "which machines change addresses": "",
        },
        answer="which machines change addresses",
        why="That is kube-proxy's work, at the node by which the request comes in. The plug-in's work is the way from there.",
    ),
    "11.sees": Question(
        "`api` must know the client's address. Requests come by an Ingress, and the controller's Service has "
        "`externalTrafficPolicy: Local`. Where does `api` find it?",
        {
            "in the source address of the packets": "Who opened the connection on which these packets come?",
            "in the header `X-Forwarded-For`": "",
            "nowhere": "The controller sees the client, under this policy. It can pass that on, but how?",
        },
        answer="in the header `X-Forwarded-For`",
        why="`Local` keeps the address up to the controller. Behind it, nothing but a header can.",
    ),
    "11.status": Question(
        "The browser shows “504 Gateway Timeout”. What do you know?",
        {
            "the balancer or a node loses its packets": "Then nobody could answer it at all, not even with a 504.",
            "it reached the controller, which waits for a Pod in vain": "",
            "there is no rule for this path": "That a controller knows at once. What would it say?",
        },
        answer="it reached the controller, which waits for a Pod in vain",
        why="A status is an answer, so the first connection works. 504 says that on the second one nobody answered in time.",
    ),
}
