"""README's promises: its examples, run where it says, print what it shows; its links, options and lists are what there is."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile
from pathlib import Path

import pytest

from k8snetlib.cli import _parser, main
from k8snetlib.course import files
from k8snetlib.kube.cast import SHOP

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
EXAMPLES = [body.removeprefix("$ k8snet ").split("\n", 1) for _, body in BLOCKS if body.startswith("$ k8snet ")]
PYTHON = [body for language, body in BLOCKS if language == "python"]
MISTAKES = [body for _, body in BLOCKS if body.startswith("k8snet: ")]
GAP = "…"  # a line of an example that stands for any number of lines


def assert_shows(shown: str, printed: str) -> None:
    """Each part of an example between two gaps is found as it is, in order, and from the very start and to the very end where it has no gap."""
    lines, place = printed.splitlines(), 0
    for part in shown.strip("\n").split(f"\n{GAP}"):
        wanted = list(dropwhile(lambda line: line in ("", GAP), part.split("\n")))
        free = part.startswith(GAP) or place > 0
        places = [at for at in range(place, len(lines)) if lines[at : at + len(wanted)] == wanted and (free or at == 0)]
        assert places, "\n".join(["README shows", *wanted, "which is not in", *lines[place:]])
        place = places[0] + len(wanted)
    assert shown.rstrip().endswith(GAP) or place == len(lines)


@pytest.mark.parametrize(("words", "shown"), EXAMPLES, ids=[words for words, _ in EXAMPLES])
def test_an_example_prints_what_is_shown(words: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(SHOP.parent)
    assert main(["trace", "--color", "never", *shlex.split(words.removeprefix("trace "))]) == 0
    assert_shows(shown, capsys.readouterr().out)


def test_an_example_that_shows_something_else_is_noticed() -> None:
    assert_shows("…\nb\nc\n…\ne\n", "a\nb\nc\nd\ne\n")
    for wrong in ("b\n…\ne\n", "…\nb\nd\n…\ne", "…\nc\n…\nb\n…", "…\nd\n"):
        with pytest.raises(AssertionError):
            assert_shows(wrong, "a\nb\nc\nd\ne\n")


def test_a_mistake_is_told_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (shown,) = MISTAKES
    (tmp_path / SHOP.name).write_text(SHOP.read_text(encoding="utf-8").replace("ports:", "prots:", 1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["trace", SHOP.name, "--from", "pod/web", "--to", "svc/api:80"]) == 2
    assert capsys.readouterr().err == shown


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (example,) = PYTHON
    monkeypatch.chdir(SHOP.parent)
    exec(compile(example, "README.md", "exec"), {})
    assert "delivered to" in capsys.readouterr().out


def test_every_option_is_one() -> None:
    commands = _parser()._subparsers._group_actions[0].choices
    known = {option for command in commands.values() for option in command._option_string_actions}
    elsewhere = {"--force", "--student"}  # nbgrader's
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", README)) <= known | elsewhere
    assert set(re.findall(r"k8snet ([a-z]+)\b", README)) - {"stands"} <= set(commands)


def test_every_link_leads_somewhere_and_every_notebook_is_linked() -> None:
    links = {link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link}
    assert not [link for link in links if not (ROOT / link).exists()]
    notebooks = {path.relative_to(ROOT).as_posix() for path in files.lessons(ROOT) + files.exercises(ROOT)}
    assert notebooks == {link for link in links if link.endswith(".ipynb")}
