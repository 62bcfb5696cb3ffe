"""Checks of exercise 06: inside kube-proxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from k8snetlib.course.checking import expect, question
from k8snetlib.course.variants import Variant
from k8snetlib.errors import K8sNetError
from k8snetlib.kube.cluster import Cluster
from k8snetlib.linux.netfilter import Ruleset, read_rule
from k8snetlib.linux.ops import RulesRestore, build
from k8snetlib.linux.packet import tcp
from k8snetlib.linux.pasted import trace_rules
from k8snetlib.linux.state import Network
from k8snetlib.linux.targets import Jump
from k8snetlib.views.outcomes import all_outcomes
from k8snetlib.views.tools import Text, iptables_save

FRUIT = ("cherry", "fig", "grape", "lemon", "mango", "olive", "peach", "plum", "quince")
NODES, VICTIM, CLIENT = ("node-a", "node-b"), "node-a", "asker"
KINDS = ("probability", "mark", "port")
PLAIN = {"-A", "-m", "--mode", "--probability", "--comment", "->", "-j"}
VERDICTS = ("delivered", "refused", "dropped")
CLOSE = 1e-6  # the kernel's 31 bits, and eleven decimals in the text, are far closer


def services(case: Variant) -> dict[str, int]:
    """The student's four Services: name → number of endpoints, three or four."""
    return {name: case.integer(f"endpoints {name}", 3, 4) for name in case.sample("services", FRUIT, 4)}


def cluster(case: Variant) -> Cluster:
    """Two nodes, four Services with their Pods, and a Pod that asks."""
    block = case.sample("blocks", range(20, 200), 2)
    parts = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: {node}}}\nspec: {{podCIDR: 10.244.{block[i]}.0/24}}\n"
        f"status: {{addresses: [{{type: InternalIP, address: 192.168.50.{11 + i}}}]}}"
        for i, node in enumerate(NODES)
    ]
    hosts = case.sample("addresses", range(10, 250), len(services(case)))
    for host, (name, count) in zip(hosts, services(case).items(), strict=True):
        port = case.choose(f"port {name}", [8080, 8443, 9000])
        for number in range(count):
            node = case.choose(f"node {name} {number}", NODES) if number else VICTIM  # one at least is where the rules are
            parts.append(_pod(f"{name}-{number + 1}", name, node, port))
        parts.append(_service(name, f"10.96.{host}.10", port))
    parts.append(_pod(CLIENT, CLIENT, VICTIM, 9999))
    return Cluster.loads("\n---\n".join(parts), proxy="iptables")


def _pod(name: str, app: str, node: str, port: int) -> str:
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n"
        f"spec: {{nodeName: {node}, containers: [{{name: app, image: app, ports: [{{containerPort: {port}}}]}}]}}"
    )


def _service(name: str, address: str, port: int, more: str = "") -> str:
    spec = f"{{clusterIP: {address}, selector: {{app: {name}}}{more}, ports: [{{port: 80, targetPort: {port}}}]}}"
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}"


def address(case: Variant, service: str) -> str:
    """A Service's cluster IP."""
    return next(str(each.cluster_ips[0]) for each in cluster(case).control.services if each.name == service)


# 1: shares


def edited_service(case: Variant) -> str:
    """The Service whose probabilities somebody has edited, for question 1."""
    return case.choose("edited", list(services(case)))


def edited(case: Variant) -> Text:
    """``iptables-save`` of node-a with these probabilities."""
    rules = _rules(case)
    lines = rules.splitlines()
    for number, line in enumerate(_choices(rules, address(case, edited_service(case)))[:-1]):
        chance = case.choose(f"chance {number}", ["0.10000000000", "0.20000000000", "0.25000000000", "0.40000000000", "0.60000000000"])
        before, _, after = line.partition("--probability ")
        lines[lines.index(line)] = f"{before}--probability {chance} {after.split(' ', 1)[1]}"
    return Text("\n".join(lines))


