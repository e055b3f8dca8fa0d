"""The model card: the README.md of a run folder, with the scores of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from acceptor.data.table import Split
from acceptor.evaluation.evaluate import Report
from acceptor.runs.run_file import ExtraRecord, RunFile
from acceptor.text import as_json, listed, markdown


def model_card(name: str, reports: Mapping[str, Report], run: RunFile) -> str:
    """Returns the model card as Markdown.

    Args:
        name: The run folder's name.
        reports: One report per split that was judged, at least one.
        run: The content of ``run.json``.
    """
    encoder = run.encoder
    revision = f", revision {markdown(encoder.revision)}" if encoder.revision else ""
    rows = "\n".join(_row(report) for report in reports.values())
    splits = "\n".join(f"| {split.name} | {split.rows:,} | `{split.sha256[:12]}` |" for split in run.data.values())
    judged = next(iter(reports.values())).split
    leaks = "\n".join(_leaks(report) for report in reports.values())
    settings = "\n".join(f"| {key} | {markdown(value)} |" for key, value in run.config.items())
    library = "" if run.members else "library_name: transformers\n"
    return f"""---
{library}pipeline_tag: text-classification
tags: [acceptor, text-classification]
---

# {markdown(name)}

A judge of sentences: **{" / ".join(map(markdown, judged.labels))}**. The encoder {markdown(encoder.name)}{revision}
(weights sha256 `{(encoder.sha256 or "")[:12]}…`), fine-tuned by Acceptor{_members(run)}.

## Scores

| split | n | MCC, 95 % interval | accuracy | majority | loss |
|---|---|---|---|---|---|
{rows}

An interval shows how far the score would vary with other sentences of the same kind; another seed changes it, too.
A split marked † chose the checkpoint or the threshold, so its score is too good.
A split marked ‡ fitted the temperature of the probabilities, so its loss is too low.
{leaks}

## Data

| split | rows | sha256 |
|---|---|---|
{splits}
{_extra(run.data["train"].extra)}
## Use

```python
import acceptor

judge = acceptor.load("PATH/TO/THIS/FOLDER")
print(judge({_example(judged)}))
```

{_without_acceptor(run)}

## Settings

| setting | value |
|---|---|
{settings}
"""


def _members(run: RunFile) -> str:
    """How many networks there are, if not one."""
    count = len(run.members)
    return f" {count} times; the judge's logits are the mean of these {count} networks' logits" if count else ""


def _without_acceptor(run: RunFile) -> str:
    """A paragraph on other programs that read the folder."""
    if run.members:
        return (
            "Transformers alone reads each of the folders `member-1`, `member-2` and so on, but not all as one.\n"
            "`acceptor export RUN -o judge.onnx` makes one file of all."
        )
    return (
        'Transformers alone, `pipeline("text-classification", "PATH/TO/THIS/FOLDER")`, reads this folder, too. It '
        "ignores the\ntemperature, the threshold and the longest input; `acceptor export RUN -o judge/ --bake` makes a "
        "folder that has them."
    )


def _extra(sources: Sequence[ExtraRecord]) -> str:
    """A paragraph on rows of other sources."""
    added = [
        f"{source.rows:,} from {markdown(Path(source.origin).name)} (sha256 {source.sha256[:12]}"
        + (f"; {source.left_out:,} more are left out, since validation or test has them)" if source.left_out else ")")
        for source in sources
    ]
    return f"\nOf the rows of train these are extra: {listed(added)}.\n" if added else ""


def _example(split: Split) -> str:
    """What a judge of this data is called with, as Python."""
    texts = [[split.example]] if split.seconds is None else [split.sentences[:1], split.seconds[:1]]
    return ", ".join(map(as_json, texts))


def _leaks(report: Report) -> str:
    """How many rows of a split are also in train, and the score without these rows."""
    name = report.split.name
    if report.leaks is None:
        return f"It is not known whether rows of {name} are also in train."
    if not report.leaks:
        return f"No row of {name} is in train."
    rest = report.without_leaked
    score = f"without them: MCC {rest.mcc_words}, n {rest.n}" if rest else "these are all its rows"
    return f"{report.leaks} rows of {name} are also in train (ignoring case and spacing); {score}."


def _row(report: Report) -> str:
    scores = report.scores
    fitted = report.split.name == "validation" and report.decision.temperature != 1
    mark = " †" * report.selected + " ‡" * fitted
    return (
        f"| {report.split.name}{mark} | {scores.n} | {scores.mcc_words} | {scores.accuracy:.3f} "
        f"| {scores.majority:.3f} | {report.loss:.3f} |"
    )
