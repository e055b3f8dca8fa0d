"""Reads the verdicts of systems on the same sentences, from reports, run folders and folders of seeds."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.load import load_split
from acceptor.data.table import Split
from acceptor.errors import DataError, RunError, UsageError
from acceptor.evaluation.evaluate import Report, evaluate
from acceptor.judging.load import load
from acceptor.runs.folder import check_scores, missing_run
from acceptor.runs.judge_file import JUDGE_FILE, read_judge_file
from acceptor.runs.predictions import label_ids, read_predictions
from acceptor.runs.report_file import REPORT_FILE, SPLITS, ReportFile, read_report_file
from acceptor.runs.run_file import read_run_file
from acceptor.runs.set_file import finished_seeds
from acceptor.storage.files import user_path

READING = ("columns", "separator", "labels", "normalise_labels", "drop_unlabelled")
"""The arguments of `load_split` that say how to read a file."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, repr=False)
class Judged:
    """The verdicts of one system on a split: of one judge, or of several that differ by their seed.

    Attributes:
        name: Its name in results.
        labels: Label names, in label-id order.
        sentences: The examples' texts, to check that systems judged the same; tuples of two for pairs.
        gold: Label ids, int64, shape (N,).
        predicted: Label ids of the verdicts, int64, shape (seeds, N).
        sources: Where each example comes from, shape (N,), None or empty if that is not known; or None.
        selected: True if the split chose a checkpoint or threshold.
        cut: True if the split was cut from the training data, by the seed of the training.
        runs: Names of its runs, one for each seed; empty if they have none but its own.
        left_out: Number of trainings of its set that collapsed or failed, and have no verdicts here.
    """

    name: str
    labels: tuple[str, ...]
    sentences: Sequence[Any]
    gold: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    sources: npt.NDArray[Any] | None = None
    selected: bool = False
    cut: bool = False
    runs: tuple[str, ...] = ()
    left_out: int = 0

    def __repr__(self) -> str:
        return f"Judged({self.name}: {len(self.gold)} sentences, {len(self.predicted)} seeds)"


def judged_of(
    systems: Sequence[Any],
    *,
    data: str | Path | None = None,
    reading: Mapping[str, Any] | None = None,
    split: str | None = None,
) -> list[Judged]:
    """The systems' verdicts on one split.

    Args:
        systems: Each a `Report`, a run folder or a folder of seeds (a path, or an object with a ``folder``), or a
            sequence of these that differ by their seed.
        data: A file or corpus that all judge now; None for the verdicts of their training.
        reading: How to read it: arguments of `load_split`.
        split: ``test`` or ``validation`` of that training; None for test if all have it. Reports alone are compared on
            whatever they judged.

    Raises:
        UsageError: A system is none of these; a report is of another split; they have no split in common; data and a
            split are given, or ``reading`` without data or with a name that is not in `READING`.
        RunError: A folder is no finished run, or its files were changed.
        DataError: The data cannot be read, or the seeds of a system judged different sentences.
    """
    reading = reading or {}
    _check(data, reading, split)
    folders, left_out = zip(*map(_folders, systems), strict=True)
    names = _names(folders)
    if data is not None:
        _check_labels(names, folders)
        read = functools.cache(functools.partial(load_split, data, **reading))  # once for all with these labels
        reports = [[_evaluated(place, read) for place in places] for places in folders]
        for name, runs in zip(names, reports, strict=True):
            _warn_of_leaks(name, runs)
        found = [_of_reports(name, runs) for name, runs in zip(names, reports, strict=True)]
    else:
        split = split or _common_split(folders)
        found = [
            _joined(name, [_read(place, split) for place in places])
            for name, places in zip(names, folders, strict=True)
        ]
    return [
        replace(one, runs=tuple(str(place) for place in places if isinstance(place, Path)), left_out=number)
        for one, places, number in zip(found, folders, left_out, strict=True)
    ]


def _warn_of_leaks(name: str, reports: Sequence[Report]) -> None:
    if leaks := max(report.leaks or 0 for report in reports):
        logger.warning(
            "%s was trained on %d of the %d sentences: its score is too good", name, leaks, len(reports[0].split)
        )