def shares_of(text: str, destination: str) -> dict[str, Fraction]:
    """``address:port`` → its share of the connections from the asking Pod, by these rules."""
    found = all_outcomes(trace_rules(text, tcp("10.244.255.9", destination, 80)))
    return {f"{each.trace.end.packet.dst}:{each.trace.end.packet.dport}": each.weight for each in found if each.delivered}


@question("06.1")
def shares(shares: Mapping[str, float], case: Variant) -> str:
    """Every endpoint with its share."""
    right = shares_of(edited(case), address(case, edited_service(case)))
    expected = "a share for each address:port that the Service's rules lead to"
    hint = 'A dictionary: {"10.244.1.2:8080": 0.25, …}, the addresses as the DNAT rules have them.'
    expect(isinstance(shares, Mapping) and shares, got=repr(shares), expected=expected, hint=hint)
    given = {str(end).strip(): share for end, share in shares.items()}
    strange = [end for end in given if end not in right]
    expect(
        not strange, got=", ".join(strange), expected=expected, hint="Follow the jumps: this Service's KUBE-SVC chain, its KUBE-SEP chains."
    )
    missing = len(right) - len(given)
    expect(
        not missing, got=f"{len(given)} endpoints", expected=expected, hint="Count the rules of its KUBE-SVC chain that jump to a KUBE-SEP."
    )
    numbers = all(isinstance(share, (int, float, Fraction)) and not isinstance(share, bool) for share in given.values())
    expect(numbers, got=given, expected="numbers from 0 to 1", hint="Write 0.25 or 1/4, without quotes.")
    total = float(sum(given.values()))
    expect(abs(total - 1) < CLOSE, got=f"shares that sum to {total:.4f}", expected="shares that sum to 1",
           hint="A rule takes its probability of what reaches it. What reaches it is what the rules before it left.")  # fmt: skip
    wrong = [end for end, share in given.items() if abs(float(share) - float(right[end])) > CLOSE]
    expect(not wrong, got=f"{len(wrong)} of {len(right)} are not right", expected=expected,
           hint="Which rule comes first? The second one sees only what the first one left.")  # fmt: skip
    return f"{len(right)} endpoints, with the shares that the rules give them"


# 2: a rule for one more


def grown_service(case: Variant) -> str:
    """The Service that gets one more endpoint, for question 2: another than that of question 1."""
    return case.choose("grown", [name for name in services(case) if name != edited_service(case)])


def chain(case: Variant) -> str:
    """That Service's chain."""
    return _chain(_rules(case), address(case, grown_service(case)))


def endpoint_chains(case: Variant) -> tuple[str, ...]:
    """The chains of its endpoints, with one that was added."""
    known = [line.split()[-1] for line in _choices(_rules(case), address(case, grown_service(case)))]
    return (*known, "KUBE-SEP-ADDED")


def loaded(lines: Sequence[str], case: Variant) -> str:
    """The node's rules with ``lines`` in the place of those that choose an endpoint, and with the chain of the one that was added."""
    rules, destination = _rules(case), address(case, grown_service(case))
    out, old = [], set(_choices(rules, destination))
    for line in rules.splitlines():
        if line in old:
            out += lines
            lines = ()
        elif line == "*nat":
            out += [line, ":KUBE-SEP-ADDED - [0:0]"]
        else:
            out.append(line)
    at = len(out) - 1 - out[::-1].index("COMMIT")
    out.insert(at, "-A KUBE-SEP-ADDED -p tcp -m tcp -j DNAT --to-destination 10.244.250.2:8080")
    return "\n".join(out)


