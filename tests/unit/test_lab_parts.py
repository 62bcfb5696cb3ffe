"""Large rule sets in parts: nothing lost, chains before the rules that jump to them, order kept."""

from __future__ import annotations

import pytest

from k8snetlib.kube import scale
from k8snetlib.kube.proxy.nftables import compile
from k8snetlib.lab.parts import ROOM, iptables_parts, nft_parts, nft_table_parts
from k8snetlib.linux import nftables
from k8snetlib.linux.netfilter import Ruleset

CHAINS = 617


def large(chains: int) -> str:
    heads = [f":C{number} - [0:0]" for number in range(chains)]
    rules = [f"-A PREROUTING -d 10.96.{number // 250}.{number % 250 + 1}/32 -j C{number}" for number in range(chains)]
    rules += [f"-A C{number} -p tcp -j DNAT --to-destination 10.0.0.1:{number + 1}" for number in range(chains)]
    nat = ["*nat", ":PREROUTING ACCEPT [0:0]", *heads, *rules, "COMMIT"]
    return "\n".join(["*filter", ":FORWARD DROP [0:0]", "-A FORWARD -j ACCEPT", "COMMIT", *nat])


def test_a_small_one_stays_whole() -> None:
    assert iptables_parts(large(3)) == [large(3) + "\n"]


@pytest.mark.parametrize("chains", [CHAINS, 2500])
def test_the_parts_one_after_the_other_make_the_whole(chains: int) -> None:
    text = large(chains)
    first, *others = iptables_parts(text)
    assert len(others) > 3
    ruleset = Ruleset({}, 4).restore(first, False)
    for part in others:
        assert len(part) < ROOM
        ruleset = ruleset.restore(part, True)
    assert ruleset == Ruleset.parse(text)


def test_a_comment_takes_room() -> None:
    """xt_comment keeps 256 bytes whatever is in it: kube-proxy's rules are larger than their text."""
    plain = large(CHAINS)
    commented = plain.replace(" -j C", ' -m comment --comment "x" -j C')
    assert len(iptables_parts(commented)) > len(iptables_parts(plain))


def test_nft_commands_in_parts_and_a_listing_whole() -> None:
    commands = "\n".join(f"add chain ip t c{number}" for number in range(1100))
    assert "".join(nft_parts(commands)) == commands + "\n" and len(nft_parts(commands)) == 2
    listing = "table ip t {\n" + "\n".join(f"\tchain c{number} {{ }}" for number in range(1000)) + "\n}"
    assert nft_parts(listing) == [listing + "\n"]


@pytest.mark.parametrize("services", [3, 900])
def test_a_tables_parts_make_the_table(services: int) -> None:
    table = compile(scale.services(services), scale.slices(services, 3), scale.config())
    parts = nft_table_parts(table)
    assert (len(parts) == 1) == (services == 3)
    ruleset = nftables.Ruleset()
    for part in parts:
        if services > 3:
            assert len(part) < ROOM
        ruleset = ruleset.restore(part)
    (made,) = ruleset.tables.values()
    assert made.sets == table.sets and dict(made.chains) == dict(table.chains)


def test_the_rules_of_base_chains_come_last_and_chains_in_their_order() -> None:
    table = compile(scale.services(900), scale.slices(900, 3), scale.config())
    lines = "".join(nft_table_parts(table)).splitlines()
    rules = [line.split()[4] for line in lines if line.startswith("add rule")]
    base = {chain.name for chain in table.base_chains}
    first = next(n for n, chain in enumerate(rules) if chain in base)
    assert set(rules[first:]) == {name for name in base if table.chains[name].lines}
    assert [line.split()[4] for line in lines if line.startswith("add chain")] == list(table.chains)
