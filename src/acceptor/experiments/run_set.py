"""Several trainings in one folder: one after the other, or several processes at once; all of it can be gone on with.

The folder holds one run folder for each and a JSON file that tells which have ended, and how. A training that was
stopped goes on from its checkpoint; one that has ended is never trained again, nor dropped from the count.
"""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acceptor.config import TrainConfig, safer
from acceptor.data.split import check_trainable, with_batch, with_validation
from acceptor.data.table import Data
from acceptor.errors import RunError, UsageError
from acceptor.experiments.workers import Outcome, Plan, outcomes
from acceptor.model.pretrained import find_encoder
from acceptor.runs.checkpoint import refuse_changes
from acceptor.runs.place import paths_of, refuse_within, replacing, set_aside
from acceptor.runtime.processes import place_among_processes
from acceptor.storage.files import replace_json
from acceptor.storage.lock import one_writer
from acceptor.storage.manifest import MANIFEST, check_manifest
from acceptor.storage.strict_json import read_json_object

logger = logging.getLogger(__name__)

Entry = dict[str, Any]  # what the JSON file tells of a training


@dataclass(frozen=True, eq=False, repr=False)
class RunSet:
    """Several trainings in one folder.

    Attributes:
        folder: Where they lie, with the file that tells of them.
        record: What that file holds: settings, data, one entry for each training, and what they say together.
    """

    folder: Path
    record: dict[str, Any]

    @property
    def entries(self) -> list[Entry]:
        """What is told of every training, collapsed and failed ones too."""
        return list(self.record["runs"])

    @property
    def runs(self) -> list[Path]:
        """The folders of the finished trainings, in the order of the entries."""
        return [self.folder / entry["folder"] for entry in self.entries if entry["status"] == "finished"]

    def count(self, status: str) -> int:
        """How many trainings ended so: ``finished``, ``collapsed`` or ``failed``."""
        return sum(entry["status"] == status for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """Folder and record, for JSON."""
        return {"folder": str(self.folder), **self.record}


MAX_BYTES = 1 << 26  # of the JSON file: ten thousand trainings
NOT_OURS = {"origin", "sha256", "labels", "split"}  # of a report: what is the same for all of them


def train_all(
    plans: Sequence[Plan],
    out: Path,
    file: str,
    head: Mapping[str, Any],
    *,
    processes: int,
    overwrite: bool,
    summary: Callable[[list[Entry]], dict[str, Any]],
) -> dict[str, Any]:
    """Trains what has not ended yet, and keeps ``out/file`` true after every training.

    Args:
        plans: The trainings, in the order in which they are told of.
        out: The folder of all.
        file: The name of the JSON file in it.
        head: What decides about all of them: ``config``, ``encoder``, ``data``, ``labels`` and more; it stands in the
            file and must be the same when the same command goes on.
        processes: How many train at once; 1 trains in this process.
        overwrite: Begin anew.
        summary: What the file says about all entries together.

    Returns:
        The content of the file.

    Raises:
        UsageError: ``out`` holds something else, or trainings of other settings or data.
        RunError: Another process is writing ``out``; or no training finished.
        AcceptorError: Whatever is wrong with all trainings alike.
    """
    _check(plans, processes, out if overwrite else None)
    with one_writer(out), replacing(out):
        before = _begun(out, file, head, overwrite=overwrite)
        # Those that finished are known by their folders; those that failed are tried again, and told of until then.
        entries = {name: entry for name, entry in before.items() if entry["status"] == "collapsed"}
        out.mkdir(exist_ok=True)

        def write() -> dict[str, Any]:
            known = {**before, **entries}
            told = [known[plan.name] for plan in _due(plans, entries) if plan.name in known]
            content = {**head, "runs": told, **summary(told)}
            replace_json(out / file, content)
            return content

        for plan in _due(plans, entries):
            if _is_finished(out / plan.name, plan, head):
                entries[plan.name] = _entry(plan, Outcome("finished"), out)
        content = write()
        todo = deque(plan for plan in _due(plans, entries) if plan.name not in entries)
        for plan, outcome in outcomes(todo, out, processes):
            entries[plan.name] = _entry(plan, outcome, out)
            content = write()
            due = _due(plans, entries)
            logger.info("%s %s; %d of %d have ended", plan.name, outcome.status, len(entries), len(due))
            if outcome.status == "collapsed":
                shutil.rmtree(out / plan.name, ignore_errors=True)  # checkpoints alone; the entry tells of it
                todo.extend(again for again in due if again.restarted_from == plan.name)
    _refuse_nothing(content["runs"], out / file)
    return content


def plan_of(name: str, data: Data, config: TrainConfig, about: dict[str, Any]) -> Plan:
    """A training that, where the settings say "restart", ends with its collapse: `train_all` begins it again."""
    restarts = config.on_collapse == "restart"
    return Plan(name, data, config.model_copy(update={"on_collapse": "stop"}) if restarts else config, about, restarts)


def _due(plans: Sequence[Plan], entries: Mapping[str, Entry]) -> list[Plan]:
    """All trainings to be: behind each that collapsed the one that begins it again, with safer settings."""
    due: list[Plan] = []
    for plan in plans:
        due.append(plan)
        if plan.restarts and entries.get(plan.name, {}).get("status") == "collapsed":
            again = f"{plan.name}-restarted"
            due.append(Plan(again, plan.data, safer(plan.config), plan.about, restarted_from=plan.name))
    return due


def _check(plans: Sequence[Plan], processes: int, replaced: Path | None) -> None:
    """``replaced``: the folder that is to be overwritten."""
    if place_among_processes().world > 1:
        raise UsageError("torchrun trains one judge in several processes", next="leave it out: --processes N")
    if processes < 1:
        raise UsageError(f"processes = {processes}", expected="1 or more")
    for plan in plans:
        check_trainable(_split(plan))
    if replaced:
        refuse_within(replaced, [find_encoder(plans[0].config.encoder).folder, *paths_of(plans[0].data)])


def _refuse_nothing(entries: Sequence[Entry], file: Path) -> None:
    """Several trainings of which none finished have no score to tell of."""
    if not any(entry["status"] == "finished" for entry in entries):
        first, error = entries[0], entries[0].get("error", {})
        raise RunError(
            "no training finished",
            where=str(file),
            found=f"{first['folder']} {first['status']}: {error.get('problem', 'all verdicts are alike')}",
            cause=error.get("cause"),
            next="mend that and give the same command again",
        )


def head_of(data: Data, config: TrainConfig) -> dict[str, Any]:
    """What decides about all trainings: settings, encoder, data."""
    encoder = find_encoder(config.encoder).to_dict()
    return {"config": config.model_dump(), "encoder": encoder, "data": data.to_dict(), "labels": list(data.labels)}


def read_set(out: Path, file: str) -> dict[str, Any]:
    """The content of ``out/file``.

    Raises:
        RunError: It is not there, or cannot be read.
    """
    try:
        content = read_json_object(out / file, limit=MAX_BYTES)
        if not isinstance(content["runs"], list) or not all(
            {"folder", "status"} <= set(one) for one in content["runs"]
        ):
            raise ValueError("its runs are no list of trainings")
        return content
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{out} has no readable {file}", cause=f"{type(error).__name__}: {error}") from error


def _begun(out: Path, file: str, head: Mapping[str, Any], *, overwrite: bool) -> dict[str, Entry]:
    """What is told in ``out`` of trainings that collapsed or failed, by name.

    The place has to be free, or of the same settings and data.
    """
    if not out.exists() or not any(out.iterdir()):
        return {}
    if not (out / file).is_file():
        raise UsageError(
            f"{out} exists and holds no {file}",
            expected="a path that is free, or one that the same command began",
            next="choose another: --out PATH",
        )
    if overwrite:
        set_aside(out)
        return {}
    content = read_set(out, file)
    try:
        refuse_changes(_flat(content), _flat(head))
    except UsageError as error:
        error.add("where", str(out / file))
        error.add("next", "repeat the first command, choose another path: --out PATH, or begin anew: --overwrite")
        raise
    return {entry["folder"]: entry for entry in content["runs"] if entry["status"] in ("collapsed", "failed")}


def _flat(head: Mapping[str, Any]) -> dict[str, Any]:
    """`head` in the form in which checkpoints are compared: everything of its own is a setting, too."""
    own = {key: value for key, value in head.items() if key in ("vary", "by")}
    return {**head, "config": {**head["config"], **own}}


def _split(plan: Plan) -> Data:
    config = plan.config
    return with_validation(plan.data, config.split, share=config.validation_share, seed=config.seed)[0]


def _is_finished(folder: Path, plan: Plan, head: Mapping[str, Any]) -> bool:
    """True for a finished run of this plan; one of another is refused."""
    if not (folder / MANIFEST).is_file():
        return False
    check_manifest(folder, among=("run.json", "report.json"), needed=("run.json", "report.json"))
    record = read_json_object(folder / "run.json")
    before, data = {**record, "labels": head["labels"]}, _split(plan)
    config, _ = with_batch(plan.config, data)
    try:
        refuse_changes(before, {**head, "config": config.model_dump(), "data": data.to_dict()})
    except UsageError as error:
        error.add("where", str(folder))
        error.add("next", "repeat the first command, choose another path: --out PATH, or begin anew: --overwrite")
        raise
    return True


def _entry(plan: Plan, outcome: Outcome, out: Path) -> Entry:
    seeds = {"seed": plan.config.seed, "order_seed": plan.config.batch_seed, "restarted_from": plan.restarted_from}
    entry: Entry = {**plan.about, **seeds, "folder": plan.name, "status": outcome.status, "scores": None}
    if outcome.status == "finished":
        if read_json_object(out / plan.name / "run.json")["collapsed"]:  # and went on, as it was told to
            entry["status"] = "collapsed"
        reports = read_json_object(out / plan.name / "report.json")
        entry["scores"] = {
            name: {key: value for key, value in report.items() if key not in NOT_OURS}
            for name, report in reports.items()
        }
    elif outcome.details:
        error = dict(outcome.details)
        entry |= {"collapse": error.pop("collapse")} if "collapse" in error else {}
        entry["error"] = error
    return entry
