"""What the API server asks of the parts of Pods, workloads and metadata that no packet depends on: what it refuses is refused, with the
field and the reason, and what it takes is taken."""

from __future__ import annotations

import pytest

from k8snetlib.errors import ManifestError
from k8snetlib.kube.manifests import loads

C, V = "containers[0]", "volumes[0]"
MOUNT = "volumeMounts: [{name: v, mountPath: /x, %s}]"
TERM = "nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: %d, preference: {matchExpressions: [{key: a, operator: Exists}]}}]}"


def pod(container: str = "", spec: str = "", init: str = "") -> str:
    parts = [f"containers: [{{name: c, image: i{', ' + container if container else ''}}}]"]
    parts += [f"initContainers: [{{name: b, image: i, {init}}}]"] if init else []
    parts += [spec] if spec else []
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{{', '.join(parts)}}}\n"


def volume(source: str) -> str:
    return f"volumes: [{{name: v, {source}}}]"


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        loads(text, "p.yaml")
    return str(caught.value).partition(" ")[2].removeprefix("spec.")


# fmt: off
CONTAINERS = [
    ("envFrom: [{}]", "envFrom[0]: invalid value: must specify one of"),
    ("envFrom: [{configMapRef: {name: a}, secretRef: {name: a}}]", "envFrom[0]: invalid value: must specify one of"),
    ("envFrom: [{configMapRef: {}}]", "envFrom[0].configMapRef.name: required value"),
    ("envFrom: [{prefix: 'a=b', secretRef: {name: a}}]", 'envFrom[0].prefix: invalid value "a=b"'),
    ("env: [{name: A, valueFrom: {configMapKeyRef: {key: k}}}]", "env[0].valueFrom.configMapKeyRef.name: required value"),
    ("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: 'a b'}}}]", 'env[0].valueFrom.secretKeyRef.key: invalid value "a b"'),
    ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeNam}}}]",
     'env[0].valueFrom.fieldRef.fieldPath: unsupported value "spec.nodeNam"'),
    ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a b']\"}}}]",
     'env[0].valueFrom.fieldRef.fieldPath: invalid value "a b"'),
    ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: cpu}}}]",
     'env[0].valueFrom.resourceFieldRef.resource: unsupported value "cpu"'),
    ("readinessProbe: {httpGet: {port: 80}, terminationGracePeriodSeconds: 3}",
     "readinessProbe.terminationGracePeriodSeconds: invalid value 3: must not be set for readinessProbes"),
    ("livenessProbe: {httpGet: {port: 80}, terminationGracePeriodSeconds: 0}",
     "livenessProbe.terminationGracePeriodSeconds: invalid value 0: must be greater than 0"),
    ("startupProbe: {httpGet: {port: 80, httpHeaders: [{name: a b, value: x}]}}",
     'startupProbe.httpGet.httpHeaders[0].name: invalid value "a b"'),
    ("lifecycle: {preStop: {sleep: {seconds: 31}}}",
     "lifecycle.preStop.sleep.seconds: invalid value 31: must be non-negative and less than terminationGracePeriodSeconds (30)"),
    ("resources: {limits: {foo: 1}}", 'resources.limits.foo: invalid value "foo": must be a standard resource type'),
    ("resources: {limits: {example.com/x: '1.5'}}", 'resources.limits[example.com/x]: invalid value "1.5": must be an integer'),
    ("resources: {requests: {example.com/x: 1}}", "resources.limits: required value: limit must be set"),
    ("resources: {requests: {example.com/x: 1}, limits: {example.com/x: 2}}",
     'resources.requests[example.com/x]: invalid value "1": must be equal to example.com/x limit of 2'),
    ("resources: {claims: [{name: gpu}]}", 'resources.claims[0]: not found: "gpu"'),
    ("resizePolicy: [{resourceName: disk, restartPolicy: NotRequired}]", 'resizePolicy[0].resourceName: unsupported value "disk"'),
    ("securityContext: {privileged: true, allowPrivilegeEscalation: false}",
     "securityContext: invalid value: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    ("securityContext: {runAsUser: -1}", "securityContext.runAsUser: invalid value -1: must be between 0 and 2147483647"),
    ("securityContext: {seccompProfile: {type: Localhost}}", "securityContext.seccompProfile.localhostProfile: required value"),
    ("securityContext: {appArmorProfile: {type: Unconfined, localhostProfile: x}}",
     "securityContext.appArmorProfile.localhostProfile: forbidden"),
    ("securityContext: {procMount: Bare}", 'securityContext.procMount: unsupported value "Bare"'),
    ("volumeDevices: [{name: v, devicePath: /dev/x}]", 'volumeDevices[0].name: not found: "v"'),
]
MOUNTS = [
    ("subPath: ../x", "subPath: invalid value \"../x\": must not contain '..'"),
    ("subPath: /x", 'subPath: invalid value "/x": must be a relative path'),
    ("subPath: a, subPathExpr: b", "subPathExpr: invalid value: subPathExpr and subPath are mutually exclusive"),
    ("mountPropagation: Bidirectional", "mountPropagation: forbidden: Bidirectional mount propagation is available only to privileged"),
    ("mountPropagation: Both", 'mountPropagation: unsupported value "Both"'),
    ("recursiveReadOnly: Enabled", "recursiveReadOnly: forbidden: may only be specified when readOnly is true"),
    ("recursiveReadOnly: Enabled, readOnly: true, mountPropagation: HostToContainer", "recursiveReadOnly: forbidden: may only be specified"),
]
VOLUMES = [
    ("hostPath: {path: /a/../b}", "hostPath.path: invalid value \"/a/../b\": must not contain '..'"),
    ("hostPath: {path: ''}", "hostPath.path: required value"), ("configMap: {}", "configMap.name: required value"),
    ("secret: {}", "secret.secretName: required value"), ("csi: {driver: ''}", "csi.driver: required value"),
    ("secret: {secretName: a, defaultMode: 512}", "secret.defaultMode: invalid value 512: must be between 0 and 0777 octal"),
    ("emptyDir: {sizeLimit: '-1'}", "emptyDir.sizeLimit: forbidden"),
    ("configMap: {name: a, items: [{key: '', path: b}]}", "configMap.items[0].key: required value"),
    ("configMap: {name: a, items: [{key: k, path: /b}]}", 'configMap.items[0].path: invalid value "/b": must be a relative path'),
    ("nfs: {server: s, path: b}", 'nfs.path: invalid value "b": must be an absolute path'),
    ("ephemeral: {}", "ephemeral.volumeClaimTemplate: required value"),
    ("downwardAPI: {items: [{path: a}]}", "downwardAPI.items[0]: required value: fieldRef or resourceFieldRef"),
    ("downwardAPI: {items: [{path: a, fieldRef: {fieldPath: spec.nodeName}}]}",
     'downwardAPI.items[0].fieldRef.fieldPath: unsupported value "spec.nodeName"'),
    ("projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 10}}]}",
     "projected.sources[0].serviceAccountToken.expirationSeconds: invalid value 10: may not specify a duration less than 10 minutes"),
    ("projected: {sources: [{secret: {name: a}, configMap: {name: a}}]}", "projected.sources[0].configMap: forbidden: may not specify"),
    ("projected: {sources: [{secret: {name: a, items: [{key: k, path: p}]}}, {configMap: {name: a, items: [{key: k, path: p}]}}]}",
     'projected.sources[1].configMap.items[0].path: invalid value "p": conflicting duplicate paths'),
]
PODS = [
    ("activeDeadlineSeconds: 0", "activeDeadlineSeconds: invalid value 0: must be between 1 and 2147483647, inclusive"),
    ("priorityClassName: A_b", 'priorityClassName: invalid value "A_b"'),
    ("runtimeClassName: A_b", 'runtimeClassName: invalid value "A_b"'), ("os: {name: bsd}", 'os.name: unsupported value "bsd"'),
    ("hostUsers: false, hostPID: true", "hostPID: forbidden: not when hostUsers is false"),
    ("hostUsers: false, hostNetwork: true", "hostNetwork: forbidden: not when hostUsers is false"),
    ("shareProcessNamespace: true, hostPID: true", "shareProcessNamespace: invalid value: shareProcessNamespace and hostPID"),
    ("dnsConfig: {searches: [a b]}", 'dnsConfig.searches[0]: invalid value "a b"'),
    ("dnsConfig: {options: [{value: x}]}", "dnsConfig.options[0].name: required value"),
    (f"dnsConfig: {{searches: [{', '.join(['a' * 60] * 32)}, {'a' * 60}]}}", "dnsConfig.searches: must not have more than 32"),
    (f"dnsConfig: {{searches: [{', '.join([('a' * 60 + '.') * 2 + 'b'] * 20)}]}}", "dnsConfig.searches: must not have more than 2048"),
    ("schedulingGates: [{name: a}, {name: a}]", 'schedulingGates[1].name: duplicate value "a"'),
    ("readinessGates: [{conditionType: a b}]", 'readinessGates[0].conditionType: invalid value "a b"'),
    ("securityContext: {fsGroupChangePolicy: Never}", 'securityContext.fsGroupChangePolicy: unsupported value "Never"'),
    ("securityContext: {supplementalGroups: [-1]}", "securityContext.supplementalGroups[0]: invalid value -1"),
    ("securityContext: {sysctls: [{name: a b, value: x}]}", 'securityContext.sysctls[0].name: invalid value "a b"'),
    ("securityContext: {sysctls: [{name: kernel.shmmax, value: x}, {name: kernel/shmmax, value: x}]}",
     'securityContext.sysctls[1].name: duplicate value "kernel/shmmax"'),
    ("hostNetwork: true, securityContext: {sysctls: [{name: net.core.somaxconn, value: x}]}",
     'securityContext.sysctls[0].name: invalid value "net.core.somaxconn": may not be specified when hostNetwork is true'),
    ("tolerations: [{key: a, operator: Exists, tolerationSeconds: 3}]", 'tolerations[0].effect: invalid value "": effect must be NoExecute'),
    (f"affinity: {{{TERM % 101}}}", "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: invalid value 101"),
    ("affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: a, namespaces: [A_]}]}}",
     'affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespaces[0]: invalid value "A_"'),
    ("topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: ScheduleAnyway}]",
     "topologySpreadConstraints[0].maxSkew: invalid value 0"),
    ("topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway, minDomains: 3}]",
     "topologySpreadConstraints[0].minDomains: invalid value 3"),
    ("topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule}, "
     "{maxSkew: 2, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]", "topologySpreadConstraints[1]: duplicate value"),
    ("ephemeralContainers: [{name: d, image: i, ports: [{containerPort: 1}]}]", "ephemeralContainers[0].ports: forbidden"),
    ("ephemeralContainers: [{name: d, image: i, targetContainerName: x}]", 'ephemeralContainers[0].targetContainerName: not found: "x"'),
]
ACCEPTED = [
    pod("envFrom: [{prefix: A_, configMapRef: {name: a}}, {secretRef: {name: b, optional: true}}]"),
    pod("env: [{name: A, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: \"metadata.annotations['a.b/C']\"}}}]"),
    pod("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.host}}}]"),
    pod("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.hugepages-2Mi}}}, {name: A, value: ''}]"),
    pod("readinessProbe: {httpGet: {port: http, path: ''}}, lifecycle: {preStop: {sleep: {seconds: 30}}}"),
    pod("livenessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 1}"),
    pod("resources: {limits: {cpu: 1.0005, nvidia.com/gpu: 1, hugepages-2Mi: 4Mi, memory: 1Gi}}"),
    pod("resources: {claims: [{name: gpu}]}", "resourceClaims: [{name: gpu, resourceClaimName: a}]"),
    pod("securityContext: {allowPrivilegeEscalation: false, capabilities: {add: [NET_ADMIN], drop: [ALL]}}"),
    pod(MOUNT % "mountPropagation: Bidirectional, subPath: a/b" + ", securityContext: {privileged: true}", volume("emptyDir: {}")),
    pod(MOUNT % "recursiveReadOnly: IfPossible, readOnly: true", "volumes: [{name: v}]"),
    pod(spec=volume("projected: {sources: [{serviceAccountToken: {path: t}}, {downwardAPI: {items: [{path: l, fieldRef: "
                    "{fieldPath: metadata.labels}}]}}, {configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}}]}")),
    pod(spec=volume("downwardAPI: {defaultMode: 420, items: [{path: c, resourceFieldRef: {containerName: c, resource: limits.cpu}}]}")),
    pod(spec=volume("hostPath: {path: /run/x, type: ''}")), pod(spec=volume("configMap: {name: a, optional: true, defaultMode: 0755}")),
    pod(spec="dnsConfig: {searches: [., _a.b, example.com.], options: [{name: ndots, value: '2'}]}"),
    pod(spec=f"affinity: {{{TERM % 100}}}, tolerations: [{{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 3}}]"),
    pod(spec="hostUsers: false, activeDeadlineSeconds: 5, os: {name: linux}, priorityClassName: system-node-critical"),
    pod(init="restartPolicy: Always, lifecycle: {preStop: {exec: {command: [x]}}}, startupProbe: {exec: {command: [x]}}"),
    pod(spec="ephemeralContainers: [{name: d, image: i, targetContainerName: c, stdin: true}]"),
]
# fmt: on


