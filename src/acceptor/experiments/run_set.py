"""Sets of trainings in one folder, trained in one or several processes. A stopped set can be resumed.

The folder has one run folder for each training, and a JSON file with their outcomes. A stopped training resumes from
its checkpoint. A training that has ended is not repeated, and stays in the count.
"""

from __future__ import annotations

import functools
import logging
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from acceptor.config import ResolvedConfig, TrainConfig, safer, with_encoder
from acceptor.data.corpora import paths_of
from acceptor.data.split import check_trainable
from acceptor.data.table import Data
from acceptor.errors import RunError, UsageError
from acceptor.experiments.workers import Outcome, Plan, train_plans
from acceptor.model.pretrained import Encoder, find_encoder
from acceptor.runs.checkpoint import refuse_changes
from acceptor.runs.folder import check_records, is_finished
from acceptor.runs.out_path import move_aside, refuse_within, replacing
from acceptor.runs.report_file import read_report_file
from acceptor.runs.run_file import Setup, read_run_file
from acceptor.runs.set_file import Entry, SetFile, Status, read_set_file, write_set_file
from acceptor.runtime.processes import refuse_torchrun
from acceptor.storage.lock import one_writer
from acceptor.text import Json
from acceptor.training.defaults import resolve
from acceptor.training.signals import log_on_stop

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=SetFile[Any])

ELSEWHERE = "repeat the first command, choose another path: --out PATH, or start again: --overwrite"


@dataclass(frozen=True, eq=False, repr=False)
class RunSet(Generic[F]):
    """A set of trainings in one folder.

    Attributes:
        folder: The folder with the runs and the file of the set.
        file: The content of that file: settings, data, one entry for each training, the summary.
    """

    folder: Path
    file: F

    @functools.cached_property
    def record(self) -> Json:
        """The content of the file of the set, as a dict."""
        return self.file.to_dict()

    @property
    def entries(self) -> list[Json]:
        """The outcome of every training, including collapsed and failed ones."""
        return list(self.record["runs"])

    @property
    def runs(self) -> list[Path]:
        """The folders of the finished trainings, in the order of the entries."""
        return [self.folder / name for name in self.file.finished_folders]

    def count(self, status: Status) -> int:
        """The number of trainings with a status: ``finished``, ``collapsed`` or ``failed``."""
        return count_status(self.file.runs, status)

    def to_dict(self) -> Json:
        """Folder and record, for JSON."""
        return {"folder": str(self.folder), **self.record}


def count_status(entries: Sequence[Entry], status: Status) -> int:
    """The number of trainings with a status."""
    return sum(entry.status == status for entry in entries)


@dataclass(frozen=True)
class SetKind(Generic[F]):
    """A kind of set: seeds or folds.

    Attributes:
        model: The class of the set's file.
        head: The fields of the file that all trainings share: settings, encoder, data. They must be the same when the
            set is resumed.
        entry: Makes an entry of the file from its fields.
        summary: Makes the fields of the file that summarise all entries.
    """

    model: type[F]
    head: Json
    entry: Callable[[Json], Entry]
    summary: Callable[[list[Any]], Json]

    def file_of(self, entries: Sequence[Entry]) -> F:
        """The content of the set's file with these entries."""
        return self.model.new({**self.head, "runs": list(entries), **self.summary(list(entries))})


def train_all(plans: Sequence[Plan], out: Path, kind: SetKind[F], *, processes: int, overwrite: bool) -> F:
    """Trains every training that has not ended, and rewrites the file of the set after each.

    Args:
        plans: The trainings, in the order of their entries.
        out: The folder of the set.
        kind: Seeds or folds.
        processes: Number of trainings at the same time; 1 trains in this process.
        overwrite: Start again from nothing.

    Returns:
        The content of the file.

    Raises:
        UsageError: ``out`` holds something else, or trainings with other settings or data.
        RunError: Another process is writing ``out``; or no training finished.
        AcceptorError: An error that concerns all trainings.
    """
    encoder = find_encoder(plans[0].config.encoder)  # that of all
    _check(plans, processes)
    if overwrite:
        refuse_within(out, [encoder.folder, *paths_of(plans[0].data)])
    with one_writer(out), replacing(out):
        before = _entries_before(out, kind.file_of([]), overwrite=overwrite)
        # Finished trainings are known by their folders; failed ones are tried again and stay in the file until then.
        entries = {name: entry for name, entry in before.items() if entry.status == "collapsed"}
        out.mkdir(exist_ok=True)

        def write() -> F:
            known = {**before, **entries}
            content = kind.file_of([known[plan.name] for plan in _due(plans, entries, encoder) if plan.name in known])
            write_set_file(out, content)
            return content

        for plan in _due(plans, entries, encoder):
            if is_finished_run(out / plan.name, _resolved(plan, encoder), encoder, plan.split_data):
                entries[plan.name] = kind.entry(_fields(plan, Outcome("finished"), out))
        content = write()
        due = _due(plans, entries, encoder)
        todo = deque(plan for plan in due if plan.name not in entries)
        with log_on_stop(lambda: f"stopped: {len(entries)} of {len(due)} trainings have ended; repeat the command"):
            for plan, outcome in train_plans(todo, out, processes):
                entries[plan.name] = kind.entry(_fields(plan, outcome, out))
                content, due = write(), _due(plans, entries, encoder)
                logger.info("%s %s; %d of %d have ended", plan.name, outcome.status, len(entries), len(due))
                if outcome.status == "collapsed":
                    shutil.rmtree(out / plan.name, ignore_errors=True)  # it has only checkpoints
                    todo.extend(again for again in due if again.restarted_from == plan.name)
        _refuse_none_finished(content.runs, out / kind.model.file_name)  # here, so that a replaced folder comes back
    return content


