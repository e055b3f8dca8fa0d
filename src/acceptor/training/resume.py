"""What a training that was stopped was begun with, read from its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acceptor.config import TrainConfig, safer
from acceptor.data.corpora import CORPORA
from acceptor.data.load import load_data
from acceptor.data.table import Data
from acceptor.errors import UsageError
from acceptor.model.pretrained import EMBEDDED
from acceptor.runs.checkpoint import newest


def begun_with(run: Path, changes: Mapping[str, Any]) -> tuple[Data, TrainConfig]:
    """The data, read again from where they were, and the settings, but for those in ``changes``.

    Raises:
        UsageError: The data were objects in Python, which no checkpoint holds; or a setting is out of range.
        RunError: There is no checkpoint, or none is whole.
        DataError: The data are not there any more, or cannot be read.
    """
    settings = newest(run)[1]["settings"]
    source, there = settings["source"], Path(settings["directory"])
    if source is None:
        raise UsageError(
            f"the data of {run} were objects in Python, of which its checkpoint holds a fingerprint only",
            next=f"acceptor.train(DATA, out={str(run)!r}, config=CONFIG, resume=True), both as in the beginning",
        )
    paths = {name: source[name] for name in ("source", "validation", "test", "folder")}
    found: dict[str, Any] = {
        name: path if path is None or path in CORPORA else _found(path, there) for name, path in paths.items()
    }
    config = TrainConfig(**{**settings["config"], **changes})
    if config.encoder not in EMBEDDED:
        config = config.model_copy(update={"encoder": _found(config.encoder, there)})
    names = ("columns", "labels", "separator", "normalise_labels", "drop_unlabelled")  # a run of 0.1 has the first two
    reading: dict[str, Any] = {name: source[name] for name in names if name in source}
    return load_data(**found, **reading), config


def restarted_with(run: Path, config: TrainConfig) -> TrainConfig:
    """The settings with which a training goes on: safer ones where it had collapsed and was begun again.

    Raises:
        RunError: There is no checkpoint, or none is whole.
    """
    events = [line["event"] for line in newest(run)[1]["history"]]
    return safer(config) if "restart" in events else config


def _found(path: str, there: Path) -> str:
    """A path as it was given, or where that leads from the folder in which it was given."""
    here = Path(path).expanduser()
    return path if here.exists() or not (there / here).exists() else str(there / here)