def _common_split(folders: Sequence[Sequence[Any]]) -> str | None:
    """The split that all systems judged, test before validation; None if all are reports, which have one each."""
    everything = [place for places in folders for place in places]
    if all(isinstance(place, Report) for place in everything):
        return None
    common = set.intersection(*(_splits(place) for place in everything))
    for name in SPLITS:
        if name in common:
            return name
    raise UsageError(
        "the systems judged no split in common",
        next="judge one file with all: --data FILE",
        code="E-USAGE-CONFLICT",
    )


def _check(data: str | Path | None, reading: Mapping[str, Any], split: str | None) -> None:
    """Refuses arguments that are unknown or exclude each other."""
    if data is not None and split is not None:
        raise UsageError(
            "other data have no split of the training", next="leave data or split out", code="E-USAGE-CONFLICT"
        )
    if unknown := sorted(reading.keys() - READING):
        raise UsageError(
            "reading has names that load_split does not take",
            expected=", ".join(READING),
            found=", ".join(unknown),
            code="E-USAGE-OPTION",
        )
    if data is None and any(reading.values()):
        raise UsageError(
            "these options say how to read a file, and there is none",
            expected="--data FILE",
            found=", ".join(f"--{name.replace('_', '-')}" for name, value in reading.items() if value),
            code="E-USAGE-CONFLICT",
        )
    if split not in (None, *SPLITS):
        raise UsageError(
            f"there is no split {split!r} to compare on", expected=" or ".join(SPLITS), code="E-USAGE-OPTION"
        )


def _check_labels(names: Sequence[str], folders: Sequence[Sequence[Any]]) -> None:
    """Refuses judges of different labels before a file is read, whose labels would seem wrong."""
    known = [
        (name, read_judge_file(place).labels)
        for name, places in zip(names, folders, strict=True)
        for place in places
        if isinstance(place, Path) and (place / JUDGE_FILE).is_file()
    ]
    for name, labels in known:
        if labels != known[0][1]:
            raise _other_labels(f"{known[0][0]}, {name}", known[0][1], labels)


def _other_labels(where: str, expected: Sequence[str], found: Sequence[str]) -> DataError:
    return DataError(
        "the systems have different labels",
        where=where,
        expected=", ".join(expected),
        found=", ".join(found),
        code="E-DATA-COMPARE",
    )


def _folders(system: Any) -> tuple[list[Any], int]:
    """The reports or run folders of one system, and the number of its trainings that have neither."""
    if isinstance(system, Report):
        return [system], 0
    if isinstance(system, Sequence) and not isinstance(system, str | bytes) and len(system):
        parts, left_out = zip(*map(_folders, system), strict=True)
        return [place for part in parts for place in part], sum(left_out)
    place = getattr(system, "folder", system)
    if not isinstance(place, str | Path):
        raise UsageError(
            "neither a report nor a run",
            expected="a Report, a Run, or a folder",
            found=type(system).__name__,
            code="E-USAGE-OPTION",
        )
    place = user_path(place)
    seeds = finished_seeds(place)
    if seeds is None:
        return [place], 0
    finished = [place / name for name in seeds.finished_folders]
    return finished, len(seeds.runs) - len(finished)


