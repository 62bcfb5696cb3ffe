"""iptables rules drawn at random, with every match and target that the model decides, for a host on the way between a client and a server."""

from __future__ import annotations

import random

from tests.nft_drawing import ADDRESSES, SPARE

# {client}, {server}, {other}, {east}, {west}, {spare} are addresses, {bits} the length of one, {net} the client's network.
# What stands after "|" are the hooks where a rule may have it; nothing: all.
MATCHES = (
    "", "-s {net}", "! -s {client}/{bits}", "-d {server}/{bits}", "! -d {other}/{bits}", "-p tcp", "! -p tcp", "-p udp", "-p {icmp}",
    "-p 99", "-i east|PREROUTING INPUT FORWARD", "! -i e+|PREROUTING INPUT FORWARD", "-o west|FORWARD OUTPUT POSTROUTING",
    "! -o w+|FORWARD OUTPUT POSTROUTING", "-i east -o west|FORWARD", "-p tcp -m tcp --dport 80", "-p tcp -m tcp ! --dport 80:8080",
    "-p tcp -m tcp --sport 40000:40001 --dport 22", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
    "-p tcp -m tcp ! --tcp-flags SYN,RST,ACK SYN", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE", "-p udp -m udp --dport 53",
    "-p udp -m udp ! --sport 1:1023", "-p sctp -m sctp --dport 80", "-p sctp -m sctp ! --sport 700",
    "-p tcp -m multiport --dports 22,80,8000:8100", "-p tcp -m multiport ! --ports 80,700", "-p udp -m multiport --sports 700,40000",
    "-p sctp -m multiport --dports 80,53", "-m mark --mark 0x1/0x3", "-m mark ! --mark 0x0", "-m mark --mark 0x0",
    "-m conntrack --ctstate INVALID", "-m conntrack --ctstate NEW", "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack --ctstate RELATED", "-m conntrack ! --ctstate ESTABLISHED", "-m conntrack --ctstate DNAT", "-m conntrack --ctstate SNAT",
    "-m conntrack --ctstate INVALID,DNAT", "-m conntrack --ctstate UNTRACKED", "-m state --state NEW,ESTABLISHED",
    "-m addrtype --dst-type LOCAL", "-m addrtype ! --dst-type LOCAL", "-m addrtype --src-type UNICAST --dst-type UNICAST",
    "-m addrtype --src-type LOCAL", "-m addrtype --dst-type LOCAL --limit-iface-in|4 PREROUTING INPUT FORWARD",
    "-p {icmp} -m {icmpmatch} 8|4", "-p {icmp} -m {icmpmatch} 3/3|4", "-p {icmp} -m {icmpmatch} 3|4", "-p {icmp} -m {icmpmatch} 11/0|4",
    "-p {icmp} -m {icmpmatch} 128|6", "-p {icmp} -m {icmpmatch} 1/4|6", "-p {icmp} -m {icmpmatch} 1|6", "-f|4", "! -f|4",
    "-m socket --nowildcard|PREROUTING INPUT", "-m socket|PREROUTING INPUT", "-m comment --comment \"why not\"",
    "-m recent --set --name seen --mask {mask} --rsource", "-m recent --rcheck --name seen --mask {mask} --rsource",
    "-m recent --update --hitcount 3 --name seen --mask {mask} --rsource", "-m recent ! --rcheck --name seen --mask {mask} --rdest",
    "-m recent --remove --name seen --mask {mask} --rsource",
)  # fmt: skip
ANYWHERE = ("", "", "-j ACCEPT", "-j RETURN", "-j one", "-g two", "-j two")
MANGLING = (
    "-j MARK --set-xmark 0x1/0x1", "-j MARK --set-xmark 0x2/0xffffffff", "-j MARK --set-xmark 0x3/0x0", "-j MARK --set-xmark 0x0/0x1",
    "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", "-j CONNMARK --restore-mark --nfmask 0x3 --ctmask 0x3",
    "-j CONNMARK --set-xmark 0x1/0xffffffff",
)  # fmt: skip
DROPPING = ("-j DROP",)
REJECTS = {
    4: ("icmp-port-unreachable", "icmp-host-unreachable", "icmp-net-unreachable", "icmp-proto-unreachable", "icmp-net-prohibited",
        "icmp-host-prohibited", "icmp-admin-prohibited"),
    6: ("icmp6-port-unreachable", "icmp6-addr-unreachable", "icmp6-no-route", "icmp6-adm-prohibited"),
}  # fmt: skip
DNAT = (
    "-p tcp -j DNAT --to-destination {server80}", "-d {vip}/{bits} -j DNAT --to-destination {server}", "-p udp -j DNAT --to-destination {other}",
    "-p tcp -m tcp --dport 22 -j REDIRECT --to-ports 80", "-p udp -j REDIRECT", "-p tcp -j DNAT --to-destination {other8080}",
    "-p tcp -j DNAT --to-destination :90", "-p sctp -j DNAT --to-destination {server80}", "-d {vip}/{bits} -j DNAT --to-destination {client}",
)  # fmt: skip
SNAT = (
    "-j MASQUERADE", "-p tcp -j MASQUERADE --to-ports 9999", "-d {server}/{bits} -j SNAT --to-source {spare}", "-p udp -j SNAT --to-source {spare700}",
    "-s {client}/{bits} -j SNAT --to-source {west}", "-o west -j MASQUERADE", "-p sctp -j MASQUERADE", "-p {icmp} -j SNAT --to-source {spare}",
)  # fmt: skip
TABLES = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}


