"""The stored form of a notebook: chance goes, meaning stays, and doing it twice changes nothing."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4

from k8snetlib.course import normal
from k8snetlib.errors import K8sNetError

A, B, C, D, E, F = (letter * 32 for letter in "abcdef")


def model(name="XModel", **state):
    return {"model_module": "m", "model_module_version": "1", "model_name": name, "state": state}


def shown(*ids):
    """A notebook in which these widgets are displayed, one a cell."""
    cells = []
    for number, model_id in enumerate(ids):
        data = {normal.VIEW: {"model_id": model_id, "version_major": 2, "version_minor": 0}, "text/plain": "w", "text/html": "twin"}
        cells.append(v4.new_code_cell("w", id=f"c{number}", execution_count=1, outputs=[v4.new_output("display_data", data)]))
    return v4.new_notebook(cells=cells)


def with_state(nb, models):
    nb.metadata["widgets"] = {normal.STATE: {"state": models, "version_major": 2, "version_minor": 0}}
    return nb


def state(nb):
    return nb.metadata.widgets[normal.STATE]["state"]


def number(value: int) -> str:
    return f"{value:032x}"


def test_widgets_are_numbered_as_they_appear_and_the_unreachable_dropped():
    nb = with_state(
        shown(B, A),
        {A: model(layout=f"IPY_MODEL_{C}"), B: model(children=[f"IPY_MODEL_{A}", f"IPY_MODEL_{D}"]), C: model(), D: model(), E: model()},
    )
    out = normal.normalise(nb)
    assert set(state(out)) == {number(n) for n in range(1, 5)}
    assert state(out)[number(1)]["state"] == {"children": [f"IPY_MODEL_{number(2)}", f"IPY_MODEL_{number(4)}"]}
    assert state(out)[number(2)]["state"] == {"layout": f"IPY_MODEL_{number(3)}"}
    assert [cell.outputs[0].data[normal.VIEW]["model_id"] for cell in out.cells] == [number(1), number(2)]


def test_a_link_is_kept_where_both_ends_are():
    models = {
        A: model(),
        B: model(),
        C: model("LinkModel", source=[f"IPY_MODEL_{A}", "value"], target=[f"IPY_MODEL_{B}", "value"]),
        D: model("LinkModel", source=[f"IPY_MODEL_{A}", "value"], target=[f"IPY_MODEL_{E}", "value"]),
        E: model(),
    }
    kept = state(normal.normalise(with_state(shown(A, B), models)))
    assert [kept[number(n)]["model_name"] for n in (1, 2, 3)] == ["XModel", "XModel", "LinkModel"] and len(kept) == 3


def test_two_executions_with_other_ids_are_the_same_bytes():
    first = with_state(shown(B), {B: model(children=[f"IPY_MODEL_{A}"]), A: model(v=1), C: model()})
    again = with_state(shown(E), {D: model(), F: model(v=1), E: model(children=[f"IPY_MODEL_{F}"])})
    assert normal.write(normal.normalise(first)) == normal.write(normal.normalise(again))


def test_a_notebook_without_shown_widgets_has_no_widget_state():
    assert "widgets" not in normal.normalise(with_state(v4.new_notebook(), {A: model()})).metadata


def test_without_widgets_the_static_twin_stays():
    out = normal.normalise(with_state(shown(A), {A: model()}), widgets=False)
    assert set(out.cells[0].outputs[0].data) == {"text/plain", "text/html"} and "widgets" not in out.metadata


def test_checksums_that_look_like_ids_are_left_alone():
    nb = with_state(shown(A), {A: model(text=f"md5 {B}")})
    assert state(normal.normalise(nb))[number(1)]["state"]["text"] == f"md5 {B}"


def test_pieces_of_a_stream_are_joined_and_others_kept_apart():
    pieces = [("stdout", "a"), ("stdout", "b\n"), ("stderr", "c"), ("stdout", "d")]
    cell = v4.new_code_cell("x", id="x", outputs=[v4.new_output("stream", name=name, text=text) for name, text in pieces])
    out = normal.normalise(v4.new_notebook(cells=[cell])).cells[0].outputs
    assert [(o.name, o.text) for o in out] == [("stdout", "ab\n"), ("stderr", "c"), ("stdout", "d")]


def test_what_editors_and_executions_remember_goes_and_what_is_meant_stays():
    meant = {"tags": ["raises-exception"], "jupyter": {"source_hidden": True}, "nbgrader": {"grade_id": "x"}}
    cell = v4.new_code_cell("x", id="x", metadata={"execution": {"iopub.execute_input": "2026"}, "collapsed": True, "vscode": {}} | meant)
    nb = v4.new_notebook(
        cells=[cell],
        metadata={
            "language_info": {"name": "python", "version": "3.13.1"},
            "celltoolbar": "x",
            "kernelspec": {"name": "my-env", "display_name": "mine"},
        },
    )
    out = normal.normalise(nb)
    assert out.cells[0].metadata == meant
    assert out.metadata == {"kernelspec": normal.KERNELSPEC, "language_info": {"name": "python"}}


def test_ids_stay_and_missing_or_doubled_ones_depend_on_the_text_alone():
    def doubled():
        nb = v4.new_notebook(cells=[v4.new_markdown_cell(source) for source in ("one", "two", "three", "three")])
        nb.cells[0].id = nb.cells[1].id = "keep"
        del nb.cells[2]["id"], nb.cells[3]["id"]
        return nb

    first, again = normal.normalise(doubled()), normal.normalise(doubled())
    ids = [cell.id for cell in first.cells]
    assert ids[0] == "keep" and len(set(ids)) == 4 and ids == [cell.id for cell in again.cells]


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)


streams = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), texts), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["markdown", "code"]), texts, streams), max_size=4))
def test_twice_is_once(cells):
    nb = v4.new_notebook(
        cells=[
            v4.new_markdown_cell(source)
            if kind == "markdown"
            else v4.new_code_cell(source, outputs=[v4.new_output("stream", name=name, text=text) for name, text in outputs])
            for kind, source, outputs in cells
        ]
    )
    once = normal.normalise(nb)
    assert normal.write(normal.normalise(once)) == normal.write(once)
    assert [cell.source for cell in once.cells] == [source for _, source, _ in cells]


def test_the_file_form_is_sorted_indented_by_one_and_ends_in_a_newline(tmp_path):
    nb = normal.normalise(v4.new_notebook(cells=[v4.new_markdown_cell("ö\nb", id="x")]))
    text = normal.write(nb)
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n" and '"ö\\n",' in text
    (tmp_path / "a.ipynb").write_text(text, encoding="utf-8")
    assert normal.write(normal.read(tmp_path / "a.ipynb")) == text


@pytest.mark.parametrize("content", ["", "{", "[]", '{"nbformat": 3, "worksheets": []}', '"x"', '{"cells": 3}'])
def test_a_file_that_is_no_notebook_is_one_clear_message(tmp_path, content):
    (tmp_path / "a.ipynb").write_text(content, encoding="utf-8")
    with pytest.raises(K8sNetError, match=rf"{re.escape(str(tmp_path))}.a.ipynb: not a "):
        normal.read(tmp_path / "a.ipynb")


def test_an_invalid_notebook_is_named():
    nb = v4.new_notebook(cells=[v4.new_markdown_cell("x")])
    nb.cells[0].id = "not a valid id!"
    with pytest.raises(K8sNetError, match=r"course/02\.ipynb: not a valid notebook"):
        normal.normalise(nb, name="course/02.ipynb")
