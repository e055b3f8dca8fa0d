"""`search_settings`: hyper-parameter search with Optuna, then several seeds with the best settings.

A trial is an ordinary training. Trials use only train and validation: the test split is not in their data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from acceptor.config import ResolvedConfig, TrainConfig, with_encoder
from acceptor.data.corpora import paths_of
from acceptor.data.load import load_data
from acceptor.data.split import with_validation
from acceptor.data.table import Data
from acceptor.errors import TrainingError, UsageError, checked_types
from acceptor.evaluation.metrics import lowest_score
from acceptor.experiments.seeds import Seeds, train_seeds
from acceptor.experiments.study import (
    Domain,
    check_shareable,
    ended,
    folder_of,
    in_states,
    is_whole,
    load_optuna,
    lock_of_trial,
    locked,
    next_trial,
    open_study,
    write_trials,
)
from acceptor.experiments.workers import Worker, run_workers
from acceptor.model.pretrained import find_encoder
from acceptor.runs.folder import is_finished
from acceptor.runs.out_path import refuse_within
from acceptor.runs.report_file import OF_THE_DATA, read_report_file
from acceptor.runs.search_file import SearchFile, Trial
from acceptor.runtime.processes import refuse_torchrun
from acceptor.storage.files import user_path
from acceptor.storage.lock import one_writer
from acceptor.text import Json
from acceptor.training.defaults import resolve
from acceptor.training.session import StoppedError
from acceptor.training.signals import log_on_stop
from acceptor.training.train import check_trial, train_trial

logger = logging.getLogger(__name__)

Config = TypeVar("Config", bound=TrainConfig)


def default_space(config: ResolvedConfig) -> dict[str, Domain]:
    """The default domains. Each includes the setting's value in ``config``, which the first trial has.

    A domain is (lowest, highest), (lowest, highest, "log"), or a list of values.
    """
    rate, epochs, decay = config.learning_rate, config.epochs, config.weight_decay
    return {
        "learning_rate": (rate / 5, max(rate, min(rate * 5, 0.5)), "log"),
        "epochs": (max(1, epochs // 3), 2 * epochs),
        "batch_size": sorted({16, 32, 64, config.batch_size}),
        "warmup": (0.0, max(0.3, config.warmup)),
        "weight_decay": (min(1e-3, decay), max(0.3, decay), "log") if decay else (0.0, 0.3),
    }


LUCK = "a lucky seed or an easy split would win"
FIXED = {
    **dict.fromkeys(("seed", "order_seed", "metric", "select", "split", "validation_share"), LUCK),
    "encoder": "the other settings are derived for one encoder; search with each, and compare the two best judges",
}
"""Settings that are not searched, and why."""

BOUND = ("reinit_layers", "keep_head", "max_length", "device")  # what the encoder or the machine may not have
LEFT_OUT = OF_THE_DATA | {"confusion"}  # scores that are not kept: equal in all trials, or long
QUARTERS = 4  # points of a training at which it may be pruned, so that long and short trainings are comparable
POLL_SECONDS = 0.2  # while waiting for trials of other processes


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """A search, finished or not.

    Attributes:
        folder: The folder of the search, with the best trial's run folder.
        file: The content of ``search.json``: settings, space, data, all trials, the best one.
        seeds: The result of `train_seeds` with the best settings; None if no seeds were requested.
    """

    folder: Path
    file: SearchFile
    seeds: Seeds | None = None

    @functools.cached_property
    def record(self) -> Json:
        """The content of ``search.json``, as a dict."""
        return self.file.to_dict()

    @property
    def trials(self) -> list[Json]:
        """Every trial: ``number``, ``state``, ``params``, ``value``, ``epochs`` (the metric after each) and more."""
        return list(self.record["trials"])

    @property
    def best(self) -> Json | None:
        """The trial with the highest value; None if no value is defined."""
        best: Json | None = self.record["best"]
        return best

    def __repr__(self) -> str:
        best = self.file.best
        words = f"best {self.file.metric} {best.value:.3f}, too good" if best else "no value defined"
        return f"Search({self.folder} · {len(self.file.trials)} trials · {words})"

    def to_dict(self) -> Json:
        """Folder, record and seeds, for JSON."""
        seeds = None if self.seeds is None else self.seeds.to_dict()
        return {"folder": str(self.folder), **self.record, "seeds": seeds}


class _PrunedError(Exception):
    """Ends a training that Optuna prunes."""


@checked_types
def search_settings(
    data: Any,
    *,
    out: str | Path,
    trials: int = 30,
    seeds: int = 5,
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    space: Mapping[str, Domain] | None = None,
    processes: int = 1,
) -> Search:
    """Searches settings with the highest ``config.metric`` on validation, then trains several seeds with the best.

    The sampler is TPE (Bergstra et al. 2011) and seeded; the first trial has the given settings, as a baseline. A trial
    is pruned if its best score so far is below the median of the others at the same quarter of a training. The same
    call resumes after a stop, and joins a search that is running. Only the best trial's weights are kept.

    Args:
        data: A `Data`, or anything that `load_data` accepts. Its test split is used only for the final seeds.
        out: The folder of the search.
        trials: The total number of trials.
        seeds: Number of seeds to train with the best settings; 0 trains none.
        encoder: Short for ``config.encoder``.
        config: All settings that are not searched, and the first trial's.
        space: Domains by setting, instead of `default_space`: (lowest, highest), (lowest, highest, "log"), or a list.
        processes: Number of trials at the same time. Each gets a share of the cores; GPUs are assigned in turn.

    Raises:
        UsageError: Optuna is not installed; ``out`` holds something else, or a search with other settings or data; or
            a domain is invalid.
        AcceptorError: `load_data` or `train` raises an error that concerns all trials.
    """
    config = with_encoder(config, encoder)
    _check(trials=trials, seeds=seeds, processes=processes)
    if space is not None:
        _check_space(config, space)
    data = data if isinstance(data, Data) else load_data(data)
    restarts = "on_collapse" not in config.model_fields_set
    cut, blind = _cut(data, config)
    config, _ = resolve(config, find_encoder(config.encoder), cut.train)
    domains = default_space(config) if space is None else dict(space)
    _check_values(config, domains, cut)
    out = user_path(out)
    if seeds and cut.test is None:
        logger.warning("no test split: the final seeds are scored on the split that chose the settings")
    refuse_within(out, [find_encoder(config.encoder).folder, *paths_of(data)])
    file = _do_all(out, config, domains, blind, trials, processes)
    found = None
    if seeds and file.best:
        with locked(out, "last"):  # a process that joined finds them finished
            config = _with(config, {"on_collapse": "restart"}) if restarts else config  # as `train_seeds` does
            found = _train_seeds(data, out, config, file.best, seeds, processes)
    return Search(out, file, found)


def _cut(data: Data, config: TrainConfig) -> tuple[Data, Data]:
    """The data as a training splits it, from which settings are derived; and what the trials get of it.

    A trial never reads test: it is not resumed alone, and a column of splits, in which test is named, is read here.
    """
    cut, _ = with_validation(data, config)
    return cut, dataclasses.replace(cut if config.split == "column" else data, test=None, source=None)


def _check(*, trials: int, seeds: int, processes: int) -> None:
    load_optuna()
    refuse_torchrun()
    if trials < 1 or processes < 1 or seeds < 0:
        raise UsageError(
            "a number is out of range",
            expected="trials and processes of 1 or more, seeds of 0 or more",
            found=f"trials = {trials}, processes = {processes}, seeds = {seeds}",
            code="E-USAGE-OPTION",
        )


def _check_space(config: TrainConfig, space: Mapping[str, Domain]) -> None:
    fixed = sorted(FIXED.keys() & space.keys())
    if fixed or not space:
        raise UsageError(
            f"{', '.join(fixed)} cannot be searched" if fixed else "there is nothing to search",
            expected="settings that make a better judge, such as learning_rate or epochs",
            cause=FIXED[fixed[0]] if fixed else None,
            code="E-USAGE-OPTION",
        )
    for name, domain in space.items():
        if not _is_domain(domain, whole=is_whole(name)):
            expected = '(lowest, highest), (lowest, highest, "log") above 0, or a list of values'
            expected += "; whole numbers" if is_whole(name) else ""
            raise UsageError(
                f"this is no domain of {name}", expected=expected, found=repr(domain), code="E-USAGE-OPTION"
            )
        for value in _ends(domain):
            _with(config, {name: value})  # raises where the setting cannot be that


def _check_values(config: ResolvedConfig, space: Mapping[str, Domain], data: Data) -> None:
    """Refuses a value that no trial can have: it would end the search in a later trial, past correction."""
    for name, domain in space.items():
        for value in _ends(domain):
            try:
                own = _with(config, {name: value})
                if name in BOUND:
                    check_trial(data, own)
            except UsageError as error:
                error.add("where", f"the domain of {name}, {domain!r}"[:200])
                error.add("next", f"leave {value!r} out of it")
                raise


def _ends(domain: Domain) -> Sequence[Any]:
    """All values of a list; the lowest and the highest of a range."""
    return domain if isinstance(domain, list) else domain[:2]


def _is_domain(domain: Any, *, whole: bool) -> bool:
    if isinstance(domain, list):
        return bool(domain)
    kinds = int if whole else int | float
    numbers = isinstance(domain, tuple) and all(
        isinstance(end, kinds) and not isinstance(end, bool) for end in domain[:2]
    )
    if not numbers:
        return False
    if len(domain) not in (2, 3) or domain[0] >= domain[1]:
        return False
    return len(domain) == 2 or (domain[2] == "log" and domain[0] > 0)


def _with(config: Config, params: Mapping[str, object]) -> Config:
    return type(config).model_validate({**config.model_dump(exclude_unset=True), **params})


def _train_seeds(data: Data, out: Path, config: ResolvedConfig, best: Trial, seeds: int, processes: int) -> Seeds:
    # The trials' own seed was lucky with these settings.
    config = _with(config, {**best.params, "seed": (config.seed + 1) % 2**32})
    folder = out / f"seeds-{best.folder}"  # with more trials another one may be the best
    return train_seeds(data, out=folder, seeds=seeds, config=config, processes=processes)


# ── trials ───────────────────────────────────────────────────────────────────────────────────────────────


def _do_all(
    out: Path, config: ResolvedConfig, space: Mapping[str, Domain], data: Data, trials: int, processes: int
) -> SearchFile:
    """Runs `work`, in several processes if asked, and returns the content of ``search.json``."""
    job = functools.partial(work, out, config, space, data, trials)
    study = open_study(out, config, space, data)
    with locked(out):
        write_trials(study, out)  # by which its trainings know that they are trials
    with log_on_stop(lambda: f"stopped: {len(ended(study))} of {trials} trials have ended; repeat the command"):
        if processes > 1:
            check_shareable(out)
            _work_in_processes(job, processes)
        job()
    with locked(out):
        return write_trials(study, out)


def work(out: Path, config: ResolvedConfig, space: Mapping[str, Domain], data: Data, trials: int) -> None:
    """Does trials until there are enough and none of another process is under way."""
    study = open_study(out, config, space, data)
    while True:
        with contextlib.ExitStack() as alive:
            with locked(out):
                trial = next_trial(study, out, config.seed, space, trials)
                if trial:
                    alive.enter_context(one_writer(lock_of_trial(out, trial.number)))
            if trial:
                _do(study, trial, out, config, data)
                continue
        if not in_states(study, "RUNNING"):
            return
        time.sleep(POLL_SECONDS)


def _do(study: Any, trial: Any, out: Path, config: ResolvedConfig, data: Data) -> None:
    """One trial: trains, gives the score to the study, and removes the weights of all trials but the best."""
    # After a restart the score would be that of the safer settings, not of the trial's.
    on_collapse = "stop" if config.on_collapse == "restart" else config.on_collapse
    split = "given" if config.split == "column" else config.split  # the column was read for all trials
    own, folder = _with(config, {**trial.params, "on_collapse": on_collapse, "split": split}), out / folder_of(trial)
    logger.info("trial %d: %s", trial.number, format_settings(trial.params))
    began, pruned, value = time.perf_counter(), False, math.nan
    try:
        if not is_finished(folder):  # else it was killed before the study had the score
            train_trial(data, out=folder, config=own, on_epoch=_Pruner(trial, own))
        scores = read_report_file(folder).splits["validation"]
        trial.set_user_attr("scores", {key: one for key, one in scores.to_dict().items() if key not in LEFT_OUT})
        score = scores.score(own.metric)
        value = math.nan if score is None else score
    except _PrunedError:
        pruned = True
    except StoppedError:
        raise  # it says nothing about the settings
    except TrainingError as error:
        trial.set_user_attr("problem", error.problem)
    defined = not math.isnan(value)
    about = {"defined": defined, "seconds": round(time.perf_counter() - began, 3), "process": os.getpid()}
    for name, what in about.items():
        trial.set_user_attr(name, what)
    with locked(out):
        if pruned:
            study.tell(trial, state=load_optuna().trial.TrialState.PRUNED)
        else:
            study.tell(trial, value if defined else lowest_score(own.metric))  # the sampler needs a value
        best = write_trials(study, out).best
        kept = {folder_of(other) for other in in_states(study, "RUNNING", "WAITING")} | {best and best.folder}
        for other in out.glob("trial-*"):
            if other.name not in kept:
                shutil.rmtree(other, ignore_errors=True)
    words = "pruned" if pruned else f"{own.metric} {value:.3f}" if defined else f"{own.metric} not defined"
    logger.info("trial %d: %s", trial.number, words)


class _Pruner:
    """Called after every epoch of a trial; ends it if Optuna prunes it."""

    def __init__(self, trial: Any, config: ResolvedConfig) -> None:
        self.trial, self.config = trial, config
        self.reported: set[int] = set()

    def __call__(self, history: list[Json]) -> None:
        """Reports the score at every quarter of the training that has passed.

        The number of epochs is searched too, and the learning rate decays over all of them, so epoch 2 of 8 is not
        compared with epoch 2 of 2. The history of a resumed training includes its earlier epochs.
        """
        metric, epochs = self.config.metric, self.config.epochs
        scores = [line[metric] for line in history if line["event"] == "epoch"]
        self.trial.set_user_attr("epochs", scores)
        for epoch, score in enumerate(scores, 1):
            quarter = QUARTERS * epoch // epochs
            if quarter and quarter not in self.reported:
                self.reported.add(quarter)
                self.trial.report(lowest_score(metric) if score is None else score, quarter)
        if len(scores) < epochs and self.trial.should_prune():
            raise _PrunedError


def format_settings(params: Mapping[str, object]) -> str:
    """Formats settings as one line."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


# ── several processes ────────────────────────────────────────────────────────────────────────────────────


def _work_in_processes(job: Callable[[], None], processes: int) -> None:
    """Runs a job in several processes and waits for them. The caller then does the rest if one has died."""
    slots = deque(range(processes))

    def start(slot: int) -> Worker[int]:
        number = slots.popleft()
        return Worker(number, f"process {number + 1}", job, slot, processes)

    for worker in run_workers(lambda: bool(slots), start, processes):
        if worker.process.returncode and not worker.was_stopped:
            logger.warning("%s: %s", worker.name, worker.death().problem)