@pytest.mark.parametrize(("container", "message"), CONTAINERS)
def test_containers(container, message):
    assert refusal(pod(container)).startswith(f"{C}.{message}")


@pytest.mark.parametrize(("mount", "message"), MOUNTS)
def test_mounts(mount, message):
    assert refusal(pod(MOUNT % mount, volume("emptyDir: {}"))).startswith(f"{C}.volumeMounts[0].{message}")


@pytest.mark.parametrize(("source", "message"), VOLUMES)
def test_volumes(source, message):
    assert refusal(pod(spec=volume(source))).startswith(f"{V}.{message}")


@pytest.mark.parametrize(("spec", "message"), PODS)
def test_pods(spec, message):
    assert refusal(pod(spec=spec)).startswith(message)


@pytest.mark.parametrize("field", ["lifecycle: {preStop: {exec: {command: [x]}}}", "readinessProbe: {exec: {command: [x]}}"])
def test_an_init_container_that_ends_has_no_hooks(field):
    assert refusal(pod(init=field)).startswith(
        f"initContainers[0].{field.partition(':')[0]}: forbidden: may not be set for init containers"
    )


def test_an_image_with_a_space_is_refused_in_a_pod_and_not_in_a_template():
    assert refusal(pod().replace("image: i", "image: ' i'")).startswith(f'{C}.image: invalid value " i"')
    loads(workload("Deployment").replace("image: i", "image: ' i'"))


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_the_api_server_takes(text):
    loads(text)


