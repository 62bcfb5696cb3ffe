"""Every control of every explorer, moved by hand in JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.conftest import EXPLORERS


@pytest.fixture(scope="module")
def explorers(lab, page) -> dict:
    """All of them, live in one notebook: name → its part of the page."""
    lab.write("explorers", *(f"{name}()" for name in EXPLORERS))
    lab.open(page, "explorers")
    lab.run_all(page, "explorers")
    roots = page.locator(".k8s-explorer")
    roots.nth(len(EXPLORERS) - 1).locator(".summary").wait_for()
    return {name: roots.nth(number) for number, name in enumerate(EXPLORERS)}


def choose(explorer, label: str, option: str) -> None:
    explorer.get_by_label(label, exact=True).select_option(label=option)


def expect(explorer, words: str) -> None:
    """Wait until the answer says ``words``; what it says instead is the failure's message. What is not on the screen has no inner text."""
    explorer.scroll_into_view_if_needed()
    for _ in range(100):
        said = explorer.locator(".summary").inner_text()
        if words in said:
            return
        explorer.page.wait_for_timeout(100)
    pytest.fail(f"{words!r} is not said, but {said!r}, with {[select.input_value() for select in explorer.locator('select').all()]}")


def test_each_is_shown_once_and_fits_the_column(page, explorers):
    assert page.locator(".jp-OutputArea-output").count() == len(EXPLORERS)
    assert page.locator(".jp-OutputArea-output img").count() == 0
    for explorer in explorers.values():
        assert explorer.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    assert page.mistakes == []


def test_map(explorers):
    explorer = explorers["MapExplorer"]
    expect(explorer, "Pod ↔ Pod, across nodes")
    assert explorer.locator("#hop-12").count() == 1
    choose(explorer, "Mode:", "2.1 · Pod ↔ Pod, one node")
    expect(explorer, "Pod ↔ Pod, one node")
    assert explorer.locator("#hop-4").count() == 1
    assert explorer.locator("#hop-5").count() == 0
    assert "64: nobody routed it" in explorer.locator("table").inner_text()
    choose(explorer, "Mode:", "3 · Pod ↔ Service")
    expect(explorer, "Pod ↔ Service. A stable virtual address")
    assert "api-1" in explorer.locator("table").inner_text()
    choose(explorer, "Mode:", "1 · container ↔ container")
    expect(explorer, "one port space")


def test_ports(explorers):
    explorer = explorers["PortsExplorer"]
    expect(explorer, "log reaches container web at 127.0.0.1:8080.")
    choose(explorer, "log listens:", "on port 8080")
    expect(explorer, "EADDRINUSE")
    assert "CrashLoopBackOff" in explorer.inner_text()
    choose(explorer, "log listens:", "on nothing")
    choose(explorer, "Who calls:", "api-1, at web's 10.244.1.2")
    expect(explorer, "api-1 reaches container web at 10.244.1.2:8080.")
    choose(explorer, "web binds:", "127.0.0.1 alone")
    expect(explorer, "web listens on 127.0.0.1")
    choose(explorer, "web listens:", "on port 9090")
    choose(explorer, "Port:", "9090")
    choose(explorer, "Who calls:", "web, at localhost")
    expect(explorer, "web reaches container web at 127.0.0.1:9090.")


def test_pod_pair(page, explorers):
    explorer = explorers["PodPairExplorer"]
    expect(explorer, "No host routed it")
    choose(explorer, "To Pod:", "db")
    expect(explorer, "TTL 64 → 62: 2 hosts routed it.")
    options = [text.replace("\xa0", " ") for text in explorer.get_by_label("Port:").locator("option").all_inner_texts()]
    assert options == ["5432, where it listens", "9999, where nobody listens"]
    expect(explorer, "3 questions for a MAC address")
    choose(explorer, "Tables:", "warm: the two have talked before")
    expect(explorer, "all were known")
    choose(explorer, "Port:", "9999, where nobody listens")
    expect(explorer, "NO_SOCKET")
    choose(explorer, "Protocol:", "ping")
    expect(explorer, "ICMP echo request is delivered")
    choose(explorer, "Follow:", "the reply")
    expect(explorer, "ICMP echo reply is delivered")
    choose(explorer, "From Pod:", "api-2")
    expect(explorer, "No host routed it")
    for _ in range(50):  # the walk is drawn anew a moment after the sentence, and its slider with it
        explorer.locator("input[type=range]").focus()
        page.keyboard.press("End")
        if explorer.locator("output").inner_text() == "Step 5 of 5":
            break
        page.wait_for_timeout(100)
    assert explorer.locator("output").inner_text() == "Step 5 of 5"
    assert explorer.locator(".k8s-walk h4").inner_text() == "eth0 of api-2"


