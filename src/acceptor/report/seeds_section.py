"""The data of the report's section about a set of seeds, and the choice of the run that is shown in full."""

from __future__ import annotations

from collections.abc import Sequence

from acceptor.report.folder import RunFolder, number
from acceptor.report.run_figures import MEASURES, best_figure, metric_figure, strip_figure
from acceptor.report.run_section import FigureWriter, scored
from acceptor.runs.report_file import SPLITS
from acceptor.runs.set_file import SeedEntry, SeedsFile


def median_run(seeds: SeedsFile) -> tuple[SeedEntry, int]:
    """The finished training with the median validation score (the lower one of two), and the number of scores.

    Test scores choose nothing, not even what is shown. Undefined scores are left out.
    """
    done = [entry for entry in seeds.runs if entry.status == "finished" and entry.scores]
    scores = {entry.folder: entry.score("validation", seeds.metric) for entry in done}
    ranked = [entry for entry in done if scores[entry.folder] is not None]
    ranked.sort(key=lambda entry: number(scores[entry.folder]))
    among = ranked or done
    return among[(len(among) - 1) // 2], len(among)


def seeds_section(title: str, seeds: SeedsFile, runs: Sequence[RunFolder], writer: FigureWriter) -> dict[str, object]:
    """Returns the variables of ``seeds.html``.

    Args:
        title: Its title on the page.
        seeds: The content of ``seeds.json``.
        runs: The finished trainings.
        writer: Writes the figures.
    """
    metric = seeds.metric
    name = MEASURES[metric][0]
    splits = [split for split in SPLITS if any(split in (entry.scores or {}) for entry in seeds.runs)]
    strips = [(split, [number(entry.score(split, metric)) for entry in seeds.runs]) for split in splits]
    summary = {split: seeds.summary.get(split, {}).get(metric) for split in splits}
    pictures = [
        writer.picture(
            strip_figure(strips, f"{name} of every seed", name),
            "seeds",
            "Every dot is one training, the line is their mean. The trainings differ only in their random seed.",
        ),
        writer.picture(metric_figure(runs, title=f"{name} by epoch, every seed", alike=True), "seeds-metric",
                       "On the validation split, after every epoch."),
    ]  # fmt: skip
    best = {split: found.expected_maximum for split, found in summary.items() if found}
    if any(len(values) > 1 for values in best.values()):
        pictures.append(
            writer.picture(
                best_figure(best, f"The best of several, {name}", name),
                "seeds-best",
                "The expected score of the best of k trainings. Report a best score together with its k.",
            )
        )
    return {
        "name": title,
        "metric": name,
        "n": len(seeds.runs),
        "counts": {"collapsed": seeds.collapsed, "failed": seeds.failed},
        "one_verdict": seeds.one_verdict,
        "vary": seeds.vary,
        "encoder": seeds.encoder.name,
        "summary": summary,
        "splits": splits,
        "selected": [split for split in splits if any(entry.selected(split) for entry in seeds.runs)],
        "rows": [
            {
                "seed": entry.seed,
                "restarted_from": entry.restarted_from,
                "status": entry.status,
                "problem": (entry.error or {}).get("problem"),
                "dots": [scored((entry.scores or {}).get(split), metric) for split in splits],
            }
            for entry in seeds.runs
        ],
        "pictures": pictures,
    }
