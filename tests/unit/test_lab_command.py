"""``k8snet lab``: the course opens at its first lesson, a signal ends it, and what a learner did is never lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from k8snetlib.cli import main
from k8snetlib.course import files

WAIT = 60  # seconds, for a server that takes three
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/lab/tree/(\S+)\?token=(\w+)")


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has never started Jupyter."""
    folders = {name: str(tmp_path / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    return {**os.environ, **folders, "PYTHONUNBUFFERED": "1"}


def status(url: str) -> int:
    """What the server answers, which says where it is a moment before it listens."""
    end = time.monotonic() + WAIT
    while True:
        try:
            with urllib.request.urlopen(url, timeout=WAIT) as answer:
                return answer.status
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a program otherwise")
def test_the_course_opens_at_its_first_lesson_and_a_signal_ends_it(home: dict[str, str], tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "exercises" / "01-a").mkdir(parents=True)
    (mine / "exercises" / "01-a" / "01-a.ipynb").write_text("{ half of a notebook")
    words = [sys.executable, "-m", "k8snetlib.cli", "lab", "--no-browser", "--folder", str(mine)]
    server = subprocess.Popen(words, env=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killer = threading.Timer(WAIT, server.kill)
    killer.start()
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            pytest.fail("".join(said))
        base, first, token = found.groups()
        assert first == "course/00-the-map.ipynb" and f"copy of the course, with your work in it: {mine}\n" in said[0]
        assert status(f"{base}/api/contents/{first}?token={token}&content=0") == 200
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=WAIT)
        with pytest.raises(urllib.error.URLError, match="refused"):  # the server itself is gone, not just who started it
            urllib.request.urlopen(base, timeout=5)
    finally:
        killer.cancel()
        server.kill()
    assert (mine / "exercises" / "01-a" / "01-a.ipynb").read_text() == "{ half of a notebook"
    assert len(files.lessons(mine)) == len(files.lessons(files.root())) and not (mine / "solutions").exists()


def test_only_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert main(["lab", "--copy"]) == 0
    assert capsys.readouterr().out == f"your copy of the course: {tmp_path.resolve() / 'k8snet-course'}\n"
    (exercise, *_) = mine = files.exercises(tmp_path / "k8snet-course")
    assert len(mine) == len(files.exercises(files.root()))
    exercise.write_text("my work")
    mine[1].unlink()
    assert main(["lab", "--copy"]) == 0
    added = f"new since your last visit: {mine[1].relative_to(tmp_path / 'k8snet-course').as_posix()}\n"
    assert exercise.read_text() == "my work" and capsys.readouterr().out.endswith(added)


def test_a_missing_jupyterlab_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    from k8snetlib.commands import lab

    monkeypatch.setattr(lab.util, "find_spec", lambda name: None)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    assert main(["lab", "--folder", str(tmp_path / "mine")]) == 2
    assert capsys.readouterr().err == f"k8snet: JupyterLab is not installed: {sys.executable} -m pip install jupyterlab\n"


def test_what_is_not_the_courses_own_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbformat import read, write
    from nbformat.sign import NotebookNotary

    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    mine = tmp_path / "mine"
    assert main(["lab", "--copy", "--folder", str(mine)]) == 0
    first, second, *_ = files.lessons(mine)
    other = read(second, as_version=4)
    other.cells[0].source += " changed by somebody"
    write(other, second)
    write(other, second.with_name("99-from-elsewhere.ipynb"))
    (tmp_path / "data" / "nbsignatures.db").unlink()
    assert main(["lab", "--copy", "--folder", str(mine)]) == 0
    notary = NotebookNotary()
    assert notary.check_signature(read(first, as_version=4)) and not notary.check_signature(read(second, as_version=4))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder here in which not even root may write")
def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "k8snetlib.cli", "lab", "--copy", "--folder", str(tmp_path / "mine")]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("JUPYTER_", "XDG_"))} | {"HOME": "/proc/nowhere"}
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and (tmp_path / "mine" / "course").is_dir()
    assert "not marked as trusted" in found.stderr and found.stderr.count("\n") == 1
