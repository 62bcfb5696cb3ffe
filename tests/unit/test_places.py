"""What the places of a walk are called: the router below the nodes is the load balancer where it acts as one, and each box says which it is."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from k8snetlib import diagram, journeys, shop
from k8snetlib.kube.cast import INGRESS
from k8snetlib.linux.events import Sent
from k8snetlib.views.document import document
from k8snetlib.views.places import is_balanced, place_name
from k8snetlib.views.tables import table
from k8snetlib.views.text import text
from k8snetlib.views.walk import steps
from k8snetlib.widgets.packet_walk import walk_twin
from k8snetlib.widgets.walk_data import walk_data

URL = "https://www.example.com/api"


@pytest.fixture(scope="module")
def passing():
    """The client's connection through a balancer that passes packets on."""
    return shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer=True).journey(URL).connections[0].there


@pytest.fixture(scope="module")
def ending():
    """The three connections where the balancer ends the client's."""
    edge = shop("vxlan", INGRESS, proxy="iptables", outside=True, balancer="Proxy")
    return [each.there for each in journeys(edge, URL)[0][1].connections]


def names(trace):
    walk = steps(trace)
    return [place_name(each.place, balanced=is_balanced(walk)) for each in walk]


def test_on_the_way_there_the_router_is_the_balancer(passing):
    assert names(passing)[:5] == ["eth0 of client", "the Internet", "load balancer", "underlay", "eth0 of node-a"]
    assert names(passing) == [each["place"] for each in walk_data(passing)["steps"]]
    figure = diagram(trace=passing)
    assert "the Internet, load balancer, underlay" in figure.alt and ">load balancer<" in figure.svg and ">router<" not in figure.svg
    assert ">load balancer</span>" in walk_twin(passing) and ">router</span>" in walk_twin(passing.reply)


def test_text_and_tables_use_the_pictures_names(passing):
    names = [each["name"] for each in document(passing)["steps"]]
    assert (
        names[:4] == ["client eth0", "the Internet", "load balancer", "underlay segment-1"] == [row[1] for row in table(passing).rows][:4]
    )
    assert " 3  load balancer  (40 bytes)" in str(text(passing)).splitlines() and "router" in [row[1] for row in table(passing.reply).rows]


def test_the_answer_leaves_the_balancer_out(passing):
    assert names(passing.reply)[-4:] == ["underlay", "router", "the Internet", "eth0 of client"]
    assert ">between the networks<" in diagram(trace=passing.reply).svg


def test_a_balancer_that_ends_connections_begins_its_own(ending):
    first, second, third = ending
    assert names(first)[-1] == names(second)[0] == "load balancer"
    assert next(iter(second.all(Sent))).process == "load balancer"
    assert names(third)[0] == "eth0 of edge-1" and not is_balanced(steps(third))


def test_below_one_network_the_router_has_its_address():
    lost = shop("bridge").trace("pod/web", "pod/api-2:8080")
    svg = diagram(trace=lost).svg
    assert names(lost)[-1] == "router" and ">192.168.50.1<" in svg and "between" not in svg


def test_every_outcome_names_who_sends():
    cluster = shop(proxy="iptables")
    assert {next(iter(trace.all(Sent))).process for _, trace in cluster.traces("pod/web", "svc/api:80")} == {"web"}


def test_numbers_of_two_lines_between_two_boxes_lie_apart(passing):
    """There and back between a node and the network below it: 4 and 8."""
    root = ElementTree.fromstring(diagram(trace=passing).svg)
    pills = [each.attrib for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("class") == "badge"]
    spots = [tuple(float(pill[key]) for key in ("x", "y", "width", "height")) for pill in pills]
    assert len(spots) == len(names(passing)) - 1
    for (x, y, w, h), (u, v, p, q) in itertools.combinations(spots, 2):
        assert x + w <= u or u + p <= x or y + h <= v or v + q <= y


def test_a_client_that_is_not_on_the_way_has_its_name_above_its_cable():
    calls = shop("vxlan", outside=True).trace("pod/web", "pod/api-1:8080")
    groups = re.split(r"<g ", diagram(trace=calls).svg)
    client = next(each for each in groups if 'data-name="cluster_client"' in each)
    eth0 = next(each for each in groups if 'data-name="client/eth0"' in each)
    high = [float(re.search(r'<text[^>]* y="(-?[\d.]+)"', each)[1]) for each in (client, eth0)]
    assert high[0] < high[1]
