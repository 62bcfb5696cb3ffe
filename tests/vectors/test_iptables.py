"""kube-proxy's iptables mode against what kube-proxy and iptables-save printed, chain by chain."""

from __future__ import annotations

from collections import Counter

import pytest

from k8snetlib.kube.proxy.iptables import JUMPS, LAST_RULE, compile, restore_input
from k8snetlib.linux.netfilter import Ruleset
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

CASES = cases("iptables_rules") + cases("iptables_rules_v6")
ANY_ORDER = {"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}  # Go's map order, between Services


def chains_of(text: str) -> dict[tuple[str, str], list[str]]:
    """(table, chain) → rules; the head of a chain is its first line."""
    found: dict[tuple[str, str], list[str]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            found[table, line[1:].split()[0]] = [line]
        elif line.startswith("-A"):
            found[table, line.split()[1]].append(line)
    return found


def comparable(text: str) -> dict[tuple[str, str], object]:
    return {key: Counter(lines) if key[1] in ANY_ORDER else lines for key, lines in chains_of(text).items()}


def differences(got: str, wanted: str) -> str:
    ours, theirs = chains_of(got), chains_of(wanted)
    lines = []
    for key in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(key, []), theirs.get(key, [])
        if (Counter(a) if key[1] in ANY_ORDER else a) != (Counter(b) if key[1] in ANY_ORDER else b):
            lines += [
                f"{key[0]} {key[1]}",
                *(f"  only ours:   {x}" for x in a if x not in b),
                *(f"  only theirs: {x}" for x in b if x not in a),
            ]
            lines += ["  in another order"] if Counter(a) == Counter(b) else []
    return "\n".join(lines)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_iptables_save_prints_it(case: dict) -> None:
    wanted = case.get("iptablesSave") or case["ip6tablesSave"]
    ruleset = compile(services(case), slices(case), proxy_config(case))
    got = str(ruleset)
    assert comparable(got) == comparable(wanted), differences(got, wanted)
    assert [line for line in got.splitlines() if line[0] in "*:"] == [line for line in wanted.splitlines() if line and line[0] in "*:"]
    if LAST_RULE in wanted:
        assert LAST_RULE in chains_of(got)["nat", "KUBE-SERVICES"][-1]
    assert Ruleset.parse(got, ruleset.version) == ruleset and str(Ruleset.parse(got, ruleset.version)) == got


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_as_kube_proxy_pipes_it(case: dict) -> None:
    got = restore_input(services(case), slices(case), proxy_config(case))
    removed = {
        line.split()[1] for line in case["restoreInput"].splitlines() if line.startswith("-X")
    }  # of the case before, in the same run
    wanted = "\n".join(line for line in case["restoreInput"].splitlines() if line.split(" ")[0][1:] not in removed)
    assert comparable(got) == comparable(wanted), differences(got, wanted)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_is_piped_becomes_what_is_printed(case: dict) -> None:
    given = services(case), slices(case), proxy_config(case)
    version = given[2].version
    found = Ruleset({}, version)
    for table, chain, to, rule in JUMPS:
        found = found.restore(f"*{table}\n-N {to}\n-I {chain} {rule}\nCOMMIT", noflush=True)
    assert found.restore(restore_input(*given), noflush=True) == compile(*given)