def _names(folders: Sequence[Sequence[Any]]) -> list[str]:
    """Names of the systems: the shortest ends of their paths that differ."""
    paths: list[tuple[str, ...]] = []
    for number, places in enumerate(folders, 1):
        if isinstance(places[0], Report):
            paths.append((f"system {number}",))
        else:
            path = Path(places[0]).absolute()
            paths.append((path if len(places) == 1 else path.parent).parts)
    for length in range(1, max(map(len, paths)) + 1):
        names = [str(Path(*parts[-length:])) for parts in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def _evaluated(place: Any, read: Callable[..., Split]) -> Report:
    if isinstance(place, Report):
        raise UsageError(
            "a report already has the verdicts of its sentences",
            next="leave data out, or give run folders",
            code="E-USAGE-CONFLICT",
        )
    judge = load(place)
    return evaluate(judge, read(judge.labels, written=judge.written))


def _splits(place: Any) -> set[str]:
    return {place.split.name} if isinstance(place, Report) else set(_report(place).splits)


def _report(place: Path) -> ReportFile:
    if not (place / REPORT_FILE).is_file():
        error = missing_run(place, f"a run folder with {REPORT_FILE}, or a folder of seeds")
        if (place.suffix == ".onnx" and place.is_file()) or (place / JUDGE_FILE).is_file():
            error.add("cause", "an exported judge has no verdicts of its training")
            error.add("next", "judge one file with all: --data FILE")
        raise error
    return read_report_file(place)


def _read(place: Any, split: str | None) -> Judged:
    """A run folder's verdicts on one split; a report has those of one split alone, whatever its name."""
    if split is None or isinstance(place, Report):
        if split not in (None, place.split.name):
            raise UsageError(
                f"a report has no verdicts on {split}",
                found=f"those on {place.split.name}",
                next="leave split out, or give run folders",
                code="E-USAGE-CONFLICT",
            )
        return _of_reports(place.split.name, [place])
    about = _report(place).splits.get(split)
    check_scores(place)
    if about is None:
        raise _unreadable(place, split, "it was not judged")
    labels, frame = tuple(about.labels), read_predictions(place, split)
    try:
        gold, predicted = (label_ids(frame[name], labels) for name in ("gold", "verdict"))
    except KeyError as error:
        raise _unreadable(place, split, f"label {error} is not in {REPORT_FILE}") from error
    texts, sources = _texts(frame), _sources(frame)
    selected, cut = about.selected_on_this_split, split == "validation" and _cuts_by_seed(place)
    return Judged(place.name, labels, texts, gold, predicted[None, :], sources, selected, cut)


def _cuts_by_seed(place: Path) -> bool:
    """True if a run's validation split is a part of the file of train."""
    run = read_run_file(place)
    train, validation = run.data["train"], run.data.get("validation")
    return validation is not None and validation.sha256 == train.sha256 and run.config.get("split") != "column"


def _unreadable(place: Path, split: str, found: str) -> RunError:
    return RunError(f"the verdicts on {split} cannot be read", where=str(place), found=found, code="E-RUN-FILE")


def _of_reports(name: str, reports: Sequence[Report]) -> Judged:
    parts = [
        Judged(
            name,
            report.split.labels,
            _texts(report.split.table.frame),
            report.split.gold,
            report.predicted[None, :],
            _sources(report.split.table.frame),
            report.selected,
        )
        for report in reports
    ]
    return _joined(name, parts)


def _joined(name: str, runs: Sequence[Judged]) -> Judged:
    """The runs of a system as one."""
    first = runs[0]
    for run in runs[1:]:
        check_same(first, run)
    predicted = np.concatenate([run.predicted for run in runs])
    selected = any(run.selected for run in runs)
    cut = any(run.cut for run in runs)
    return Judged(name, first.labels, first.sentences, first.gold, predicted, first.sources, selected, cut)


def _texts(frame: pl.DataFrame) -> list[Any]:
    return frame["sentence"].to_list() if "second" not in frame.columns else frame.select("sentence", "second").rows()


def _sources(frame: pl.DataFrame) -> npt.NDArray[Any] | None:
    """The sources as text, None for a missing one: empty, or null in a column of any type."""
    if "source" not in frame.columns:
        return None
    return np.array([None if cell is None else str(cell) or None for cell in frame["source"]], dtype=object)


def check_same(base: Judged, other: Judged) -> None:
    """Checks that both judged the same examples, in the same order, with the same labels.

    Raises:
        DataError: They did not.
    """
    where, cause, advice = f"{base.name}, {other.name}", None, "judge the same file with all: --data FILE"
    if base.cut or other.cut:
        cause = "each training cut its own validation split from train, by its seed"
        advice += "\nor train all with the same one: acceptor seeds DATA --validation FILE, or --vary order"
    if base.labels != other.labels:
        raise _other_labels(where, base.labels, other.labels)
    if len(base.gold) != len(other.gold):
        raise DataError(
            "the systems judged different numbers of sentences",
            where=where,
            expected=str(len(base.gold)),
            found=str(len(other.gold)),
            cause=cause,
            next=advice,
            code="E-DATA-COMPARE",
        )
    for row, (ours, theirs) in enumerate(zip(base.sentences, other.sentences, strict=True)):
        if ours != theirs or base.gold[row] != other.gold[row]:
            raise DataError(
                "the systems judged different sentences, or with different gold labels",
                where=f"{where}: example {row + 1}",
                expected=f"{ours!r}, {base.labels[base.gold[row]]}"[:200],
                found=f"{theirs!r}, {other.labels[other.gold[row]]}"[:200],
                cause=cause,
                next=advice,
                code="E-DATA-COMPARE",
            )
