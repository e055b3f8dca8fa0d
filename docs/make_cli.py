"""Writes the page of the command line and the man page from the command line's own help. `make reference`.

    python docs/make_cli.py [--check]

Both pages walk over the same commands, headings and options as ``acceptor COMMAND --help``, so the three cannot differ.
``--check`` writes nothing and says with its exit code whether the pages are what the source says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

from generated import write_or_check  # noqa: E402
from typer.main import get_command  # noqa: E402

from acceptor import __version__  # noqa: E402
from acceptor.cli.app import app  # noqa: E402
from acceptor.cli.help import ARGUMENTS, FIRST_STEPS, group_of, grouped_commands, headed  # noqa: E402

GROUP: Any = get_command(app)
CONTEXT: Any = GROUP.make_context("acceptor", [], resilient_parsing=True)

INTRO = """\
# The command line

<!-- Made by `make reference` from the help of the commands. Change that, not this page. -->

`acceptor COMMAND --help` shows the same on a terminal, and `man acceptor` as a manual page. A default is in brackets.
"""

EXITS = {
    "0": "done",
    "1": "failed; the error says why, and what to do next",
    "2": "wrong usage",
    "130": "interrupted by Ctrl-C",
    "141": "the reader of standard output has closed it",
    "143": "terminated",
}
"""The exit codes of `acceptor.cli.app.main`."""


def context_of(name: str) -> Any:
    """What click needs to describe a command."""
    return GROUP.commands[name].make_context(name, [], parent=CONTEXT, resilient_parsing=True)


def usage_of(name: str) -> str:
    """The first line of a command's help."""
    return " ".join(["acceptor", name, *GROUP.commands[name].collect_usage_pieces(context_of(name))])


def examples_of(name: str) -> list[str]:
    """The command lines at the end of a command's help."""
    return re.findall(r"^ +(acceptor .*)$", GROUP.commands[name].epilog, re.MULTILINE)


def text_of(help: str) -> str:
    """A help text on one line."""
    return " ".join(help.split())


# ---------------------------------------------------------------------- Markdown


def cell(text: str) -> str:
    """A text in a cell of a Markdown table."""
    return re.sub(r"([|*_<>\[\]`\\])", r"\\\1", text_of(text))


def markdown() -> Iterator[str]:
    """The lines of cli.md."""
    yield INTRO
    steps = [line.strip() for line in FIRST_STEPS.splitlines() if line.startswith("    ")]
    yield "```text\n" + "\n".join(steps) + "\n```\n"
    for heading, rows in grouped_commands(GROUP).items():
        yield f"**{heading}**\n"
        yield "| command | what |\n|---|---|"
        yield "\n".join(f"| [`{name}`](#acceptor-{name}) | {cell(text)} |" for name, text in rows) + "\n"
    yield "**Options of `acceptor` itself**\n"
    for rows in headed(GROUP, CONTEXT).values():
        yield table("option", rows)
    yield "**Exit codes**\n"
    yield "| code | meaning |\n|---|---|"
    yield "\n".join(f"| {code} | {meaning} |" for code, meaning in EXITS.items()) + "\n"
    for name, command in GROUP.commands.items():
        yield f"## acceptor {name}\n"
        yield f"{cell(command.help)}\n"
        yield f"```text\n{usage_of(name)}\n```\n"
        for heading, rows in headed(command, context_of(name)).items():
            yield table(heading if heading == ARGUMENTS else f"{heading} options", rows)
        yield "```text\n" + "\n".join(examples_of(name)) + "\n```\n"


def table(heading: str, rows: list[tuple[str, str]]) -> str:
    """Options or arguments as a Markdown table; a bar in a code span of a table must be escaped."""
    lines = [f"| {heading} | what |\n|---|---|"]
    lines += [f"| `{spelling.replace('|', chr(92) + '|')}` | {cell(text)} |" for spelling, text in rows]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------- man


def roff(text: str) -> str:
    """A text in a manual page: ASCII with roff's escapes, so that every man renders it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    text = "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in text)
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def man() -> Iterator[str]:
    """The lines of acceptor.1."""
    yield '.\\" Made by "make reference" from the help of the commands. Change that, not this page.'
    yield f'.TH ACCEPTOR 1 "" "acceptor {roff(__version__)}" "User Commands"'
    yield from (".SH NAME", f"acceptor \\- {roff(GROUP.help[0].lower() + GROUP.help[1:].rstrip('.'))}")
    yield from (".SH SYNOPSIS", ".B acceptor", roff("[OPTIONS] COMMAND [ARGS]..."))
    yield from (".SH FIRST STEPS", ".nf", roff(FIRST_STEPS.rstrip()), ".fi")
    yield ".SH OPTIONS"
    for rows in headed(GROUP, CONTEXT).values():
        yield from items(rows)
    for heading in grouped_commands(GROUP):
        yield f'.SH "COMMANDS: {heading.upper()}"'
        for name, command in GROUP.commands.items():
            if group_of(name) == heading:
                yield from (f".SS {name}", roff(text_of(command.help)), ".PP", f".B {roff(usage_of(name))}")
                for part, rows in headed(command, context_of(name)).items():
                    yield from (".PP", f".I {roff(part)}")
                    yield from items(rows)
                yield from (".PP", ".I Examples", ".PP", ".nf", ".RS", *map(roff, examples_of(name)), ".RE", ".fi")
    yield ".SH EXIT STATUS"
    yield from items(list(EXITS.items()))


def items(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Options, or other names, each with its text below."""
    for spelling, text in rows:
        yield from (".TP", f".B {roff(spelling)}", roff(text_of(text)))


def main() -> int:
    """Writes or checks the pages."""
    pages = {HERE / "en" / "reference" / "cli.md": "\n".join(markdown()), HERE / "acceptor.1": "\n".join(man()) + "\n"}
    return write_or_check(pages)


if __name__ == "__main__":
    sys.exit(main())
