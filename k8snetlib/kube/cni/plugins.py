"""The reference plug-ins' commands ADD and DEL as pure functions: configuration and state in; ops, a result and a new store out.

``bridge`` and ``ptp`` with ``host-local``, step by step in the order of the real ones (containernetworking/plugins v1.9.1), because an ADD that
fails halfway leaves behind what it had done: a real node shows it, and so does this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from ...errors import ModelError, UnsupportedError
from ...linux.addresses import ip_address, ip_interface, ip_network
from ...linux.draft import build
from ...linux.ops import AddrAdd, LinkAdd, LinkDel, LinkSet, Op, RulesRestore
from ...linux.state import Network
from ...value import value
from ..ipam import AllocationError, IPConfig, Store, add, delete, range_sets
from . import ptp
from .bridge import BridgeConf, attach, forwarding, masquerade_text, setup_bridge
from .sandbox import Sandbox


@value
class Attachment:
    """What a command did: the ops, the result as the plug-in prints it (None after an error), the error's text, and host-local's new store."""

    ops: tuple[Op, ...] = ()
    result: Mapping[str, Any] | None = None
    error: str = ""
    store: Store = field(default_factory=Store)


@value
class Call:
    """One invocation: whose sandbox, on which host, by which host-side veth name, asking for which addresses."""

    container: str
    host: str
    veth: str
    requested: tuple[str, ...] = ()
    netns: str = ""

    @property
    def sandbox(self) -> str:
        return self.netns or self.container


class _Steps:
    """The ops so far, applied to the network as they come, so that a step that fails is known to fail."""

    def __init__(self, network: Network, store: Store) -> None:
        self.network, self.store, self.ops = network, store, []

    def do(self, *ops: Op) -> None:
        self.network = build(ops, self.network)
        self.ops += ops


def plugin_add(conf: Mapping[str, Any], call: Call, network: Network, store: Store) -> Attachment:
    """The command ADD of ``bridge`` or ``ptp``. UnsupportedError for any other plug-in."""
    adders = {"bridge": _bridge_add, "ptp": _ptp_add}
    if conf.get("type") not in adders:
        raise UnsupportedError(f"the plug-in {conf.get('type')!r} is not modelled")
    steps = _Steps(network, store)
    try:
        result = adders[conf["type"]](conf, call, steps)
    except AllocationError as error:
        return Attachment(tuple(steps.ops), None, str(error), error.store)
    except ModelError as error:  # what was allocated goes back (ipam.ExecDel), but the round robin has moved on
        released = delete(steps.store, call.container) if steps.store is not store else store
        return Attachment(tuple(steps.ops), None, str(error), released)
    return Attachment(tuple(steps.ops), result, "", steps.store)


def plugin_del(conf: Mapping[str, Any], call: Call, network: Network, store: Store) -> Attachment:
    """The command DEL: the addresses go back, and the Pod's interface, if there is one, goes with its host's end."""
    present = call.sandbox in network and "eth0" in network[call.sandbox].interfaces
    ops = (LinkDel(call.sandbox, "eth0"),) if present else ()
    return Attachment(ops, {}, "", delete(store, call.container))


def _allocate(conf: Mapping[str, Any], call: Call, steps: _Steps) -> tuple[IPConfig, ...]:
    if conf["ipam"].get("type") != "host-local":
        raise UnsupportedError(f"the address plug-in {conf['ipam'].get('type')!r} is not modelled")
    sets = range_sets(conf["ipam"])
    configs, steps.store = add(sets, steps.store, call.container, requested=[ip_address(a) for a in call.requested])
    return configs


def _routes(conf: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    given = conf["ipam"].get("routes") or ()
    return [(ip_network(r["dst"]), ip_address(r["gw"]) if r.get("gw") else None) for r in given]


def _bridge_conf(conf: Mapping[str, Any]) -> BridgeConf:
    default_gateway = bool(conf.get("isDefaultGateway"))
    return BridgeConf(
        conf.get("bridge", "cni0"),
        bool(conf.get("isGateway")) or default_gateway,
        default_gateway,
        bool(conf.get("ipMasq")),
        bool(conf.get("hairpinMode")),
        bool(conf.get("promiscMode")),
        bool(conf.get("portIsolation")),
        int(conf.get("mtu", 0)),
    )


def _bridge_add(conf: Mapping[str, Any], call: Call, steps: _Steps) -> dict:
    """bridge.go cmdAdd: bridge, veth, IPAM, the Pod's side, the bridge's address, masquerading."""
    chosen = _bridge_conf(conf)
    if chosen.bridge not in steps.network[call.host].interfaces:
        steps.do(*setup_bridge(chosen, call.host))
    if "eth0" in steps.network[call.sandbox].interfaces:
        raise ModelError(f'container veth name ("eth0") peer provided ("{call.veth}") already exists')
    bare = Sandbox(call.sandbox, call.host, call.veth, ())
    plug = [op for op in attach(chosen, bare, ()) if not (isinstance(op, LinkSet) and op.netns == call.sandbox)]
    steps.do(*plug)
    configs = _allocate(conf, call, steps)
    routes = _routes(conf)
    if chosen.is_default_gateway:
        here = {dst.version for dst, _ in routes if dst.prefixlen == 0}
        missing = {c.gateway.version: c.gateway for c in configs if c.gateway.version not in here}
        routes += [(ip_network("0.0.0.0/0" if v == 4 else "::/0"), gateway) for v, gateway in missing.items()]
    full = Sandbox(call.sandbox, call.host, call.veth, tuple(c.address for c in configs))
    steps.do(*[op for op in attach(chosen, full, routes, [c.gateway for c in configs]) if op not in plug and not isinstance(op, LinkAdd)])
    if chosen.is_gateway:
        for config in configs:
            _ensure_address(chosen.bridge, call.host, config, steps)
    if chosen.ip_masq:
        _masquerade(conf, call, configs, steps)
    return _result(configs, routes, [chosen.bridge, call.veth, "eth0"], call)


def _ensure_address(bridge: str, host: str, config: IPConfig, steps: _Steps) -> None:
    """The bridge gets the gateway's address; one of that family that is another stays, and is an error (ensureAddr)."""
    wanted = ip_interface(f"{config.gateway}/{config.address.network.prefixlen}")
    own = [a for a in steps.network[host].interfaces[bridge].addresses if a.version == wanted.version and not a.ip.is_link_local]
    if wanted not in own:
        if any(wanted.version == 4 or a.network.overlaps(wanted.network) for a in own):
            raise ModelError(f'failed to set bridge addr: "{bridge}" already has an IP address different from {wanted}')
        steps.do(AddrAdd(host, bridge, wanted))
    steps.do(*forwarding(host, {wanted.version}))


