"""nftables tables drawn at random, for a router between a client and a server, in either family."""

from __future__ import annotations

import random
import re

ADDRESSES = {
    4: {"client": "10.0.1.2/24", "east": "10.0.1.1/24", "west": "10.0.2.1/24", "server": "10.0.2.2/24", "other": "10.0.2.3/32"},
    6: {"client": "fd00:1::2/64", "east": "fd00:1::1/64", "west": "fd00:2::1/64", "server": "fd00:2::2/64", "other": "fd00:2::3/128"},
}
VIP = {4: "10.9.9.9", 6: "fd00:9::9"}
SPARE = {4: "10.0.2.77", 6: "fd00:2::77"}

# {client}, {server}, {other}, {vip} are addresses, {s} is ip or ip6, {icmp} the family's protocol. A counter stands where nothing after it
# can end the rule: it counts what it sees, whatever becomes of the rule.
FILTER = (
    "{s} saddr {client} counter drop",
    "tcp dport 80 counter reject",
    "tcp dport 8080 counter reject with tcp reset",
    "udp dport {{ 53, 5353 }} counter reject",
    "{s} saddr . tcp dport {{ {client} . 80, {server} . 8080 }} counter drop",
    "ct state invalid counter drop",
    "ct state established,related counter accept",
    "ct state vmap {{ established : accept, related : accept, invalid : drop }}",
    "ct status dnat counter accept",
    "ct direction reply counter drop",
    "meta mark & 0x4000 != 0 counter accept",
    "meta mark set meta mark | 0x4000 counter",
    "meta mark 0x4000 counter meta mark set meta mark ^ 0x4000",
    "meta l4proto {icmp} counter drop",
    "meta l4proto {{ tcp, {icmp} }} counter jump other",
    "fib daddr type local counter accept",
    "fib saddr type != local counter jump other",
    'iifname "ea*" counter drop',
    'iifname != "east" counter accept',
    'oifname {{ "east", "lo" }} counter drop',
    "th dport vmap {{ 80 : jump other, 53 : drop, 8000-8100 : goto other }}",
    "{s} daddr . meta l4proto . th dport vmap @doors",
    "{s} daddr @friends counter accept",
    "{s} daddr != @friends counter drop",
    "{s} saddr @net counter jump other",
    "tcp flags & (fin | syn | rst | ack) == syn counter jump other",
    "tcp sport 1024-65535 tcp dport != 80 counter drop",
    "counter return",
    "counter continue",
    "goto other",
)
DNAT = (
    "{s} daddr {vip} tcp dport 80 counter dnat to {server80}",
    "{s} daddr {vip} counter dnat to {other}",
    "tcp dport 8080 counter redirect to :80",
    "{s} daddr {vip} counter dnat to {s} saddr map {{ {client} : {other}, {server} : {client} }}",
    "meta l4proto tcp {s} daddr {vip} dnat {s} addr . port to tcp dport map {{ 80 : {other} . 8080, 8080 : {server} . 80 }}",
    "{s} daddr . meta l4proto . th dport vmap @doors",
    "udp dport 53 counter dnat to {server}",
    "counter accept",
    "udp dport 5353 counter drop",
)
SNAT = (
    "counter masquerade",
    "tcp dport 80 counter masquerade fully-random",
    "{s} daddr {other} counter snat to {spare}",
    "meta mark & 0x4000 != 0 counter meta mark set meta mark ^ 0x4000 masquerade",
    "ct status dnat {s} saddr . {s} daddr . meta l4proto . th dport @pairs counter masquerade",
    "oifname west counter masquerade",
)
MORE = """
    set friends {{ type {addr}; elements = {{ {server}, {client} }}; }}
    set net {{ type {addr}; flags interval; elements = {{ {range} }}; }}
    set pairs {{ type {addr} . {addr} . inet_proto . inet_service; elements = {{ {client} . {other} . tcp . 8080 }}; }}
    map doors {{ type {addr} . inet_proto . inet_service : verdict;
        elements = {{ {vip} . tcp . 80 : goto end, {server} . udp . 53 : jump other, {other} . tcp . 8080 : accept }}; }}
    chain other {{ tcp dport 80 counter accept; udp dport 5353 counter; counter return; }}
"""


def draw(rng: random.Random, version: int) -> str:
    """Tables for nft: a few base chains with a few rules each."""
    a = {who: text.split("/")[0] for who, text in ADDRESSES[version].items()}
    server80 = f"[{a['server']}]:80" if version == 6 else f"{a['server']}:80"
    words = {
        **a, "vip": VIP[version], "s": "ip" if version == 4 else "ip6", "icmp": "icmp" if version == 4 else "ipv6-icmp",
        "server80": server80, "addr": f"ipv{version}_addr", "range": "10.0.1.0/24" if version == 4 else "fd00:1::/64",
        "spare": SPARE[version],
    }  # fmt: skip
    family = rng.choice(["ip" if version == 4 else "ip6"] * 3 + ["inet"])
    tables = []
    for number in range(rng.randint(1, 2)):
        chains = []
        for hook in rng.sample(["prerouting", "input", "forward", "output", "postrouting"], rng.randint(1, 3)):
            rules = rng.sample([r for r in FILTER if hook in ("input", "forward", "output") or "reject" not in r], rng.randint(1, 4))
            rules = [r for r in rules if (hook != "output" or "iif" not in r) and (hook not in ("prerouting", "input") or "oif" not in r)]
            priority = rng.choice(["-150", "dstnat - 10" if hook == "prerouting" else "-110", "0", "0", "10"])
            policy = rng.choice(["accept", "accept", "drop"])
            chains.append((f"type filter hook {hook} priority {priority}; policy {policy};", rules))
        if rng.random() < 0.7 and number == 0:
            chains.append(("type nat hook prerouting priority dstnat;", rng.sample(DNAT, rng.randint(1, 2))))
        if rng.random() < 0.6:
            chains.append(("type nat hook postrouting priority srcnat;", rng.sample(SNAT, rng.randint(1, 2))))
        kind = "nat" if any(head.startswith("type nat hook pre") for head, _ in chains) else "filter"
        end = f"chain end {{ meta l4proto tcp counter dnat to {a['other']}; }}" if kind == "nat" else "chain end { counter drop; }"
        if kind == "nat":  # a map that leads to NAT may be asked in NAT chains alone
            chains = [(head, [r for r in rules if "@doors" not in r or head.startswith("type nat hook pre")]) for head, rules in chains]
        if family == "inet":
            end = end.replace("dnat to", f"dnat {words['s']} to")
            chains = [(head, [re.sub(r"(dnat|snat) to", r"\1 {s} to", r) for r in rules]) for head, rules in chains]
        bodies = [f"chain c{i} {{ {head}\n" + "\n".join(r.format(**words) for r in rules) + "\n}" for i, (head, rules) in enumerate(chains)]
        tables.append(f"table {family} t{number} {{\n{MORE.format(**words)}\n{end}\n" + "\n".join(bodies) + "\n}")
    return "\n".join(tables)
