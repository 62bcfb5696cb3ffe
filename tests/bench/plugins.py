"""A thousand nodes under each way between them: loaded, a first packet across, further ones, and the memory that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

Row = tuple[str, float, str]
PODS = {"vpc": 14, "vpc-prefix": 14}  # per node: what a t3.medium has addresses for, less the two that run unseen
CODE = """
import json, random, resource, time
from k8snetlib import Cluster
nodes, pods, cni = {nodes}, {pods}, {cni!r}
text = [f"apiVersion: v1\\nkind: Node\\nmetadata: {{{{name: n{{i}}}}}}" for i in range(nodes)]
text += [
    f"apiVersion: apps/v1\\nkind: Deployment\\nmetadata: {{{{name: d{{i}}}}}}\\nspec:\\n  replicas: {{nodes}}\\n"
    f"  selector: {{{{matchLabels: {{{{app: d{{i}}}}}}}}}}\\n  template:\\n    metadata: {{{{labels: {{{{app: d{{i}}}}}}}}}}\\n"
    "    spec: {{containers: [{{name: web, image: web, ports: [{{containerPort: 80}}]}}]}}"
    for i in range(pods)
]
text = "\\n---\\n".join(text)
start = time.perf_counter()
cluster = Cluster.loads(text, cni=cni)
names = [pod.name for pod in cluster.pods]
one, other = names[0], next(pod.name for pod in reversed(cluster.pods) if pod.node_name != cluster.pods[0].node_name)
assert cluster.trace(f"pod/{{one}}", f"pod/{{other}}:80").delivered
first = time.perf_counter() - start
rng, found = random.Random(1), []
for _ in range(200):
    one, other = rng.sample(names, 2)
    start = time.perf_counter()
    cluster.trace(f"pod/{{one}}", f"pod/{{other}}:80")
    found.append(time.perf_counter() - start)
one, other, found2 = names[0], names[len(names) // 2], []
for _ in range(20):
    start = time.perf_counter()
    cluster.trace(f"pod/{{one}}", f"pod/{{other}}:80")
    found2.append(time.perf_counter() - start)
print(json.dumps([len(names), first, sorted(found2)[10], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def large(nodes: int = 1_000, pods: int = 30) -> Iterator[Row]:
    """Each in an interpreter of its own, so that the memory is its own too."""
    for cni in ("vxlan", "ipip", "bgp", "calico-vxlan", "host-gw", "vpc"):
        code = CODE.format(nodes=nodes, pods=PODS.get(cni, pods), cni=cni)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        count, first, further, megabytes = json.loads(done.stdout)
        yield f"{cni}: {nodes:,} nodes and {count:,} Pods loaded, first trace done ({megabytes:.0f} MB)", first, "< 5 s, 1 GB"
        yield "  a further trace there, its ARP questions included", further, "< 1 ms"
