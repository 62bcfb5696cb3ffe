"""What BIRD says, read: from text, without a BIRD."""

from __future__ import annotations

from k8snetlib.lab.birds import BgpSession, sessions_in
from k8snetlib.lab.routing import RoutingExperiment, _tidy
from k8snetlib.linux.ops import NetnsAdd

# ``show protocols all`` of BIRD 2.0.12, shortened
SAID = """\
Name       Proto      Table      State  Since         Info
kernel1    Kernel     master4    up     01:42:01.422
  Channel ipv4
    Routes:         1 imported, 3 exported, 1 preferred

Mesh_192_168_50_12 BGP        ---        up     01:42:03.066  Established
  BGP state:          Established
    Neighbor address: 192.168.50.12
    Hold timer:       2.368/3
  Channel ipv4
    Routes:         1 imported, 1 exported, 1 preferred
    Route change stats:     received   rejected   filtered    ignored   accepted
      Import updates:              1          0          0          0          1
      Export withdraws:            0        ---        ---        ---          0

Mesh_fd00_50__13 BGP        ---        start  01:42:03.222  Active        Socket: Connection refused
  BGP state:          Active
    Neighbor address: fd00:50::13
"""


def test_sessions_are_read_without_what_only_time_changes() -> None:
    up, down = sessions_in("node-1", SAID)
    assert up == BgpSession(
        "node-1",
        "Mesh_192_168_50_12",
        "Established",
        "192.168.50.12",
        (
            "Routes:         1 imported, 1 exported, 1 preferred",
            "Import updates:              1          0          0          0          1",
            "Export withdraws:            0        ---        ---        ---          0",
        ),
    )
    assert up.established and not down.established
    assert down == BgpSession("node-1", "Mesh_fd00_50__13", "Active", "fd00:50::13")


def test_no_protocol_no_session() -> None:
    assert sessions_in("node-1", "") == sessions_in("node-1", "Name       Proto      Table      State  Since         Info") == ()


def test_a_session_that_is_not_up_is_told_in_one_word() -> None:
    lines = (
        "Mesh_1 BGP        ---        start  12:00:00.000  Connect       Socket: Connection refused",
        "Mesh_2 BGP  ---  up  12:00:00.000  Established   ",
    )
    assert _tidy("\n".join(lines)).splitlines() == [
        "Mesh_1 BGP        ---        start  12:00:00.000  Active",
        "Mesh_2 BGP  ---  up  12:00:00.000  Established",
    ]


def test_the_digest_knows_everything_that_goes_in() -> None:
    one = RoutingExperiment("a", (NetnsAdd("n"),), (("n", "router id 1.1.1.1;"),))
    others = [
        RoutingExperiment("a", (NetnsAdd("m"),), one.confs),
        RoutingExperiment("a", one.ops, (("n", "router id 1.1.1.2;"),)),
        RoutingExperiment("a", one.ops, one.confs, ("n",)),
    ]
    assert len({each.digest() for each in (one, *others)}) == 4
