"""Options that several commands share, and the parsers of structured option values."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import itertools
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acceptor.errors import UsageError

if TYPE_CHECKING:
    from acceptor.data.table import Data

DATA, TRAINING, NETWORK, MACHINE, OUTPUT = "Data", "Training", "Network", "Machine", "Output"
"""The headings of the help, in its order. Every option is under one of them: its ``rich_help_panel``."""

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]
JudgePath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, or an exported judge: FILE.onnx")]
Columns = Annotated[
    str | None,
    typer.Option(help="role=column,…: sentence=text,label=3 (names or 1-based numbers)", rich_help_panel=DATA),
]
Separator = Annotated[
    str | None,
    typer.Option(
        help="the separator of cells: ';', ',', '|' or tab [by the file's name]",
        metavar="CHARACTER",
        rich_help_panel=DATA,
    ),
]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise-labels",
        help="labels that differ in case, blanks or Unicode form are the same",
        rich_help_panel=DATA,
    ),
]
DropUnlabelled = Annotated[
    bool, typer.Option("--drop-unlabelled", help="leave out rows without a label: -, ?, -1", rich_help_panel=DATA)
]
Folder = Annotated[Path | None, typer.Option("--data", help="folder of a named corpus' files", rich_help_panel=DATA)]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout", rich_help_panel=OUTPUT)]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu [the fastest available]", rich_help_panel=MACHINE)]
Precision = Annotated[
    str | None,
    typer.Option(
        help="fp32; bf16; int8, for a run on a CPU with AVX-512 VNNI; lossless: bf16, with close calls recomputed in "
        "fp32 [lossless if bf16 is fast]",
        rich_help_panel=MACHINE,
    ),
]


def _no_progress(context: typer.Context, asked: bool) -> None:
    """Shows no progress and no log lines below warnings while this command runs."""
    if asked:
        from acceptor.progress import without_progress

        context.with_resource(without_progress())
        logging.getLogger("acceptor").setLevel(logging.WARNING)


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="no progress and no log lines on stderr; warnings and errors remain",
        callback=_no_progress,
        rich_help_panel=OUTPUT,
    ),
]
OUTPUTS = ".tsv .csv .jsonl, each also .gz .zst; .parquet .arrow .feather"
"""The suffixes of output files; `data.writing.write.FORMATS` has them too, but importing it loads polars."""
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an existing output", rich_help_panel=OUTPUT)]
Validation = Annotated[Path | None, typer.Option(help="a file to validate on", rich_help_panel=DATA)]
Test = Annotated[Path | None, typer.Option(help="a test file; it is used for no choice", rich_help_panel=DATA)]
Extra = Annotated[
    list[str] | None,
    typer.Option(
        help="a corpus, file or folder with more rows of the same labels to train on; none is held out, and those that "
        "validation or test has are left out; repeatable",
        rich_help_panel=DATA,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="the labels in order of label id: a,b; either as written in the data, or names for its numbers, in the "
        "order of the numbers",
        rich_help_panel=DATA,
    ),
]
Processes = Annotated[
    int, typer.Option(help="trainings at the same time, each on a GPU or a share of the cores", rich_help_panel=MACHINE)
]

ON_AND_OFF = {"keep_head": "--keep-head/--new-head"}
"""The option names of boolean settings that are not ``--NAME/--no-NAME``."""

HEADINGS = {
    **dict.fromkeys(("max_length", "split", "validation_share"), DATA),
    **dict.fromkeys(("device", "precision", "compile"), MACHINE),
}
"""The headings of settings that are not under Training."""


def _settings() -> dict[str, Any]:
    """The option ``--preset``, and one for every field of `TrainConfig`: its type, docstring and default.

    They are read from the source, because importing pydantic would take longer than the rest of ``--help``.
    """
    preset = "notebook: the notebook chapter's settings, with weight decay that takes effect"
    options: dict[str, Any] = {"preset": Annotated[str | None, typer.Option(help=preset, rich_help_panel=TRAINING)]}
    tree = ast.parse((Path(__file__).parents[1] / "config.py").read_text("utf-8"))
    (config,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "TrainConfig")
    for field, below in itertools.pairwise(config.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr)):
            continue
        name, kind = ast.unparse(field.target), ast.unparse(field.annotation).removesuffix(" | None")
        text = " ".join(str(ast.literal_eval(below.value)).replace("`", "").split())
        if kind.startswith("Literal"):
            *others, last = re.findall(r"'([^']+)'", kind)
            text = f"{', '.join(others)} or {last}: {text}" if others else f"{last}: {text}"
        value = field.value
        if isinstance(value, ast.Call):
            value = next(one.value for one in value.keywords if one.arg == "default")
        if isinstance(value, ast.Name):  # a constant of that module
            constants = {ast.unparse(one.targets[0]): one.value for one in tree.body if isinstance(one, ast.Assign)}
            value = constants[value.id]
        if isinstance(value, ast.Constant) and value.value is not None:
            text = f"{text} [{'no' if value.value is False else str(value.value)}]"
        python = {"int": int, "float": float, "bool": bool}.get(kind, str)
        dashed = name.replace("_", "-")
        spelling = ON_AND_OFF.get(name, f"--{dashed}/--no-{dashed}") if python is bool else f"--{dashed}"
        options[name] = Annotated[
            python | None, typer.Option(spelling, help=text, rich_help_panel=HEADINGS.get(name, TRAINING))
        ]
    return options


SETTINGS = _settings()
"""The options of a training: a preset and every field of `TrainConfig`."""

ON_COLLAPSE = {
    "seeds": "[restart]",
    "search": "[restart for the seeds at the end; a trial stops]",
}
"""The default of ``--on-collapse`` in commands that train several times, where it is not that of `TrainConfig`."""


OfColumn = Annotated[
    str | None,
    typer.Option("--split", metavar="column", help="the rows of test by the column called split", rich_help_panel=DATA),
]

READING: dict[str, Any] = {
    "folder": Folder,
    "columns": Columns,
    "separator": Separator,
    "labels": Labels,
    "normalise_labels": Normalise,
    "drop_unlabelled": DropUnlabelled,
}
"""The options for reading labelled files, by the names of `load_data`'s arguments."""


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `SETTINGS` to a command, which gets the given ones as its argument ``settings``."""

    def read(given: dict[str, Any]) -> dict[str, Any]:
        from acceptor.config import PRESETS

        settings = {name: value for name, value in given.items() if value is not None}
        preset = settings.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise UsageError(f"no preset is called {preset!r}", expected=", ".join(PRESETS), code="E-USAGE-OPTION")
        return {**PRESETS.get(preset, {}), **settings}

    kind = SETTINGS["on_collapse"]
    option = copy.copy(kind.__metadata__[0])
    option.help = option.help.replace("[stop]", ON_COLLAPSE.get(command.__name__, "[stop]"))
    options = {**SETTINGS, "on_collapse": Annotated[kind.__origin__, option]}
    return _with_options(command, "settings", options, read)


def takes_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `READING` to a command, which gets them as ``reading``: arguments of `load_data`."""
    return _with_options(command, "reading", READING, _reading_of)