def _ptp_add(conf: Mapping[str, Any], call: Call, steps: _Steps) -> dict:
    """ptp.go cmdAdd: IPAM first, then the two ends."""
    configs = _allocate(conf, call, steps)
    routes = _routes(conf)
    steps.do(*forwarding(call.host, {c.gateway.version for c in configs}))
    sandbox = Sandbox(call.sandbox, call.host, call.veth, tuple(c.address for c in configs))
    steps.do(*ptp.attach(sandbox, routes, [c.gateway for c in configs], int(conf.get("mtu", 0))))
    if conf.get("ipMasq"):
        _masquerade(conf, call, configs, steps)
    return _result(configs, routes, [call.veth, "eth0"], call)


def _masquerade(conf: Mapping[str, Any], call: Call, configs: Sequence[IPConfig], steps: _Steps) -> None:
    """The rules of this container beside those that are there: iptables appends, it does not replace."""
    for version in {c.address.version for c in configs}:
        own = [(call.container, c.address) for c in configs if c.address.version == version]
        text = masquerade_text(conf.get("name", ""), own)
        old = steps.network[call.host].rulesets.get(version)
        steps.do(RulesRestore(call.host, _appended(str(old), text) if old else text, version))


def _appended(old: str, new: str) -> str:
    """The nat table of both texts: chains sorted, rules of the older one first."""
    lines = [line for text in (old, new) for line in text.splitlines() if line not in ("*nat", "COMMIT")]
    heads = list(dict.fromkeys(line for line in lines if line.startswith(":")))
    built_in = [h for h in heads if " ACCEPT " in h]
    return "\n".join(["*nat", *built_in, *sorted(set(heads) - set(built_in)), *(line for line in lines if line.startswith("-A")), "COMMIT"])


def _result(configs: Sequence[IPConfig], routes: Sequence[tuple], names: Sequence[str], call: Call) -> dict:
    """The success result (CNI specification, section 5), without MAC addresses."""
    interfaces = [{"name": name} for name in names]
    interfaces[-1]["sandbox"] = f"/var/run/netns/{call.sandbox}"
    ips = [{"address": str(c.address), "gateway": str(c.gateway), "interface": len(names) - 1} for c in configs]
    shown = [{"dst": str(dst), "gw": str(via)} if via else {"dst": str(dst)} for dst, via in routes]
    return {"interfaces": interfaces, "ips": ips} | ({"routes": shown} if shown else {})
