"""An op that is given the wrong kind of thing says so where it is written."""

from __future__ import annotations

import pytest

from k8snetlib import ModelError, ops

WRITTEN = {
    "RouteAdd": lambda: ops.RouteAdd("node-a", "10.244.2.0/24 via 10.244.2.0"),
    "RouteDel": lambda: ops.RouteDel("node-a", "default"),
    "RuleAdd": lambda: ops.RuleAdd("node-a", "from all lookup main"),
    "NeighAdd": lambda: ops.NeighAdd("node-a", "10.244.2.0 lladdr 0a:58:00:00:00:01"),
    "FdbAdd": lambda: ops.FdbAdd("node-a", "0a:58:00:00:00:01"),
    "FdbDel": lambda: ops.FdbDel("node-a", "0a:58:00:00:00:01"),
    "AddrAdd": lambda: ops.AddrAdd("web", "eth0", "10.244.1.2/24"),
    "Listen": lambda: ops.Listen("web", "tcp 80"),
    "LinkAdd": lambda: ops.LinkAdd("web", "eth0", "veth", peer="veth-web"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_text_is_refused_where_an_op_holds_a_value(name):
    with pytest.raises(ModelError, match=f"^{name} holds .*, not '"):
        WRITTEN[name]()


@pytest.mark.parametrize("peer", [("node-a",), ("node-a", "veth-web", "up")])
def test_a_peer_is_a_namespace_and_a_name(peer):
    with pytest.raises(ModelError, match="a namespace and a name"):
        ops.LinkAdd("web", "eth0", "veth", peer=peer)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: ops.route("web", "defalt", via="10.244.1.1"), "route('web', 'defalt'): 'defalt' does not appear"),
        (lambda: ops.route("web", "10.244.2.1/24", via="10.244.1.1"), "route('web', '10.244.2.1/24'): 10.244.2.1/24 has host bits set"),
        (lambda: ops.route("web", "default", via="gateway"), "route('web', 'default'): 'gateway' does not appear"),
        (lambda: ops.address("web", "eth0", "10.244.1.2/33"), "address('web', 'eth0'): '10.244.1.2/33' does not appear"),
    ],
)
def test_text_that_is_no_address_is_a_mistake_with_a_place(made, says):
    with pytest.raises(ModelError) as error:
        made()
    assert str(error.value).startswith(says)


@pytest.mark.parametrize("name", ["", "node a"])
def test_a_namespace_has_a_name_that_a_command_can_hold(name):
    with pytest.raises(ModelError, match="is no name of a namespace"):
        ops.build([ops.NetnsAdd(name)])


def test_a_namespace_is_named_by_text():
    with pytest.raises(ModelError, match=r"^NetnsAdd holds the name of a namespace, not 5"):
        ops.NetnsAdd(5)


@pytest.mark.parametrize("op", [ops.LinkSet("a", "lo", mtu="1500"), ops.LinkAdd("a", "eth0", "dummy", mtu="1500")])
def test_an_mtu_is_a_number(op):
    with pytest.raises(ModelError, match="an MTU is a number of bytes, not '1500'"):
        ops.build([ops.NetnsAdd("a"), op])


@pytest.mark.parametrize("given", [ops.LinkSet, "ip link set eth0 up", None])
def test_what_is_no_op_is_a_mistake(given):
    with pytest.raises(ModelError, match="is no op"):
        ops.build([ops.NetnsAdd("a"), given])


def test_an_op_of_ones_own_may_fail_as_it_likes():
    class Odd:
        def apply(self, draft):
            return len(None)

        def command(self):
            return "odd"

    with pytest.raises(TypeError, match="has no len"):
        ops.build([Odd()])
