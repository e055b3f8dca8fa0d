"""Every error that Acceptor raises on purpose.

AcceptorError                 the base class of all
├── UsageError                the request itself is wrong (exit code 2)
├── DataError                 a file, a row or a label is invalid
├── EncoderError              an encoder cannot be found, read or trusted
├── RunError                  a run folder is missing, incomplete or not ours
├── ResourceError             the machine has too little disk space or memory, or a path cannot be written
└── TrainingError             training cannot continue

Each has a code from `error_codes.CODES`. A code never changes its meaning; the text of an error may change.
Library code raises; only ``cli/app.py`` turns an error into text and an exit code.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable

from acceptor.text import plain_lines


class AcceptorError(Exception):
    """An expected kind of failure: what happened, where, what was expected and found, why, and what to do.

    Args:
        problem: What went wrong, in a line (or a line for each of several problems).
        where: The place: file, line, row, column, option.
        expected: What would have been right.
        found: What was found instead.
        cause: The probable reason.
        next: The command or step that solves it.
        code: One of `error_codes.CODES`; by default that of the class.
    """

    exit_code = 1
    code = "E"

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        cause: str | None = None,
        next: str | None = None,
        code: str | None = None,
    ) -> None:
        self.problem = problem
        self.code = code or type(self).code
        self.details = {
            name: text
            for name, text in (
                ("where", where),
                ("expected", expected),
                ("found", found),
                ("cause", cause),
                ("next", next),
            )
            if text
        }
        super().__init__(self._text())

    def add(self, name: str, text: str) -> None:
        """Adds a field that only a caller knows: ``where``, ``expected``, ``found``, ``cause`` or ``next``."""
        self.details[name] = text
        self.args = (self._text(),)

    def _text(self) -> str:
        lines = [self.problem]
        for name, text in self.details.items():
            first, *rest = text.split("\n")
            lines.append(f"  {name + ':':<10}{first}")
            lines.extend(f"{'':12}{line}" for line in rest)
        lines.append(f"  {'code:':<10}{self.code}")
        return plain_lines("\n".join(lines))

    def to_dict(self) -> dict[str, str]:
        """The error as plain text fields, for ``--json``."""
        return {"error": type(self).__name__, "code": self.code, "problem": self.problem, **self.details}


class UsageError(AcceptorError):
    """The request itself is wrong: an unknown name, a value out of range, an output that exists."""

    code = "E-USAGE"
    exit_code = 2


class DataError(AcceptorError):
    """A file, a row or a label is invalid."""

    code = "E-DATA"


class EncoderError(AcceptorError):
    """An encoder cannot be found, read or trusted."""

    code = "E-ENCODER"


class RunError(AcceptorError):
    """A run folder is missing, incomplete or not a run."""

    code = "E-RUN"


class ResourceError(AcceptorError):
    """The machine has too little disk space or memory, or a path cannot be written."""

    code = "E-RESOURCE"


class TrainingError(AcceptorError):
    """Training cannot continue."""

    code = "E-TRAINING"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name``, or None if none is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.strip().casefold(), by_folded, n=1, cutoff=0.5)
    return by_folded[matches[0]] if matches else None


EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "huggingface_hub", "matplotlib", "jinja2", "sklearn"), "train"),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "onnx"),
    "fastexcel": "excel",
}
"""Module to the extra that installs it."""


def check_installed(*modules: str) -> None:
    """Refuses work that needs a missing package, and names the extra that installs it.

    Raises:
        UsageError: One of the modules is not installed.
    """
    for module in modules:
        if module in EXTRA_OF and importlib.util.find_spec(module) is None:
            raise UsageError(
                f"this needs {module}, which is not installed",
                cause="Acceptor was installed without an optional package",
                next=f"pip install 'acceptor[{EXTRA_OF[module]}]'",
                code="E-USAGE-EXTRA",
            )
