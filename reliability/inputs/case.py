"""A case: files, a command or a Python program that runs on them, and a check of the result.

A command runs in this process, with its own stdin, stdout and stderr of a given encoding; in a new process if
the case is about the environment, the start or the exit of a process. The result is an exit code and two texts;
nothing else of Acceptor is checked.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 240  # after which a process counts as hanging


@dataclass(frozen=True)
class Result:
    """How a command or a program ended."""

    code: int
    out: str
    err: str
    folder: Path
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """Stdout and stderr."""
        return f"{self.out}\n{self.err}"

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object on stdout; empty if there is none."""
        for line in reversed(self.out.splitlines()):
            with contextlib.suppress(ValueError):
                if isinstance(found := json.loads(line), dict):
                    return found
        return {}


Check = Callable[[Result], str]
"""Describes what is wrong with a result; empty if nothing is."""
Make = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """A line of the issue, or a variant of it.

    Attributes:
        root: 1 to 7: which root of the issue.
        what: The case in a few words.
        run: ``acceptor …`` (or ``sh -c …``), or a Python program; ``{run}`` and the like are filled in from the `Kit`.
        check: Describes what is wrong with the result.
        files: Name to content, written before.
        make: Makes what is not a plain file.
        env: Environment variables; if given, the case runs in a new process.
        process: Whether it needs a new process in any case.
        slow: Whether it trains, starts a process or waits: such cases are left out of the quick form.
        encoding: Of stdout and stderr.
        stdin: The content of stdin.
        needs: A file or folder without which the case is skipped.
    """

    root: int
    what: str
    run: str
    check: Check
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    make: Make | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    process: bool = False
    slow: bool = False
    encoding: str = "utf-8"
    stdin: str | bytes = ""
    needs: Path | None = None

    @property
    def is_command(self) -> bool:
        """Whether `run` is a command line, not Python."""
        return self.run.startswith(("acceptor ", "sh -c "))

    @property
    def is_slow(self) -> bool:
        """Whether the quick form leaves it out."""
        return self.slow or self.process or bool(self.env)


def attempt(case: Case, folder: Path, kit: Mapping[str, str]) -> Result:
    """Makes the case's files in an empty folder and runs it there."""
    folder.mkdir(parents=True)
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    if case.make:
        case.make(folder)
    text = filled(case.run, kit)
    began, here = time.perf_counter(), Path.cwd()
    os.chdir(folder)
    try:
        if case.process or case.env or text.startswith("sh -c "):
            code, out, err = in_a_process(case, text)
        else:
            work = _command(shlex.split(text)[1:]) if case.is_command else _program(text)
            code, out, err = in_this_process(work, case.stdin, case.encoding)
    finally:
        os.chdir(here)
    return Result(code, out, err, folder, time.perf_counter() - began)


def filled(text: str, kit: Mapping[str, str]) -> str:
    """The text with ``{run}`` and the like filled in; other braces are left alone."""
    return re.sub(r"\{(\w+)\}", lambda match: kit[match[1]] if match[1] in kit else match[0], text)


def _command(arguments: list[str]) -> Callable[[], None]:
    def work() -> None:
        from acceptor.cli import app as cli

        sys.argv = ["acceptor", *arguments]
        cli.main()

    return work


def _program(text: str) -> Callable[[], None]:
    return lambda: exec(compile(text, "case", "exec"), {"__name__": "case"})


