"""The Optuna study of a search, on disk: trials and their scores, and the choice of the next trial.

The study is in a SQLite file, which survives a kill at any point and which several processes can share. The process
that works on a trial holds a lock, which the kernel releases when the process dies.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from acceptor.config import TrainConfig
from acceptor.data.table import Data
from acceptor.errors import RunError, UsageError, check_installed
from acceptor.model.pretrained import find_encoder
from acceptor.runs.checkpoint import refuse_changes
from acceptor.runs.record import USUAL_FORMAT, damaged, parse_record
from acceptor.runs.run_file import all_settings
from acceptor.runs.search_file import (
    STUDY_FILE,
    SearchFile,
    SearchSetup,
    Trial,
    check_search_format,
    is_search,
    open_study_file,
    write_search_file,
)
from acceptor.storage.files import explain_write_errors
from acceptor.storage.lock import one_writer, take_lock
from acceptor.text import Json

logger = logging.getLogger(__name__)

Domain = tuple[Any, ...] | list[Any]
"""The domain of a setting: (lowest, highest), (lowest, highest, "log"), or a list of values."""

READ_AS = ", read as"
LATER = ("labels", "encoder")  # what newer searches are compared by, too, beside how each split is read
OPTIMISTIC = (
    "the best value was chosen among all trials on this split, so it is too good; the figure to quote is the mean "
    "over new seeds, on the test split"
)


def load_optuna() -> Any:
    """Imports Optuna with its logging switched off.

    Raises:
        UsageError: It is not installed.
    """
    check_installed("optuna")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextlib.contextmanager
def locked(out: Path, name: str = "study") -> Iterator[bool]:
    """Holds a lock on ``out``, so that one process at a time is in such a block. Yields False if locks do not work."""
    with (out / f".{name}.lock").open("a") as lock:
        yield take_lock(lock, wait=True)


def check_shareable(out: Path) -> None:
    """Refuses several processes if the file system has no locks.

    Raises:
        UsageError: The file system of ``out`` has no locks.
    """
    with locked(out) as has_locks:
        if not has_locks:
            raise UsageError(
                "several processes cannot share a search here",
                where=str(out),
                cause="this file system has no locks",
                next="--processes 1, or search on another file system: --out PATH",
                code="E-USAGE-OUTPUT",
            )


def open_study(out: Path, config: TrainConfig, space: Mapping[str, Domain], data: Data) -> Any:
    """Opens or creates the study in ``out``. The first trial has the given settings, if they are in ``space``.

    Raises:
        UsageError: ``out`` holds something else, or a search with other settings or data.
    """
    optuna = load_optuna()
    # Listed before the study is looked for: the same command may be creating it in another process.
    within = [path.name for path in out.iterdir()] if out.is_dir() else []
    if (out.exists() and not out.is_dir()) or (any(name != ".study.lock" for name in within) and not is_search(out)):
        raise UsageError(
            f"{out} exists and is not a search",
            expected="a path that does not exist, or a search to resume",
            next="search elsewhere: --out PATH",
            code="E-USAGE-OUTPUT",
        )
    with explain_write_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / ".study.lock").touch()
    with locked(out) as has_locks:
        if is_search(out):
            check_search_format(out)
        # No pruning before 5 trials have ended.
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
        study = optuna.create_study(
            study_name="search",
            storage=_storage(out, has_locks=has_locks),
            direction="maximize",
            load_if_exists=True,
            pruner=pruner,
        )
        head = json.loads(
            json.dumps({"config": config.model_dump(), "space": dict(space), "data": _inputs(config, data)})
        )
        before = study.user_attrs.get("head")
        if before is None:
            if all(_in_domain(getattr(config, name), domain) for name, domain in space.items()):
                study.enqueue_trial({name: getattr(config, name) for name in space}, skip_if_exists=True)
            study.set_user_attr("head", head)
            study.set_user_attr("format", USUAL_FORMAT)
        else:
            setup = parse_record({"format": study.user_attrs.get("format", 1), **before}, SearchSetup, out / STUDY_FILE)
            _refuse_another(out, setup, SearchSetup.model_validate(head))
    return study


def _inputs(config: TrainConfig, data: Data) -> dict[str, str]:
    """What a trial learns from: the hashes of its files, how they are read, the weights that it begins with."""
    splits = [split for split in data.splits if split.name != "test"]
    return {
        **{split.name: split.table.sha256 for split in splits},
        **{f"extra {number}": one.sha256 for number, one in enumerate(data.train.table.added, 1)},
        **{f"{split.name}{READ_AS}": split.table.schema for split in splits},
        "labels": ", ".join(data.labels),
        "encoder": find_encoder(config.encoder).sha256,
    }


def _storage(out: Path, *, has_locks: bool) -> Any:
    """Optuna's storage in the study's file.

    Raises:
        RunError: The file is not a SQLite file, or a newer Optuna wrote it.
    """
    from sqlalchemy.exc import DatabaseError
    from sqlalchemy.pool import NullPool

    # A function instead of a URL, in which some characters of a path would have a meaning.
    engine = {"creator": lambda: open_study_file(out, has_locks=has_locks), "poolclass": NullPool}
    try:
        return load_optuna().storages.RDBStorage("sqlite://", engine_kwargs=engine)
    except (DatabaseError, RuntimeError) as error:
        raise damaged(out / STUDY_FILE, str(error).split("\n")[0][:300]) from error


def _in_domain(value: Any, domain: Domain) -> bool:
    if isinstance(domain, list):
        return value in domain
    return isinstance(value, int | float) and domain[0] <= value <= domain[1]


def _refuse_another(out: Path, before: SearchSetup, now: SearchSetup) -> None:
    older = "encoder" not in before.data  # it kept the settings and the hashes of the files alone
    try:
        refuse_changes(_deciding(before, hashes_only=older), _deciding(now, hashes_only=older))
    except UsageError as error:
        error.add("where", str(out))
        error.add("next", "resume the search with its settings and data, or search elsewhere: --out PATH")
        raise


def _deciding(setup: SearchSetup, *, hashes_only: bool) -> Json:
    """All values that must be the same when the search is resumed, by name; ``hashes_only`` leaves `LATER` out."""
    data = setup.data
    if hashes_only:
        data = {name: value for name, value in data.items() if name not in LATER and not name.endswith(READ_AS)}
    return {**all_settings(setup.config), "space": setup.space, "data": data}


def in_states(study: Any, *names: str) -> list[Any]:
    """The trials with one of these states, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in names]


