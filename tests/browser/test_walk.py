"""The packet walk, stepped by every means that it has, in JupyterLab."""

from __future__ import annotations

import re

import pytest

TRACE = 'PacketWalk(shop().trace("pod/web", "pod/api-2:8080"), caption="From web to api-2")'


@pytest.fixture(scope="module")
def walk(lab, page):
    """The walk of the course's first trace across nodes, live; ``walk.sent`` counts what the page sends to the server."""
    sent: list = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    lab.write("walk", TRACE)
    lab.open(page, "walk")
    lab.run_all(page, "walk")
    root = page.locator(".k8s-walk")
    root.wait_for()
    root.sent, root.buttons = sent, root.locator(".bar button").all_inner_texts()
    return root


@pytest.fixture(autouse=True)
def first_step(request) -> None:
    if "walk" in request.fixturenames:
        root = request.getfixturevalue("walk")
        root.locator("button").first.click()
        assert place(root) == "Step 1 of 13"


def place(walk) -> str:
    return walk.locator("output").inner_text()


def layers(walk) -> list[str]:
    return walk.locator(".head .top > b").all_inner_texts()


def press(page, walk, *keys: str) -> None:
    walk.locator("input[type=range]").focus()
    for key in keys:
        page.keyboard.press(key)


def test_live_the_widget_is_shown_and_its_twin_is_not(page, walk):
    assert page.locator(".jp-OutputArea-output").count() == 1
    assert page.locator(".jp-OutputArea-output img").count() == 0
    assert walk.locator(".caption").inner_text() == "From web to api-2"


