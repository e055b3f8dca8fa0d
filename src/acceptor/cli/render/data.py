"""Data, encoders and speeds as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from acceptor.cli.render.tables import frame_table, table

if TYPE_CHECKING:
    from acceptor.data.auditing.audit import Audit
    from acceptor.data.auditing.findings import Finding

SOURCES_SHOWN, LABELS_SHOWN = 25, 12


def audit_text(audit: Audit) -> Iterator[Any]:
    """Shape, columns, balance, lengths and the sampled rows of one split."""
    yield f"{audit.name}: {audit.origin}"
    yield f"  shape      ({audit.rows}, {len(audit.columns)})"
    yield f"  columns    {audit.schema}"
    total = max(1, sum(audit.balance.values()))
    parts = [f"{label} {count} ({count / total:.1%})" for label, count in audit.balance.items()]
    more = [f"… ({len(parts)} labels)"] if len(parts) > LABELS_SHOWN else []
    yield f"  balance    {' · '.join([*parts[:LABELS_SHOWN], *more]) or 'no labels'}"
    for what, quantiles in (("words", audit.words), ("characters", audit.characters)):
        yield f"  {what:<11}" + " · ".join(f"{name} {value:g}" for name, value in quantiles.items())
    yield f"  sha256     {audit.sha256}"
    yield ""
    if audit.sources:
        shown = list(audit.sources.items())[:SOURCES_SHOWN]
        labels = list(audit.balance)[:LABELS_SHOWN]
        rows = [
            (
                source,
                sum(counts.values()),
                *(counts[label] for label in labels),
                max(counts.values()) / sum(counts.values()),
            )
            for source, counts in shown
        ]
        yield table(("source", "n", *labels, "majority"), rows)
        if len(shown) < len(audit.sources):
            yield f"and {len(audit.sources) - len(shown)} smaller ones: --json has all"
        yield ""
    yield frame_table(audit.sample)


def findings_text(findings: Sequence[Finding]) -> Iterator[Any]:
    """A table of the findings, then each with its examples, then the checks that found nothing."""
    found = [finding for finding in findings if finding.count]
    absent = dict.fromkeys(finding.kind for finding in findings if not finding.count)
    for kind in dict.fromkeys(finding.kind for finding in found):
        absent.pop(kind, None)
    if found:
        stops = {"error": "training stops", "warning": "training warns"}
        counted = [(one.kind, one.split, one.count, one.of, stops.get(one.severity, "")) for one in found]
        yield table(("finding", "in", "count", "of", ""), counted)
    if absent:
        yield f"{'not found' if found else 'nothing found of'}: {', '.join(absent)}"
    for one in found:
        yield f"\n{one.split}: {one.kind}: {one.count}"
        yield f"  {one.what}"
        yield f"  to do: {one.advice}"
        rows = [_example(row, "" if row is group[0] else "as") for group in one.examples for row in group]
        if rows:
            yield table(("", "where", "label", "text"), rows, wide="text")
        if rows and one.count > len(one.examples):
            yield f"  and {one.count - len(one.examples)} more"


def encoder_text(about: dict[str, Any], meanings: dict[str, str]) -> Iterator[Any]:
    """An encoder's configuration with meanings, its size and its tokenizer."""
    yield f"{about['name']}: {about['classifier']} in {about['folder']}"
    yield f"weights sha256 {about['sha256']}" + (f", revision {about['revision']}" if about["revision"] else "")
    yield ""
    rows = [(key, str(value), meanings[key]) for key, value in about["config"].items()]
    counts = about["parameters"]
    parts = ("embeddings", "layers", "head")
    yield Group(
        table(("configuration", "", "meaning"), rows),
        Text(""),
        table(("parameters", "count"), [(part, f"{counts[part]:>13,}") for part in (*parts, "total")]),
        Text(""),
        table(("tokenizer", ""), list(about["tokenizer"].items())),
    )


def bench_text(result: dict[str, Any]) -> Iterator[Any]:
    """Speeds and ratios of medians; a ratio says how many times faster Acceptor is."""
    machine = result["machine"]
    yield (
        f"{machine['device_name']}, {machine['threads']} threads, {machine['precision']}: "
        f"products {machine['matmul_tflops']:.2f} TFLOP/s, memory {machine['memory_gb_per_s']:.0f} GB/s"
    )
    for encoder, training in result["train"].items():
        yield f"\ntraining {encoder}, a step of 32 sentences"
        ours = training["ways"]["acceptor"]["ms_per_step"]
        steps = [
            (
                way,
                f"{one['ms_per_step']:.1f} ms",
                f"{one['ms_per_step'] / ours:.2f} ×",
                f"{one['cola_s']:.1f} s",
                f"{one['cold_s']:.0f} s",
            )
            for way, one in training["ways"].items()
        ]
        yield table(("way", "a step", "of Acceptor's", "964 steps", "cold start"), steps)
        yield f"{training['vs_limit']:.0%} of the speed that the two rates allow"
    for encoder, judging in result["judge"].items():
        yield f"\njudging a file with {encoder}, reading, tokenising and writing included"
        rows = [
            (
                way,
                f"{one['sentences_per_s']:,}",
                f"{one['vs_pipeline32']:.2f} ×",
                "" if one["vs_ort_int8"] is None else f"{one['vs_ort_int8']:.2f} ×",
                f"{one['flips']}",
            )
            for way, one in judging.items()
        ]
        yield table(("way", "sentences/s", "of the pipeline's", "of ort_int8's", "labels flipped"), rows)


def _example(row: dict[str, Any], word: str) -> tuple[str, ...]:
    texts = [row["sentence"], *([row["second"]] if "second" in row else [])]
    likeness = f" ({row['similarity']:.2f})" if "similarity" in row else ""
    mark = f" {row['mark']}" if row.get("mark") else ""
    return word + likeness, row["place"], f"{row['label'] or ''}{mark}", " | ".join(texts)