def in_a_process(case: Case, text: str) -> tuple[int, str, str]:
    """The same in a new process; one that does not end counts as 124."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(REPOSITORY)]), **case.env}
    env = {name: value for name, value in env.items() if value != "(unset)"}
    if text.startswith("sh -c "):
        env["ACCEPTOR"] = f"{shlex.quote(sys.executable)} -m acceptor"
        command = ["bash", "-c", text.removeprefix("sh -c ")]
    elif case.is_command:
        command = [sys.executable, "-m", "acceptor", *shlex.split(text)[1:]]
    else:
        Path("case.py").write_text(text, "utf-8")
        command = [sys.executable, "case.py"]
    stdin = case.stdin.encode() if isinstance(case.stdin, str) else case.stdin
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, env=env, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        return 124, _text(error.stdout), _text(error.stderr)
    return done.returncode, _text(done.stdout), _text(done.stderr)


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def in_this_process(work: Callable[[], None], stdin: str | bytes = "", encoding: str = "utf-8") -> tuple[int, str, str]:
    """Runs work with its own streams; an error that is not ours counts as 99, with its traceback on stderr.

    Args:
        work: What is run.
        stdin: What it can read.
        encoding: Of stdout and stderr; ``closed``: there is no stdout, as after ``>&-``.
    """
    given = stdin.encode() if isinstance(stdin, str) else stdin
    code, error_text = 0, ""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _own_state(), _streams(given, out, err, encoding):
            try:
                work()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
                error_text = ended.code if isinstance(ended.code, str) else ""
            except Exception as error:
                from acceptor.errors import AcceptorError

                code = error.exit_code if isinstance(error, AcceptorError) else 99
                error_text = f"{type(error).__name__}: {error}" if code != 99 else traceback.format_exc()
        return code, _content(out, encoding), _content(err, encoding) + error_text


def _content(file: Any, encoding: str) -> str:
    """What was written to a stream: UTF-8 if it is that, else in the stream's own encoding."""
    file.seek(0)
    data = file.read()
    with contextlib.suppress(UnicodeDecodeError):
        return str(data.decode())
    return str(data.decode(encoding if encoding != "closed" else "utf-8", "replace"))


def _writer(number: int, encoding: str, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding=encoding, errors=errors)


@contextlib.contextmanager
def _streams(stdin: bytes, out: Any, err: Any, encoding: str) -> Iterator[None]:
    """The file descriptors 0, 1 and 2 and Python's streams over them, as in a process that was started so."""
    names = ("stdin", "stdout", "stderr")
    before = {name: (getattr(sys, name), getattr(sys, f"__{name}__")) for name in names}
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(number) for number in range(3)]
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        for number, file in enumerate((source, out, err)):
            os.dup2(file.fileno(), number)
        said_in = "utf-8" if encoding == "closed" else encoding
        made = {  # they own no descriptor: nothing is left to close
            "stdin": io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8"),
            "stdout": None if encoding == "closed" else _writer(1, said_in, "strict"),
            "stderr": _writer(2, said_in, "backslashreplace"),
        }
        if encoding == "closed":
            os.close(1)
        for name, stream in made.items():
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr, *made.values()):
                with contextlib.suppress(Exception):  # closed, or it cannot encode a letter
                    stream.flush()
            for name, (one, original) in before.items():
                setattr(sys, name, one)
                setattr(sys, f"__{name}__", original)
            for number, number_kept in enumerate(kept):
                os.dup2(number_kept, number)
                os.close(number_kept)


@contextlib.contextmanager
def _own_state() -> Iterator[None]:
    """Restores what a command sets for its process: arguments, log handlers, the handler of SIGTERM."""
    logger, argv = logging.getLogger("acceptor"), sys.argv
    kept = list(logger.handlers), logger.level, logger.propagate
    root, term = list(logging.getLogger().handlers), signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        sys.argv = argv
        logger.handlers, logger.propagate = kept[0], kept[2]
        logger.setLevel(kept[1])
        logging.getLogger().handlers = root
        signal.signal(signal.SIGTERM, term)


# ── checks of a result ────────────────────────────────────────────────────────────────────────────────────


def ends_cleanly(result: Result) -> str:
    """No traceback, no end by a signal, no hang."""
    if "Traceback (most recent call last)" in result.text or result.code == 99:
        return f"a traceback: {_last(result.text)}"
    if result.code == 124:
        return "it did not end"
    return f"killed by signal {-result.code}" if result.code < 0 else ""


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    found = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Warning)\b", line)]
    return (found or lines or ["no output"])[-1][:160]


def _missing(words: Sequence[str], text: str) -> str:
    flat = re.sub(r"\s+", " ", text)
    lost = [word for word in words if not re.search(word, flat, re.IGNORECASE)]
    return f"missing words: {', '.join(lost)}" if lost else ""


def shows(*words: str, code: int = 0, absent: Sequence[str] = ()) -> Check:
    """The exit code is ``code``; the output has all ``words`` (regular expressions, any case, any order), none ``absent``."""

    def check(result: Result) -> str:
        if fault := ends_cleanly(result):
            return fault
        if result.code != code:
            return f"exit code {result.code}: {_first(result)}"
        wrong = [word for word in absent if re.search(word, result.text, re.IGNORECASE)]
        return _missing(words, result.text) or (f"unwanted words: {', '.join(wrong)}" if wrong else "")

    return check


