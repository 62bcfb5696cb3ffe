"""Network plug-ins: objects in, ops out. One file each; ``plan(host, hosts, sandboxes)`` yields the ops of one node.

The ops of the whole cluster are those of the underlay and then of every node; one node can be planned alone, which is what lets a
large cluster be built only as far as a packet goes.
"""

from __future__ import annotations

from . import bridge, ptp, vxlan

CNIS = {"bridge": bridge.plan, "ptp": ptp.plan, "vxlan": vxlan.plan}
