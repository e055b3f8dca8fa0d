"""Every error that Acceptor raises on purpose.

AcceptorError                 the base class of all
├── UsageError                the request itself is wrong (exit code 2)
├── DataError                 a file, a row or a label is invalid
├── EncoderError              an encoder cannot be found, read or trusted
├── RunError                  a run folder is missing, incomplete or not ours
├── ResourceError             the machine has too little disk space or memory, or a path cannot be written
├── TrainingError             training cannot continue
└── RequestError              a server refuses a request over HTTP, or does not answer it

Each has a code from `error_codes.CODES`. A code never changes its meaning; the text of an error may change.
Library code raises; ``cli/app.py`` turns an error into text and an exit code.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

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

    Attributes:
        positions: If a judge refuses some of a list of texts for this reason, the positions of all of these, from 0.
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
        self.positions: list[int] = []
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


class RequestError(AcceptorError):
    """A server refuses a request over HTTP, or does not answer it.

    Attributes:
        status: The HTTP status; 0 if there was no answer.
        retry_after: Seconds after which another try may succeed, ≥ 0; None if it would be refused again.
    """

    code = "E-REQUEST"

    def __init__(self, problem: str, *, status: int = 0, retry_after: int | None = None, **details: str | None) -> None:
        """As `AcceptorError`, with a status."""
        super().__init__(problem, **details)
        self.status, self.retry_after = status, retry_after


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name``, or None if none is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.strip().casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None


EXTRA_OF = {
    **dict.fromkeys(("torch", "transformers", "huggingface_hub", "matplotlib", "jinja2", "sklearn"), "train"),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "onnx"),
    "fastexcel": "excel",
    **dict.fromkeys(("granian", "starlette", "prometheus_client"), "serve"),
    "httpx": "client",
    "optuna": "search",
    "ray": "ray",
    "accelerate": "bench",
    "sentencex": "split",
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


F = TypeVar("F", bound=Callable[..., Any])

MADE_BY = {
    "Data": "acceptor.load_data(FILE)",
    "Split": "one split of acceptor.load_data(FILE), such as its train",
    "Judge": "acceptor.load(RUN)",
    "Report": "acceptor.evaluate(judge, split)",
    "TrainConfig": "acceptor.TrainConfig(epochs=3)",
}
"""How a caller gets an object of our own classes."""

LOOSER: dict[Any, Any] = {int: Integral, float: Real, Path: os.PathLike}
"""Annotations that stand for more than their class: NumPy's numbers, every object with a path."""


def checked_types(function: F) -> F:
    """Makes a public function refuse wrong types with a `UsageError` that names the argument.

    Without it, Python's own error would come from anywhere within, often after minutes of work.
    """

    @functools.wraps(function)
    def call(*positional: Any, **named: Any) -> Any:
        _check(function, positional, named)
        return function(*positional, **named)

    return typing.cast("F", call)


def _check(function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    signature, types_of = _types(function)
    try:
        given = signature.bind(*positional, **named).arguments
    except TypeError as error:
        names = [name for name in signature.parameters if name != "self"]
        named_only = {name for name in names if signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY}
        raise UsageError(
            f"{function.__name__}: {error}",
            expected=", ".join(f"{name}=" if name in named_only else name for name in names),
            next=_meant({name: value for name, value in named.items() if name not in names}, names, types_of),
            code="E-USAGE-OPTION",
        ) from None
    for name, value in given.items():
        if not _fits(value, types_of.get(name, Any)):
            annotation = str(function.__annotations__[name])
            ways = [how for kind, how in MADE_BY.items() if kind in annotation.split(" | ")]
            if hasattr(value, "folder") and "Path" in annotation:
                ways = ["its folder: the attribute folder of the object"]
            if isinstance(value, str) and "Sequence" in annotation:
                ways = [f"put it in a list: {_as_list(value, annotation)}"]
            raise UsageError(
                f"{function.__name__}: {name} has the wrong type",
                expected=annotation,
                found=f"{type(value).__name__}: {value!r}"[:80],
                next=ways[0] if ways else None,
                code="E-USAGE-OPTION",
            )


def _meant(unknown: Mapping[str, Any], names: Sequence[str], types_of: Mapping[str, Any]) -> str | None:
    """What to write in place of unknown keywords: a setting belongs into the config that the function takes.

    The class of the config is that of the annotation, as this module is below those of all settings.
    """
    hint = types_of.get("config")
    config = next((kind for kind in (hint, *get_args(hint)) if hasattr(kind, "model_fields")), None)
    fields = list(config.model_fields) if config else []
    matches = {name: nearest(name, [*names, *fields]) for name in unknown}
    settings = [f"{match}={unknown[name]!r}" for name, match in matches.items() if match in fields]
    if config and settings:
        return f"config=acceptor.{config.__name__}({', '.join(settings)})"
    match = next(filter(None, matches.values()), None)
    return f"did you mean {match}?" if match else None


def _as_list(text: str, annotation: str) -> str:
    """The list that is meant by a string, as the command line takes it: names with commas between them."""
    parts = [part.strip() for part in text[:80].split(",")]
    numbers = "int" in annotation and all(map(str.isdecimal, parts))
    return f"[{', '.join(parts if numbers else map(repr, parts))}]"


@functools.cache
def _types(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """The parameters, and the type of each that is not variadic."""
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function)
    single = {name for name, one in signature.parameters.items() if one.kind is not one.VAR_POSITIONAL}
    return signature, {name: hint for name, hint in hints.items() if name in single}


def _fits(value: Any, hint: Any) -> bool:
    """True if the value has the type, with the items that lists and dicts of strings and numbers should have."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        if Ellipsis in inner:
            return isinstance(value, tuple)
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is Sequence:
        is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)
        return (is_list or hasattr(value, "tolist")) and all(_fits(item, inner[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(key, inner[0]) for key in value)
    if isinstance(value, bool):  # Python takes it for a number, and no argument of ours means one by it
        return hint is bool
    return isinstance(value, LOOSER.get(hint, origin or hint or type(None)))