def takes_reading_of_a_file(command: Callable[..., None]) -> Callable[..., None]:
    """`takes_reading` for a command whose ``--data`` is the file itself."""
    options = {name: kind for name, kind in READING.items() if kind is not Folder}
    return _with_options(command, "reading", options, _reading_of)


def _reading_of(given: dict[str, Any]) -> dict[str, Any]:
    return {
        **given,
        "columns": columns_of(given["columns"]),
        "separator": separator_of(given["separator"]),
        "labels": None if given["labels"] is None else listed_in(given["labels"], "--labels"),
    }


def _with_options(
    command: Callable[..., None],
    argument: str,
    options: dict[str, Any],
    read: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """Replaces one argument of a command by many options; the argument gets the result of ``read``."""

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        own = {name: given.pop(name) for name in options}
        command(**given, **{argument: read(own)})

    parameters = []
    for name, one in inspect.signature(command, eval_str=True).parameters.items():
        if name != argument:
            parameters.append(one.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        for option, kind in options.items():
            default = False if kind in (Normalise, DropUnlabelled) else None
            parameters.append(
                inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            )
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in parameters}
    return with_options


Why = Annotated[
    str | None, typer.Option(help="show the weight of each word: occlusion or gradients", rich_help_panel=OUTPUT)
]


def refuse_vain_share(settings: Mapping[str, Any], examples: Data) -> None:
    """Refuses --validation-share where no validation split is cut by it.

    Raises:
        UsageError: The data have their own validation split, or the rule of the split its own share.
    """
    if "validation_share" not in settings:
        return
    from acceptor.data.auditing.inspection import split_column

    rule, given = settings.get("split"), examples.validation
    name, roles = (rule == "column" and split_column(examples.train.own.table, least=1)) or ("", {})
    if "validation" in roles.values():
        origin = f"in the column {name}"
    elif rule == "notebook":
        origin = "a tenth of train: --split notebook"
    elif rule != "stratified" and given is not None:
        origin = given.table.origin
    else:
        return
    cut = "" if rule == "column" else "; or cut validation from train by it: --split stratified"
    raise UsageError(
        "--validation-share has no effect here",
        cause=f"validation is {origin}",
        next=f"leave it out{cut}",
        code="E-USAGE-CONFLICT",
    )


def listed_in(text: str, option: str) -> list[str]:
    """The values of an option between its commas; a value with a comma is in double quotes.

    Raises:
        UsageError: A quote is not closed.
    """
    parts = re.findall(r'(?:^|,)((?:"(?:[^"]|"")*"|[^,"])*)', text)
    if ",".join(parts) != text:
        raise UsageError(
            f"{option} cannot be read", expected='a,b or "a, with a comma",b', found=text, code="E-USAGE-OPTION"
        )
    return [re.sub(r'"((?:[^"]|"")*)"', lambda quoted: quoted[1].replace('""', '"'), part) for part in parts]


def separator_of(text: str | None) -> str | None:
    """The value of --separator: one character, or the word ``tab``."""
    if text is None:
        return None
    separator = {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
    if len(separator) != 1 or separator in '"\r\n' or separator.isalnum():
        raise UsageError(
            "--separator cannot be read",
            expected="';', ',', '|', tab, or another character",
            found=repr(text),
            code="E-USAGE-OPTION",
        )
    return separator


def columns_of(text: str | None) -> dict[str, str] | None:
    """The value of --columns: role to column."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in listed_in(text, "--columns")]
    roles = [role.strip() for role, _, _ in pairs]
    if not all(role and equals and column for role, equals, column in pairs) or len({*roles}) < len(roles):
        raise UsageError(
            "--columns cannot be read",
            expected="each role once: sentence=text,label=3",
            found=text,
            code="E-USAGE-OPTION",
        )
    return {role.strip(): column.strip() for role, _, column in pairs}


def is_column(text: str | None) -> bool:
    """The value of --split in commands that do not train."""
    if text not in (None, "column"):
        raise UsageError(
            f"--split cannot be {text!r} here",
            expected="column: the file's own column of splits",
            code="E-USAGE-OPTION",
        )
    return text is not None


def refuse_vain_overwrite(overwrite: bool, *outputs: object, option: str) -> None:
    """Refuses --overwrite where there is no output to replace; ``option`` would give one."""
    if overwrite and not any(outputs):
        raise UsageError(
            "--overwrite replaces an output, but there is none",
            next=f"leave it out, or add {option}",
            code="E-USAGE-CONFLICT",
        )


def is_address(text: str) -> bool:
    """True if it is the address of a server, even without its scheme, and not the path of a run."""
    return "://" in text or (re.fullmatch(r"[\w.-]+:\d+", text) is not None and not os.path.exists(text))


def shard_of(text: str | None) -> tuple[int, int] | None:
    """The value of --shard: this job's number, from 1, and the number of jobs."""
    if text is None:
        return None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(
            "--shard cannot be read", expected="K/N with K from 1 to N: 3/16", found=text, code="E-USAGE-OPTION"
        )
    return int(number), int(of)
