"""``k8snet trace``: the packet walk in the terminal, through anyone's own manifests."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import ManifestError, ModelError
from ..kube.agents import NO_PROXY
from ..kube.cluster import Cluster
from ..kube.cni import CNIS
from ..kube.hints import hints, listed, pending
from ..kube.manifests import load, loads
from ..kube.proxy import MODES
from ..linux.events import Trace
from ..linux.packet import Udp, Vxlan
from . import request
from .output import print_json
from .progress import Progress

if TYPE_CHECKING:
    from ..views.outcomes import Outcome

TEXT = {
    "reading": "reading manifests",
    "none": "without bearing on this trace: {n} ({kinds})",
    "unknown": "warning: left out are {n} custom resources, with all that their controllers make of them ({kinds})",
    "some": "warning: {kind} {names} {why}; the real answer may differ",
    "note": "note: {words}",
    "reply": "the way back",
    "no-reply": "nobody answers",
    "pcap": "{n} frames written to {path}",
    "decode": "Wireshark knows VXLAN by UDP port {known}: choose Analyze, Decode As… for port {port}, or tshark -d udp.port=={port},vxlan",
    "unwritable": "cannot write {path}: {reason}",
    "stdout": "--pcap needs the name of a file: the walk itself goes to standard output",
    "closed": "standard input (-) is closed",
    "mixed": "standard input (-) cannot be mixed with files",
    "head": "{source} → {target}   {cni}{proxy}",
    "mode": "there is no mode {mode!r} to compare (there are {modes})",
    "side": "--ways puts network plug-ins side by side, so it does not go with {others}",
    "no-ways": "--ways names no network plug-in (there are {names})",
    "one": "--{option} shows outcomes, so it does not go with {others}",
}
CNI = "vxlan"  # where none is chosen
IANA_VXLAN = 4789
BOLD, RED, GREEN, DIM, RESET = "\033[1m", "\033[31m", "\033[32m", "\033[2m", "\033[0m"


def run(options: argparse.Namespace) -> int:
    """Load, trace, print; 0 if the packet is delivered, 1 if it is dropped."""
    request.check(options)
    if request.is_url(options.target):
        cluster = _cluster(options)
        _remarks(cluster, cluster.edge.notes)
        return request.run(options, cluster)
    if options.ways is not None:
        return _ways(options)
    options.cni = options.cni or CNI
    if options.all or options.compare is not None:
        return _all(options)
    cluster = _cluster(options)
    found = cluster.trace(options.source, options.target, options.proto, options.namespace, family=options.family)
    back = found.reply if options.reply else None
    if options.pcap is not None:
        _write(found, back, options.pcap)
    if options.json:
        from ..views.document import document

        answer = document(found) | ({"reply": document(back) if back else None} if options.reply else {})
        print_json(answer, cluster, _more(cluster, options, [found]))
    else:
        _print(cluster, found, back, options)
    return 0 if found.delivered else 1


def _all(options: argparse.Namespace) -> int:
    """Every outcome, in one mode or in several; 0 if the packet is delivered in all of them."""
    from ..views.outcomes import all_outcomes, modes, outcomes

    clash = [f"--{name}" for name in ("reply", "pcap") if getattr(options, name)]
    if clash:
        raise ModelError(TEXT["one"].format(option="compare" if options.compare else "all", others=" and ".join(clash)))
    wanted = [part.strip() for part in options.compare.split(",")] if options.compare is not None else [options.proxy]
    for mode in wanted:
        if mode not in MODES and options.compare is not None:
            raise ModelError(TEXT["mode"].format(mode=mode, modes=", ".join(MODES)))
    cluster = _cluster(options)
    by_mode = {
        mode: all_outcomes(
            cluster.with_proxy(mode).traces(options.source, options.target, options.proto, options.namespace, family=options.family)
        )
        for mode in wanted
    }
    more = _more(cluster, options, [each.trace for found in by_mode.values() for each in found])
    if options.json:
        rows = [{"mode": mode, **outcome_document(each)} for mode, found in by_mode.items() for each in found]
        print_json({"outcomes": rows}, cluster, more)
    else:
        pairs = {mode: [(each.weight, each.trace) for each in found] for mode, found in by_mode.items()}
        _remarks(cluster, more)
        print(TEXT["head"].format(source=options.source, target=options.target, cni=options.cni, proxy=_proxy(options)))
        print(modes(pairs) if options.compare else outcomes(pairs[wanted[0]]))
    return 0 if all(each.delivered for found in by_mode.values() for each in found) else 1


def _ways(options: argparse.Namespace) -> int:
    """The first packet by several network plug-ins, side by side; 0 if all of them deliver it."""
    from ..views.document import document
    from ..views.ways import ways, ways_table

    clash = [f"--{name}" for name in ("cni", "all", "compare", "reply", "pcap") if getattr(options, name)]
    if clash:
        raise ModelError(TEXT["side"].format(others=" and ".join(clash)))
    names = [part.strip() for part in options.ways.split(",") if part.strip()]
    if not names:
        raise ModelError(TEXT["no-ways"].format(names=", ".join(CNIS)))
    cluster = _cluster(options)
    found = ways(cluster, options.source, options.target, names, options.proto, namespace=options.namespace, family=options.family)
    more = _more(cluster, options, [each.trace for each in found])
    if options.json:
        print_json({"ways": {each.name: document(each.trace) for each in found}}, cluster, more)
    else:
        _remarks(cluster, more)
        print(TEXT["head"].format(source=options.source, target=options.target, cni=", ".join(names), proxy=_proxy(options)))
        print(ways_table(found))
    return 0 if all(each.trace.delivered for each in found) else 1


def _more(cluster: Cluster, options: argparse.Namespace, traces: Sequence[Trace]) -> tuple[str, ...]:
    """Remarks on this question: on what the names were taken for, and on Pods and Services that may be why a packet did not arrive."""
    remarks = (cluster.find(name, options.namespace).remark for name in (options.source, options.target))
    return (*filter(None, remarks), *hints(cluster, traces))


def outcome_document(each: Outcome) -> dict:
    """An outcome as JSON has it: the weight as an exact fraction and as a number."""
    return {
        "weight": str(each.weight), "probability": float(each.weight), "verdict": each.verdict, "reason": each.reason,
        "receiver": each.receiver, "source": each.source, "way": list(each.way),
    }  # fmt: skip


def _proxy(options: argparse.Namespace) -> str:
    return "" if options.compare or options.proxy == NO_PROXY else f", kube-proxy in mode {options.proxy}"


def _cluster(options: argparse.Namespace) -> Cluster:
    families = tuple(part.strip() for part in options.families.split(",") if part.strip())
    url = request.is_url(options.target)  # somebody outside calls a name: there is a load balancer for it to lead to
    balancer = options.balancer_kind or options.balancer or url
    settings = {
        "cni": options.cni or CNI, "families": families, "proxy": options.proxy, "balancer": balancer,
        "outside": bool(balancer) or "client" in (options.source, options.target),
    }  # fmt: skip
    if not options.files:
        from ..kube.cast import INGRESS, shop

        return shop(options.cni or CNI, *([INGRESS] if url else []), node_c=not url, **{k: v for k, v in settings.items() if k != "cni"})
    progress = Progress(TEXT["reading"])
    try:
        if "-" in options.files:
            if len(options.files) > 1:
                raise ManifestError(TEXT["mixed"])
            if sys.stdin is None:
                raise ManifestError(TEXT["closed"])
            manifests = loads(sys.stdin.buffer.read(), "<stdin>", progress=progress)
        else:
            manifests = load(*options.files, progress=progress)
    finally:
        progress.close()
    if options.controller:
        from ..kube.edge.supplied import with_controllers

        manifests = with_controllers(manifests)
    return Cluster.of(manifests, **settings)


def _print(cluster: Cluster, found: Trace, back: Trace | None, options: argparse.Namespace) -> None:
    from ..views.text import summary, text

    coloured = options.color == "always" or (options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    paint = _paint if coloured else (lambda line: line)
    _remarks(cluster, _more(cluster, options, [found]))
    for title, trace in (
        (TEXT["head"].format(source=options.source, target=options.target, cni=options.cni, proxy=_proxy(options)), found),
        (TEXT["reply"], back),
    ):
        if trace is None:
            if options.reply and title == TEXT["reply"]:
                print(f"\n{title}: {TEXT['no-reply']}")
            continue
        body = text(trace, verbose=not options.short)
        ending = summary(trace)
        lines = body.removesuffix(ending).splitlines()
        print(
            "\n".join([paint(f"# {title}"), *map(paint, lines), _ending(ending, trace, coloured)])
            + ("\n" if back and trace is found else "")
        )


def _remarks(cluster: Cluster, more: tuple[str, ...] = ()) -> None:
    for words in (*cluster.notes, *pending(cluster), *more):
        print(TEXT["note"].format(words=words), file=sys.stderr)
    for words in _left_out(cluster):
        print(words, file=sys.stderr)


def _left_out(cluster: Cluster) -> Iterator[str]:
    """What the manifests hold and the model leaves out: what may change the answer, a line a kind with the reason, and what does not."""
    shown = _shown_secrets(cluster)
    others: dict[str, list[str]] = {"unknown": [], "none": []}
    named: dict[tuple[str, str], list[str]] = {}
    for each in cluster.skipped:
        name = f"{each.namespace}/{each.name}" if each.namespace else each.name
        if each.bearing == "some":
            named.setdefault((each.kind, each.why), []).append(name)
        elif each.kind != "Secret" or f"{each.namespace or 'default'}/{each.name}" not in shown:
            others[each.bearing].append(each.kind)
    for (kind, why), names in sorted(named.items()):
        yield TEXT["some"].format(kind=kind, names=listed(names), why=why)
    for bearing, kinds in others.items():
        if kinds:
            yield TEXT[bearing].format(n=len(kinds), kinds=", ".join(sorted(set(kinds))))


def _shown_secrets(cluster: Cluster) -> frozenset[str]:
    """The keys of the Secrets at which the edge looks."""
    if cluster.manifests is None or all(each.kind != "Secret" for each in cluster.skipped):
        return frozenset()
    from ..kube.edge.secrets import references

    return frozenset(key for _, key in references(cluster.manifests))


def _paint(line: str) -> str:
    if line[:4].strip().isdigit() or line.startswith("#"):
        return f"{BOLD}{line}{RESET}"
    return f"{DIM}{line}{RESET}" if line.startswith("        ") else line


def _ending(words: str, trace: Trace, coloured: bool) -> str:
    if not coloured:
        return words
    return f"{BOLD}{GREEN if trace.delivered else RED}{words}{RESET}"


def _write(found: Trace, back: Trace | None, path: str) -> None:
    from ..linux.engine import captures
    from ..views.pcap import write_pcap

    if path == "-":
        raise ModelError(TEXT["stdout"])
    frames = [*captures(found), *(captures(back) if back else ())]
    try:
        write_pcap(frames, path)
    except OSError as error:
        raise ModelError(TEXT["unwritable"].format(path=path, reason=error.strerror)) from None
    print(TEXT["pcap"].format(n=len(frames), path=path), file=sys.stderr)
    datagrams = [getattr(each.frame.payload, "payload", None) for each in frames]
    ports = {each.dport for each in datagrams if isinstance(each, Udp) and isinstance(each.data, Vxlan)}
    for port in sorted(ports - {IANA_VXLAN}):
        print(TEXT["decode"].format(known=IANA_VXLAN, port=port), file=sys.stderr)
