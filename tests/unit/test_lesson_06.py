"""Exercise 06: every seed has a solution, a wrong answer gets one hint that is not the answer. Lesson 06: what it shows holds."""

from __future__ import annotations

from fractions import Fraction

import pytest

import k8snetlib as k8s
from k8snetlib.course import NotYet, check, variant
from k8snetlib.course.checks import ex06
from k8snetlib.errors import ModelError
from k8snetlib.kube.cast import SHOP
from k8snetlib.views.outcomes import all_outcomes
from k8snetlib.views.way_picture import BESIDE

SEEDS = ["k8snetlib", *(f"student-{n}" for n in range(9))]
THREE = SHOP.read_text(encoding="utf-8").replace("replicas: 2", "replicas: 3")


def refusal(key: str, **given) -> str:
    """What the check says to a wrong answer."""
    with pytest.raises(NotYet) as caught:
        check(key, **given)
    return str(caught.value)


def shares(case) -> dict[str, float]:
    """A right answer to 06.1, worked out from the text and not from a trace."""
    rules, service = ex06.edited(case).splitlines(), ex06.edited_service(case)
    left, found = 1.0, {}
    for rule in rules:
        if f'"default/{service} -> ' in rule:
            end = rule.partition(" -> ")[2].partition('"')[0]
            part = float(rule.partition("--probability ")[2].split()[0]) if "--probability" in rule else 1.0
            found[end] = left * part
            left *= 1 - part
    return found


def lines(case) -> list[str]:
    """A right answer to 06.2."""
    ends, chain = ex06.endpoint_chains(case), ex06.chain(case)
    dice = [f"-A {chain} -m statistic --mode random --probability {1 / (len(ends) - i):.11f} -j {end}" for i, end in enumerate(ends[:-1])]
    return [*dice, f"-A {chain} -j {ends[-1]}"]


def fault_seen(case) -> tuple[str, str]:
    """A right answer to 06.3, found by tracing, as a student would."""
    cluster, network = ex06.cluster(case), ex06.broken(case)
    for name, count in ex06.services(case).items():
        found = all_outcomes(cluster.traces(f"pod/{ex06.CLIENT}", f"svc/{name}:80", network=network))
        if not all(each.delivered for each in found):
            return name, "port"
        if any(abs(each.weight - Fraction(1, count)) > Fraction(1, 1000) for each in found):
            return name, "probability"
        for number in range(count):
            own = all_outcomes(cluster.traces(f"pod/{name}-{number + 1}", f"svc/{name}:80", network=network))
            if any(each.reason == "IP_LOCAL_SOURCE" for each in own):
                return name, "mark"
    return "", ""


