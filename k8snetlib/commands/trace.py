"""``k8snet trace``: the packet walk in the terminal, through anyone's own manifests."""

from __future__ import annotations

import argparse
import json
import os
import sys

from ..errors import ManifestError, ModelError
from ..kube.cluster import Cluster
from ..kube.manifests import load, loads
from ..linux.events import Trace
from .progress import Progress

TEXT = {
    "reading": "reading manifests",
    "skipped": "{n} objects have no bearing on this trace ({kinds})",
    "note": "note: {words}",
    "reply": "the way back",
    "no-reply": "nobody answers",
    "pcap": "{n} frames written to {path}",
    "unwritable": "cannot write {path}: {reason}",
    "mixed": "standard input (-) cannot be mixed with files",
    "head": "{source} → {target}   {cni}",
}
BOLD, RED, GREEN, DIM, RESET = "\033[1m", "\033[31m", "\033[32m", "\033[2m", "\033[0m"


def run(options: argparse.Namespace) -> int:
    """Load, trace, print; 0 if the packet is delivered, 1 if it is dropped."""
    cluster = _cluster(options)
    found = cluster.trace(options.source, options.target, options.proto, options.namespace)
    back = found.reply if options.reply else None
    if options.pcap:
        _write(found, back, options.pcap)
    if options.json:
        from ..views.document import document

        answer = document(found) | ({"reply": document(back) if back else None} if options.reply else {})
        print(
            json.dumps(answer | {"skipped": [str(s) for s in cluster.skipped], "notes": list(cluster.notes)}, indent=2, ensure_ascii=False)
        )
    else:
        _print(cluster, found, back, options)
    return 0 if found.delivered else 1


def _cluster(options: argparse.Namespace) -> Cluster:
    families = tuple(part.strip() for part in options.families.split(",") if part.strip())
    if not options.files:
        from ..kube.cast import shop

        return shop(options.cni, families=families, node_c=True)
    progress = Progress(TEXT["reading"])
    try:
        if "-" in options.files:
            if len(options.files) > 1:
                raise ManifestError(TEXT["mixed"])
            manifests = loads(sys.stdin.buffer.read(), "<stdin>", progress=progress)
        else:
            manifests = load(*options.files, progress=progress)
    finally:
        progress.close()
    return Cluster.of(manifests, cni=options.cni, families=families)


def _print(cluster: Cluster, found: Trace, back: Trace | None, options: argparse.Namespace) -> None:
    from ..views.text import summary, text

    coloured = options.color == "always" or (options.color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    paint = _paint if coloured else (lambda line: line)
    for words in cluster.notes:
        print(TEXT["note"].format(words=words), file=sys.stderr)
    if cluster.skipped:
        kinds = ", ".join(sorted({s.kind for s in cluster.skipped}))
        print(TEXT["skipped"].format(n=len(cluster.skipped), kinds=kinds), file=sys.stderr)
    for title, trace in (
        (TEXT["head"].format(source=options.source, target=options.target, cni=options.cni), found),
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

    frames = [*captures(found), *(captures(back) if back else ())]
    try:
        write_pcap(frames, path)
    except OSError as error:
        raise ModelError(TEXT["unwritable"].format(path=path, reason=error.strerror)) from None
    print(TEXT["pcap"].format(n=len(frames), path=path), file=sys.stderr)
