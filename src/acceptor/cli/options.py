"""What several commands take: their options, and how those that hold more than a word are read."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from acceptor.errors import UsageError

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder")]
JudgePath = Annotated[Path, typer.Argument(metavar="RUN", help="a run folder, or an exported judge: FILE.onnx")]
Columns = Annotated[str | None, typer.Option(help="role=column,…: sentence=text,label=3 (names or 1-based numbers)")]
Separator = Annotated[
    str | None,
    typer.Option(help="what separates cells: ';', ',', '|' or tab [by the file's name]", metavar="CHARACTER"),
]
Normalise = Annotated[
    bool, typer.Option("--normalise-labels", help="labels that differ in case, blanks or Unicode form are the same")
]
DropUnlabelled = Annotated[bool, typer.Option("--drop-unlabelled", help="leave out rows without a label: -, ?, -1")]
Folder = Annotated[Path | None, typer.Option("--data", help="folder of a named corpus' files")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu [the fastest present]")]
Precision = Annotated[
    str | None,
    typer.Option(help="fp32; bf16; int8; lossless: bf16, close calls again in fp32 [lossless if bf16 is fast]"),
]
OUTPUTS = ".tsv .csv .jsonl, each also .gz .zst; .parquet .arrow .feather"
"""By what names an output's format is known; `data.write.form_of` takes them, and would load polars for the help."""
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what stands at the output path")]
Validation = Annotated[Path | None, typer.Option(help="a file to validate on")]
Test = Annotated[Path | None, typer.Option(help="a file to test on; it chooses nothing")]
Labels = Annotated[
    str | None, typer.Option(help="labels in the order of ids: a,b; as written, or names for numbers in their order")
]
Processes = Annotated[int, typer.Option(help="trainings at once, each on its GPU or its share of the cores")]

SETTINGS: dict[str, Any] = {
    "encoder": Annotated[str | None, typer.Option(help="folder, hub name, minilm or mpnet")],
    "preset": Annotated[str | None, typer.Option(help="notebook: the chapter's settings, its weight decay made real")],
    "keep_head": Annotated[
        bool | None, typer.Option("--keep-head/--new-head", help="go on with the encoder's own head [no]")
    ],
    "epochs": Annotated[int | None, typer.Option(help="passes over train [4]")],
    "batch_size": Annotated[int | None, typer.Option(help="sentences per optimizer step [32]")],
    "learning_rate": Annotated[float | None, typer.Option(help="peak learning rate [2e-05]")],
    "warmup": Annotated[float | None, typer.Option(help="share of steps that climb to the peak [0.1]")],
    "weight_decay": Annotated[float | None, typer.Option(help="decay of weight matrices [0.01]")],
    "max_grad_norm": Annotated[float | None, typer.Option(help="clip gradients, 0 does not [1.0]")],
    "max_length": Annotated[int | None, typer.Option(help="longest input in tokens [128]")],
    "seed": Annotated[int | None, typer.Option(help="of head, dropout, order, split [2018]")],
    "order_seed": Annotated[int | None, typer.Option(help="of the examples' order alone [the seed]")],
    "split": Annotated[str | None, typer.Option(help="given, stratified, notebook, column [given if any]")],
    "validation_share": Annotated[float | None, typer.Option(help="share cut from train [0.1]")],
    "order": Annotated[str | None, typer.Option(help="bucketed or random batches [bucketed]")],
    "metric": Annotated[str | None, typer.Option(help="mcc, accuracy or f1 [mcc]")],
    "select": Annotated[str | None, typer.Option(help="weights of the last or best epoch [last]")],
    "calibrate": Annotated[
        bool | None, typer.Option("--calibrate/--no-calibrate", help="fit temperature and threshold on validation [no]")
    ],
    "on_nan": Annotated[str | None, typer.Option(help="stop, or skip steps that are not finite [stop]")],
    "on_collapse": Annotated[
        str | None,
        typer.Option(
            help="all verdicts alike: stop, go-on, or restart with safer settings [stop]; of several: restart"
        ),
    ],
    "device": Device,
    "precision": Annotated[str | None, typer.Option(help="fp32 or bf16 [by the device]")],
    "compile": Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="torch.compile in a few static shapes [no]")
    ],
}
"""The options of a training: a preset and every field of `TrainConfig`."""