@question("06.2")
def equal_again(lines: Sequence[str], case: Variant) -> str:
    """The end state: every endpoint, the new one too, gets the same."""
    wanted, own = endpoint_chains(case), chain(case)
    expected = "rules that jump from the Service's chain to each of its endpoints' chains"
    form = f"Each line as iptables-save prints it: -A {own} … -j KUBE-SEP-…"
    lines = lines.splitlines() if isinstance(lines, str) else lines
    ok = isinstance(lines, (list, tuple)) and lines and all(isinstance(line, str) for line in lines)
    expect(ok, got=repr(lines)[:80], expected="a list of rules, each a text", hint=form)
    lines = [line.strip() for line in lines if line.strip()]
    for line in lines:
        expect(line.startswith(f"-A {own} "), got=line, expected=expected, hint=form)
        rule = _read(line.removeprefix(f"-A {own} "), line)
        there = isinstance(rule.target, Jump) and rule.target.chain in wanted
        expect(there, got=line, expected=expected, hint="The chains to jump to are in ex06.endpoint_chains(case).")
        strange = {word for word in line.split() if word.startswith("-") or word == "!"} - PLAIN
        expect(not strange, got=line, expected="rules that choose by chance alone", hint="-m statistic --mode random --probability …")
    found = list(shares_of(loaded(lines, case), address(case, grown_service(case))).values())
    expect(len(found) == len(wanted), got=f"{len(found)} of {len(wanted)} endpoints are reached", expected="all are reached",
           hint="One rule for each; a rule without -m statistic takes all that come to it.")  # fmt: skip
    total = float(sum(found))
    expect(abs(total - 1) < CLOSE, got=f"{1 - total:.3f} of the connections fall through", expected="every connection gets an endpoint",
           hint="Look at kube-proxy's last rule: what does it say about chance?")  # fmt: skip
    even = all(abs(float(share) - 1 / len(wanted)) < 1e-5 for share in found)
    expect(even, got="shares " + ", ".join(f"{float(share):.4f}" for share in found), expected="the same for every endpoint",
           hint="How many are left to choose among when a packet comes to this rule?")  # fmt: skip
    return f"{len(wanted)} endpoints, {float(found[0]):.4f} each"


# 3: a fault


def fault(case: Variant) -> tuple[str, str]:
    """Which Service has a fault in its rules on node-a, and of what kind."""
    return case.choose("victim", list(services(case))), case.choose("kind", KINDS)


def faulty(case: Variant) -> Text:
    """``iptables-save`` of node-a with that fault in it."""
    service, kind = fault(case)
    rules = _rules(case)
    lines = rules.splitlines()
    choices = _choices(rules, address(case, service))
    ends = [line.split()[-1] for line in choices]
    if kind == "probability":
        line = case.choose("line", choices[:-1])
        before, _, after = line.partition("--probability ")
        lines[lines.index(line)] = f"{before}--probability 0.05000000000 {after.split(' ', 1)[1]}"
    elif kind == "mark":
        own = {str(pod.pod_ips[0]) for pod in cluster(case).pods if pod.node_name == VICTIM}  # only their hairpins meet these rules
        near = [line.split()[-1] for line in choices if any(f" -> {ip}:" in line for ip in own)]
        end = case.choose("end", near)
        lines = [line for line in lines if not (line.startswith(f"-A {end} -s ") and line.endswith("KUBE-MARK-MASQ"))]
    else:
        end = case.choose("end", ends)
        at = next(i for i, line in enumerate(lines) if line.startswith(f"-A {end} ") and "--to-destination" in line)
        lines[at] = lines[at][:-1] + "1"  # no port of the course ends in 1
    return Text("\n".join(lines))


def broken(case: Variant) -> Network:
    """The cluster with these rules on node-a."""
    return build([RulesRestore(VICTIM, str(faulty(case)))], cluster(case).network)