def workload(kind: str, spec: str = "", template: str = "") -> str:
    version = "batch/v1" if kind == "Job" else "apps/v1"
    selector = "" if kind == "Job" else "  selector: {matchLabels: {app: a}}\n"
    restart = ", restartPolicy: Never" if kind == "Job" else ""
    return (
        f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: w}}\nspec:\n{f'  {spec}{chr(10)}' if spec else ''}{selector}"
        f"  template: {{metadata: {{labels: {{app: a}}}}, spec: {{containers: [{{name: c, image: i}}]{restart}{template}}}}}\n"
    )


# fmt: off
WORKLOADS = [
    ("Deployment", "strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}",
     "strategy.rollingUpdate: forbidden: may not be specified when type is Recreate"),
    ("Deployment", "strategy: {rollingUpdate: {maxUnavailable: 101%}}",
     'strategy.rollingUpdate.maxUnavailable: invalid value "101%": must not be greater than 100%'),
    ("Deployment", "minReadySeconds: 600",
     "progressDeadlineSeconds: invalid value 600: must be greater than minReadySeconds (600)"),
    ("StatefulSet", "updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}",
     "updateStrategy.rollingUpdate: forbidden: may not be specified when type is OnDelete"),
    ("StatefulSet", "persistentVolumeClaimRetentionPolicy: {whenScaled: Keep}",
     'persistentVolumeClaimRetentionPolicy.whenScaled: unsupported value "Keep"'),
    ("DaemonSet", "updateStrategy: {rollingUpdate: {maxSurge: 1}}", "updateStrategy.rollingUpdate.maxSurge: invalid value: may not be set"),
    ("Job", "selector: {matchLabels: {app: a}}", "selector: invalid value: `selector` not auto-generated"),
    ("Job", "backoffLimitPerIndex: 1", "backoffLimitPerIndex: invalid value: requires indexed completion mode"),
    ("Job", "managedBy: me", 'managedBy: invalid value "me": must be a domain-prefixed path'),
    ("Job", "podFailurePolicy: {rules: [{action: Retry, onExitCodes: {operator: In, values: [1]}}]}",
     'podFailurePolicy.rules[0].action: unsupported value "Retry"'),
    ("Job", "podFailurePolicy: {rules: [{action: Ignore}]}", "podFailurePolicy.rules[0]: invalid value: must specify one of"),
]
# fmt: on


