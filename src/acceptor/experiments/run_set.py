"""Several trainings in one folder: one after the other, or several processes at once; all of it can be resumed.

The folder holds one run folder for each, and a JSON file with what became of them. A training that was stopped resumes
from its checkpoint; one that has ended is never trained again, nor dropped from the count.
"""

from __future__ import annotations

import functools
import logging
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from acceptor.config import TrainConfig, safer
from acceptor.data.corpora import paths_of
from acceptor.data.split import check_trainable, with_batch, with_validation
from acceptor.data.table import Data
from acceptor.errors import RunError, UsageError
from acceptor.experiments.workers import Outcome, Plan, train_plans
from acceptor.model.pretrained import find_encoder
from acceptor.runs.checkpoint import refuse_changes
from acceptor.runs.folder import check_records, is_finished
from acceptor.runs.out_path import move_aside, refuse_within, replacing
from acceptor.runs.report_file import read_report_file
from acceptor.runs.run_file import read_run_file, setup_of
from acceptor.runs.set_file import Entry, SetFile, Status, read_set_file, write_set_file
from acceptor.runtime.processes import process_rank
from acceptor.storage.lock import one_writer
from acceptor.text import Json

logger = logging.getLogger(__name__)

F = TypeVar("F", bound=SetFile[Any])

ELSEWHERE = "repeat the first command, choose another path: --out PATH, or start again: --overwrite"


@dataclass(frozen=True, eq=False, repr=False)
class RunSet(Generic[F]):
    """Several trainings in one folder.

    Attributes:
        folder: Where they lie, with the file of the set.
        file: What that file holds: settings, data, one entry for each training, the scores of all together.
    """

    folder: Path
    file: F

    @functools.cached_property
    def record(self) -> Json:
        """What the file of the set holds, as a dict."""
        return self.file.to_dict()

    @property
    def entries(self) -> list[Json]:
        """What became of every training, collapsed and failed ones too."""
        return list(self.record["runs"])

    @property
    def runs(self) -> list[Path]:
        """The folders of the finished trainings, in the order of the entries."""
        return [self.folder / entry.folder for entry in self.file.runs if entry.status == "finished"]

    def count(self, status: Status) -> int:
        """How many trainings ended so: ``finished``, ``collapsed`` or ``failed``."""
        return count_status(self.file.runs, status)

    def to_dict(self) -> Json:
        """Folder and record, for JSON."""
        return {"folder": str(self.folder), **self.record}


def count_status(entries: Sequence[Entry], status: Status) -> int:
    """How many trainings ended so."""
    return sum(entry.status == status for entry in entries)


@dataclass(frozen=True)
class SetKind(Generic[F]):
    """A kind of set.

    Attributes:
        model: What the file of the set holds.
        head: What decides about all trainings, by the file's fields; it must be the same when the set is resumed.
        entry: Makes an entry of the file from its fields.
        summary: What the file says about all entries together, by its fields.
    """

    model: type[F]
    head: Json
    entry: Callable[[Json], Entry]
    summary: Callable[[list[Any]], Json]

    def file_of(self, entries: Sequence[Entry]) -> F:
        """The content of the file with these entries."""
        return self.model.new({**self.head, "runs": list(entries), **self.summary(list(entries))})


def train_all(plans: Sequence[Plan], out: Path, kind: SetKind[F], *, processes: int, overwrite: bool) -> F:
    """Trains what has not ended yet, and rewrites the file of the set after every training.

    Args:
        plans: The trainings, in the order of their entries.
        out: The folder of all.
        kind: Seeds or folds.
        processes: How many train at once; 1 trains in this process.
        overwrite: Start again.

    Returns:
        The content of the file.

    Raises:
        UsageError: ``out`` holds something else, or trainings of other settings or data.
        RunError: Another process is writing ``out``; or no training finished.
        AcceptorError: Whatever is wrong with all trainings alike.
    """
    _check(plans, processes, out if overwrite else None)
    with one_writer(out), replacing(out):
        before = _entries_before(out, kind.file_of([]), overwrite=overwrite)
        # Finished trainings are known by their folders; failed ones are tried again and stay in the file until then.
        entries = {name: entry for name, entry in before.items() if entry.status == "collapsed"}
        out.mkdir(exist_ok=True)

        def write() -> F:
            known = {**before, **entries}
            content = kind.file_of([known[plan.name] for plan in _due(plans, entries) if plan.name in known])
            write_set_file(out, content)
            return content

        for plan in _finished(plans, entries, out, kind.head):
            entries[plan.name] = kind.entry(_fields(plan, Outcome("finished"), out))
        content = write()
        todo = deque(plan for plan in _due(plans, entries) if plan.name not in entries)
        for plan, outcome in train_plans(todo, out, processes):
            entries[plan.name] = kind.entry(_fields(plan, outcome, out))
            content, due = write(), _due(plans, entries)
            logger.info("%s %s; %d of %d have ended", plan.name, outcome.status, len(entries), len(due))
            if outcome.status == "collapsed":
                shutil.rmtree(out / plan.name, ignore_errors=True)  # it holds checkpoints alone
                todo.extend(again for again in due if again.restarted_from == plan.name)
    _refuse_none_finished(content.runs, out / kind.model.file_name)
    return content


