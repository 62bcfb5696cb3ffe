"""The summary: every row of the account, read off traces."""

from __future__ import annotations

import re

import pytest

from k8snetlib.errors import ModelError
from k8snetlib.kube.cast import shop
from k8snetlib.views.matrix import matrix
from k8snetlib.views.summary import GROUNDS, WAYS, added_bytes, foundations, grounds_of, summary_rows, summary_table

RESTS = {
    "localhost": "namespace", "veth and bridge": "bridge", "Flannel VXLAN": "bridge route tunnel", "Calico IPIP": "route tunnel",
    "Calico BGP": "route", "AWS VPC CNI": "route", "ClusterIP, iptables": "dns bridge route rules conntrack",
    "ClusterIP, nftables": "dns bridge route rules conntrack", "ClusterIP, IPVS": "dns bridge route ipvs conntrack",
    "ClusterIP, userspace (removed in 1.26)": "dns bridge route rules conntrack process", "ExternalName": "dns",
    "NodePort": "bridge route rules conntrack", "LoadBalancer": "bridge route rules conntrack",
    "Ingress": "dns bridge route tunnel rules conntrack process", "Gateway API": "dns bridge route tunnel rules conntrack process",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return summary_rows()


def test_what_each_way_rests_on(rows):
    assert {row.way.component: " ".join(row.grounds) for row in rows} == RESTS
    assert {key for row in rows for key in row.grounds} == set(GROUNDS)


def test_what_is_rewritten_added_and_seen(rows):
    by_name = {row.way.component: row for row in rows}
    assert {name: row.added for name, row in by_name.items() if row.added} == {
        "Flannel VXLAN": 50, "Calico IPIP": 20, "Ingress": 50, "Gateway API": 50,
    }  # fmt: skip
    assert by_name["ClusterIP, IPVS"].rewritten == by_name["ClusterIP, iptables"].rewritten == "destination"
    assert by_name["NodePort"].sees == "node-a's 10.244.1.1" and by_name["Ingress"].sees == "edge-1's 10.244.2.5"
    assert by_name["ExternalName"].alias == "api.example.com."


def test_the_table_and_the_picture_have_every_way():
    table, figure = summary_table(), foundations()
    assert [row[1] for row in table.rows] == [way.component for way in WAYS]
    assert "4 from outside, Ingress: DNS" in figure.alt
    for way in WAYS:
        assert way.component in figure.svg
    assert figure.svg.count("<circle") == sum(len(each.split()) for each in RESTS.values())


def test_a_way_that_needs_another_path_says_so():
    """Nothing is typed: another question has other grounds."""
    assert grounds_of(shop("vxlan").trace("pod/web", "pod/db")) == {"bridge", "route", "tunnel"}
    assert grounds_of(shop("host-gw").trace("pod/web", "pod/db")) == {"bridge", "route"}
    assert added_bytes(shop("host-gw").trace("pod/web", "pod/db")) == 0


def test_a_matrix_needs_something():
    with pytest.raises(ModelError):
        matrix({}, {"a": "A"}, "x")
    figure = matrix({"g": {"row": ("a", "c"), "none": ()}}, {"a": "A", "b": "B", "c": "two\nlines"}, "words")
    assert len(re.findall("<circle", figure.svg)) == 2 and '<path class="join"' in figure.svg