def test_tunnel(page, explorers):
    explorer = explorers["TunnelExplorer"]
    expect(explorer, "The tunnel adds 50 bytes")
    assert "IP packet 1500 bytes" in explorer.locator("svg").text_content()
    explorer.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowUp")
    expect(explorer, "EMSGSIZE, because 1451 bytes are more than the MTU 1450")
    choose(explorer, "MTU:", "wrong: Pods have the nodes' MTU")
    expect(explorer, "ICMP fragmentation needed (MTU 1450)")
    choose(explorer, "MTU:", "wrong: Pods and tunnel have the nodes' MTU")
    expect(explorer, "It is delivered in pieces: cut in node-a; 2 frames")
    choose(explorer, "MTU:", "wrong: the network between the nodes takes only 1400")
    expect(explorer, "EMSGSIZE")
    explorer.get_by_label("don't fragment").uncheck()
    expect(explorer, "A black hole")
    choose(explorer, "MTU:", "as the plug-in sets it")
    expect(explorer, "It is delivered in pieces")
    choose(explorer, "CNI:", "Calico, IPIP")
    expect(explorer, "The tunnel adds 20 bytes")
    choose(explorer, "To:", "report, behind the router")
    expect(explorer, "The tunnel adds 20 bytes")
    choose(explorer, "CNI:", "Flannel, host-gw")
    expect(explorer, "It is dropped in underlay: IP_INNOROUTES")


def test_ways(explorers):
    explorer = explorers["WaysExplorer"]
    expect(explorer, "All of them deliver. “Flannel, VXLAN”: 104 bytes on the wire, 50 of them added")
    assert explorer.locator("svg .node.pod").count() == 8
    choose(explorer, "To:", "report, behind the router")
    expect(explorer, "“Calico, BGP mesh, no tunnel”: dropped in underlay, IP_INNOROUTES")
    choose(explorer, "Way 3:", "Calico, BGP with the routers")
    expect(explorer, "All of them deliver.")
    choose(explorer, "IP:", "IPv6")
    expect(explorer, "Left out: “Amazon VPC CNI, secondary addresses”.")
    for number in (2, 3, 4):
        choose(explorer, f"Way {number}:", "none")
    expect(explorer, "It is delivered. “Flannel, VXLAN”: 144 bytes on the wire, 70 of them added.")
    assert "Calico" not in explorer.locator("table").inner_text()
    choose(explorer, "IP:", "IPv4")
    choose(explorer, "Way 1:", "Calico, IPIP")
    choose(explorer, "To:", "api-1, on the same node")
    expect(explorer, "routed, TTL 64 → 63.")


def test_addresses(page, explorers):
    explorer = explorers["AddressesExplorer"]
    expect(explorer, "109 of 150 Pods run. 41 wait: the subnet has no free address.")
    assert "✕ addresses left in the subnet" in explorer.locator("svg").text_content()
    choose(explorer, "Subnet:", "/24: 251 usable addresses")
    expect(explorer, "All 150 Pods run. The first limit beyond them: ENIs × addresses, 162 Pods.")
    explorer.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowDown")
    expect(explorer, "135 of 150 Pods run. 15 wait: the ENIs have addresses for 27 Pods a node, and the kubelet takes no more.")
    explorer.get_by_label("prefix delegation").check()
    expect(explorer, "All 150 Pods run. The first limit beyond them: free /28 × 16 in the subnet, 224 Pods.")
    choose(explorer, "Subnet:", "/26: 59 usable addresses")
    expect(explorer, "wait: the subnet has no free /28.")
    choose(explorer, "Instance:", "t2.medium: 3 ENIs × 6 addresses")
    expect(explorer, "t2.medium is no Nitro instance and takes no prefixes.")


