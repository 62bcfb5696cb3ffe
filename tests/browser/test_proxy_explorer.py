"""Lesson 06's explorer, moved by hand in JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.test_explorers import choose, expect


@pytest.fixture(scope="module")
def explorer(lab, page):
    lab.write("proxy", "from k8snetlib.widgets import ProxyExplorer\nProxyExplorer()")
    lab.open(page, "proxy")
    lab.run_all(page, "proxy")
    root = page.locator(".k8s-explorer").first
    root.locator(".summary").wait_for()
    return root


def slide(explorer, label: str, key: str, times: int = 1) -> None:
    handle = explorer.locator(f".widget-inline-hbox:has(.widget-label:text-is('{label}')) .noUi-handle")
    handle.focus()
    for _ in range(times):
        handle.press(key)


def test_modes_services_endpoints_and_connections(page, explorer):
    expect(explorer, "chosen by chance, ≈ 1/3. 123 rules")
    assert "0.33333333349" in explorer.locator("table").inner_text()
    choose(explorer, "Mode:", "nftables (stable since 1.33)")
    expect(explorer, "chosen by chance, 1/3. 14 rules")
    assert "numgen random mod 3" in explorer.locator("pre").inner_text()
    choose(explorer, "Mode:", "IPVS (deprecated in 1.35)")
    expect(explorer, "its turn, by the scheduler rr. 19 rules")
    choose(explorer, "Mode:", "iptables (default)")
    slide(explorer, "Services:", "ArrowRight", 4)
    expect(explorer, "10,02")
    slide(explorer, "Endpoints:", "ArrowRight")
    expect(explorer, "≈ 1/4" if "≈ 1/4" in explorer.locator(".summary").inner_text() else "1/4")
    assert explorer.locator("svg rect.bar").count() == 4
    slide(explorer, "Connection:", "ArrowRight")
    expect(explorer, "Connection 2 goes to")
    assert explorer.locator("svg path.curve").count() == 3
    assert explorer.evaluate("root => root.scrollWidth - root.clientWidth") <= 0
    assert page.mistakes == []