@question("06.3")
def found(service: str, kind: str, case: Variant) -> str:
    """Which Service, and what is wrong with it."""
    names, (victim, what) = list(services(case)), fault(case)
    given, said = str(service).strip().removeprefix("default/"), str(kind).strip().lower()
    expect(given in names, got=repr(service), expected=f"one of {', '.join(names)}", hint="A Service's name, in quotes.")
    expect(said in KINDS, got=repr(kind), expected=f"one of {', '.join(KINDS)}", hint="One of the three words, in quotes.")
    hint = "Compare: are its shares equal? Is each DNAT port the one that the others have? Does each endpoint's chain have two rules?"
    expect(given == victim, got=given, expected="the Service whose rules differ from what kube-proxy writes", hint=hint)
    expect(
        said == what,
        got=said,
        expected="what is wrong with it",
        hint="Right Service. Trace to it from the Pod asker, and from its own Pods.",
    )
    return f"{victim}: that is the one; the other rules are as kube-proxy wrote them"


# 4: policies


def policy_services(case: Variant) -> dict[str, str]:
    """Three Services for question 4: name → how its endpoints lie (here, elsewhere, nowhere)."""
    names = case.sample("policies", FRUIT, 3)
    return dict(zip(names, case.shuffle("places", ["here", "elsewhere", "nowhere"]), strict=True))


def policies(case: Variant) -> Cluster:
    """Two nodes; each of the three Services has internalTrafficPolicy Local, its Pods on the node that asks, the other, or nowhere."""
    parts = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: {node}}}\nspec: {{podCIDR: 10.244.{i + 1}.0/24}}\n"
        f"status: {{addresses: [{{type: InternalIP, address: 192.168.50.{11 + i}}}]}}"
        for i, node in enumerate(NODES)
    ]
    for number, (name, place) in enumerate(policy_services(case).items()):
        if place != "nowhere":
            parts.append(_pod(f"{name}-1", name, NODES[place == "elsewhere"], 8080))
        parts.append(_service(name, f"10.96.7.{number + 10}", 8080, ", internalTrafficPolicy: Local"))
    parts.append(_pod(CLIENT, CLIENT, VICTIM, 9999))
    return Cluster.loads("\n---\n".join(parts), proxy="iptables")


@question("06.4")
def outcomes(outcome: Mapping[str, str], case: Variant) -> str:
    """What becomes of a connection to each of the three."""
    whole, names = policies(case), list(policy_services(case))
    expected = f"for each of {', '.join(names)} one of {', '.join(VERDICTS)}"
    expect(isinstance(outcome, Mapping), got=repr(outcome), expected=expected, hint=f'{{"{names[0]}": "delivered", …}}')
    given = {str(name): str(what).strip().lower() for name, what in outcome.items()}
    ok = sorted(given) == sorted(names) and set(given.values()) <= set(VERDICTS)
    expect(ok, got=given, expected=expected, hint=f'{{"{names[0]}": "delivered", …}}')
    right = {name: all_outcomes(whole.traces(f"pod/{CLIENT}", f"svc/{name}:80"))[0].verdict for name in names}
    wrong = sum(given[name] != right[name] for name in names)
    expect(not wrong, got=f"{wrong} of {len(names)} are not right", expected="what the client sees",
           hint="No endpoint anywhere: somebody says so. Endpoints, but none on this node: nobody says anything.")  # fmt: skip
    return "refused where there is nobody at all, dropped where the policy allows nobody"


# Text of rules


def _rules(case: Variant) -> str:
    return str(iptables_save(cluster(case).network, VICTIM))


def _chain(rules: str, destination: str) -> str:
    """The chain to which the list of Services sends what is for this address."""
    table = Ruleset.parse(rules).tables["nat"]
    line = next(line for line in table.lines_of("KUBE-SERVICES") if f"-d {destination}/32 " in line)
    return line.split()[-1]


def _choices(rules: str, destination: str) -> list[str]:
    """The lines of a Service's chain that choose an endpoint, in order."""
    start = f"-A {_chain(rules, destination)} "
    return [line for line in rules.splitlines() if line.startswith(start) and "-j KUBE-SEP-" in line]


def _read(text: str, line: str):
    try:
        return read_rule(text, 4)
    except K8sNetError as error:
        expect(False, got=line, expected="a rule that iptables understands", hint=str(error))
        raise