def policy(case) -> dict[str, str]:
    """A right answer to 06.4, from where the Pods are."""
    whole = ex06.policies(case)
    at = {name: [pod.node_name for pod in whole.pods if pod.name.startswith(f"{name}-")] for name in ex06.policy_services(case)}
    return {name: "refused" if not nodes else "delivered" if nodes == ["node-a"] else "dropped" for name, nodes in at.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_exercise_06_can_be_solved(seed, capsys):
    case = variant("06", seed)
    service, kind = fault_seen(case)
    check("06.1", shares=shares(case), case=case)
    check("06.2", lines=lines(case), case=case)
    check("06.3", service=service, kind=kind, case=case)
    check("06.4", outcome=policy(case), case=case)
    assert capsys.readouterr().out.count("✓") == 4


def test_answers_differ_from_student_to_student():
    cases = [variant("06", seed) for seed in SEEDS]
    assert {ex06.fault(variant("06", str(seed)))[1] for seed in range(12)} == set(ex06.KINDS)
    assert len({tuple(shares(case).items()) for case in cases}) == len(SEEDS)
    assert len({tuple(policy(case).values()) for case in cases}) > 2


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_a_hint_fits_the_mistake(seed):
    case = variant("06", seed)
    right, names = shares(case), list(ex06.services(case))
    naive = {end: float(rule) for end, rule in zip(right, (0.1, 0.2, 0.3, 0.9), strict=False)}
    assert "what the rules before it left" in refusal("06.1", shares=naive, case=case).lower()
    assert "Which rule comes first" in refusal("06.1", shares=dict.fromkeys(right, 1 / len(right)), case=case)
    assert "Follow the jumps" in refusal("06.1", shares={"10.0.0.1:80": 1.0}, case=case)
    assert "Count the rules" in refusal("06.1", shares=dict(list(right.items())[:-1]), case=case)
    good, ends = lines(case), ex06.endpoint_chains(case)
    equal = [f"-A {ex06.chain(case)} -m statistic --mode random --probability {1 / len(ends):.11f} -j {end}" for end in ends]
    assert "fall through" in refusal("06.2", lines=equal, case=case)
    assert "How many are left" in refusal("06.2", lines=[*equal[:-1], good[-1]], case=case)
    assert "One rule for each" in refusal("06.2", lines=good[-1:], case=case)
    assert "as iptables-save prints" in refusal("06.2", lines=["iptables -A INPUT -j DROP"], case=case)
    assert "understands" in refusal("06.2", lines=[good[0].replace("--probability", "--probably")], case=case)
    assert "by chance alone" in refusal("06.2", lines=[good[0].replace("-m statistic", "-s 10.0.0.1 -m statistic"), *good[1:]], case=case)
    victim, kind = ex06.fault(case)
    other = next(name for name in names if name != victim)
    wrong = next(each for each in ex06.KINDS if each != kind)
    assert victim not in refusal("06.3", service=other, kind=kind, case=case)
    assert "Right Service" in refusal("06.3", service=victim, kind=wrong, case=case)
    assert "are not right" in refusal("06.4", outcome=dict.fromkeys(policy(case), "delivered"), case=case)


@pytest.mark.parametrize("given", [5, 2.5, "x", ["-A X"], object(), b"", {}, {"x": "y"}, [5]])
@pytest.mark.parametrize("key, names", [("06.1", ["shares"]), ("06.2", ["lines"]), ("06.3", ["service", "kind"]), ("06.4", ["outcome"])])
def test_whatever_is_handed_in_the_answer_is_a_few_lines(key, names, given):
    said = refusal(key, **dict.fromkeys(names, given), case=variant("06"))
    assert len(said.splitlines()) <= 4


# ── what the lesson shows ──


def test_the_picture_says_what_the_rules_do():
    told = k8s.chain_picture(k8s.Cluster.loads(THREE, proxy="iptables").network, "node-a", "10.96.20.80")
    assert told.alt.count("≈ 1/3") == 3 and "10.244.2.2:8080" in told.alt
    assert f">{BESIDE}-d 10.96.20.80<" in told.svg.replace("&#160;", "\u00a0")  # beside its line, not on it
    with pytest.raises(ModelError, match=r"no iptables rule for 10\.96\.99\.9"):
        k8s.chain_picture(k8s.shop(proxy="iptables").network, "node-a", "10.96.99.9")
    with pytest.raises(ModelError, match="no iptables rule"):
        k8s.chain_picture(k8s.shop(proxy="nftables").network, "node-a", "10.96.20.80")


def test_schedulers_side_by_side():
    ipvs = k8s.Cluster.loads(THREE, proxy="ipvs")
    table = k8s.schedulers(ipvs, "pod/web", "svc/api:80", ("rr", "lc", "sed", "sh"), count=6)
    rr, lc, sed, sh = (row[1] for row in table.rows)
    assert rr == lc == sed == "api-2 api-3 api-1 api-2 api-3 api-1" and len(set(sh.split())) == 1
    weighted = k8s.schedulers(ipvs, "pod/web", "svc/api:80", ("rr", "wrr", "sed"), weights=(3, 2, 1))
    assert [row[2] for row in weighted.rows] == ["api-1 4, api-2 4, api-3 4", "api-1 6, api-2 2, api-3 4", "api-1 6, api-2 2, api-3 4"]
    with pytest.raises(ModelError, match="no IPVS"):
        k8s.schedulers(ipvs.with_proxy("iptables"), "pod/web", "svc/api:80")
    with pytest.raises(ModelError, match="2 weights for 3 endpoints"):
        k8s.schedulers(ipvs, "pod/web", "svc/api:80", weights=(1, 2))


def test_one_pod_more_changes_one_services_chains_alone():
    def chains(text: str) -> dict:
        table = k8s.Cluster.loads(text, proxy="iptables").network["node-a"].rulesets[4].tables["nat"]
        return {name: tuple(table.lines_of(name)) for name in table.chains if name.startswith(("KUBE-SVC", "KUBE-SEP"))}

    old, new = chains(THREE), chains(THREE.replace("replicas: 3", "replicas: 4"))
    assert sorted(name[:8] for name in new if new[name] != old.get(name)) == ["KUBE-SEP", "KUBE-SVC"]
