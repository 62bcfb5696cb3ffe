"""A packet's way through the base chains of a hook, nftables' and iptables' merged by priority.

At equal priorities the chain that was registered last comes first (nf_hook_entries_grow puts the new one before its equals). NAT is one
hook for all: whatever priority a nat chain was given, it is asked when the kernel's own NAT hook runs (−100 or 100), and its number only
orders it among the others (nf_nat_register_fn).
"""

from __future__ import annotations

from ..errors import ModelError
from .netfilter import ORDER
from .nftables import PRIORITIES, VERSIONS, Chain, Rule, Table
from .nftables_stmts import MISS, Run
from .nftables_stmts import Verdict as Word
from .targets import Nat, Reject, Verdict

JUMP_LIMIT = 16  # NFT_JUMP_STACK_SIZE
ACCEPT, DROP = Verdict("ACCEPT"), Verdict("DROP")
TRACK, NAT, XTABLES, NFT = "track", "nat", "xtables", "nft"
CONNTRACK_PRIORITY = -200
SECURITY = 150  # of iptables' table, not what nft calls by that name


def compiled(table: Table, chain: str) -> list[tuple[tuple[Run, ...], Rule]]:
    """The chain's rules, each with what it does, made when a packet first enters the chain."""
    key = ("compiled", chain)
    found = table.cache.get(key)
    if found is None:
        found = table.cache[key] = [
            (tuple([run for run in (s.compile(table) for s in rule.statements) if run is not None]), rule) for rule in table.rules(chain)
        ]
    return found


def walk(table: Table, base: Chain, hook: str, skb, env) -> object:
    """Take the packet through a base chain; the result is a target as iptables has them: ``Verdict``, ``Reject`` or ``Nat``.

    ``env.nft_matched`` is told every rule that matched and the policy that decided in the end, with the number of rules looked at by then.
    """
    stack: list[tuple[str, int]] = []
    chain, position, examined = base.name, 0, 0
    rules = compiled(table, chain)
    while True:
        answer = None
        while position < len(rules) and answer is None:
            runs, rule = rules[position]
            position += 1
            examined += 1
            env.element = ""
            for run in runs:
                answer = run(skb, env)
                if answer is not None:
                    break
            if answer is MISS:
                answer = None
                continue
            env.nft_matched(hook, table, chain, position - 1, rule, said(answer), examined)
        if type(answer) is Word:
            name = answer.name
            if name in ("jump", "goto"):
                if name == "jump":
                    stack.append((chain, position))
                    if len(stack) > JUMP_LIMIT:
                        raise ModelError(f"chains of table {table.title} jump too deep, or in a circle, at {answer.chain}")
                chain, position, rules = answer.chain, 0, compiled(table, answer.chain)
                continue
            if name == "continue":
                continue
            if name in ("accept", "drop"):
                return ACCEPT if name == "accept" else DROP
        elif answer is not None:
            return answer
        if not stack:
            env.element = ""
            env.nft_matched(hook, table, base.name, -1, None, base.hook.policy, examined)
            return ACCEPT if base.hook.policy == "accept" else DROP
        chain, position = stack.pop()
        rules = compiled(table, chain)


def said(answer: object) -> str:
    """What a rule did, in nft's words."""
    if answer is None:
        return "continue"
    if isinstance(answer, Nat):
        to = "" if answer.address is None else f"[{answer.address}]" if answer.address.version == 6 else str(answer.address)
        to += "" if answer.ports is None else f":{answer.ports[0]}"
        return f"{answer.name.lower()}{' to ' + to if to else ''}"
    return "reject" if isinstance(answer, Reject) else str(answer)


def plan(namespace, version: int, hook: str) -> tuple[tuple, ...]:
    """What a packet of that version meets at a hook, in order: (TRACK,), (XTABLES, name, table), (NFT, table, chain) or (NAT, lookups)."""
    ruleset, nft = namespace.rulesets.get(version), namespace.nftables
    own = tuple(ruleset.tables.values()) if ruleset is not None else ()
    key = ("plan", version, hook, namespace.hooked, tuple(map(id, own)))
    found = nft.cache.get(key)
    if found is None or found[0] != own:
        found = nft.cache[key] = (own, _plan(namespace, version, hook))  # the tables are kept, so that their ids stay theirs
    return found[1]


def _plan(namespace, version: int, hook: str) -> tuple[tuple, ...]:
    ruleset = namespace.rulesets.get(version)
    registered = {key: number for number, key in enumerate(namespace.hooked)}
    source = hook in ("INPUT", "POSTROUTING")
    nat = PRIORITIES["srcnat" if source else "dstnat"]
    steps: list[tuple[tuple[int, int], tuple]] = []
    lookups: list[tuple[tuple[int, int], tuple]] = []
    if hook in ("PREROUTING", "OUTPUT"):
        steps.append(((CONNTRACK_PRIORITY, 0), (TRACK,)))
    for name in ORDER[hook] if ruleset is not None else ():
        if name in ruleset.tables:
            order = -registered.get(("iptables", version, name), -1)
            priority = nat if name == "nat" else SECURITY if name == "security" else PRIORITIES[name]
            place = lookups if name == "nat" else steps
            place.append(((priority, order), (XTABLES, name, ruleset.tables[name])))
    for table, chain in namespace.nftables.base_chains():
        if version in VERSIONS[table.family] and chain.hook.hook == hook.lower():
            order = -registered.get(("nft", table.family, table.name, chain.name), -1)
            place = lookups if chain.hook.type == "nat" else steps
            place.append(((chain.hook.priority, order), (NFT, table, chain)))
    owners = _nat_owners(namespace, version)
    if owners and hook != "FORWARD":
        first = min(registered.get(owner, 0) for owner in owners)
        steps.append(((nat, -first), (NAT, tuple(step for _, step in sorted(lookups, key=lambda pair: pair[0])))))
    return tuple(step for _, step in sorted(steps, key=lambda pair: pair[0]))


def _nat_owners(namespace, version: int) -> list[tuple[str, ...]]:
    """What the kernel's own NAT hook was registered for: the first nat chain of the family, at whatever hook."""
    owners = [
        ("nft", t.family, t.name, c.name)
        for t, c in namespace.nftables.base_chains()
        if c.hook.type == "nat" and version in VERSIONS[t.family]
    ]
    return (
        [*owners, ("iptables", version, "nat")] if version in namespace.rulesets and "nat" in namespace.rulesets[version].tables else owners
    )