def test_service(page, explorers):
    explorer = explorers["ServiceExplorer"]
    expect(explorer, "web calls api and reaches api-1 (chance 1/2) or api-2 (chance 1/2).")
    choose(explorer, "api-1 is:", "not ready")
    expect(explorer, "web calls api and reaches api-2.")
    assert "✕ not ready" in explorer.locator("svg").text_content()
    choose(explorer, "api-2 is:", "terminating, still serving")
    expect(explorer, "reaches api-2. No endpoint is ready; one that is terminating is used while it still serves.")
    assert "yes: no ready one is left" in explorer.inner_text()
    choose(explorer, "api-2 is:", "not ready")
    expect(explorer, "None of the Pods that it picks is ready.")
    explorer.get_by_label("publishNotReadyAddresses").check()
    expect(explorer, "reaches api-1 (chance 1/2) or api-2")
    choose(explorer, "Who calls:", "api-1")
    expect(explorer, "api-1 calls api and reaches itself (chance 1/2), which sees 10.244.1.1 as the sender, or api-2")
    explorer.get_by_label("selector:").fill("app=db")
    page.keyboard.press("Enter")
    expect(explorer, "The targetPort names a container port that the Pods do not have.")
    explorer.get_by_label("targetPort:").fill("postgres")
    page.keyboard.press("Tab")
    expect(explorer, "api-1 calls api and reaches db.")
    explorer.get_by_label("selector:").fill("app")
    page.keyboard.press("Enter")
    expect(explorer, "Not possible: a selector is label=value pairs")


def test_service_types(explorers):
    explorer = explorers["ServiceTypeExplorer"]
    expect(explorer, "The client outside calls node-a:31165: api-1 (chance 1/2) gets it and sees 10.244.1.1")
    assert explorer.locator("svg .edge.path").count() == explorer.locator("svg .edge.reply").count() == 4
    choose(explorer, "External policy:", "Local")
    expect(explorer, "api-1 gets it and sees 203.0.113.7.")
    choose(explorer, "By node:", "node-b")
    expect(explorer, "externalTrafficPolicy is Local, and node-b has no endpoint.")
    assert "✕ NETFILTER_DROP" in explorer.locator("svg").text_content()
    choose(explorer, "Type:", "ClusterIP")
    expect(explorer, "dropped in the router")
    options = explorer.get_by_label("Calls:", exact=True).locator("option").all_inner_texts()
    assert [text.replace("\xa0", " ") for text in options] == ["the ClusterIP"]
    assert explorer.get_by_label("By node:").is_disabled() and explorer.get_by_label("External policy:").is_disabled()
    choose(explorer, "Who calls:", "db, a Pod on node-b, where no api is")
    choose(explorer, "Distribution:", "PreferSameZone")
    expect(explorer, "db calls 10.96.20.80:80: api-1 gets it")
    choose(explorer, "Internal policy:", "Local")
    expect(explorer, "internalTrafficPolicy is Local")
    choose(explorer, "Internal policy:", "Cluster")
    choose(explorer, "Type:", "LoadBalancer")
    expect(explorer, "db calls 198.51.100.9:80: api-1")
    assert "Short-circuit" in explorer.inner_text()
    choose(explorer, "Type:", "LoadBalancer, and nobody assigns")
    expect(explorer, "EXTERNAL-IP is <pending>")
    choose(explorer, "Type:", "ExternalName")
    expect(explorer, "An ExternalName is a CNAME")


