"""The text of the help: options and commands under headings, examples, and the first steps.

It is made of click's plain lines and not of typer's panels: these read ``[128]`` in a help text as markup, cut texts to
fit a table, and take a tenth of a second to import.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from acceptor.cli.options import DATA, MACHINE, NETWORK, OUTPUT, TRAINING
from acceptor.errors import UsageError

ARGUMENTS, OPTIONS = "Arguments", "Options"

GROUPS = {
    "Train": ("train", "seeds", "ensemble", "search", "distil"),
    "Judge": ("judge", "predict", "evaluate", "compare", "pairs", "serve"),
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
  serve a judge over HTTP, with a page to type into
    acceptor serve runs/demo

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
    found: dict[str, Rows] = {name: [] for name in (ARGUMENTS, DATA, TRAINING, NETWORK, MACHINE, OUTPUT, OPTIONS)}
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


Misuse: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for options and arguments that it cannot parse. It has no public name there."""


ELSEWHERE = {
    "--warmup-text": "warm up once: acceptor train DATA --warmup-text FILE --out RUN\n"
    "then give all trainings that encoder: --encoder RUN-warmup"
}
"""Options that people miss in other commands than their own, and what to do instead."""


@contextlib.contextmanager
def our_errors(command: str) -> Iterator[None]:
    """Gives every refusal of an option or an argument the same form, whether typer or Acceptor has refused it.

    Raises:
        UsageError: Instead of typer's `Misuse`. For options, with the command's help as the next step.
    """
    try:
        yield
    except Misuse as error:
        command = getattr(getattr(error, "ctx", None), "command_path", command)
        advice = ELSEWHERE.get(getattr(error, "option_name", ""), f"{command} --help")
        raise UsageError(_problem_of(error), next=advice, code="E-USAGE-OPTION") from None
    except UsageError as error:
        if error.code == "E-USAGE-OPTION" and "next" not in error.details:
            error.add("next", f"{command} --help")
        raise


def _problem_of(error: Any) -> str:
    """The problem in the words of `TrainConfig`, which checks most options: ``epochs = 'one': input should be …``."""
    from pydantic import ValidationError

    from acceptor.config import explain_value

    if isinstance(error.__cause__, ValidationError):
        return explain_value(error.param.name, error.__cause__.errors()[0])
    text = error.format_message().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}"


class Command(TyperCommand):
    """A command whose help has its options under headings."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **settings: Any) -> Any:
        """Parses arguments and options."""
        with our_errors(f"acceptor {info_name}"):
            return super().make_context(info_name, args, parent, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        with our_errors(ctx.command_path):
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments and options."""
        _write(formatter, headed(self, ctx))


class Group(TyperGroup):
    """All commands; the help has them under headings."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        """Parses what is before the name of the command."""
        with our_errors("acceptor"):
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Finds the command, parses its options, runs it."""
        with our_errors("acceptor"):
            return super().invoke(ctx)

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
