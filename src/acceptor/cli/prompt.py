"""The prompt of `acceptor judge` on a terminal: sentences and a few commands, with a history."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from acceptor.cli.output import write_output
from acceptor.errors import AcceptorError, UsageError
from acceptor.runtime.cache import cache_folder
from acceptor.text import decode_argument, plain, shell, short

if TYPE_CHECKING:
    from acceptor.evaluation.words import Explanation
    from acceptor.judging.decision import Decision
    from acceptor.judging.verdicts import Verdict

logger = logging.getLogger(__name__)

HISTORY = "judge-history"
KEPT = 1000  # lines of the history that a new prompt knows
LONGEST = 2000  # characters of a line in it: longer ones are pasted, not typed

HELP = """\
a sentence           its verdict
:why                 the weight of each word of the last sentence
:why SENTENCE        the same for this one
:compare A | B       which of two sentences is better, and by how much
:help                these lines
:quit                leave, as do quit, exit, Ctrl-D and Ctrl-C"""

Ask = Callable[[list[str]], "list[Verdict]"]
"""A judge: a `Judge`, or a server's `Client`."""
Explain = Callable[[list[str]], "list[Explanation]"]

Answer = tuple[dict[str, Any], list[Any]]
"""What is shown for a line: as JSON, and as text."""


class Prompt:
    """Answers typed lines; knows the last sentence."""

    def __init__(self, judge: Ask, labels: Sequence[str], decision: Decision, explain: Explain) -> None:
        self._judge, self._labels, self._decision, self._explain = judge, labels, decision, explain
        self._last = ""

    def answer(self, line: str) -> Answer:
        """The answer to a line.

        Raises:
            AcceptorError: There is none; the next line may have one.
        """
        name, _, rest = line.strip().partition(" ")
        if not name.startswith(":"):
            return self._verdict(line.strip())
        if name not in COMMANDS:
            raise UsageError(
                f"there is no command {short(name)}",
                expected=", ".join([*COMMANDS, ":quit"]),
                next='type :help; for a sentence that starts with a colon: acceptor judge RUN ":…"',
                code="E-USAGE-OPTION",
            )
        return COMMANDS[name](self, rest.strip())

    def _verdict(self, sentence: str) -> Answer:
        self._last = sentence
        return answer_of(sentence, self._judge([sentence])[0], self._labels, self._decision)

    def _why(self, sentence: str) -> Answer:
        from acceptor.cli import render

        self._last = sentence or self._last
        if not self._last:
            raise UsageError("there is no sentence yet", next=":why SENTENCE", code="E-USAGE-INPUT")
        [found] = self._explain([self._last])
        return {"explanations": [found.to_dict()]}, [*render.explanation_text(found)]

    def _compare(self, both: str) -> Answer:
        import numpy as np

        from acceptor.data.labels import good_label
        from acceptor.evaluation.metrics import log_odds

        sides = [side.strip() for side in both.split("|")]
        if len(sides) != 2 or not all(sides):
            raise UsageError(
                ":compare takes two sentences",
                expected=":compare The cats sleep. | The cats sleeps.",
                found=short(both),
                code="E-USAGE-INPUT",
            )
        try:
            label = good_label(self._labels)
        except UsageError as error:
            error.add("next", "put both into a file of pairs: acceptor pairs RUN FILE --good LABEL")
            raise
        verdicts = self._judge(sides)
        shares = [verdict.probabilities[label] for verdict in verdicts]
        first, second = log_odds(np.array([verdict.logits for verdict in verdicts]), label).tolist()
        rows = sorted(zip(sides, (first, second), shares, strict=True), key=lambda row: -row[1])
        content = {"better": None if first == second else rows[0][0], "difference": abs(first - second)}
        verdict = f"better by {abs(first - second):.3f} nats" if first != second else "equally good"
        if any(one.truncated for one in verdicts):
            verdict += ", judged by the beginning of what is too long"
        return content, [
            f"{verdict}: {rows[0][0]}",
            *(f"  {share:.3f} {self._labels[label]}, margin {margin:+.3f}: {text}" for text, margin, share in rows),
        ]

    def _help(self, _: str) -> Answer:
        return {"help": HELP.split("\n")}, [HELP]


