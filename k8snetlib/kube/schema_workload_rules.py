"""The API server's rules for the parts of a workload that make no Pod: how it rolls, how long it waits, what a Job does with failures.

Source: ``pkg/apis/apps/validation`` and ``pkg/apis/batch/validation`` of Kubernetes 1.36, and the defaults that come before them.
"""

from __future__ import annotations

import re
from typing import Any

from . import schema_rules as rules
from .schema import Fault
from .schema_places import Path
from .schema_volume_rules import one_of
from .selectors import EMPTY

Data = dict[str, Any]
PROGRESS = 600  # seconds that a Deployment waits, where it does not say
_NOT_NEGATIVE = (
    "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes",
    "activeDeadlineSeconds", "ttlSecondsAfterFinished",
)  # fmt: skip
_PATH = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/.+")


def check_workload(spec: Data, kind: str) -> None:
    """Raises Fault for the first mistake."""
    rules.not_negative(spec, _NOT_NEGATIVE, ("spec",))
    if kind == "Deployment":
        ready, deadline = spec.get("minReadySeconds", 0), spec.get("progressDeadlineSeconds", PROGRESS)
        late = f"invalid value {deadline}: must be greater than minReadySeconds ({ready})" if deadline <= ready else ""
        rules.require(late, "spec", "progressDeadlineSeconds", at=("spec", "minReadySeconds"))
    for field in ("strategy", "updateStrategy"):
        _strategy(spec.get(field, EMPTY), ("spec", field), kind)
    for field in ("whenDeleted", "whenScaled"):
        policy = spec.get("persistentVolumeClaimRetentionPolicy", EMPTY).get(field)
        one_of(policy or "Retain", ("Delete", "Retain"), "spec", "persistentVolumeClaimRetentionPolicy", field)
    if kind == "Job":
        _job(spec)


def _strategy(data: Data, path: Path, kind: str) -> None:
    rolling, place = data.get("rollingUpdate", EMPTY), (*path, "rollingUpdate")
    if "rollingUpdate" in data and data.get("type") in ("Recreate", "OnDelete") and kind != "DaemonSet":
        raise Fault(f"forbidden: may not be specified when type is {data['type']}", place)
    for field, value in rolling.items():
        if isinstance(value, str):
            why = "" if re.fullmatch("[0-9]+%", value) else 'a percentage is digits and "%", such as 25%'
            much = field == "maxUnavailable" or kind == "DaemonSet"
            why = why or ("must not be greater than 100%" if much and int(value[:-1]) > 100 else "")
            rules.require(rules.invalid(value, why) if why else "", *place, field)
        else:
            rules.not_negative(rolling, (field,), place)
    named = {field: str(rolling[field]).strip("0%") != "" for field in ("maxSurge", "maxUnavailable") if field in rolling}
    none = "invalid value: may not be 0 when `maxSurge` is 0" if len(named) == 2 and not any(named.values()) else ""
    rules.require(none, *place, "maxUnavailable")
    if kind == "DaemonSet" and named.get("maxSurge"):
        both = named.get("maxUnavailable", True)
        rules.require(
            "invalid value: may not be set when maxUnavailable is non-zero (its default is 1)" if both else "", *place, "maxSurge"
        )


def _job(spec: Data) -> None:
    labels = spec.get("selector", EMPTY).get("matchLabels", EMPTY)
    made = spec.get("manualSelector") or any(key.endswith("controller-uid") for key in labels)
    wrong = "selector" in spec and spec["selector"] and not made
    rules.require("invalid value: `selector` not auto-generated: leave it out, or set manualSelector" if wrong else "", "spec", "selector")
    if "backoffLimitPerIndex" in spec and spec.get("completionMode") != "Indexed":
        raise Fault("invalid value: requires indexed completion mode", ("spec", "backoffLimitPerIndex"))
    manager = spec.get("managedBy")
    if manager is not None:
        bad = "" if _PATH.fullmatch(manager) else rules.invalid(manager, "must be a domain-prefixed path (such as acme.io/foo)")
        rules.require(bad, "spec", "managedBy")
    for index, rule in enumerate(spec.get("podFailurePolicy", EMPTY).get("rules", ())):
        place = ("spec", "podFailurePolicy", "rules", index)
        one_of(rule["action"], ("Count", "FailIndex", "FailJob", "Ignore"), *place, "action")
        ways = [field for field in ("onExitCodes", "onPodConditions") if rule.get(field)]
        rules.require("" if len(ways) == 1 else "invalid value: must specify one of onExitCodes and onPodConditions", *place)
    never = spec["template"].get("spec", EMPTY).get("restartPolicy") == "Never"
    rules.require(
        "" if never or "podFailurePolicy" not in spec else 'invalid value: only "Never" is supported when podFailurePolicy is specified',
        "spec", "template", "spec", "restartPolicy",
    )  # fmt: skip
