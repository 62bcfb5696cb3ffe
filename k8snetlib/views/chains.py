"""A Service's chains of iptables as a picture: from KUBE-SERVICES to the endpoints, each way with its chance."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..errors import ModelError
from ..linux.netfilter import Rule, Table
from ..linux.state import Network
from ..linux.targets import Jump, Nat
from .figure import Figure
from .outcomes import share
from .render import canvas
from .way_picture import BESIDE

START, MARK = "KUBE-SERVICES", "KUBE-MARK-MASQ"
TEXT = {
    "none": "{netns} has no iptables rule for {address} in {start}",
    "chain": "{name}\n{words}",
    "start": "the list of all Services",
    "service": "chooses",
    "dnat": "{to}\nDNAT, {share} of all",
    "first": "-d {address}",
    "chance": "p = {written}",
    "rest": "whatever is left",
    "alt": "{start} leads {address} to {chain}, which leads to {ways}.",
    "way": "{to} with {share}",
}


def chain_picture(network: Network, netns: str, address: str, caption: str = "") -> Figure:
    """The chains behind a cluster IP on one node. ModelError where its iptables rules have no such address."""
    ruleset = network.namespace(netns).rulesets.get(4)
    table = ruleset.tables.get("nat") if ruleset else None
    first = (
        next((r for r in table.chains[START].rules if f"-d {address}/32 " in f"{r} "), None) if table and START in table.chains else None
    )
    if first is None:
        raise ModelError(TEXT["none"].format(netns=netns, address=address, start=START))
    service = first.target.chain
    graph = canvas("chains", rankdir="TB", ranksep="0.5", nodesep="0.4")
    graph.node(START, TEXT["chain"].format(name=START, words=TEXT["start"]), **{"class": "netfilter"})
    graph.node(service, TEXT["chain"].format(name=service, words=TEXT["service"]), **{"class": "netfilter"})
    graph.edge(START, service, label=BESIDE + TEXT["first"].format(address=address), dir="forward", **{"class": "link"})
    told = []
    for chain, written, weight in _ways(table, service):
        to = next((_destination(rule) for rule in table.chains[chain].rules if isinstance(rule.target, Nat)), "")
        graph.node(chain, TEXT["chain"].format(name=chain, words=written), **{"class": "netfilter"})
        graph.node(f"to-{chain}", TEXT["dnat"].format(to=to, share=share(weight)), **{"class": "pod"})
        graph.edge(service, chain, dir="forward", **{"class": "link"})
        graph.edge(chain, f"to-{chain}", dir="forward", **{"class": "link"})
        told.append(TEXT["way"].format(to=to, share=share(weight)))
    alt = TEXT["alt"].format(start=START, address=address, chain=service, ways=", ".join(told))
    return Figure.of(graph, alt, caption)


def _ways(table: Table, service: str) -> Iterator[tuple[str, str, Fraction]]:
    """The endpoints' chains with what stands in the rule, and their share of everything that comes to the Service."""
    left = Fraction(1)
    for rule in table.chains[service].rules:
        if not isinstance(rule.target, Jump) or rule.target.chain == MARK:
            continue
        chance = next((match for match in rule.matches if match.name == "statistic"), None)
        part = left * chance.probability if chance is not None else left
        written = TEXT["chance"].format(written=str(rule).partition("--probability ")[2].split()[0]) if chance else TEXT["rest"]
        yield rule.target.chain, written, part
        left -= part


def _destination(rule: Rule) -> str:
    return str(rule).partition("--to-destination ")[2].split()[0]
