"""`search_settings`: settings that do well on validation, found by Optuna; then seeds of the best.

A trial is a training like any other. Trials see train and validation alone: the test split is not in their data.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptor.config import TrainConfig
from acceptor.data.load import load_data
from acceptor.data.table import Data
from acceptor.errors import AcceptorError, TrainingError, UsageError
from acceptor.experiments.seeds import Seeds, train_seeds
from acceptor.experiments.study import (
    Domain,
    check_shareable,
    folder_of,
    in_states,
    load_optuna,
    locked,
    next_trial,
    open_study,
    sign_of_life,
    write_record,
)
from acceptor.experiments.workers import asked_for, environment_of
from acceptor.model.pretrained import find_encoder
from acceptor.runs.checkpoint import has_checkpoint
from acceptor.runs.place import paths_of, refuse_within
from acceptor.runtime.processes import place_among_processes
from acceptor.storage.lock import one_writer
from acceptor.storage.manifest import MANIFEST
from acceptor.storage.strict_json import read_json_object
from acceptor.training.hearing import heard_by
from acceptor.training.train import train

logger = logging.getLogger(__name__)

SPACE: dict[str, Domain] = {
    "learning_rate": (1e-5, 2e-4, "log"),
    "epochs": (2, 8),
    "batch_size": [16, 32, 64],
    "warmup": (0.0, 0.3),
    "weight_decay": (1e-3, 0.3, "log"),
}
"""Where settings are looked for: (lowest, highest), on a logarithmic scale where that is said, or a list of values."""
FIXED = {"seed", "metric", "select", "split", "validation_share"}
"""Settings that decide what a score means, or how lucky it is: they are not searched."""

WORST = {"mcc": -1.0, "accuracy": 0.0, "f1": 0.0}  # what the sampler is told where a score is not defined
NOT_OURS = {"origin", "sha256", "labels", "split", "confusion"}  # of a report: what all trials share, and what is long
QUARTERS = 4  # of a training: where it may be pruned, so that long and short ones are compared at the same share
LOOK_EVERY = 0.2  # seconds between two looks at trials of other processes


@dataclass(frozen=True, eq=False, repr=False)
class Search:
    """A search that has come to its end, or how far it has come.

    Attributes:
        folder: Where it lies; the best trial's run folder is in it.
        record: What ``search.json`` holds: settings, space, data, all trials, the best one.
        seeds: What `train_seeds` gives for the best settings; None where no seeds were asked for.
    """

    folder: Path
    record: dict[str, Any]
    seeds: Seeds | None = None

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Every trial: ``number``, ``state``, ``params``, ``value``, ``epochs`` (the metric after each) and more."""
        return list(self.record["trials"])

    @property
    def best(self) -> dict[str, Any] | None:
        """The trial with the highest value; None where no value is defined."""
        best: dict[str, Any] | None = self.record["best"]
        return best

    def __repr__(self) -> str:
        best = f"best {self.record['metric']} {self.best['value']:.3f}, too good" if self.best else "no value defined"
        return f"Search({self.folder} · {len(self.trials)} trials · {best})"

    def to_dict(self) -> dict[str, Any]:
        """Folder, record and seeds, for JSON."""
        seeds = None if self.seeds is None else self.seeds.to_dict()
        return {"folder": str(self.folder), **self.record, "seeds": seeds}


class _PrunedError(Exception):
    """Ends a hopeless training."""


