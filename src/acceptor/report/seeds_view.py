"""Many seeds of one training as the report's template is given them, and the run that stands for them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acceptor.report.folder import RunFolder, number
from acceptor.report.run_figures import NAMES, best_figure, metric_figure, strip_figure
from acceptor.report.view import Studio, scored

SPLITS = ("test", "validation")


def middle_run(record: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The finished training whose score on the validation split is the median (the lower one of two), and of how many.

    The test split chooses nothing, not even what is shown. A score that is not defined has no rank.
    """
    metric = record["config"]["metric"]
    done: list[dict[str, Any]] = [e for e in record["runs"] if e["status"] == "finished" and e["scores"]]
    ranked = [entry for entry in done if not math.isnan(_score(entry, "validation", metric))]
    ranked.sort(key=lambda entry: _score(entry, "validation", metric))
    among = ranked or done
    return among[(len(among) - 1) // 2], len(among)


def seeds_view(folder: Path, record: dict[str, Any], runs: Sequence[RunFolder], studio: Studio) -> dict[str, Any]:
    """All that the section of several seeds shows.

    Args:
        folder: Where they lie.
        record: ``seeds.json``.
        runs: The finished trainings.
        studio: Draws the figures.
    """
    metric = record["config"]["metric"]
    name = NAMES.get(metric, metric)
    entries = record["runs"]
    splits = [split for split in SPLITS if any(split in (entry["scores"] or {}) for entry in entries)]
    strips = [(split, [_score(entry, split, metric) for entry in entries]) for split in splits]
    summary = {split: (record.get("summary", {}).get(split) or {}).get(metric) for split in splits}
    pictures = [
        studio.picture(
            strip_figure(strips, f"{name} of every seed", name),
            "seeds",
            "Every dot is one training, the line their mean: so far apart lie trainings that differ only by chance.",
        ),
        studio.picture(metric_figure(runs, title=f"{name} by epoch, every seed", alike=True), "seeds-metric",
                       "On the validation split, after every pass over the training sentences."),
    ]  # fmt: skip
    best = {split: found["expected_maximum"] for split, found in summary.items() if found}
    if any(len(values) > 1 for values in best.values()):
        pictures.append(
            studio.picture(
                best_figure(best, f"The best of several, {name}", name),
                "seeds-best",
                "What the best of so many trainings is expected to score; who reports a best should say of how many.",
            )
        )
    return {
        "name": folder.resolve().name,
        "metric": name,
        "n": len(entries),
        "counts": {status: sum(entry["status"] == status for entry in entries) for status in ("collapsed", "failed")},
        "one_verdict": record.get("one_verdict", 0),
        "vary": record.get("vary"),
        "encoder": record["encoder"]["name"],
        "summary": summary,
        "splits": splits,
        "selected": [split for split in splits if any(_chose(entry, split) for entry in entries)],
        "rows": [
            {**entry, "dots": [scored((entry["scores"] or {}).get(split, {}), metric) for split in splits]}
            for entry in entries
        ],
        "pictures": pictures,
    }


def _chose(entry: dict[str, Any], split: str) -> bool:
    return bool(((entry["scores"] or {}).get(split) or {}).get("selected_on_this_split"))


def _score(entry: dict[str, Any], split: str, metric: str) -> float:
    return number(((entry["scores"] or {}).get(split) or {}).get(metric))