COMMANDS: dict[str, Callable[[Prompt, str], Answer]] = {
    ":why": Prompt._why,
    ":compare": Prompt._compare,
    ":help": Prompt._help,
}


def answer_of(sentence: str, verdict: Verdict, labels: Sequence[str], decision: Decision) -> Answer:
    """The verdict on one sentence: as JSON the row that every output has, as text one line."""
    import numpy as np

    from acceptor.judging.verdicts import judged_columns

    [row] = judged_columns(np.array([verdict.logits], np.float32), tuple(labels), decision).to_dicts()
    notes = {"partly unknown to the encoder": verdict.unknown, "too long: judged by its beginning": verdict.truncated}
    note = "; ".join(text for text, holds in notes.items() if holds)
    shown = f"{verdict.label} {verdict.probability:.3f}" + (f"  ({note})" if note else "")
    return {"sentence": sentence, **row}, [shown]


def run_prompt(
    judge: Ask, where: str, labels: Sequence[str], decision: Decision, explain: Explain, as_json: bool
) -> None:
    """Answers lines until ``:quit``, Ctrl-D or Ctrl-C. An error is shown, and the next line is read.

    Args:
        judge: The judge.
        where: Its run folder or file, or its server's address.
        labels: Its labels.
        decision: Its temperature and threshold.
        explain: Weighs the words of sentences.
        as_json: Answers are JSON.
    """
    from acceptor.progress import console, without_progress

    logger.info("%r; type a sentence, or :help; Ctrl-D ends", judge)
    prompt = Prompt(judge, labels, decision, explain)
    for line in _typed_lines():
        word = line.strip().lower()
        if word in ("quit", "exit"):  # as in other prompts; hardly anyone wants their verdicts
            ended = f"left; to judge the word {word!r}: acceptor judge {shell(where)} {word}"
            console.print(ended, markup=False, highlight=False, soft_wrap=True)
        if word in (":quit", "quit", "exit"):
            return
        try:
            with without_progress():
                content, text = prompt.answer(line)
        except AcceptorError as error:
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        else:
            write_output(content, text, as_json)


def _typed_lines() -> Iterator[str]:
    """The lines that are typed, without blank ones, up to Ctrl-D or Ctrl-C."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a byte that is no UTF-8 must not end the prompt
    history = _History(cache_folder() / HISTORY)
    while True:
        try:
            line = decode_argument(_typed_line())
        except (EOFError, KeyboardInterrupt) as end:
            if isinstance(end, KeyboardInterrupt):
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more, while the process ends, would kill it
            typer.echo(err=True)  # what follows starts on a line of its own
            return
        if line.strip():
            history.add(line)
            yield line


def _typed_line() -> str:
    if sys.stdout.isatty():
        return input("> ")  # with readline, if that has been imported
    typer.echo("> ", err=True, nl=False)  # stdout is a file, which gets nothing but answers
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


class _History:
    """The typed lines of this prompt and of earlier ones, for readline. A convenience: no failure of it is an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with contextlib.suppress(ImportError, OSError, AcceptorError):
            import readline

            lines = path.read_text("utf-8", "replace").splitlines()
            for line in lines[-KEPT:]:
                readline.add_history(plain(line))
            if len(lines) > 2 * KEPT:
                self._write(lines[-KEPT:], os.O_TRUNC)

    def add(self, line: str) -> None:
        """Appends a line to the file."""
        if len(line) <= LONGEST:
            with contextlib.suppress(OSError):
                self._write([line], os.O_APPEND)

    def _write(self, lines: list[str], how: int) -> None:
        """Writes lines to the file, which only this user can read."""
        flags = os.O_WRONLY | os.O_CREAT | how | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(self._path, flags, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{plain(line)}\n" for line in lines)