@pytest.mark.parametrize(("kind", "spec", "message"), WORKLOADS)
def test_workloads(kind, spec, message):
    assert refusal(workload(kind, spec)).startswith(message)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", "strategy: {rollingUpdate: {maxSurge: 150%}}"), ("Deployment", "strategy: {type: Recreate}"),
        ("ReplicaSet", "minReadySeconds: 600"), ("DaemonSet", "updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"),
        ("DaemonSet", "updateStrategy: {type: OnDelete}"), ("StatefulSet", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}"),
        ("Job", "manualSelector: true, selector: {matchLabels: {app: a}}".replace(", ", "\n  ")),
        ("Job", "selector: {matchLabels: {batch.kubernetes.io/controller-uid: u}}"),
        ("Job", "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}"),
    ],
)  # fmt: skip
def test_workloads_that_are_taken(kind, spec):
    loads(workload(kind, spec))


def test_a_job_needs_a_restart_policy():
    message = 'template.spec.restartPolicy: required value: valid values: "Never", "OnFailure"'
    assert refusal(workload("Job").replace("restartPolicy: Never", "restartPolicy: Always")) == message
    without = workload("Job").replace(", restartPolicy: Never", "")
    assert refusal(without) == f"{message} (the default is Always, which a Job cannot have)"


