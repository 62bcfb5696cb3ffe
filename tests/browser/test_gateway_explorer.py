"""Lesson 09's explorer, moved by hand in JupyterLab, and its twin where nothing is trusted."""

from __future__ import annotations

import pytest

from tests.browser.test_explorers import choose, expect

CELL = "from k8snetlib.widgets import GatewayExplorer\nGatewayExplorer()"


@pytest.fixture(scope="module")
def explorer(lab, page):
    lab.write("gateway", CELL)
    lab.open(page, "gateway")
    lab.run_all(page, "gateway")
    root = page.locator(".k8s-explorer").first
    root.locator(".summary").wait_for()
    return root


def test_roles_attachment_grants_and_shares(page, explorer):
    expect(explorer, "GET http://www.example.com/api: 9/10 to api, 1/10 to api-v2.")
    assert explorer.get_by_role("checkbox").is_disabled()
    choose(explorer, "Role:", "cluster operator")
    expect(explorer, "9/10 to api")
    assert "allowedRoutes" in explorer.locator("pre").inner_text()
    choose(explorer, "Route lies in:", "pay")
    expect(explorer, "404 Not Found. The listener takes no route of pay")
    assert "✕ NotAllowedByListeners" in explorer.locator("svg").first.text_content()
    choose(explorer, "allowedRoutes:", "All namespaces")
    expect(explorer, "500 Internal Server Error. The route lies in pay")
    choose(explorer, "Role:", "application developer")
    explorer.get_by_role("checkbox").check()
    expect(explorer, "9/10 to api, 1/10 to api-v2.")
    assert "kind: ReferenceGrant" in explorer.locator("pre").inner_text()
    handle = explorer.locator(".noUi-handle")
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    expect(explorer, "3/4 to api, 1/4 to api-v2.")
    choose(explorer, "Header:", "X-Canary: yes")
    expect(explorer, "GET http://www.example.com/api: to api-v2.")
    choose(explorer, "Method:", "POST")
    expect(explorer, "POST http://www.example.com/api: to api.")
    choose(explorer, "Request for:", "a.b.example.com/api")
    expect(explorer, "The route is attached, and is not for this host.")
    choose(explorer, "Route is for:", "*.example.com")
    expect(explorer, "POST http://a.b.example.com/api: to api.")
    assert explorer.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    assert page.mistakes == []


def test_not_trusted_and_not_run_the_twin_is_shown(lab, page):
    lab.write("stored-gateway", CELL, run=True)
    lab.open(page, "stored-gateway")
    twin = page.locator(".jp-OutputArea-output").last
    twin.locator("img").first.wait_for()
    assert page.locator(".k8s-explorer").count() == 0
    assert twin.locator("img").count() == 2 and twin.locator("table").count() == 2
    assert "9/10 to api, 1/10 to api-v2" in twin.text_content()
