"""Large rule sets in parts: nothing lost, chains before the rules that jump to them, order kept."""

from __future__ import annotations

from k8snetlib.lab.parts import ROOM, RULE, iptables_parts, nft_parts
from k8snetlib.linux.netfilter import Ruleset


MOST = ROOM // RULE  # rules in one part, at the most


def large(chains: int) -> str:
    heads = [f":C{number} - [0:0]" for number in range(chains)]
    rules = [f"-A PREROUTING -d 10.96.{number // 250}.{number % 250 + 1}/32 -j C{number}" for number in range(chains)]
    rules += [f"-A C{number} -p tcp -j DNAT --to-destination 10.0.0.1:{number + 1}" for number in range(chains)]
    nat = ["*nat", ":PREROUTING ACCEPT [0:0]", *heads, *rules, "COMMIT"]
    return "\n".join(["*filter", ":FORWARD DROP [0:0]", "-A FORWARD -j ACCEPT", "COMMIT", *nat])


def test_a_small_one_stays_whole() -> None:
    assert iptables_parts(large(3)) == [large(3) + "\n"]


def test_the_parts_one_after_the_other_make_the_whole() -> None:
    text = large(2 * MOST + 17)
    first, *others = iptables_parts(text)
    assert len(others) > 3
    ruleset = Ruleset({}, 4).restore(first, False)
    for part in others:
        assert sum(line[0] in "-:" for line in part.splitlines()) <= MOST + 1
        ruleset = ruleset.restore(part, True)
    assert ruleset == Ruleset.parse(text)


def test_nft_commands_in_parts_and_a_listing_whole() -> None:
    commands = "\n".join(f"add chain ip t c{number}" for number in range(MOST + 1))
    assert "".join(nft_parts(commands)) == commands + "\n" and len(nft_parts(commands)) >= 1
    listing = "table ip t {\n" + "\n".join(f"\tchain c{number} {{ }}" for number in range(MOST)) + "\n}"
    assert nft_parts(listing) == [listing + "\n"]