def test_what_only_a_pod_or_a_job_may_have():
    assert refusal(workload("Deployment", template=", activeDeadlineSeconds: 5")).startswith(
        "template.spec.activeDeadlineSeconds: forbidden"
    )
    loads(workload("Job", template=", activeDeadlineSeconds: 5"))
    boxes = ", ephemeralContainers: [{name: d, image: i}]"
    assert refusal(workload("Deployment", template=boxes)).startswith("template.spec.ephemeralContainers: forbidden")


OWNER = "{apiVersion: apps/v1, kind: ReplicaSet, name: %s, uid: '%s', controller: true}"
# fmt: off
METADATA = [
    ("creationTimestamp: yesterday", 'creationTimestamp: invalid value "yesterday": must be a time'),
    ("deletionTimestamp: '2026-11-26'", 'deletionTimestamp: invalid value "2026-11-26"'),
    (f"ownerReferences: [{OWNER % ('a', '')}]", 'ownerReferences[0].uid: invalid value "": must not be empty'),
    (f"ownerReferences: [{OWNER % ('a', 1)}, {OWNER % ('b', 2)}]", "ownerReferences[1]: invalid value: only one reference"),
    ("finalizers: [cleanup]", 'finalizers[0]: invalid value "cleanup": must be fully qualified'),
    (f"annotations: {{x: {'y' * (256 << 10)}}}", "annotations: too long: 262,145 bytes"),
]
# fmt: on


@pytest.mark.parametrize("kind", ["Pod", "Service", "ConfigMap"])
@pytest.mark.parametrize(("field", "message"), METADATA, ids=[each[1][:30] for each in METADATA])
def test_metadata(kind, field, message):
    rest = {"Pod": "{containers: [{name: c, image: i}]}", "Service": "{ports: [{port: 80}]}"}.get(kind)
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: p, {field}}}\n{f'spec: {rest}' if rest else 'data: {}'}\n"
    assert refusal(text).startswith(f"metadata.{message}")


def test_metadata_of_a_cluster_is_taken():
    times = "creationTimestamp: '2026-11-26T18:50:00Z', deletionTimestamp: '2026-11-26T18:50:00.123+01:00'"
    more = f"finalizers: [kubernetes, example.com/x], ownerReferences: [{OWNER % ('a', 1)}], selfLink: '', managedFields: []"
    loads(pod().replace("{name: p}", f"{{name: p, {times}, {more}}}"))
