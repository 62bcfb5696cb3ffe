"""A speaker's configuration as text for BIRD 2, in the shape of what Calico's confd writes for its own BIRD.

There it is three files: bird.cfg, bird_ipam.cfg (the filters) and bird_aggr.cfg (the blocks). Calico's BIRD is a 1.6 of its own; BIRD 2
puts what concerns one address family into a channel (``ipv4 { … }``). Left out: BFD, logging, communities, ``add paths on`` (a peer gets
the best path alone), and ``krt_tunnel``, which only Calico's BIRD knows: what it does to the routes is in ``Converged.routes(tunnel=…)``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...linux.state import IPNetwork
from .converge import Converged
from .values import Session, Speaker

HEAD = """\
# {name}: BIRD 2
router id {router_id};

{static}{aggregate}
filter calico_export_to_bgp_peers {{
{own}{pools}  reject;
}}

filter calico_kernel_programming {{
  if source = RTS_DEVICE then reject;   # the kernel has made these itself
  accept;
}}

# Routes go to the kernel's table, and those that others wrote there come in: the default route resolves next hops.
protocol kernel {{
  {channel} {{
    import all;
    export filter calico_kernel_programming;
  }};
  learn;             # what others have put into the kernel
  persist;           # leave our routes there when BIRD stops
  scan time 2;
  metric 0;          # none, as BIRD 1 does
  graceful restart;
  merge paths on;    # several next hops that are equally good
}}

protocol device {{
  scan time 2;
}}

# The networks of our own interfaces, those of Pods excepted.
protocol direct {{
  {channel};
  interface -"cali*", -"kube-ipvs*", "*";
}}

template bgp bgp_template {{
  local as {asn};
  multihop;
  graceful restart;
  connect delay time 1;
  connect retry time {retry};
  error wait time 1,5;
{hold}  {channel} {{
    gateway recursive;   # a next hop that is not on a link is reached by the route to it
    import all;
    export filter calico_export_to_bgp_peers;
  }};
}}
"""


def bird_conf(bgp: Converged, name: str, pools: Iterable[IPNetwork], *, retry: int = 3, hold_time: int | None = None) -> str:
    """The configuration of one speaker. ``pools`` are the cluster's Pod ranges: a route outside them is not told to peers.

    ``retry`` and ``hold_time`` in seconds; without a hold time BIRD's own, 240. ModelError when there is no such speaker.
    """
    speaker = bgp.topology.speaker(name)
    own = bgp.own.get(name, ())
    channel = f"ipv{speaker.version}"
    routes = "".join(f"  route {prefix} blackhole;\n" for prefix in own)
    exact = "".join(f"  if net = {prefix} then accept;\n  if net ~ {prefix} then reject;\n" for prefix in own)
    text = HEAD.format(
        name=name, router_id=speaker.router_id, channel=channel, asn=speaker.asn, retry=retry,
        static=f"# The blocks of this host\nprotocol static {{\n  {channel};\n{routes}}}\n\n" if own else "",
        aggregate=f"# Of the blocks of this host, the blocks; nothing beneath them.\nfunction calico_aggr() {{\n{exact}}}\n" if own else "",
        own="  calico_aggr();\n" if own else "",
        pools="".join(f"  if net ~ {pool} then accept;\n" for pool in pools if pool.version == speaker.version),
        hold=f"  hold time {hold_time};\n" if hold_time is not None else "",
    )  # fmt: skip
    return text + "".join(_peer(bgp, speaker, session) for session in bgp.topology.sessions_of(name))


def _peer(bgp: Converged, speaker: Speaker, session: Session) -> str:
    other, address = session.far(speaker.name)
    near = session.near(speaker.name)
    lines = [f"neighbor {address} as {bgp.topology.speaker(other).asn};", f"source address {near};"]
    if session.label == "Mesh" and int(address) > int(near):
        lines.append("passive on;   # one end of each pair connects: the other one")
    if speaker.name in session.direct:
        lines.append("direct;   # the peer is on our link: what it hears from us may name others there")
    if session.client == other:
        lines += ["rr client;", f"rr cluster id {speaker.cluster_id};"]
    return f"\n# {other}\nprotocol bgp {session.protocol(speaker.name)} from bgp_template {{\n  " + "\n  ".join(lines) + "\n}\n"
