"""The model card: the README.md of a run folder, with the scores it really has."""

from __future__ import annotations

from collections.abc import Mapping

from acceptor.data.table import Data
from acceptor.evaluation.evaluate import Report
from acceptor.runs.run_file import RunFile
from acceptor.text import as_json, markdown


def model_card(name: str, data: Data, reports: Mapping[str, Report], run: RunFile) -> str:
    """The card's Markdown.

    Args:
        name: The run folder's name.
        data: What it was trained on.
        reports: One report per split that was judged.
        run: What goes into ``run.json``.
    """
    encoder = run.encoder
    revision = f", revision {markdown(encoder.revision)}" if encoder.revision else ""
    rows = "\n".join(_row(report) for report in reports.values())
    examples = "\n".join(f"| {split.name} | {len(split)} | `{split.table.sha256[:12]}` |" for split in data.splits)
    leaks = "\n".join(_leaks(report) for report in reports.values())
    settings = "\n".join(f"| {key} | {markdown(value)} |" for key, value in run.config.items())
    return f"""---
library_name: transformers
pipeline_tag: text-classification
tags: [acceptor, text-classification]
---

# {markdown(name)}

A judge of sentences: **{" / ".join(map(markdown, data.labels))}**. The encoder {markdown(encoder.name)}{revision}
(weights sha256 `{(encoder.sha256 or "")[:12]}…`), fine-tuned by Acceptor.

## Scores

| split | n | MCC, 95 % interval | accuracy | majority | loss |
|---|---|---|---|---|---|
{rows}

An interval says how far the score would move with other sentences of the same kind; another seed moves it too.
A split marked † chose the checkpoint, the temperature or the threshold, so its score is too good.
{leaks}

## Data

| split | rows | sha256 |
|---|---|---|
{examples}

## Use

```python
from transformers import pipeline

pipeline("text-classification", {as_json(name)})("The book was wrote.")
```

## Settings

| setting | value |
|---|---|
{settings}
"""


def _leaks(report: Report) -> str:
    """How far a split is in train, and what it is worth without that."""
    name = report.split.name
    if report.leaks is None:
        return f"Whether rows of {name} stand in train is not known."
    if not report.leaks:
        return f"No row of {name} stands in train."
    rest = report.without_leaked
    score = f"without them: MCC {rest.mcc_words}, n {rest.n}" if rest else "that is all of them"
    return f"{report.leaks} rows of {name} stand in train (but for case, spacing and the like); {score}."


def _row(report: Report) -> str:
    scores = report.scores
    mcc = f"{scores.mcc:.3f} {scores.mcc_interval}" if scores.mcc_interval else "not defined"
    mark = " †" if report.selected else ""
    return (
        f"| {report.split.name}{mark} | {scores.n} | {mcc} | {scores.accuracy:.3f} | {scores.majority:.3f} "
        f"| {report.loss:.3f} |"
    )
