"""The third interpreter: the same ops carried out in network namespaces of this very kernel, without root.

``Lab`` builds and observes, ``experiment`` gives a lesson a result that is the same live and recorded, ``probe`` says what this
machine can do, ``canonical.canonical`` brings model and kernel into one form.
"""

from __future__ import annotations

from .capabilities import Capabilities, diagnose, probe
from .experiments import Connect, Experiment, Inject, Outcome, Ping, Result, Send, connect, experiment
from .fallback import as_in_namespaces
from .lab import Lab
from .proxied import Asked, ProxiedResult, proxied
from .readback import Unparsed
from .replay import record_all, recorded
from .replies import Accepted, Connection, Output, Pong
from .routing import RoutingExperiment, RoutingResult, Stage, routing

__all__ = [
    "Accepted", "Asked", "Capabilities", "Connect", "Connection", "Experiment", "Inject", "Lab", "Outcome", "Output", "Ping", "Pong", "ProxiedResult", "Result",
    "RoutingExperiment", "RoutingResult", "Send", "Stage", "Unparsed", "as_in_namespaces", "connect", "diagnose", "experiment", "probe", "proxied",
    "record_all", "recorded", "routing",
]  # fmt: skip