def _first(result: Result) -> str:
    """The first line of an error."""
    problem = result.json.get("problem") or next(iter(result.err.strip().splitlines()), "") or "no output"
    return str(problem)[:140]


def refused(*words: str, error: str = "DataError|UsageError", absent: Sequence[str] = ()) -> Check:
    """An `AcceptorError` of that class with these words in it."""

    def check(result: Result) -> str:
        if fault := ends_cleanly(result):
            return fault
        if result.code == 0:
            return "no error" + (f": {read}" if (read := _as_read(result)) else "")
        kind = result.json.get("error", "")
        if result.code not in (1, 2) or (kind and not re.fullmatch(error, kind)):
            return f"exit code {result.code}, {kind or 'no error'}: {_first(result)}"
        wrong = [word for word in absent if re.search(word, result.text, re.IGNORECASE)]
        lost = _missing(words, result.text)
        return (f"{lost} in: {_first(result)}" if lost else "") or (
            f"unwanted words: {', '.join(wrong)}" if wrong else ""
        )

    return check


def audit_shows(*words: str) -> Check:
    """`audit --json` has a finding, or refuses the file, with these words."""

    def check(result: Result) -> str:
        if fault := ends_cleanly(result):
            return fault
        if result.code not in (0, 1, 2):
            return f"exit code {result.code}"
        if result.code:
            return refused(*words)(result)
        shown = json.dumps(result.json.get("findings", []), ensure_ascii=False) + result.err
        return (lost := _missing(words, shown)) and f"no error, {lost}: {_as_read(result)}"

    return check


def classes(number: int) -> Check:
    """`audit --json` finds so many labels, whatever their names."""

    def check(result: Result) -> str:
        found = result.json.get("train", {}).get("balance", {})
        return ends_cleanly(result) or (
            "" if len(found) == number and not result.code else f"exit code {result.code}: {_as_read(result)}"
        )

    return check


def _as_read(result: Result) -> str:
    """How the file was read, from `audit --json`."""
    train = result.json.get("train", {})
    return f"{train.get('schema')}; {train.get('rows')} rows, {short(train.get('balance'))}" if train else ""


def short(value: Any, length: int = 80) -> str:
    """A value as text, cut to ``length`` characters."""
    text = str(value)
    return text if len(text) <= length else text[:length] + "…"


def reads(
    rows: int,
    *words: str,
    pairs: bool = False,
    labels: Sequence[str] | None = None,
    counts: Mapping[str, int] | None = None,
    first: str | None = None,
    splits: Mapping[str, int] | None = None,
) -> Check:
    """`audit --json` reads that many rows, as pairs or as single sentences, with these labels; and says these words."""

    def wrong(found: dict[str, Any], everything: dict[str, Any]) -> str:
        sizes = {name: everything.get(name, {}).get("rows", 0) for name in splits or {}}
        if found["rows"] != rows or sizes != dict(splits or {}):
            return f"{found['rows']} rows instead of {rows}" if not splits else f"rows {sizes}"
        if ("second" in found["columns"]) != pairs:
            return "single sentences" if pairs else "pairs"
        if labels is not None and set(found["balance"]) != set(labels):
            return f"labels {short(list(found['balance']))}"
        if counts is not None and found["balance"] != dict(counts):
            return f"labels {short(found['balance'])}"
        others = [row["sentence"] for row in found["sample"] if first and not row["sentence"].startswith(first)]
        return f"a sentence is {others[0]!r}" if others else ""

    def check(result: Result) -> str:
        found = result.json.get("train", {})
        if result.code or not found:
            return ends_cleanly(result) or f"exit code {result.code}: {_first(result)}"
        fault = ends_cleanly(result) or wrong(found, result.json) or _missing(words, result.text)
        return f"{fault}: {_as_read(result)}" if fault else ""

    return check


def any_of(*sees: Check) -> Check:
    """One of the checks passes."""

    def check(result: Result) -> str:
        faults = [one(result) for one in sees]
        return "" if "" in faults else " / ".join(dict.fromkeys(faults))

    return check


def asserts(result: Result) -> str:
    """A program with its own assertions ends without an error."""
    if result.code == 0:
        return ""
    lines = [line for line in result.err.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
    return short((errors[-1:] or lines[:1] or [f"exit code {result.code}"])[0], 200)


def all_of(*sees: Check) -> Check:
    """All checks pass."""
    return lambda result: next((fault for one in sees if (fault := one(result))), "")
