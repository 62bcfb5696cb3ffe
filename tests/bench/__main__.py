"""How long things take: ``python -m tests.bench``. Reported, never asserted; the aim of each stands beside it."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tests.bench import bgp, edge, plugins, proxies

Row = tuple[str, float, str]  # what, seconds, aim
IMPORT = "import time; t = time.perf_counter(); import k8snetlib; print(time.perf_counter() - t)"
FIRST = (
    "import k8snetlib, time; t = time.perf_counter(); k8snetlib.shop().trace('pod/web', 'pod/api-2:8080'); print(time.perf_counter() - t)"
)


def fresh(code: str, runs: int = 7) -> float:
    """The best of some runs in interpreters of their own."""
    return min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(runs))


def median(action: Callable[[], object], runs: int) -> float:
    """Median seconds of one call."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def once(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def again() -> float:
    """Loading and tracing where Python has met the code before: what a lesson's next cell takes, or a widget."""
    from k8snetlib import shop

    return median(lambda: shop().trace("pod/web", "pod/api-2:8080"), 40)


def start_up() -> Iterator[Row]:
    yield "import k8snetlib", fresh(IMPORT), "< 150 ms"
    yield "the course's cluster loaded and a packet traced across nodes, first of all after import", fresh(FIRST), "< 5 ms"
    yield "  the same again in that process", again(), "< 5 ms"


def traces() -> Iterator[Row]:
    from k8snetlib import after, shop, trace

    cluster = shop()
    at, packet, _ = cluster.packet("pod/web", "pod/api-2:8080")
    cold = cluster.network
    warm = after(cold, trace(cold, at, packet))
    yield "one trace across nodes, neighbours known", median(lambda: trace(warm, at, packet), 500), "< 0.3 ms"
    yield "one trace across nodes, three ARP exchanges included", median(lambda: trace(cold, at, packet), 500), "(none)"


def large(nodes: int = 100, per_node: int = 30) -> Iterator[Row]:
    import random

    from k8snetlib import Cluster

    parts = [f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{i}}}" for i in range(nodes)]
    parts += [
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d{i}}}\nspec:\n  replicas: {per_node}\n"
        f"  selector: {{matchLabels: {{app: d{i}}}}}\n  template:\n    metadata: {{labels: {{app: d{i}}}}}\n"
        "    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}"
        for i in range(nodes)
    ]
    text, found = "\n---\n".join(parts), {}

    def load() -> None:
        found["cluster"] = Cluster.loads(text)
        found["cluster"].trace("pod/d1", f"pod/d{nodes - 1}:8080")

    yield f"{nodes} nodes and {nodes * per_node:,} Pods loaded, first trace done", once(load), "< 1 s"
    cluster, rng = found["cluster"], random.Random(1)
    names = [pod.name for pod in cluster.pods]
    pairs = iter([rng.sample(names, 2) for _ in range(3000)])

    def one() -> None:
        a, b = next(pairs)
        cluster.trace(f"pod/{a}", f"pod/{b}:8080")

    yield "  a further trace there, to nodes new or known", median(one, 1000), "< 1 ms"


def drawing() -> Iterator[Row]:
    from k8snetlib import diagram, shop

    trace = shop().trace("pod/web", "pod/api-2:8080")
    yield "the first drawing", once(lambda: diagram(trace=trace)), "(none)"
    yield "a drawing", median(lambda: diagram(trace=trace), 20), "(none)"


def widgets() -> Iterator[Row]:
    from k8snetlib.widgets import TunnelExplorer

    explorer = TunnelExplorer()
    slider = next(c for c in explorer.controls.values() if type(c).__name__.endswith("Slider"))
    values = iter(list(range(slider.min, slider.max, max(1, (slider.max - slider.min) // 40))))

    def move() -> None:
        slider.value = next(values)

    yield "a slider's answer (TunnelExplorer)", median(move, 20), "< 50 ms"


def lab() -> Iterator[Row]:
    from k8snetlib import shop
    from k8snetlib.lab import probe

    can = probe()
    if not can:
        print(f"(no lab here: {can})")
        return
    code = (
        "import time; t = time.perf_counter()\n"
        "from k8snetlib import shop\nfrom k8snetlib.lab import Lab\n"
        "c = shop(); at, packet, _ = c.packet('pod/web', 'pod/api-2:8080')\n"
        "t = time.perf_counter()\n"
        "with Lab(c.ops()) as lab:\n    with lab.capture() as frames: lab.send(at, packet)\n"
        "assert frames; print(time.perf_counter() - t)"
    )
    assert shop
    yield "the lab: the course's cluster up, a packet sent and captured, lab gone", fresh(code, 3), "< 1 s"


def main() -> None:
    argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__).parse_args()
    print(f"Python {sys.version.split()[0]} on {sys.platform}")
    for group in (start_up, traces, large, plugins.large, proxies.modes, bgp.tables, edge.rows, drawing, widgets, lab):
        try:
            for what, seconds, aim in group():
                print(f"{what:<82}{seconds * 1000:>10.2f} ms   aim {aim}", flush=True)
        except Exception as error:
            print(f"{group.__name__}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