OfColumn = Annotated[
    str | None, typer.Option("--split", metavar="column", help="the rows of test by the column called split")
]

READING: dict[str, Any] = {
    "folder": Folder,
    "columns": Columns,
    "separator": Separator,
    "labels": Labels,
    "normalise_labels": Normalise,
    "drop_unlabelled": DropUnlabelled,
}
"""The options that say how labelled files are read, by the names that `load_data` gives them."""


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `SETTINGS`; what was given of them comes as its argument ``settings``."""

    def read(given: dict[str, Any]) -> dict[str, Any]:
        from acceptor.config import PRESETS

        settings = {name: value for name, value in given.items() if value is not None}
        preset = settings.pop("preset", None)
        if preset is not None and preset not in PRESETS:
            raise UsageError(f"no preset is called {preset!r}", expected=", ".join(PRESETS))
        return {**PRESETS.get(preset, {}), **settings}

    return _with_options(command, "settings", SETTINGS, read)


def takes_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options of `READING`; they come as its argument ``reading``, as `load_data` takes them."""

    def read(given: dict[str, Any]) -> dict[str, Any]:
        return {
            **given,
            "columns": columns_of(given["columns"]),
            "separator": separator_of(given["separator"]),
            "labels": None if given["labels"] is None else listed_in(given["labels"], "--labels"),
        }

    return _with_options(command, "reading", READING, read)


def _with_options(
    command: Callable[..., None],
    argument: str,
    options: dict[str, Any],
    read: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """The command with many options in the place of one argument, which gets what ``read`` makes of them."""

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


Why = Annotated[str | None, typer.Option(help="show what each word weighs: occlusion or gradients")]


def listed_in(text: str, option: str) -> list[str]:
    """What stands between the commas of an option's value; names with commas stand in double quotes.

    Raises:
        UsageError: A quote is not closed.
    """
    parts = re.findall(r'(?:^|,)((?:"(?:[^"]|"")*"|[^,"])*)', text)
    if ",".join(parts) != text:
        raise UsageError(f"{option} cannot be read", expected='a,b or "a, with a comma",b', found=text)
    return [re.sub(r'"((?:[^"]|"")*)"', lambda quoted: quoted[1].replace('""', '"'), part) for part in parts]


def separator_of(text: str | None) -> str | None:
    """What --separator says: one character, or the word ``tab``."""
    if text is None:
        return None
    separator = {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
    if len(separator) != 1 or separator in '"\r\n' or separator.isalnum():
        raise UsageError(
            "--separator cannot be read", expected="';', ',', '|', tab, or another character", found=repr(text)
        )
    return separator


def columns_of(text: str | None) -> dict[str, str] | None:
    """What --columns says: role to column."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in listed_in(text, "--columns")]
    if not all(role and equals and column for role, equals, column in pairs):
        raise UsageError("--columns cannot be read", expected="sentence=text,label=3", found=text)
    return {role.strip(): column.strip() for role, _, column in pairs}


def is_column(text: str | None) -> bool:
    """What --split says where nothing is trained."""
    if text not in (None, "column"):
        raise UsageError(f"--split cannot be {text!r} here", expected="column: the file's own column of splits")
    return text is not None


def shard_of(text: str | None) -> tuple[int, int] | None:
    """What --shard says: this job's number, from 1, and how many there are."""
    if text is None:
        return None
    number, slash, of = text.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError("--shard cannot be read", expected="K/N with K from 1 to N: 3/16", found=text)
    return int(number), int(of)