def search_settings(
    data: Any,
    *,
    out: str | Path,
    trials: int = 30,
    seeds: int = 5,
    encoder: str | None = None,
    config: TrainConfig | None = None,
    space: Mapping[str, Domain] | None = None,
    processes: int = 1,
) -> Search:
    """Looks for settings with the highest ``config.metric`` on validation, then trains seeds of the best.

    The sampler is TPE (Bergstra et al. 2011) and seeded; the first trial has the settings as given, as a base line. A
    trial is pruned where its best score so far is below the median of the others' at the same quarter of a training.
    The same call goes on after a stop, and joins where another process is at work. Only the best trial's weights are
    kept.

    Args:
        data: A `Data`, or anything that `load_data` takes. Its test split is left alone until the seeds.
        out: The folder of the search.
        trials: How many there are to be in all.
        seeds: How many seeds to train the best settings with; 0 trains none.
        encoder: Short for ``config.encoder``.
        config: All settings that are not searched, and the first trial's.
        space: Domains by setting, in place of `SPACE`: (lowest, highest), (lowest, highest, "log"), or a list.
        processes: How many trials at once; each has its share of the cores, or a GPU in turn.

    Raises:
        UsageError: Optuna is not installed; ``out`` holds something else, or a search of other settings or data; or a
            domain is not one.
        AcceptorError: Whatever `load_data` and `train` raise about all trials alike.
    """
    config = config or TrainConfig()
    if encoder is not None:
        config = config.model_copy(update={"encoder": encoder})
    domains = dict(SPACE if space is None else space)
    _check(config, domains, trials=trials, seeds=seeds, processes=processes)
    data = data if isinstance(data, Data) else load_data(data)
    out = Path(out).expanduser()
    if seeds and data.test is None:
        logger.warning("no test split: the seeds, too, will be scored on the split that chooses the settings")
    refuse_within(out, [find_encoder(config.encoder).folder, *paths_of(data)])
    study = open_study(out, config, domains, data)
    blind = dataclasses.replace(data, test=None)
    if processes > 1:
        check_shareable(out)
        _work_side_by_side((out, config, domains, blind, trials), processes)
    work(out, config, domains, blind, trials)
    with locked(out):
        record = write_record(study, out)
    found = None
    if seeds and record["best"]:
        with locked(out, "last"):  # a process that joined finds them finished
            found = _train_seeds(data, out, config, record["best"], seeds, processes)
    return Search(out, record, found)


def _check(config: TrainConfig, space: Mapping[str, Domain], *, trials: int, seeds: int, processes: int) -> None:
    load_optuna()
    if place_among_processes().world > 1:
        raise UsageError("torchrun trains one judge in several processes", next="leave it out: --processes N")
    if trials < 1 or processes < 1 or seeds < 0:
        raise UsageError(
            "a number is out of range",
            expected="trials and processes of 1 or more, seeds of 0 or more",
            found=f"trials = {trials}, processes = {processes}, seeds = {seeds}",
        )
    fixed = sorted(FIXED & space.keys())
    if fixed or not space:
        raise UsageError(
            f"{', '.join(fixed)} cannot be searched" if fixed else "there is nothing to search",
            expected="settings that make a better judge, such as " + ", ".join(SPACE),
            cause="a lucky seed or an easy split would win" if fixed else None,
        )
    for name, domain in space.items():
        if not _is_domain(domain):
            expected = '(lowest, highest), (lowest, highest, "log"), or a list of values'
            raise UsageError(f"this is no domain of {name}", expected=expected, found=repr(domain))
        for value in domain if isinstance(domain, list) else domain[:2]:
            _with(config, {name: value})  # raises where the setting cannot be that


def _is_domain(domain: Domain) -> bool:
    if isinstance(domain, list):
        return bool(domain)
    return len(domain) in (2, 3) and domain[0] < domain[1] and domain[2:] in ((), ("log",))


def _with(config: TrainConfig, params: Mapping[str, Any]) -> TrainConfig:
    return TrainConfig(**{**config.model_dump(exclude_unset=True), **params})


def _train_seeds(
    data: Data, out: Path, config: TrainConfig, best: Mapping[str, Any], seeds: int, processes: int
) -> Seeds:
    # The trials' own seed was lucky with these settings.
    config = _with(config, {**best["params"], "seed": (config.seed + 1) % 2**32})
    place = out / f"seeds-{best['folder']}"  # with more trials another one may be the best
    return train_seeds(data, out=place, seeds=seeds, config=config, processes=processes)


# ── trials ───────────────────────────────────────────────────────────────────────────────────────────────


