"""Reads nftables text: ``nft list`` listings, files for ``nft -f`` with tables in braces, and its commands (add, insert, flush, delete).

All commands of a text are one transaction, as in nft: it is carried out as a whole, or an error says why not.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from ..errors import ModelError, UnsupportedError
from ..value import replace
from .nftables import VERSIONS, Chain, Hook, Rule, Ruleset
from .nftables_blocks import ELEMENT_OPTION, block, comment_of, element_of, family_of, pieces, priority_number, rules_in, split_commas
from .nftables_draft import TableDraft
from .nftables_sets import Element, NftSet
from .nftables_types import canonical_key, merged, seconds, types_of

_BASE = re.compile(r"type (\w+) hook (\w+)(?: devices? \S+)? priority ([^;]+?)\s*(?:;|$)(?:\s*policy (\w+))?")
HOOKS = ("ingress", "prerouting", "input", "forward", "output", "postrouting")


class _Transaction:
    def __init__(self, ruleset: Ruleset, listed: bool) -> None:
        self.old, self.listed = ruleset, listed
        self.tables: dict[tuple[str, str], TableDraft] = {}
        self.gone: set[tuple[str, str]] = set()

    def table(self, family: str, name: str, make: bool = False) -> TableDraft:
        key = (family, name)
        if key not in self.tables:
            old = None if key in self.gone else self.old.tables.get(key)
            if old is None and not make:
                raise ModelError(f"there is no table {family} {name}")
            self.tables[key] = TableDraft(family, name, old)
        return self.tables[key]

    def freeze(self) -> Ruleset:
        tables = {key: table for key, table in self.old.tables.items() if key not in self.gone or key in self.tables}
        used = dict(self.old.used)
        for key, table in self.tables.items():
            tables[key] = table.freeze()
            used = {k: v for k, v in used.items() if k[:2] != key or (k[2] in table.sets and k[2] not in table.flushed)}
        used = {k: v for k, v in used.items() if k[:2] in tables and k[:2] not in self.gone}
        return Ruleset(MappingProxyType(tables), MappingProxyType(used))

    # Commands

    def run(self, piece: str) -> None:
        if piece.split(None, 2)[:2] in (["add", "rule"], ["insert", "rule"]):
            self._add_rule(piece)
            return
        head, body = block(piece)
        verb = head[0] if head else ""
        if verb == "table":
            self._add_table(head[1:], body)
        elif verb in ("add", "create", "insert"):
            self._add(verb, head[1:], body)
        elif verb == "flush":
            self._flush(head[1:])
        elif verb in ("delete", "destroy"):
            self._delete(verb, head[1:], body)
        elif verb in ("include", "define", "redefine", "undefine", "list", "reset", "replace", "rename", "monitor"):
            raise UnsupportedError(f"nftables: {verb!r} is not modelled")
        else:
            raise ModelError(f"nftables: {piece.splitlines()[0]!r} is no command")

    def _add_table(self, words: list[str], body: str) -> None:
        family, (name, *rest) = family_of(words)
        if rest:
            raise ModelError(f"nftables: table {name}: unexpected {' '.join(rest)!r}")
        table = self.table(family, name, make=True)
        parts = list(pieces(body, True))
        later = []
        for part in parts:  # what is declared first, so that rules may name chains and sets that stand further below
            kind = part.split(None, 1)[0]
            if kind in ("set", "map"):
                words, inner = block(part)
                self._declare_set(table, kind, words[1], inner)
            elif kind == "chain":
                words, inner = block(part)
                self._declare_chain(table, words[1], inner)
                later.append((words[1], inner))
            elif kind == "comment":
                table.comment = comment_of(part)
            elif kind in ("counter", "quota", "ct", "limit", "secmark", "synproxy", "flowtable"):
                table.others = (*table.others, part)  # a rule that uses one is kept too, and refuses to be asked
            elif kind == "flags":
                raise UnsupportedError(f"nftables: a table's {part} is not modelled")
            else:
                raise ModelError(f"nftables: a table has no {kind!r}")
        for chain, inner in later:
            for line in rules_in(inner):
                table.lines(chain).append(self._rule(table, line))

    def _add_rule(self, piece: str) -> None:
        verb, _, *rest = piece.split(None, 4)
        family, names = family_of(rest)
        if family != "ip" or rest[0] == "ip":
            names = [*names[:1], *(names[1].split(None, 1) if len(names) > 1 else ())]
        else:
            names = [*names[:2], " ".join(names[2:])]
        if len(names) < 3 or names[2].split(None, 1)[0] in ("position", "handle", "index"):
            raise UnsupportedError(f"nftables: {piece[:60]!r}: only rules at the beginning or the end of a chain are modelled")
        table = self.table(family, names[0])
        lines = table.lines(names[1])
        lines.insert(0 if verb == "insert" else len(lines), self._rule(table, names[2]))

    def _add(self, verb: str, words: list[str], body: str) -> None:
        kind = words[0] if words else ""
        if kind == "table":
            self._add_table(words[1:], body)
            return
        family, names = family_of(words[1:])
        if len(names) < 2:
            raise ModelError(f"nftables: {' '.join([verb, *words])[:60]!r} is no command")
        table = self.table(family, names[0])
        if kind == "chain":
            self._declare_chain(table, names[1], body)
        elif kind in ("set", "map"):
            self._declare_set(table, kind, names[1], body)
        elif kind == "element":
            self._add_elements(table, names[1], body)
        else:
            raise UnsupportedError(f"nftables: {verb} {kind} is not modelled")

    def _rule(self, table: TableDraft, text: str) -> str:
        """The rule as nft will print it."""
        text = " ".join(text.split()) if '"' not in text else text.strip()
        return str(Rule.parse(text, table.family, table.sets, self.listed))

    def _declare_chain(self, table: TableDraft, name: str, body: str) -> None:
        chain = table.chains.get(name) or Chain(name)
        hook, comment = chain.hook, chain.comment
        flat = "; ".join(part for part in pieces(body, True) if part.split(None, 1)[0] in ("type", "policy", "comment"))
        if found := _BASE.search(flat):
            kind, at, priority, policy = found.groups()
            if at not in HOOKS or table.family not in VERSIONS or at == "ingress":
                raise UnsupportedError(f"nftables: a {kind} chain at {at} of family {table.family} is not modelled")
            if kind not in ("filter", "nat", "route") or (kind == "nat" and at == "forward") or (kind == "route" and at != "output"):
                raise ModelError(f"nftables: a {kind} chain at {at}: Operation not supported")
            hook = Hook(kind, at, priority_number(priority), policy or (hook.policy if hook else "accept"))
        if found := re.search(r"(?:^|; )policy (\w+)", flat):
            hook = replace(hook, policy=found[1]) if hook else None
        if found := re.search(r'(?:^|; )comment ("[^"]*")', flat):
            comment = found[1].strip('"')
        table.chains[name] = replace(chain, hook=hook, comment=comment)

    def _declare_set(self, table: TableDraft, kind: str, name: str, body: str) -> None:
        fields: dict = {"name": name}
        unknown, members = [], ""
        for part in pieces(body, True):
            key, _, rest = part.partition(" ")
            rest = rest.strip()
            if key in ("type", "typeof"):
                keys, _, data = (side.strip() for side in rest.partition(" : "))
                fields |= {"type": " ".join(keys.split()), "data": data, "typeof": key == "typeof"}
            elif key == "elements":
                members = part.partition("{")[2].rstrip()[:-1]
            elif key == "flags":
                fields["flags"] = tuple(word.strip() for word in rest.split(","))
            elif key in ("timeout", "gc-interval"):
                fields[key.replace("-", "_")] = seconds(rest)
            elif key == "size":
                fields["size"] = int(rest)
            elif key == "comment":
                fields["comment"] = comment_of(part)
            elif key == "auto-merge":
                fields["auto_merge"] = True
            elif key == "policy":
                fields["policy"] = rest if rest != "performance" else ""
            else:
                unknown.append(part)
        if "type" not in fields or (kind == "map") is not bool(fields["data"]):
            raise ModelError(f"nftables: {kind} {name} has no type")
        table.sets[name] = _with_defaults(NftSet(**fields, unknown=tuple(unknown)), table.sets.get(name))
        if members.strip():
            self._add_elements(table, name, members)

    def _add_elements(self, table: TableDraft, name: str, body: str) -> None:
        members, own = table.members(name), table.sets[name]
        kinds = own.kinds()
        data = types_of(own.data) if own.data and own.data != "verdict" else ()
        for text in split_commas(body):
            element = element_of(text, kinds, own.data, data)
            old = members.get(element.key)
            if old is not None and old.data != element.data:
                raise ModelError(f"the map {name} has an element {old} already")
            members.setdefault(element.key, element)
        if own.auto_merge and len(kinds) == 1 and not own.data:
            table.elements[name] = {text: members.get(text) or Element(text) for text in merged(kinds[0], members)}

    def _flush(self, words: list[str]) -> None:
        if words[:1] == ["ruleset"]:
            self.gone |= {key for key in self.old.tables if len(words) == 1 or key[0] == words[1]}
            self.tables = {key: table for key, table in self.tables.items() if len(words) > 1 and key[0] != words[1]}
            return
        family, names = family_of(words[1:])
        table = self.table(family, names[0])
        if words[0] == "table":
            for chain in table.chains:
                table.lines(chain).clear()
        elif words[0] == "chain":
            table.lines(names[1]).clear()
        elif words[0] in ("set", "map"):
            table.members(names[1]).clear()
            table.flushed.add(names[1])
        else:
            raise UnsupportedError(f"nftables: flush {words[0]} is not modelled")

    def _delete(self, verb: str, words: list[str], body: str) -> None:
        family, names = family_of(words[1:])
        try:
            table = self.table(family, names[0])
            if words[0] == "table":
                del self.tables[family, names[0]]
                self.gone.add((family, names[0]))
            elif words[0] == "chain":
                table.lines(names[1])
                del table.chains[names[1]], table.rules[names[1]]
                table.deleted = True
            elif words[0] in ("set", "map"):
                table.members(names[1])
                del table.sets[names[1]], table.elements[names[1]]
                table.flushed.add(names[1])
                table.deleted = True
            elif words[0] == "element":
                self._delete_elements(table, names[1], body)
            else:
                raise UnsupportedError(f"nftables: delete {words[0]} is not modelled")
        except ModelError:
            if verb != "destroy":
                raise

    def _delete_elements(self, table: TableDraft, name: str, body: str) -> None:
        members, kinds = table.members(name), table.sets[name].kinds()
        for text in split_commas(body):
            key = canonical_key(kinds, ELEMENT_OPTION.sub("", text.partition(" : ")[0]).strip())
            if members.pop(key, None) is None and (table.family, table.name, name, key) not in self.old.used:
                raise ModelError(f"the set {name} has no element {key}")


def _with_defaults(new: NftSet, old: NftSet | None) -> NftSet:
    """As nft makes it: a set that packets fill has a size, a timeout says by itself that elements expire."""
    dynamic = "dynamic" in new.flags
    flags = tuple(flag for flag in ("constant", "dynamic", "interval", "timeout") if flag in new.flags)
    if new.timeout is not None and not dynamic:
        flags = tuple(flag for flag in flags if flag != "timeout")
    size = new.size if new.size is not None or not dynamic else 65535
    return replace(new, flags=flags, size=size, elements=old.elements if old else new.elements)


def restore(ruleset: Ruleset, text: str, listed: bool = False) -> Ruleset:
    """The rule set after the text; see ``Ruleset.restore``."""
    transaction = _Transaction(ruleset, listed)
    for piece in pieces(text.replace("\\\n", " ")):
        try:
            transaction.run(piece)
        except (IndexError, ValueError) as error:
            raise ModelError(f"nftables: cannot be read ({error}): {piece.splitlines()[0]}") from None
    return transaction.freeze()
