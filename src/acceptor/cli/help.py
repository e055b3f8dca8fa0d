"""The text of the help: options and commands under headings, examples, and the first steps.

It is made of click's plain lines and not of typer's panels: these read ``[128]`` in a help text as markup, cut texts to
fit a table, and take a tenth of a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from acceptor.cli.options import DATA, MACHINE, OUTPUT, TRAINING

ARGUMENTS, OPTIONS = "Arguments", "Options"

GROUPS = {
    "Train": ("train", "seeds", "search", "distil"),
    "Judge": ("judge", "predict", "evaluate", "compare", "pairs"),
    "Data": ("audit", "corpora"),
    "Other": ("demo", "report", "export", "encoders", "doctor", "bench"),
}
"""The commands by heading, in the order of the help; a command that is in none is under the last one."""

FIRST_STEPS = """\
Acceptor turns an encoder into a judge of sentences. What people do first:

  see it work, in a few minutes and without a network
    acceptor demo
  train a judge on your own file: a sentence and a label in each row
    acceptor train FILE.tsv --encoder minilm
  judge sentences
    acceptor judge runs/demo "The cats sleep." "The cats sleeps."
  evaluate a judge on labelled sentences
    acceptor evaluate runs/demo FILE.tsv
  judge a whole file
    acceptor predict runs/demo FILE.txt -o verdicts.tsv

All commands: acceptor --help. The options of one: acceptor train --help.
"""

Rows = list[tuple[str, str]]


def group_of(name: str) -> str:
    """The heading of a command."""
    return next((group for group, names in GROUPS.items() if name in names), list(GROUPS)[-1])


def order_of(name: str) -> tuple[int, int, str]:
    """The place of a command in the help, as a key to sort by: its group, its place in it; others by name."""
    names = GROUPS[group_of(name)]
    return list(GROUPS).index(group_of(name)), names.index(name) if name in names else len(names), name


def examples_text(examples: Sequence[str]) -> str:
    """The end of a command's help."""
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in examples)  # \b: click must not wrap the lines


def headed(command: Any, context: Any) -> dict[str, Rows]:
    """The arguments and options of a command by heading, each with its spelling and help.

    What typer itself adds has no heading: with a command, that is ``--help``, which is put under Output.
    """
    others = OPTIONS if isinstance(command, TyperGroup) else OUTPUT
    found: dict[str, Rows] = {name: [] for name in (ARGUMENTS, DATA, TRAINING, MACHINE, OUTPUT, OPTIONS)}
    for one in command.get_params(context):
        record = one.get_help_record(context)
        if record is not None:
            is_argument = one.param_type_name == "argument"
            heading = ARGUMENTS if is_argument else getattr(one, "rich_help_panel", None) or others
            found[heading].append(record)
    return {heading: records for heading, records in found.items() if records}


def grouped_commands(group: Any) -> dict[str, Rows]:
    """The commands by heading, each with the first sentence of its help."""
    found: dict[str, Rows] = {heading: [] for heading in GROUPS}
    for name, command in group.commands.items():
        found[group_of(name)].append((name, command.get_short_help_str(limit=1000)))
    return found


class Command(TyperCommand):
    """A command whose help has its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments and options."""
        _write(formatter, headed(self, ctx))


class Group(TyperGroup):
    """All commands; the help has them under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes options and commands."""
        _write(formatter, grouped_commands(self) | headed(self, ctx))

    def get_help_option(self, ctx: Any) -> Any:
        """The option ``--help``. Typer would import pydantic to check its default, which is None."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


def _write(formatter: Any, sections: dict[str, Rows]) -> None:
    for heading, rows in sections.items():
        with formatter.section(heading):
            formatter.write_dl(rows)