def ended(study: Any) -> list[Any]:
    """The trials that have ended, pruned or not."""
    return in_states(study, "COMPLETE", "PRUNED")


def lock_of_trial(out: Path, number: int) -> Path:
    """The path that the process working on a trial has locked (`one_writer`)."""
    return out / f"trial-{number}.alive"


def _is_alive(out: Path, number: int) -> bool:
    try:
        with one_writer(lock_of_trial(out, number)):
            return False
    except RunError:
        return True


def next_trial(study: Any, out: Path, seed: int, space: Mapping[str, Domain], trials: int) -> Any:
    """The next trial with its settings, or None if there are enough. The caller has `locked` the study.

    A trial whose process has died is queued again and resumes from its checkpoint.
    """
    optuna = load_optuna()
    for dead in [trial for trial in in_states(study, "RUNNING") if not _is_alive(out, trial.number)]:
        study.tell(dead.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(dead.params, user_attrs={"folder": folder_of(dead)})
        logger.info("trial %d was stopped; it resumes", dead.number)
    started = len(ended(study)) + len(in_states(study, "RUNNING"))
    if started >= trials:
        return None
    trial = study.ask()
    # One seed per trial, so that a killed search samples the same trials when it resumes.
    own = int(np.random.SeedSequence([seed, started]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=own)
    for name, domain in space.items():
        _suggest(trial, name, domain)
    return trial


def is_whole(name: str) -> bool:
    """True for a setting that is a whole number."""
    field = TrainConfig.model_fields.get(name)
    return field is not None and int in (field.annotation, *get_args(field.annotation))


def _suggest(trial: Any, name: str, domain: Domain) -> Any:
    if isinstance(domain, list):
        return trial.suggest_categorical(name, domain)
    low, high, log = domain[0], domain[1], domain[2:] == ("log",)
    if is_whole(name):
        return trial.suggest_int(name, low, high, log=log)
    return trial.suggest_float(name, low, high, log=log)


def folder_of(trial: Any) -> str:
    """The name of a trial's run folder: by its number, or the folder of the stopped trial that it resumes."""
    return str(trial.user_attrs.get("folder", f"trial-{trial.number}"))


def write_trials(study: Any, out: Path) -> SearchFile:
    """Writes ``search.json`` and returns its content. The caller has `locked` the study."""
    head = study.user_attrs["head"]
    trials = [_trial(trial) for trial in ended(study)]
    content = SearchFile.new(
        {
            "metric": head["config"]["metric"],
            "split": "validation",
            "selected_on_this_split": True,
            "optimistic": OPTIMISTIC,
            **head,
            "trials": trials,
            "best": _best(trials),
        }
    )
    write_search_file(out, content)
    return content


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest value, the earlier of two equal ones; None if no value is defined."""
    values = {trial.number: trial.value for trial in trials if trial.value is not None}
    return max((one for one in trials if one.number in values), key=lambda one: values[one.number], default=None)


def _trial(trial: Any) -> Trial:
    about = trial.user_attrs
    return Trial(
        number=trial.number,
        state=trial.state.name.lower(),
        params=dict(trial.params),
        value=trial.value if trial.state.name == "COMPLETE" and about["defined"] else None,
        epochs=about.get("epochs", []),
        scores=about.get("scores"),
        problem=about.get("problem"),
        seconds=about["seconds"],
        process=about["process"],
        folder=folder_of(trial),
    )
