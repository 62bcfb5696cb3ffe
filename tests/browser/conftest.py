"""JupyterLab in a headless Chromium: one server for the run, one page for a module. Both stay on loopback and end with the tests."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

import k8snetlib
from k8snetlib.course.execute import execute

ROOT = Path(k8snetlib.__file__).parents[1]
START, WAIT = 60, 30_000  # seconds for the server, milliseconds for anything in the page
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MISSING = "BROWSER TESTS NOT RUN: {what}"
EXPLORERS = ("MapExplorer", "PortsExplorer", "PodPairExplorer", "TunnelExplorer", "WaysExplorer", "AddressesExplorer", "ServiceExplorer",
             "ServiceTypeExplorer", "RulesExplorer", "JourneyExplorer")  # fmt: skip
IMPORTS = f"from k8snetlib import shop\nfrom k8snetlib.widgets import PacketWalk, {', '.join(EXPLORERS)}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """A headless Chromium of the system's, driven by playwright."""
    missing = MISSING.format(what="playwright is missing (install the [browser] extra)")
    playwright = pytest.importorskip("playwright.sync_api", reason=missing)
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(MISSING.format(what=f"none of {', '.join(BROWSERS)} is on this machine"))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Lab:
    """A running JupyterLab whose notebooks are in ``folder``."""

    def __init__(self, folder: Path, port: int, token: str, environment: dict[str, str]) -> None:
        self.folder, self.url, self.token, self.environment = folder, f"http://127.0.0.1:{port}", token, environment

    def write(self, name: str, *cells: str, run: bool = False) -> None:
        """Store a notebook of these code cells, after the imports; with ``run``, with its outputs, but not signed: not trusted."""
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (IMPORTS, *cells)])
        nb.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        nbformat.write(execute(nb, self.folder, name=name) if run else nb, self.folder / f"{name}.ipynb")

    def get(self, what: str) -> Any:
        """What the server's API answers."""
        with urlopen(Request(f"{self.url}/api/{what}", headers={"Authorization": f"token {self.token}"}), timeout=2) as answer:
            return json.load(answer)

    def trust(self, name: str) -> None:
        """Sign a stored notebook, as `jupyter trust` does."""
        command = [sys.executable, "-m", "jupyter", "trust", str(self.folder / f"{name}.ipynb")]
        subprocess.run(command, env=self.environment, check=True, capture_output=True, timeout=START)

    def open(self, page, name: str) -> None:
        """Show a notebook, the side bar folded away."""
        page.goto(f"{self.url}/lab/tree/{name}.ipynb?reset&token={self.token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.keyboard.press("Control+b")

    def run_all(self, page, name: str) -> None:
        """Run a notebook that is open, once its kernel is there: JupyterLab asks which kernel to take where it is not yet."""
        end = time.monotonic() + START
        while not any(one["path"] == f"{name}.ipynb" and one["kernel"]["execution_state"] == "idle" for one in self.get("sessions")):
            if time.monotonic() > end:
                pytest.fail(f"the kernel of {name} did not start")
            page.wait_for_timeout(100)
        page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with settings, data and notebooks of its own."""
    base = tmp_path_factory.mktemp("lab")
    folder = base / "notebooks"
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(8)
    places = {f"JUPYTER_{kind}_DIR": str(base / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{kind}_DIR": str(base / kind.lower()) for kind in ("SETTINGS", "WORKSPACES")}
    environment = os.environ | places | {"IPYTHONDIR": str(base / "ipython"), "PYTHONPATH": str(ROOT)}
    options = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
               f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}", "--LabApp.news_url=",
               "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]  # fmt: skip
    with (base / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log)
        try:
            started = Lab(folder, port, token, environment)
            _wait(server, started, base / "log")
            yield started
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(server: subprocess.Popen, lab: Lab, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        try:
            lab.get("status")
            return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(chromium, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A window of 1280 × 800; errors of the page's scripts are in ``page.mistakes``. A module that fails leaves a picture of it."""
    failed = request.session.testsfailed
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    made = context.new_page()
    made.set_default_timeout(WAIT)
    made.mistakes = []
    made.on("pageerror", lambda error: made.mistakes.append(str(error)))
    yield made
    if request.session.testsfailed > failed:
        picture = tmp_path_factory.mktemp("failed") / f"{request.module.__name__}.png"
        made.screenshot(path=picture)
        print(f"\nthe page as it was: {picture}\n{made.mistakes}")
    context.close()