def work(out: Path, config: TrainConfig, space: Mapping[str, Domain], data: Data, trials: int) -> None:
    """Does trials until there are enough and none of another process is under way."""
    study = open_study(out, config, space, data)
    while True:
        with contextlib.ExitStack() as alive:
            with locked(out):
                trial = next_trial(study, out, config.seed, space, trials)
                if trial:
                    alive.enter_context(one_writer(sign_of_life(out, trial.number)))
            if trial:
                _do(study, trial, out, config, data)
                continue
        if not in_states(study, "RUNNING"):
            return
        time.sleep(LOOK_EVERY)


def _do(study: Any, trial: Any, out: Path, config: TrainConfig, data: Data) -> None:
    """One trial: trains, tells the study, and keeps the weights of no trial but the best."""
    # A restart would credit a trial's settings with what safer ones did.
    own, place = _with(config, {**trial.params, "on_collapse": "stop"}), out / folder_of(trial)
    logger.info("trial %d: %s", trial.number, in_words(trial.params))
    began, pruned, value = time.perf_counter(), False, math.nan
    try:
        if not (place / MANIFEST).is_file():  # else it was finished, and the study not told
            with heard_by(_Watch(trial, own)):
                train(data, out=place, config=own, resume=has_checkpoint(place))
        scores = read_json_object(place / "report.json")["validation"]
        trial.set_user_attr("scores", {name: scores[name] for name in scores if name not in NOT_OURS})
        value = math.nan if scores[own.metric] is None else scores[own.metric]
    except _PrunedError:
        pruned = True
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
            study.tell(trial, value if defined else WORST[own.metric])
        best = write_record(study, out)["best"]
        kept = {folder_of(other) for other in in_states(study, "RUNNING", "WAITING")} | {best and best["folder"]}
        for other in out.glob("trial-*"):
            if other.name not in kept:
                shutil.rmtree(other, ignore_errors=True)
    words = "pruned" if pruned else f"{own.metric} {value:.3f}" if defined else f"{own.metric} not defined"
    logger.info("trial %d: %s", trial.number, words)


class _Watch:
    """Hears of a trial's epochs, and ends it where it is hopeless."""

    def __init__(self, trial: Any, config: TrainConfig) -> None:
        self.trial, self.config = trial, config
        self.reported: set[int] = set()

    def __call__(self, history: list[dict[str, Any]]) -> None:
        """Reports the score at every quarter of the training that has passed.

        Epochs are searched, and the learning rate falls over all of them: epoch 2 of 8 is not compared with epoch 2 of
        2. A training that goes on is heard of with its earlier epochs.
        """
        metric, epochs = self.config.metric, self.config.epochs
        scores = [line[metric] for line in history if line["event"] == "epoch"]
        self.trial.set_user_attr("epochs", scores)
        for epoch, score in enumerate(scores, 1):
            quarter = QUARTERS * epoch // epochs
            if quarter and quarter not in self.reported:
                self.reported.add(quarter)
                self.trial.report(WORST[metric] if score is None else score, quarter)
        if len(scores) < epochs and self.trial.should_prune():
            raise _PrunedError


def in_words(params: Mapping[str, Any]) -> str:
    """Settings in one line."""
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items()
    )


# ── several processes ────────────────────────────────────────────────────────────────────────────────────


def _work_side_by_side(arguments: tuple[Any, ...], processes: int) -> None:
    """Does `work` in several processes at once, and waits for them.

    They stop in their orderly way when their standard input ends, so also when this process is killed.
    """
    command = [sys.executable, "-c", "from acceptor.experiments.search import child; child()"]
    children: list[subprocess.Popen[bytes]] = []
    try:
        for place in range(processes):
            environment = environment_of(place, processes)
            one = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)  # noqa: S603
            children.append(one)
            assert one.stdin is not None  # noqa: S101 - a pipe
            with contextlib.suppress(OSError):  # it died before it read all
                one.stdin.write(pickle.dumps(arguments))
                one.stdin.flush()
        for one in children:
            one.wait()
    finally:
        for one in children:
            assert one.stdin is not None  # noqa: S101 - a pipe
            with contextlib.suppress(OSError):
                one.stdin.close()
        for one in children:
            one.wait()


def child() -> None:
    """One of several processes; its arguments come on standard input."""
    try:
        work(*asked_for())
    except AcceptorError as error:  # the parent meets it, too, and says so
        raise SystemExit(error.exit_code) from None
