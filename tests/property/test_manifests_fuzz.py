"""Whatever is done to a manifest, reading it gives objects or one of the library's two errors, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from k8snetlib.errors import ManifestError, UnsupportedError
from k8snetlib.kube.manifests import loads, locate
from k8snetlib.kube.objects import Node, ObjectMeta, node_labels
from k8snetlib.kube.scheduler import place
from k8snetlib.kube.schema_places import dotted, undotted
from k8snetlib.kube.schema_yaml import resolve
from k8snetlib.kube.workloads import expand

VALID = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: &meta
  name: api
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: &labels {app: api}
    matchExpressions: [{key: app, operator: In, values: [api, web]}]
  template:
    metadata:
      labels: *labels
      annotations: {note: "yes"}
    spec:
      hostNetwork: false
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms: [{matchExpressions: [{key: size, operator: Gt, values: ["1"]}]}]
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: api}}}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: api}}}
      dnsPolicy: None
      dnsConfig: {nameservers: [10.96.0.10], options: [{name: ndots, value: "5"}]}
      hostAliases: [{ip: 127.0.0.1, hostnames: [a.local]}]
      initContainers:
      - {name: log, image: log, restartPolicy: Always, ports: [{name: logs, containerPort: 9000}]}
      containers:
      - name: api
        image: api:1
        env: [{name: PORT, value: "8080"}]
        resources: {limits: {cpu: 500m, memory: 1Gi}}
        ports: [{name: http, containerPort: 8080, protocol: TCP}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 3}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  type: NodePort
  selector: *later
  ports:
  - {name: http, port: 80, targetPort: http, nodePort: 30080}
  - {name: dns, port: 53, targetPort: 53, protocol: UDP}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  externalIPs: [198.51.100.7]
  ipFamilies: [IPv4]
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
spec: {podCIDRs: [10.244.1.0/24], taints: [{key: gpu, effect: NoSchedule}]}
status: {addresses: [{type: InternalIP, address: 192.168.50.11}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {parallelism: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
""".replace("*later", "{app: api}")
OBJECTS = list(yaml.safe_load_all(VALID))
NODES = [Node(ObjectMeta("node-a", labels=node_labels("node-a")))]


def read(text: str | bytes, file: str = "x.yaml") -> str:
    """Reads, expands and places; the error's text, or ""."""
    try:
        objects = loads(text, file).objects
        for each in objects:
            assert locate(each, "metadata.name").line >= 1
        place(expand(objects, NODES), NODES)
    except (ManifestError, UnsupportedError) as error:
        assert str(error).startswith(file), str(error)
        assert error.line is not None, str(error)
        assert "\n" not in str(error), str(error)
        return str(error)
    return ""


def test_the_manifest_is_valid_to_begin_with():
    assert read(VALID) == ""
    assert len(loads(VALID).objects) == 5


INDICATORS = ["\t", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "*labels", "<<: ", "!!int ", "!x ", "? ", "| ", "> ", "#", "'"]
TRAPS = ['"', "---\n", "...\n", "%YAML 1.1\n", "yes", "012", "~", ".nan", "-", "@", "`", "\r", "\u2028", "\x00", "\ufeff", "é", "{{ x }}"]
SNIPPETS = st.sampled_from(INDICATORS + TRAPS)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), SNIPPETS | st.text(max_size=4)), min_size=1, max_size=4))
def test_damaged_text(edits: list[tuple[int, int, str]]):
    text = VALID
    for at, length, insert in edits:
        text = text[:at] + insert + text[at + length :]
    read(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 300))
def test_damaged_bytes(noise: bytes, at: int):
    data = VALID.encode()
    read(data[:at] + noise + data[at + len(noise) :])


WORDS = ["", "None", "Always", "http", "10.0.0.1", "10.0.0.1/24", "fe80::1%eth0", "A_b", "a" * 300, "Gt", "LoadBalancer"]
FRACTIONS = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | FRACTIONS | st.text(max_size=8) | st.sampled_from(WORDS)
KEYS = st.sampled_from(["name", "spec", "a", "key", "operator"]) | st.text(max_size=3)
JUNK = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=4)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(each for key, item in inner for each in paths(item, (*path, key)))]


PLACES = paths(OBJECTS)[1:]


def edit(objects: list[Any], path: tuple[Any, ...], how: str, junk: Any) -> None:
    """Sets, drops, renames or repeats what stands at ``path``; nothing if an earlier edit has taken it away."""
    parent: Any = objects
    try:
        for step in path[:-1]:
            parent = parent[step]
        last = path[-1]
        here = parent[last]
        if how == "set":
            parent[last] = junk
        elif how == "drop":
            del parent[last]
        elif how == "rename" and isinstance(parent, dict):
            parent[f"{last}s"] = parent.pop(last)
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(here))
    except (KeyError, IndexError, TypeError):
        return


HOW = st.sampled_from(["set", "drop", "rename", "twice"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), HOW, JUNK), min_size=1, max_size=3))
def test_damaged_objects(edits: list[tuple[tuple[Any, ...], str, Any]]):
    """In YAML and in JSON: both refuse, or both give the same objects."""
    objects = copy.deepcopy(OBJECTS)
    for path, how, junk in edits:
        edit(objects, path, how, junk)
    listing = {"apiVersion": "v1", "kind": "List", "items": objects}
    as_json, as_yaml = read(json.dumps(listing), "x.json"), read(yaml.safe_dump(listing), "x.yaml")
    assert bool(as_json) == bool(as_yaml), (as_json, as_yaml)
    if not as_json:
        assert loads(json.dumps(listing)).objects == loads(yaml.safe_dump(listing)).objects


@given(st.text())
def test_any_text(text: str):
    read(text)


@given(st.lists(st.integers(0, 10**6) | st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}|[a-z]+\.[a-z]+/[a-z]+", fullmatch=True)))
def test_paths_survive_being_printed(path: list[int | str]):
    assert undotted(dotted(tuple(path))) == tuple(path)


@given(st.integers(-(10**18), 10**18))
def test_numbers_resolve_to_themselves(number: int):
    assert resolve(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_fractions_resolve_to_themselves(number: float):
    assert resolve(repr(number)) == number


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20))
def test_what_yaml_quotes_comes_back(text: str):
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "annotations": {"a": text}}}
    assert loads(yaml.safe_dump(manifest, default_style='"')).objects[0].annotations == {"a": text}
