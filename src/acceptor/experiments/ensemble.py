"""`ensemble`: several runs as one judge, whose logits are the mean of theirs (Hansen & Salamon 1990).

Trainings that differ by their seed make different mistakes, and the mean of their logits may make fewer. Every
sentence is computed as many times as there are runs. No network is trained: the scores come from the verdicts that the
runs have saved.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from acceptor.config import Derived
from acceptor.data.raw_text import listed_paths
from acceptor.data.table import Split, Table
from acceptor.errors import DataError, UsageError, checked_types
from acceptor.evaluation.calibration import calibrate
from acceptor.evaluation.evaluate import Report, report_of
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.judging.judge import Judge
from acceptor.judging.load import files_of, load, run_path
from acceptor.judging.verdicts import verdict_columns
from acceptor.model.ensemble import Ensemble
from acceptor.report.folder import JudgedSplit, RunFolder, read_run
from acceptor.runs.folder import manifest_bytes
from acceptor.runs.judge_file import JUDGE_FILE, MOST_MEMBERS, read_judge_file
from acceptor.runs.out_path import check_out, refuse_within
from acceptor.runs.predictions import COLUMNS
from acceptor.runs.record import RUN_FILE, damaged
from acceptor.runs.report_file import REPORT_FILE, SPLITS
from acceptor.runs.run_file import MemberRecord, RunFile, all_settings
from acceptor.runs.search_file import SEARCH_FILE
from acceptor.runs.set_file import FOLDS_FILE, SEEDS_FILE, finished_seeds
from acceptor.storage.files import new_folder, user_path
from acceptor.storage.lock import one_writer
from acceptor.text import listed, shell
from acceptor.training.record import new_run_file, write_run
from acceptor.training.train import Run

logger = logging.getLogger(__name__)

SOME = (
    "train some: acceptor seeds DATA --seeds 3 --out SEEDS, then: acceptor ensemble SEEDS\n"
    "without a validation split of its own DATA needs --vary order, too"
)
"""How to come by runs that can be one judge."""


@checked_types
def ensemble(runs: str | Path | Sequence[str | Path], *, out: str | Path, overwrite: bool = False) -> Run:
    """Makes one judge of several runs. Its folder is a run like any other: it is judged with, served and exported.

    What the runs have fitted, a temperature or also a threshold, is fitted again on the validation split; each is kept
    if it helps.

    Args:
        runs: Finished run folders of the same encoder, data and labels, which differ by seed or settings; a folder of
            seeds stands for all its finished runs.
        out: The run folder to write. It holds a copy of each run's weights.
        overwrite: Replace an existing run at ``out``.

    Returns:
        The new run. Its judge is on the CPU; `load` puts it on another device.

    Raises:
        UsageError: There are fewer than two runs, or one twice; they differ in more than seed and settings (see
            `_traits`); one is no run, or an ensemble itself; or ``out`` exists, or is in one of them.
        DataError: They have judged different sentences, such as validation splits that were cut by different seeds.
        RunError: A folder is not a finished run, or its files were changed; or another process is writing ``out``.
        ResourceError: The disk is full, or ``out`` cannot be written.
    """
    folders = _folders(runs)
    out = user_path(out)
    members = [read_run(folder) for folder in folders]
    _check(members)
    _warn(members)
    _refuse_inside(out, folders)
    with one_writer(out):
        check_out(out, overwrite=overwrite, resume=False)
        refuse_within(out, folders)
        judges = [load(folder, device="cpu") for folder in folders]
        judge, reports, fitted = _reports(_joined(judges), members)
        file = _run_file(judge, members, fitted)
        with new_folder(out) as scratch:
            write_run(scratch, judge, reports, [], file, name=out.name)
    return Run(out, judge, reports, [], file)


def _folders(runs: str | Path | Sequence[str | Path]) -> list[Path]:
    """The run folders, those of seeds one by one.

    Raises:
        UsageError: There are fewer than two or too many, or one occurs twice; or a path is not that of a run.
    """
    folders: list[Path] = []
    for path in map(run_path, listed_paths(runs, "two or more run folders, or a folder of seeds")):
        _refuse_others(path)
        seeds = finished_seeds(path)
        folders += [path] if seeds is None else [path / name for name in seeds.finished_folders]
    repeated = len({folder.resolve() for folder in folders}) < len(folders)
    if repeated or not 2 <= len(folders) <= MOST_MEMBERS:
        raise UsageError(
            "an ensemble is made of several runs",
            expected=f"2 to {MOST_MEMBERS} different run folders, or a folder of seeds",
            found="the same run twice" if repeated else f"{len(folders)}: {', '.join(map(str, folders[:3]))}",
            next=SOME,
            code="E-USAGE-OPTION",
        )
    return folders


def _refuse_others(path: Path) -> None:
    """Refuses what is no run: without the verdicts of a training, an ensemble has no scores."""
    found = {
        FOLDS_FILE: "a cross-validation, whose runs are trained and judged on different rows",
        SEARCH_FILE: "a search, whose runs were chosen by their scores",
        JUDGE_FILE: "a judge without the verdicts of its training",
    }
    what = next((words for name, words in found.items() if (path / name).is_file()), None)
    if path.suffix == ".onnx":
        what = "an exported judge"
    if what is not None and not (path / RUN_FILE).is_file() and not (path / SEEDS_FILE).is_file():
        raise UsageError(
            f"{path} cannot be part of an ensemble",
            expected="a run folder, or a folder of seeds",
            found=what,
            next=SOME,
            code="E-USAGE-ENSEMBLE",
        )


def _refuse_inside(out: Path, folders: Sequence[Path]) -> None:
    """Refuses an output in a run or in its set of runs, which is replaced as a whole."""
    homes = [folder.parent if (folder.parent / SEEDS_FILE).is_file() else folder for folder in folders]
    for home in homes:
        if out.resolve().is_relative_to(home.resolve()) and out.resolve() != home.resolve():
            raise UsageError(
                f"{out} is in a folder of runs, and would be lost with it",
                where=str(home),
                next=f"write it beside that: --out {shell(home.with_name(home.name + '-ensemble'))}",
                code="E-USAGE-OUTPUT",
            )


def _check(members: Sequence[RunFolder]) -> None:
    """Refuses runs that cannot be one judge."""
    weights = [files_of(member.folder).get("model.safetensors") for member in members]
    for member, sha256 in zip(members, weights, strict=True):
        if "validation" not in member.splits:
            raise damaged(member.folder / REPORT_FILE, "no scores on validation")
        if own := member.record.members:
            raise UsageError(
                "a member of an ensemble cannot be one itself",
                where=str(member.folder),
                next=f"give its own: {listed([one.run for one in own], 10)}",
                code="E-USAGE-JUDGE",
            )
        if weights.count(sha256) > 1:
            raise UsageError(
                "an ensemble is made of different runs",
                where=str(member.folder),
                found="the same weights twice",
                next="give other seeds: acceptor seeds DATA --seeds 3",
                code="E-USAGE-ENSEMBLE",
            )
    first = _traits(members[0])
    for member in members[1:]:
        for what, found in _traits(member).items():
            if found != first[what]:
                raise UsageError(
                    f"the runs differ in {what}, so they cannot be one judge",
                    where=f"{members[0].folder}, {member.folder}",
                    expected=first[what],
                    found=found,
                    next="train them on the same data with the same settings, and other seeds",
                    code="E-USAGE-ENSEMBLE",
                )
    for name in _splits(members):
        _check_sentences(members, name)


def _check_sentences(members: Sequence[RunFolder], split: str) -> None:
    """Refuses runs that have judged different sentences."""
    judged = [member.splits[split].frame.select(pl.col("^(sentence|second|gold)$")) for member in members]
    if not all(frame.equals(judged[0]) for frame in judged):
        raise DataError(
            f"the runs have judged different {split} sentences",
            where=listed([str(member.folder) for member in members], 3),
            cause="a split that is cut from train depends on the seed",
            next="train them with the same one: acceptor seeds DATA --validation FILE, or --vary order",
            code="E-DATA-COMPARE",
        )


def _warn(members: Sequence[RunFolder]) -> None:
    """Warns of runs that make the judge worse, or leave a split without scores."""
    for member in members:
        scores = member.splits["validation"].scores
        if scores.mcc is None or (scores.mcc_interval or [1.0])[0] <= 0:
            found = "%s is no better than chance on validation: MCC %s; leave it out"
            logger.warning(found, member.folder, scores.mcc_words)
    for name in SPLITS:
        missing = [str(member.folder) for member in members if name not in member.splits]
        if 0 < len(missing) < len(members):
            logger.warning("%s is left out: %s has no scores on it", name, listed(missing, 3))


def _traits(member: RunFolder) -> dict[str, str]:
    """What the members of an ensemble have in common."""
    judge, calibrate = read_judge_file(member.folder), all_settings(member.record.config)["calibrate"]
    train = member.record.data["train"]
    files = [train.sha256, *(extra.sha256 for extra in train.extra)]
    return {
        "labels": ", ".join(judge.labels)[:300],
        "inputs": judge.inputs or "not known",
        "encoder": f"sha256 {judge.encoder.sha256}" if judge.encoder.sha256 else judge.encoder.name,
        "tokenizer": f"sha256 {files_of(member.folder).get('tokenizer.json')}",
        "max_length": str(judge.max_length),
        "training data": f"sha256 {', '.join(files)}; columns {', '.join(train.roles)}",
        "metric": member.metric,
        "calibrate": "temperature" if calibrate is None else "temperature and threshold" if calibrate else "nothing",
    }


def _splits(members: Sequence[RunFolder]) -> list[str]:
    """The splits that all members have judged: validation, and perhaps test."""
    return [name for name in reversed(SPLITS) if all(name in member.splits for member in members)]


def _joined(judges: Sequence[Judge]) -> Judge:
    """The judge whose logits are the mean of theirs; it has no decision yet."""
    known = [judge.trained_on for judge in judges if judge.trained_on is not None]
    return dataclasses.replace(
        judges[0],
        model=Ensemble([judge.model for judge in judges]).eval(),
        decision=MOST_PROBABLE,
        selected_on=None,
        trained_on=functools.reduce(np.union1d, known) if len(known) == len(judges) else None,
    )


def _reports(judge: Judge, members: Sequence[RunFolder]) -> tuple[Judge, dict[str, Report], list[Derived]]:
    """The judge with its decision, its reports on the splits that all members have judged, and the reasons."""
    splits = {name: [member.splits[name] for member in members] for name in _splits(members)}
    logits = {name: np.mean([one.logits for one in judged], axis=0) for name, judged in splits.items()}
    validation, calibrated = splits["validation"], all_settings(members[0].record.config)["calibrate"]
    fitted: list[Derived] = []
    if calibrated is not False:
        gold, metric = validation[0].gold, members[0].metric
        decision, fitted = calibrate(logits["validation"], gold, metric, threshold=calibrated is True)
        judge = dataclasses.replace(judge, decision=decision)
    selects = judge.decision.threshold is not None or any(one.selected for one in validation)
    if selects:
        judge = dataclasses.replace(judge, selected_on=validation[0].scores.sha256)
    reports = {
        name: report_of(
            _split_of(judged[0], judge, members[0].record.data[name].columns),
            logits[name],
            selected=selects and name == "validation",
            decision=judge.decision,
            trained_on=judge.trained_on,
        )
        for name, judged in splits.items()
    }
    return judge, reports, fitted


def _split_of(judged: JudgedSplit, judge: Judge, schema: str) -> Split:
    """A split with the columns of its data, from the verdicts of one run; empty columns are not among them."""
    added = {*COLUMNS, *verdict_columns(judged.logits, judged.labels, judged.decision).columns} - {"sentence"}
    renamed = {f"input.{name}": name for name in added if f"input.{name}" in judged.frame.columns}
    frame = judged.frame.select(pl.exclude(added)).rename(renamed)  # as `side_by_side` had renamed them
    lines, scores = judged.frame["line"].to_numpy(), judged.scores
    return Split(
        judged.name,
        Table(frame, lines, scores.origin, scores.sha256, schema),
        judged.labels,
        judged.gold,
        judge.written,
    )


def _run_file(judge: Judge, members: Sequence[RunFolder], fitted: Sequence[Derived]) -> RunFile:
    """The content of ``run.json``."""
    records = [member.record for member in members]
    settings = [all_settings(record.config) for record in records]
    values = {name: [each.get(name) for each in settings] for name in settings[0]}
    return new_run_file(
        judge,
        config={name: each[0] if each.count(each[0]) == len(each) else each for name, each in values.items()},
        derived=[Derived("members", len(members), "their logits are averaged"), *fitted],
        data={name: split for name, split in records[0].data.items() if name in ("train", *_splits(members))},
        seconds={"train": sum(record.seconds.get("train", 0.0) for record in records)},
        skipped_steps=sum(record.skipped_steps for record in records),
        collapsed=any(record.collapsed for record in records),
        members=[_member_record(member) for member in members],
    )


def _member_record(member: RunFolder) -> MemberRecord:
    digest = hashlib.sha256(manifest_bytes(member.folder)).hexdigest()
    scores = {name: split.scores.score(member.metric) for name, split in member.splits.items()}
    return MemberRecord(run=str(member.folder), sha256=digest, scores=scores)
