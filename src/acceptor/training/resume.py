"""Reads the data and settings of a stopped training from its checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from acceptor.config import ResolvedConfig, TrainConfig, safer
from acceptor.data.corpora import CORPORA
from acceptor.data.load import load_data
from acceptor.data.table import Data
from acceptor.errors import DataError, UsageError
from acceptor.model.pretrained import EMBEDDED
from acceptor.runs.checkpoint import SourceRecord, newest, was_restarted
from acceptor.runs.run_file import all_settings
from acceptor.storage.files import user_path
from acceptor.training.defaults import DERIVED


def data_and_config(run: Path, changes: Mapping[str, object]) -> tuple[Data, TrainConfig]:
    """Returns a stopped training's data, read again from their files, and its settings with ``changes`` applied.

    Raises:
        UsageError: The data were Python objects, which no checkpoint holds; or a setting is out of range.
        RunError: There is no checkpoint, or none is complete.
        DataError: A file of the data is missing, or cannot be read.
    """
    settings = newest(run).settings
    source, start = settings.source, Path(settings.directory)
    if source is None:
        raise UsageError(
            f"the checkpoint of {run} does not say where its data are",
            cause="it was started by distil, by a search, as a part of a set, or from Python objects",
            next="repeat the command that started it, which resumes it\n"
            f"in Python: acceptor.train(DATA, out={str(run)!r}, config=CONFIG, resume=True), both as at the start",
            code="E-USAGE-CHANGED",
        )
    config = TrainConfig.model_validate({**all_settings(settings.config), **changes})
    if config.encoder not in EMBEDDED:
        config = config.model_copy(update={"encoder": _found(config.encoder, start)})
    # A run of 0.1 lacks some arguments; a file may have fields that are not arguments.
    reading = source.model_dump(include=set(SourceRecord.model_fields), exclude_unset=True)
    for name in ("source", "validation", "test", "folder"):
        path = reading[name]
        reading[name] = None if path is None else _found(path, start)
    reading["extra"] = [_found(path, start) for path in source.extra]
    for path in (reading["source"], reading["validation"], reading["test"], *reading["extra"]):
        if path is not None and path not in CORPORA and not Path(path).exists():
            raise DataError(
                "a file of this training is missing",
                where=path,
                expected=f"the file with which {run} was started",
                next="put it back, or train anew: --overwrite",
                code="E-DATA-MISSING",
            )
    return load_data(**reading), config


def config_after_restart(run: Path, config: TrainConfig) -> TrainConfig:
    """The settings to resume with: the safer ones if the training was restarted after a collapse.

    Raises:
        RunError: There is no checkpoint, or none is complete.
    """
    state = newest(run)
    if not was_restarted(state):
        return config
    stored = all_settings(state.settings.config)  # settings that were derived are the safer ones there already
    derived = {name: stored[name] for name in DERIVED if getattr(config, name) is None}
    given = safer(ResolvedConfig.model_validate({**config.model_dump(), **derived}))
    return given.model_copy(update=derived)


def _found(path: str, start: Path) -> str:
    """The name of a corpus or path as given if it exists, else relative to the folder in which training was started."""
    if path in CORPORA:
        return path
    here = user_path(path)
    return path if here.exists() or not (start / here).exists() else str(start / here)
