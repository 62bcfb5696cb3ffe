"""libyaml's complaints, each at the line that is to blame, with a word on the usual causes."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ManifestError
from .schema_yaml import MAX_DEPTH, TEMPLATE


def mended(error: Any, text: str) -> str | None:
    r"""The text without what kubectl's reader takes and libyaml does not, which is ``\\'`` between double quotes; None for other errors."""
    import yaml

    from .schema_yaml import _parser

    before = text
    while error is not None:
        mark = getattr(error, "problem_mark", None)
        at = text.rfind("\\", 0, mark.index + 1) if mark and "unknown escape character" in (error.problem or "") else -1
        if not text.startswith("\\'", at):
            break
        end = _END.match(text, at).end()  # type: ignore[union-attr]
        text = text[:at] + re.sub(r"(?s)\\(.)", lambda found: "'" if found[1] == "'" else found[0], text[at:end]) + text[end:]
        parser, error = _parser(text), None
        try:
            while parser.get_event() is not None:
                pass
        except yaml.YAMLError as other:
            error = other if "unknown escape character" in (getattr(other, "problem", "") or "") else None
    return text if text != before else None


_END = re.compile(r'(?s)(?:\\.|[^"\\])*')


def yaml_error(error: Any, text: str, file: str) -> ManifestError:
    """libyaml's complaint at its line, with a word on the usual causes."""
    problem = getattr(error, "problem", None) or str(error)
    marks = [getattr(error, name, None) for name in ("problem_mark", "context_mark")]
    early = "expected ':'" in problem or "end of stream" in problem  # a colon or a quote that lacks is missed on a later line
    mark = (marks[1] if early else None) or marks[0] or marks[1]
    lines = text.rstrip("\n").split("\n")
    number = min(mark.line + 1 if mark else 1, len(lines))  # libyaml puts what is missing at the end one line below it
    line = lines[number - 1]
    if "maximum nesting" in problem:  # PyYAML 6.0.4 has a limit of its own, which text can reach before it reaches ours
        return ManifestError(f"nested more than {MAX_DEPTH} levels deep", file=file, line=number)
    message = f"not valid YAML: {problem}"
    if "\t" in line[: len(line) - len(line.lstrip())]:
        message += "; the line is indented with a tab, and YAML wants spaces"
    elif line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
        message += "; a merge conflict has been left here"
    elif "{{" in line:
        message += TEMPLATE
    elif "<document start>" in problem:
        message += '; the document above ends here: it is indented further than this line, or a "---" line is missing'
    else:
        message += _cause(problem, line, [each for each in lines[: number - 1] if each.strip() and each.strip()[0] != "#"])
    return ManifestError(message, file=file, line=number)


def _cause(problem: str, line: str, above: list[str]) -> str:
    """What most often stands behind one of libyaml's complaints, if the lines look like it; ``above`` are those with something in them."""
    indents = [len(each) - len(each.lstrip(" ")) for each in (*above, line)]
    if "mapping values" in problem:
        if re.search(r": \S.*:( |$)", line):
            return '; a value with ": " in it needs quotes'
        if above and not re.search(":( |$)", above[-1]):
            return '; the line above is no "key: value"'
        return "; it is indented further than the line above, which has a value of its own" if above and indents[-1] > indents[-2] else ""
    if "expected key" in problem or "'-' indicator" in problem:
        return "" if indents[-1] in indents[:-1] else "; no line above has the same indentation"
    return "; the quote that begins on this line has no end" if "end of stream" in problem and re.search("[\"']", line) else ""