def draw(rng: random.Random, version: int, nat: bool) -> str:
    """Text for iptables-restore: one to four tables with a few rules in each, that of NAT among them where ``nat`` is on."""
    words = _words(version)
    text = []
    for table in sorted(rng.sample([*TABLES], rng.randint(1, 4)), key=list(TABLES).index):
        if table == "nat" and not nat:
            continue
        lines, hooks = [], TABLES[table]
        for hook in rng.sample(hooks, rng.randint(1, len(hooks))):
            lines += [f"-A {hook} {_rule(rng, version, table, hook)}" for _ in range(rng.randint(1, 3))]
            if table == "nat" and hook in ("PREROUTING", "OUTPUT"):
                lines.append(f"-A {hook} {rng.choice(DNAT)}")
            if table == "nat" and hook == "POSTROUTING":
                lines.append(f"-A {hook} {rng.choice(SNAT)}")
        policies = {hook: rng.choice(["ACCEPT"] * 12 + ["DROP"]) if table != "nat" else "ACCEPT" for hook in hooks}
        for chain in ("one", "two"):
            lines += [f"-A {chain} {_rule(rng, version, table, '')}" for _ in range(rng.randint(0, 2))]
        text += [f"*{table}", *(f":{hook} {policy} [0:0]" for hook, policy in policies.items()), ":one - [0:0]", ":two - [0:0]"]
        text += [line.format(**words).replace("  ", " ") for line in lines] + ["COMMIT"]
    return "\n".join(text)


def _rule(rng: random.Random, version: int, table: str, hook: str) -> str:
    """A match or two and a target that may stand there; ``hook`` "" is a chain that several hooks jump to, which jumps no further."""
    matches = []
    for match in rng.sample(MATCHES, rng.choice([1, 1, 2])):
        words, _, where = match.partition("|")
        versions, hooks = [w for w in where.split() if w.isdigit()], [w for w in where.split() if not w.isdigit()]
        if (versions and str(version) not in versions) or (hooks and hook not in hooks):
            continue
        if not any(_takes(words, before) for before in matches):
            matches.append(words)
    targets = list(ANYWHERE) if hook else ["", "-j ACCEPT", "-j RETURN"]
    if table != "nat":
        targets += rng.sample(DROPPING, rng.randint(0, 1)) + rng.sample(MANGLING, 2)[: len(MANGLING) if table == "mangle" else 0]
    if table == "filter" and hook:
        how = rng.choice(REJECTS[version])
        if rng.random() < 0.3:
            return " ".join([*(m for m in matches if "-p " not in m), f"-p tcp -j REJECT --reject-with {'tcp-reset'}"])
        targets += [f"-j REJECT --reject-with {how}"]
    return " ".join([*_ordered(matches), rng.choice(targets)])


def _takes(words: str, before: str) -> bool:
    """Whether two matches cannot stand in one rule: both name the protocol, an end, an interface or the same module."""
    return any(f"{option} " in f"{words} " and f"{option} " in f"{before} " for option in ("-p", "-s", "-d", "-i", "-o", "-f", "-m"))


def _ordered(matches: list[str]) -> list[str]:
    return sorted(matches, key=lambda words: words.startswith("-m"))


def _words(version: int) -> dict[str, str]:
    a = {who: text.split("/")[0] for who, text in ADDRESSES[version].items()}
    ended = (lambda ip, port: f"{ip}:{port}") if version == 4 else (lambda ip, port: f"[{ip}]:{port}")
    return {
        **a, "spare": SPARE[version], "bits": "32" if version == 4 else "128", "net": "10.0.1.0/24" if version == 4 else "fd00:1::/64",
        "icmp": "icmp" if version == 4 else "ipv6-icmp", "icmpmatch": "icmp --icmp-type" if version == 4 else "icmp6 --icmpv6-type",
        "mask": "255.255.255.255" if version == 4 else ":".join(["ffff"] * 8), "vip": "10.9.9.9" if version == 4 else "fd00:9::9",
        "server80": ended(a["server"], 80), "other8080": ended(a["other"], 8080), "spare700": ended(SPARE[version], 700),
    }  # fmt: skip
