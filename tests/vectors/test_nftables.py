"""kube-proxy's nftables mode: the table made of Services and EndpointSlices against what ``nft list`` shows of the real one's."""

from __future__ import annotations

import difflib

import pytest

from k8snetlib.kube.proxy.nftables import compile
from k8snetlib.linux.nftables import Ruleset, Table
from k8snetlib.linux.nftables_stmts import Verbatim
from tests.vectors.cases import cases
from tests.vectors.objects import proxy_config, services, slices

FILES = ("nftables_rules", "nftables_rules_v6")
CASES = [case for name in FILES for case in cases(name)]


def canonical(text: str) -> dict:
    """A listing without the order that does not count: chains by name with their rules in order, sets and maps with elements as sets."""
    table = Table.parse(text)
    chains = {name: (str(chain.hook or ""), chain.comment, chain.lines) for name, chain in table.chains.items()}
    sets = {name: (tuple(each.declaration()), frozenset(map(str, each.elements.values()))) for name, each in table.sets.items()}
    return {"table": (table.title, table.comment), **chains, **{f"@{name}": each for name, each in sets.items()}}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_compiled(case: dict) -> None:
    made = str(compile(services(case), slices(case), proxy_config(case)))
    wanted = case["nftList"].strip()
    if canonical(made) != canonical(wanted):
        pytest.fail("\n".join(difflib.unified_diff(wanted.splitlines(), made.splitlines(), "kube-proxy", "model", lineterm="")))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_read_and_printed_again(case: dict) -> None:
    wanted = case["nftList"].strip()
    table = Table.parse(wanted)
    assert str(table) == wanted
    assert Table.parse(str(table)) == table
    for chain in table.chains.values():
        rules = table.rules(chain.name)
        assert tuple(map(str, rules)) == chain.lines
        assert not any(isinstance(statement, Verbatim) for rule in rules for statement in rule.statements)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_transaction(case: dict) -> None:
    """The commands that kube-proxy gives to nft, carried out."""
    tables = Ruleset().restore(case["nftInput"]).tables
    assert list(map(str, tables.values())) == [case["nftList"].strip()]


def test_counts(capsys: pytest.CaptureFixture) -> None:
    exact = sum(str(compile(services(case), slices(case), proxy_config(case))) == case["nftList"].strip() for case in CASES)
    with capsys.disabled():
        print(f"\nnftables: {len(CASES)} cases, {exact} of them the same to the byte")
    assert CASES