def with_restart(config: TrainConfig | None, encoder: str | None) -> TrainConfig:
    """The settings of several trainings: a collapsed one is restarted, unless they say otherwise."""
    config = config or TrainConfig()
    if encoder is not None:
        config = config.model_copy(update={"encoder": encoder})
    if "on_collapse" not in config.model_fields_set:
        config = config.model_copy(update={"on_collapse": "restart"})
    return config


def plan_of(name: str, data: Data, config: TrainConfig, about: Json) -> Plan:
    """A training that, where the settings say "restart", ends with its collapse: `train_all` starts it again."""
    restarts = config.on_collapse == "restart"
    return Plan(name, data, config.model_copy(update={"on_collapse": "stop"}) if restarts else config, about, restarts)


def _due(plans: Sequence[Plan], entries: Mapping[str, Entry]) -> list[Plan]:
    """All trainings to be: after each that collapsed its restart with safer settings."""
    due: list[Plan] = []
    for plan in plans:
        due.append(plan)
        if plan.restarts and plan.name in entries and entries[plan.name].status == "collapsed":
            again = f"{plan.name}-restarted"
            due.append(Plan(again, plan.data, safer(plan.config), plan.about, restarted_from=plan.name))
    return due


def _check(plans: Sequence[Plan], processes: int, replaced: Path | None) -> None:
    """``replaced``: the folder that is to be overwritten."""
    if process_rank().world_size > 1:
        raise UsageError(
            "torchrun trains one judge in several processes",
            next="leave it out: --processes N",
            code="E-USAGE-CONFLICT",
        )
    if processes < 1:
        raise UsageError(f"processes = {processes}", expected="1 or more", code="E-USAGE-OPTION")
    for plan in plans:
        check_trainable(_split(plan))
    if replaced:
        refuse_within(replaced, [find_encoder(plans[0].config.encoder).folder, *paths_of(plans[0].data)])


def _refuse_none_finished(entries: Sequence[Entry], file: Path) -> None:
    """Several trainings of which none finished have no score."""
    if not count_status(entries, "finished"):
        first = entries[0]
        error = first.error or {}
        raise RunError(
            "no training finished",
            where=str(file),
            found=f"{first.folder} {first.status}: {error.get('problem', 'all verdicts are alike')}",
            cause=error.get("cause"),
            next="mend that and give the same command again",
            code="E-RUN-UNFINISHED",
        )


def head_of(data: Data, config: TrainConfig) -> Json:
    """What decides about all trainings: settings, encoder, data."""
    encoder = find_encoder(config.encoder).to_dict()
    return {"config": config.model_dump(), "encoder": encoder, "data": data.to_dict(), "labels": list(data.labels)}


def _entries_before(out: Path, setup: SetFile[Any], *, overwrite: bool) -> dict[str, Entry]:
    """The entries of trainings in ``out`` that collapsed or failed, by name.

    The place has to be free, or of the same settings and data.
    """
    file = out / setup.file_name
    if not out.exists() or not any(out.iterdir()):
        return {}
    if not file.is_file():
        raise UsageError(
            f"{out} exists and holds no {file.name}",
            expected="a path that is free, or one that the same command started",
            next="choose another: --out PATH",
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


def _split(plan: Plan) -> Data:
    config = plan.config
    return with_validation(plan.data, config.split, share=config.validation_share, seed=config.seed)[0]


def _finished(plans: Sequence[Plan], entries: Mapping[str, Entry], out: Path, head: Json) -> list[Plan]:
    """The trainings that are finished already."""
    return [plan for plan in _due(plans, entries) if _is_finished(out / plan.name, plan, head)]


def _is_finished(folder: Path, plan: Plan, head: Json) -> bool:
    """True for a finished run of this plan; one of another is refused."""
    if not is_finished(folder):
        return False
    check_records(folder)
    data = _split(plan)
    config, _ = with_batch(plan.config, data)
    now = setup_of(config.model_dump(), head["encoder"], data.to_dict())
    _refuse_changes(read_run_file(folder).deciding(), now.deciding(), where=folder)
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
        if read_run_file(out / plan.name).collapsed:  # and went on, as its settings say
            content["status"] = "collapsed"
        splits = read_report_file(out / plan.name).splits
        content["scores"] = {name: report.scores() for name, report in splits.items()}
    if outcome.collapse:
        content["collapse"] = outcome.collapse
    if outcome.error:
        content["error"] = outcome.error
    return content
