"""The exceptions of the library: each is a *mistake with a place*, never a packet's fate.

    Exception
    └── K8sNetError
        ├── ManifestError      a manifest says something wrong; knows file, line and field path
        ├── ModelError         a call or an op asks for something impossible (no such namespace, address taken)
        │   └── LabError       the lab could not do in the kernel what it was asked
        └── UnsupportedError   a network feature that exists but that this model does not honour

A packet that is dropped is a *result* (a ``Dropped`` event with Linux's reason), not an exception.
"""

from __future__ import annotations


class K8sNetError(Exception):
    """Root of every error that the library raises on purpose; ``str(error)`` is one clear message."""


class ManifestError(K8sNetError):
    """A mistake in a manifest.

    ``str()`` gives ``file:line field.path: message (did you mean "x"?)``; the parts that are unknown are left out. ``others`` are the
    further mistakes of the same object, in the API server's order, where it would report several at once; ``str()`` names their fields.
    """

    def __init__(
        self, message: str, *, file: str = "", line: int | None = None, field: str = "", suggestion: str = "",
        others: tuple[ManifestError, ...] = (),
    ) -> None:  # fmt: skip
        self.message, self.file, self.line, self.field, self.suggestion = message, file, line, field, suggestion
        self.others = others
        fields = dict.fromkeys(each.field for each in others if each.field not in ("", field))
        more = f" (and mistakes in {', '.join(fields)})" if fields else ""
        super().__init__(_placed(message, file, line, field, suggestion) + more)

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths of all fields with a mistake, each once; ``<nil>``, as the API server prints it, for the object as a whole."""
        return tuple(dict.fromkeys(each.field or "<nil>" for each in (self, *self.others)))


class ModelError(K8sNetError):
    """A call or an op that cannot be carried out on this network, such as a link to a namespace that is not there."""


class LabError(ModelError):
    """The kernel refused, or cannot do, what the lab asked; the message says which of the two and what would help."""


class UnsupportedError(K8sNetError):
    """A network feature that is real but that the model does not honour: refused rather than silently ignored."""

    def __init__(self, message: str, *, file: str = "", line: int | None = None, field: str = "") -> None:
        self.message, self.file, self.line, self.field = message, file, line, field
        super().__init__(_placed(message, file, line, field, ""))


def _placed(message: str, file: str, line: int | None, field: str, suggestion: str) -> str:
    place = f"{file}:{line}" if file and line else file or (f"line {line}" if line else "")
    head = " ".join(part for part in (place, field) if part)
    tail = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return f"{head}: {message}{tail}" if head else f"{message}{tail}"
