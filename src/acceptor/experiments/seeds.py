"""`train_seeds`: the same training with several seeds, and a summary of all scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

from acceptor.config import TrainConfig
from acceptor.data.load import load_data
from acceptor.data.table import Data
from acceptor.errors import UsageError, checked_types, nearest
from acceptor.evaluation.metrics import METRICS, lowest_score, words_of
from acceptor.evaluation.spread import Spread, spread
from acceptor.experiments.run_set import RunSet, SetKind, count_status, head_of, plan_of, train_all, with_restart
from acceptor.experiments.workers import Plan
from acceptor.runs.report_file import SPLITS
from acceptor.runs.set_file import SEEDS_FILE, SeedEntry, SeedsFile, read_set_file
from acceptor.storage.files import user_path
from acceptor.text import Json

logger = logging.getLogger(__name__)

Vary = Literal["init", "order", "both"]


class Seeds(RunSet[SeedsFile]):
    """Trainings that differ only in their seed.

    Attributes:
        folder: The folder with the runs and ``seeds.json``.
        file: The content of ``seeds.json``: settings, data, one entry for each training, the summary.
    """

    @property
    def split(self) -> str:
        """The main split: test, or validation if there is no test split."""
        return next((name for name in SPLITS if name in self.file.summary), SPLITS[-1])

    @property
    def metric(self) -> str:
        """The main metric."""
        return self.file.metric

    @checked_types
    def spread(self, split: str | None = None, metric: str | None = None) -> Spread | None:
        """Mean, standard deviation, minimum, maximum and so on of a score; None if no run has it.

        Raises:
            UsageError: There is no such split or score.
        """
        name = self.metric if metric is None else _known("metric", metric, METRICS)
        return _spread(self.file.runs, self._known_split(split), name)

    @checked_types
    def selected(self, split: str | None = None) -> bool:
        """True if checkpoints or thresholds were chosen on the split: its scores are then too good.

        Raises:
            UsageError: There is no such split.
        """
        name = self._known_split(split)
        return any(entry.selected(name) for entry in self.file.runs)

    def _known_split(self, given: str | None) -> str:
        return self.split if given is None else _known("split", given, SPLITS)

    def __repr__(self) -> str:
        score = self.spread() or "not defined"
        counts = f"collapsed {self.count('collapsed')} of {len(self.file.runs)}"
        failed = f" · failed {self.count('failed')}" if self.count("failed") else ""
        mark = " · selected on this split" if self.selected() else ""
        return f"Seeds({self.folder} · {self.split} {words_of(self.metric)} {score}{mark} · {counts}{failed})"


@checked_types
def train_seeds(
    data: Any,
    *,
    out: str | Path,
    seeds: int | Sequence[int] = 10,
    encoder: str | Path | None = None,
    config: TrainConfig | None = None,
    processes: int = 1,
    vary: Vary = "both",
    overwrite: bool = False,
) -> Seeds:
    """Trains once for every seed and summarises all scores.

    The same call resumes after a stop: finished runs are kept, an unfinished one resumes from its checkpoint, and more
    seeds can be added.

    Args:
        data: A `Data`, or anything that `load_data` accepts.
        out: The folder to write: a run folder ``seed-SEED`` for each seed, and ``seeds.json``.
        seeds: The number of seeds, counted from ``config.seed``; or a list of seeds.
        encoder: Short for ``config.encoder``.
        config: All other settings. ``on_collapse`` is ``"restart"`` if it is not set.
        processes: Number of trainings at the same time. Each gets a share of the cores; GPUs are assigned in turn.
        vary: What the seed changes: ``"init"``: the weights of the new head and of layers that start from random
            weights, dropout and a stratified split; ``"order"``: only the order of the examples; or ``"both"``.
        overwrite: Replace an existing set of seeds at ``out``.

    Raises:
        UsageError: ``out`` holds something else, or has other settings or data; there are no seeds, or one twice.
        RunError: Another process is writing ``out``; or no training finished.
        AcceptorError: `load_data` or `train` raises an error that concerns all trainings.
    """
    config = with_restart(config, encoder)
    out = user_path(out)
    data = data if isinstance(data, Data) else load_data(data)
    numbers = _numbers(seeds, config.seed)
    if not overwrite and (out / SEEDS_FILE).is_file():  # a training that has ended stays in the count
        ended = [entry.planned for entry in read_set_file(out, SeedsFile).runs]
        numbers = list(dict.fromkeys([*numbers, *ended]))
    if len(numbers) == 1:
        logger.warning("only one seed: standard deviation and interval are not defined")
    elif vary != "order" and (config.split == "stratified" or (config.split is None and data.validation is None)):
        logger.info(
            "each seed cuts other validation rows from train, so these runs cannot become one judge: acceptor ensemble "
            "needs --validation FILE, or --vary order"
        )
    plans = [_plan(data, config, number, vary) for number in numbers]
    head = {**head_of(data, config), "vary": vary}
    kind = SetKind(SeedsFile, head, SeedEntry.model_validate, _summary)
    file = train_all(plans, out, kind, processes=processes, overwrite=overwrite)
    return Seeds(out, file)


def _numbers(seeds: int | Sequence[int], first: int) -> list[int]:
    if isinstance(seeds, int | Integral):  # NumPy's, too
        numbers = list(range(first, first + int(seeds)))
    else:
        numbers = [int(number) for number in seeds]
    if not numbers:
        raise UsageError(
            "no seeds",
            expected="1 or more; a score needs 5",
            next="--seeds 10, or --seeds 1,5,9",
            code="E-USAGE-OPTION",
        )
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise UsageError(
            "a seed is given twice: " + ", ".join(map(str, twice)),
            cause="the same run would be counted twice",
            next="give every seed once",
            code="E-USAGE-OPTION",
        )
    if not all(0 <= number < 2**32 for number in numbers):
        found = ", ".join(map(str, numbers))
        raise UsageError("a seed is out of range", expected="0 to 4294967295", found=found, code="E-USAGE-OPTION")
    return numbers


def _plan(data: Data, config: TrainConfig, number: int, vary: Vary) -> Plan:
    changes: dict[str, dict[str, int | None]] = {
        "both": {"seed": number, "order_seed": None},
        "init": {"seed": number, "order_seed": config.batch_seed},
        "order": {"order_seed": number},
    }
    own = config.model_copy(update=changes[vary])
    return plan_of(f"seed-{number}", data, own, {"planned": number})


def _known(kind: str, name: str, names: Iterable[str]) -> str:
    """The name itself, if it is one of ``names``."""
    known = list(names)
    if name in known:
        return name
    match = nearest(name, known)
    raise UsageError(
        f"no {kind} is called {name!r}",
        expected=", ".join(known),
        next=f"did you mean {match!r}?" if match else None,
        code="E-USAGE-OPTION",
    )


def _spread(entries: Sequence[SeedEntry], split: str, metric: str) -> Spread | None:
    scores = [entry.score(split, metric) for entry in entries]
    return spread([score for score in scores if score is not None], lowest_score(metric))


def _summary(entries: list[SeedEntry]) -> Json:
    """The summary for ``seeds.json``. An undefined score has no value, but its training is counted."""
    splits = dict.fromkeys(split for entry in entries for split in entry.scores or ())
    alike = [entry for entry in entries if any(scores.collapsed for scores in (entry.scores or {}).values())]
    return {
        "n_runs": len(entries),
        "collapsed": count_status(entries, "collapsed"),
        "failed": count_status(entries, "failed"),
        "one_verdict": count_status(alike, "finished"),
        "summary": {
            split: {
                metric: found.to_dict() if (found := _spread(entries, split, metric)) else None for metric in METRICS
            }
            for split in splits
        },
    }