def test_arrow_keys_home_and_end(page, walk):
    press(page, walk, *["ArrowRight"] * 5)
    assert place(walk) == "Step 6 of 13"
    assert walk.locator("h4").inner_text() == "eth0 of node-a"
    assert layers(walk) == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP"]
    press(page, walk, "ArrowLeft")
    assert place(walk) == "Step 5 of 13"
    assert layers(walk) == ["IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "TCP"]
    press(page, walk, "End")
    assert place(walk) == "Step 13 of 13"
    assert "✓ delivered to tcp LISTEN *:8080" in walk.locator(".said").inner_text()
    press(page, walk, "ArrowRight")
    assert place(walk) == "Step 13 of 13"
    press(page, walk, "Home")
    assert place(walk) == "Step 1 of 13"
    assert page.mistakes == []


def test_arrow_keys_belong_to_the_walk_and_not_to_the_notebook(page, walk):
    before = page.locator(".jp-Cell.jp-mod-active").get_attribute("class")
    walk.locator(".stage").click(position={"x": 3, "y": 3})
    page.keyboard.press("ArrowRight")
    assert place(walk) == "Step 2 of 13"
    assert page.locator(".jp-Cell.jp-mod-active").get_attribute("class") == before


def test_buttons(walk):
    assert walk.buttons == ["«", "‹", "▶ Play", "›", "»"]  # as they were before the first click
    first, back, _, forward, last = (walk.locator(".bar button").nth(n) for n in range(5))
    forward.click()
    forward.click()
    assert place(walk) == "Step 3 of 13"
    back.click()
    assert place(walk) == "Step 2 of 13"
    last.click()
    assert place(walk) == "Step 13 of 13"
    first.click()
    assert place(walk) == "Step 1 of 13"
    assert [b.get_attribute("aria-label") for b in walk.locator(".bar button").all()] == [
        "First step", "Previous step", "Play", "Next step", "Last step"]  # fmt: skip


def test_slider(walk):
    slider = walk.locator("input[type=range]")
    slider.fill("9")
    assert place(walk) == "Step 9 of 13"
    assert slider.get_attribute("aria-valuetext") == "Step 9 of 13, flannel.1 of node-b"


def test_play_goes_on_by_itself_until_pause(page, walk):
    play = walk.locator(".bar button").nth(2)
    play.click()
    assert play.get_attribute("aria-label") == "Pause"
    page.wait_for_function("() => document.querySelector('.k8s-walk output').textContent === 'Step 3 of 13'")
    play.click()
    assert play.get_attribute("aria-label") == "Play"
    assert place(walk) == "Step 3 of 13"


def test_the_drawing_follows(page, walk):
    press(page, walk, *["ArrowRight"] * 4)
    state = walk.evaluate("root => Object.fromEntries([...root.querySelectorAll('.edge.path')].map(e => [e.id, e.getAttribute('class')]))")
    assert "here" in state["hop-4"]
    assert "ahead" not in state["hop-1"]
    assert "ahead" in state["hop-5"]
    assert "now" in walk.locator("#place-node-a-flannel-1").get_attribute("class")
    assert walk.locator(".node.now").count() == 1


def test_a_click_on_a_place_goes_there(walk):
    walk.locator("#place-node-b-cni0").click()
    assert walk.locator("h4").inner_text() == "cni0 of node-b"


def test_changes_are_marked_by_words(page, walk):
    press(page, walk, *["ArrowRight"] * 3)
    assert walk.locator(".gone").inner_text() == "− taken off: Ethernet"
    assert re.search(r"TTL 63 was 64", walk.locator(".head.changed .fields").first.inner_text())
    press(page, walk, "ArrowRight")
    assert walk.locator(".head.new > .top .sign").all_inner_texts() == ["+ new"] * 4


def test_what_decided_stands_beside_its_command(page, walk):
    press(page, walk, *["ArrowRight"] * 4)
    assert walk.locator(".decided dt").all_inner_texts() == ["$ bridge -n node-a fdb"]
    assert "dst 192.168.50.12" in walk.locator(".decided dd").inner_text()


def test_the_question_to_a_neighbour_unfolds(walk):
    folded = walk.locator("details").first
    assert folded.get_attribute("open") is None
    folded.locator("summary").click()
    assert "10.244.1.1 is 0a:58:0a:f4:01:01" in folded.inner_text()


def test_a_screen_reader_hears_the_step(page, walk):
    press(page, walk, "ArrowRight")
    live = walk.locator("[aria-live=polite]")
    assert live.inner_text() == "Step 2 of 13, veth-web of node-a, 54 bytes. arrives at veth-web"
    assert walk.locator("svg").get_attribute("aria-label").startswith("The packet from web to api-2 is delivered in 12 steps")


def test_focus_is_visible(page, walk):
    press(page, walk, "ArrowRight")
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_reduced_motion_moves_nothing(page, walk):
    page.emulate_media(reduced_motion="reduce")
    press(page, walk, "ArrowRight")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    here = walk.evaluate("""root => { const box = root.querySelector('.node.now').getBBox(), dot = root.querySelector('.packet');
        return Math.abs(box.x + box.width - 3 - dot.cx.baseVal.value) + Math.abs(box.y + 3 - dot.cy.baseVal.value) }""")
    page.emulate_media(reduced_motion="no-preference")
    assert here < 0.01


def test_nothing_is_asked_of_the_kernel(page, walk):
    page.wait_for_timeout(500)  # what the execution itself still sends
    before = len(walk.sent)
    press(page, walk, "End", *["ArrowLeft"] * 6, "Home")
    walk.locator(".bar button").nth(3).click()
    assert len(walk.sent) == before


def test_it_fits_the_column(page, walk):
    for number in range(1, 14):
        walk.locator("input[type=range]").fill(str(number))
        wide = walk.evaluate("root => root.scrollWidth - root.clientWidth")
        assert wide <= 0, f"step {number} is {wide} px too wide"
    assert walk.evaluate("root => root.clientWidth") <= 900


def test_not_trusted_and_not_run_the_twin_is_shown(lab, page):
    lab.write("stored", TRACE, run=True)
    lab.open(page, "stored")
    output = page.locator(".jp-OutputArea-output")
    image = output.locator("img").first
    image.wait_for()
    assert page.locator(".k8s-walk").count() == 0
    assert image.get_attribute("alt").startswith("The packet from web to api-2 is delivered")
    assert image.evaluate("image => image.naturalWidth") > 300
    assert output.locator("tbody tr").count() == 13
    assert "flannel.1 wraps the frame in UDP for 192.168.50.12" in output.inner_text()
    assert output.count() == 1


def test_trusted_and_not_run_the_stored_widget_steps_without_a_kernel(lab, page):
    lab.write("trusted", TRACE, run=True)
    lab.trust("trusted")
    lab.open(page, "trusted")
    restored = page.locator(".k8s-walk")
    restored.wait_for()
    press(page, restored, "ArrowRight", "ArrowRight")
    assert place(restored) == "Step 3 of 13"
    assert page.locator(".jp-OutputArea-output img").count() == 0