def with_restart(config: TrainConfig | None, encoder: str | Path | None) -> TrainConfig:
    """The settings of a set of trainings: ``on_collapse`` is ``restart`` if it is not set."""
    config = with_encoder(config, encoder)
    if "on_collapse" not in config.model_fields_set:
        config = config.model_copy(update={"on_collapse": "restart"})
    return config


def plan_of(name: str, data: Data, config: TrainConfig, about: Json) -> Plan:
    """Plans a training. If ``on_collapse`` is ``restart``, it stops at a collapse and `train_all` restarts it."""
    restarts = config.on_collapse == "restart"
    return Plan(name, data, config.model_copy(update={"on_collapse": "stop"}) if restarts else config, about, restarts)


def _due(plans: Sequence[Plan], entries: Mapping[str, Entry], encoder: Encoder) -> list[Plan]:
    """All planned trainings, each collapsed one followed by its restart with safer settings on the same rows."""
    due: list[Plan] = []
    for plan in plans:
        due.append(plan)
        if plan.restarts and plan.name in entries and entries[plan.name].status == "collapsed":
            again = f"{plan.name}-restarted"
            config = safer(_resolved(plan, encoder)).model_copy(update={"split": "given"})
            data = replace(plan.split_data, source=None)  # the new seed would cut other rows
            due.append(Plan(again, data, config, plan.about, restarted_from=plan.name))
    return due


def _check(plans: Sequence[Plan], processes: int) -> None:
    refuse_torchrun()
    if processes < 1:
        raise UsageError(f"processes = {processes}", expected="1 or more", code="E-USAGE-OPTION")
    for plan in plans:
        check_trainable(plan.split_data)


def _refuse_none_finished(entries: Sequence[Entry], file: Path) -> None:
    """Raises an error if no training finished, since there is no score then."""
    if not count_status(entries, "finished"):
        first = entries[0]
        error = first.error or {}
        raise RunError(
            "no training finished",
            where=str(file),
            found=f"{first.folder} {first.status}: {error.get('problem', 'all verdicts are alike')}",
            cause=error.get("cause"),
            next="start again with a lower --learning-rate or more --warmup, and --overwrite"
            if first.status == "collapsed"
            else "fix that and run the same command again",
            code="E-RUN-UNFINISHED",
        )


def head_of(data: Data, config: TrainConfig) -> Json:
    """The fields that all trainings share: settings, encoder, data."""
    encoder = find_encoder(config.encoder).to_dict()
    return {"config": config.model_dump(), "encoder": encoder, "data": data.to_dict(), "labels": list(data.labels)}


def _entries_before(out: Path, setup: SetFile[Any], *, overwrite: bool) -> dict[str, Entry]:
    """The entries of trainings in ``out`` that collapsed or failed, by name.

    ``out`` must not exist, or must have the same settings and data.
    """
    file = out / setup.file_name
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return {}
    if not file.is_file():
        raise UsageError(
            f"{out} exists and holds no {file.name}" if out.is_dir() else f"{out} is a file",
            expected="a path that does not exist, or one that the same command started",
            next="choose another one: --out PATH",
            code="E-USAGE-OUTPUT",
        )
    if overwrite:
        move_aside(out)
        return {}
    before = read_set_file(out, type(setup))
    _refuse_changes(before.deciding(), setup.deciding(), where=file)
    return {entry.folder: entry for entry in before.runs if entry.status in ("collapsed", "failed")}


def _refuse_changes(before: Json, now: Json, *, where: Path) -> None:
    try:
        refuse_changes(before, now)
    except UsageError as error:
        error.add("where", str(where))
        error.add("next", ELSEWHERE)
        raise


def _resolved(plan: Plan, encoder: Encoder) -> ResolvedConfig:
    return resolve(plan.config, encoder, plan.split_data.train)[0]


def is_finished_run(folder: Path, config: ResolvedConfig, encoder: Encoder, data: Data) -> bool:
    """True if ``folder`` is a finished run with these settings, this encoder and these splits.

    Raises:
        UsageError: It is another run.
    """
    if not is_finished(folder):
        return False
    check_records(folder)
    before = read_run_file(folder)
    if before.restarted_after and config.on_collapse == "restart":
        config = safer(config)  # as `train` has restarted it
    now = Setup.model_validate({"config": config.model_dump(), "encoder": encoder.to_dict(), "data": data.to_dict()})
    _refuse_changes(before.deciding(), now.deciding(), where=folder)
    return True


def _fields(plan: Plan, outcome: Outcome, out: Path) -> Json:
    """The fields of the entry of a training that has ended."""
    content: Json = {
        **plan.about,
        "seed": plan.config.seed,
        "order_seed": plan.config.batch_seed,
        "restarted_from": plan.restarted_from,
        "folder": plan.name,
        "status": outcome.status,
        "scores": None,
    }
    if outcome.status == "finished":
        if read_run_file(out / plan.name).collapsed:  # and continued, as its settings require
            content["status"] = "collapsed"
        splits = read_report_file(out / plan.name).splits
        content["scores"] = {name: report.scores() for name, report in splits.items()}
    if outcome.collapse:
        content["collapse"] = outcome.collapse
    if outcome.error:
        content["error"] = outcome.error
    return content