def test_rules(page, explorers):
    explorer = explorers["RulesExplorer"]

    def fill(label: str, text: str) -> None:
        explorer.get_by_label(label, exact=True).fill(text)

    expect(explorer, "goes to Service shop/api:80, by rule 2 of the table below: Prefix /api.")
    fill("Path:", "/api/health")
    expect(explorer, "goes to Service shop/web:80, by rule 1 of the table below: Exact /api/health.")
    fill("Path 1:", "api")
    expect(explorer, "The API server refuses this Ingress: ingress.yaml:10 spec.rules[0].http.paths[0].path")
    fill("Path 1:", "/api/health")
    choose(explorer, "Type 1:", "Exact")
    choose(explorer, "To 1:", "cart:80")
    expect(explorer, "503 Service Unavailable. There is no Service shop/cart.")  # of two equal rules, the first
    explorer.get_by_title("Remove rule 1").click()
    expect(explorer, "goes to Service shop/web:80, by rule 1")
    fill("Host:", "shop.example.com")
    expect(explorer, "goes to Service shop/api:80, by rule 3 of the table below: Prefix /.")
    explorer.get_by_label("Host 4:", exact=True).wait_for(state="hidden")
    explorer.get_by_role("button", name="Add a rule").click()
    explorer.get_by_label("Host 4:", exact=True).wait_for(state="visible")
    choose(explorer, "Class:", "egde (no such class)")
    expect(explorer, "No controller takes this Ingress")
    choose(explorer, "Class:", "edge")
    choose(explorer, "Request:", "https")
    expect(explorer, "GET https://shop.example.com/api/health goes to")
    choose(explorer, "TLS for:", "*.example.com")
    explorer.get_by_text("certificate of Secret shop/star-example-com").wait_for()
    assert page.mistakes == []


def test_journey(page, explorers):
    explorer = explorers["JourneyExplorer"]
    expect(explorer, "front-edge-1 sees 203.0.113.7, the client itself")
    choose(explorer, "External policy:", "Cluster")
    expect(explorer, "front-edge-1 sees 192.168.50.12, an address of node-b")
    choose(explorer, "Plug-in:", "Flannel, VXLAN")
    expect(explorer, "Two connections, two nodes, one tunnel")
    choose(explorer, "Way in:", "Ingress, by its controller")
    choose(explorer, "By node:", "node-a")
    expect(explorer, "two tunnels")
    choose(explorer, "Controller calls:", "the Service's ClusterIP")
    expect(explorer, "edge-1 calls the ClusterIP, 10.96.20.80")
    explorer.get_by_text("connection 2, edge-1 → api-1: addresses from machine to machine").click()
    assert "10.96.20.80:80" in explorer.locator("details[open]").last.inner_text()
    choose(explorer, "Request:", "https://www.example.com/nix")
    expect(explorer, "404 Not Found, from edge-1 itself")
    choose(explorer, "kube-proxy:", "nftables")
    choose(explorer, "Balancer:", "passes packets on to Pods")
    expect(explorer, "EXTERNAL-IP stays <pending>")
    choose(explorer, "Way in:", "NodePort of Service api")
    expect(explorer, "One connection, one node, no tunnel")
    choose(explorer, "Follow:", "connection 1, the answer")
    for _ in range(50):
        if explorer.locator("output").count() and explorer.locator("output").inner_text().startswith("Step 1 of"):
            break
        page.wait_for_timeout(100)
    assert explorer.locator(".k8s-walk h4").inner_text().endswith("of api-1")
    assert page.mistakes == []


def test_the_controls_are_reached_with_the_keyboard(page, explorers):
    explorer = explorers["PortsExplorer"]
    explorer.get_by_label("web listens:").focus()
    for label in ("web binds:", "log listens:", "Who calls:", "Port:"):
        page.keyboard.press("Tab")
        assert explorer.get_by_label(label).evaluate("control => control === document.activeElement"), label


def test_not_trusted_and_not_run_the_twins_are_shown(lab, page):
    lab.write("stored-explorers", *(f"{name}()" for name in EXPLORERS), run=True)
    lab.open(page, "stored-explorers")
    outputs = page.locator(".jp-OutputArea-output")
    outputs.nth(len(EXPLORERS) - 1).locator("img").wait_for()
    assert page.locator(".k8s-explorer").count() == 0
    for number in range(len(EXPLORERS)):
        twin = outputs.nth(number)
        assert twin.locator("img").first.get_attribute("alt")
        assert twin.locator("table").count() >= 1
        # text_content: the inner text of what is not on the screen is empty
        assert "Run this cell in JupyterLab to change the choices." in twin.text_content()
