"""Questions of lesson 09: Gateway API."""

from __future__ import annotations

from k8snetlib.course.prediction import Question

QUESTIONS = {
    "09.owner": Question(
        "The shop wants its pages on port 8080 as well. Into which object does that go, and who writes it?",
        {
            "the HTTPRoute, the developers": "A route says which requests go where. At which ports anybody listens is decided above it.",
            "the Gateway, the cluster operator": "",
            "the GatewayClass, the infrastructure provider": "It names a controller, and nothing that differs from Gateway to Gateway.",
        },
        answer="the Gateway, the cluster operator",
        why="A port is a listener, and listeners are the Gateway's. Developers ask for it, and cannot open it on their own.",
    ),
    "09.attach": Question(
        "Team `pay` applies an HTTPRoute in its own namespace that names our Gateway as its parent. The API server takes it. Are its "
        "requests routed now?",
        {
            "yes: the route says where it belongs": "So could anybody's, for any host. What does the Gateway say?",
            "no: the Gateway's listeners have to allow it": "",
            "no: a route must lie in the Gateway's namespace": "Ours does not either: it lies in `shop`, the Gateway in `edge`.",
        },
        answer="no: the Gateway's listeners have to allow it",
        why="Both sides must agree: the route by `parentRefs`, the listener by `allowedRoutes`. Ours allows routes of namespace `shop`.",
    ),
    "09.missing": Question(
        "A route sends to a Service that is not there. What does its status say?",
        {
            "Accepted: False": "*Accepted* is about the route and its Gateway, and these two agree.",
            "Accepted: True, and ResolvedRefs: False": "",
            "nothing: the API server refuses it": "References are not checked when an object is applied. The Service may come later.",
        },
        answer="Accepted: True, and ResolvedRefs: False",
        why="Two conditions, two questions: may it attach, and is all there that it refers to? Its requests are answered with 500.",
    ),
    "09.exact": Question(
        "Three rules: `PathPrefix /api`, `PathPrefix /api/items`, and `Exact /api/items`. A request for `/api/items` fits all of them. "
        "Which one answers?",
        {
            "the first that is written": "The order in the manifest counts last of all.",
            "the longer prefix, as in Ingress": "Even by Ingress, Exact would win: both are equally long.",
            "Exact": "",
        },
        answer="Exact",
        why="Exact comes before every prefix, then the longest prefix, then method, then the number of headers, then of query parameters.",
    ),
    "09.weight": Question(
        "`api` has weight 9 and two Pods, `api-v2` weight 1 and one Pod. Which share of the requests does each Pod of `api` get?",
        {
            "9/20": "",
            "1/3": "That would be a share by Pods. Weights are between Services.",
            "9/10": "That is the share of both together.",
        },
        answer="9/20",
        why="First a Service by weight, 9 of 10, then one of its Pods: half of that.",
    ),
    "09.loop": Question(
        "A route redirects every request to https. Its `parentRefs` names the Gateway, and no listener. A browser asks for "
        "`http://www.example.com/`. What does it see in the end?",
        {
            "the page": "The https request comes to a listener of the same Gateway. Which routes are attached there?",
            "an endless redirect": "",
            "404 at https": "There is a rule at that listener: this very route's.",
        },
        answer="an endless redirect",
        why="Without a `sectionName` the route is attached to *both* listeners, so https is sent to https, again and again.",
    ),
    "09.grant": Question(
        "A route of `shop` may send to Service `pay` of namespace `pay` if there is a ReferenceGrant. In which namespace does that lie?",
        {
            "`shop`, where the route is": "Then whoever wants something would permit it to themselves.",
            "`edge`, where the Gateway is": "The Gateway's owner does not own the Service.",
            "`pay`, where the Service is": "",
        },
        answer="`pay`, where the Service is",
        why="Only the owner of what is referred to can permit it: a handshake between two namespaces, and nobody else's affair.",
    ),
    "09.class": Question(
        "Somebody writes the Gateway with a typo, `gatewayClassName: edeg`. What happens?",
        {
            "the API server refuses it": "The name is well formed. Whether there is such a class is not checked, for it may come later.",
            "nothing, and nobody complains": "",
            "the controller of the only class takes it": "A Gateway is for one class, by name. There is no default, as Ingress has one.",
        },
        answer="nothing, and nobody complains",
        why="A Gateway is a wish, like a LoadBalancer Service. No controller takes it for its own: its status stays Pending, and routes get none.",
    ),
}
