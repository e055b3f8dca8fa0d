"""Results as text for people."""

from acceptor.cli.render.data import audit_text, bench_text, encoder_text, findings_text
from acceptor.cli.render.demo import demo_next, demo_text
from acceptor.cli.render.runs import ensemble_text, export_text, folds_text, run_text, search_text, seeds_text
from acceptor.cli.render.scores import (
    annotations_text,
    comparison_text,
    errors_text,
    explanation_text,
    pairs_text,
    report_text,
    scores_table,
    slices_table,
    speeds_text,
    verdict_table,
)
from acceptor.cli.render.tables import show, table

__all__ = [
    "annotations_text",
    "audit_text",
    "bench_text",
    "comparison_text",
    "demo_next",
    "demo_text",
    "encoder_text",
    "ensemble_text",
    "errors_text",
    "explanation_text",
    "export_text",
    "findings_text",
    "folds_text",
    "pairs_text",
    "report_text",
    "run_text",
    "scores_table",
    "search_text",
    "seeds_text",
    "show",
    "slices_table",
    "speeds_text",
    "table",
    "verdict_table",
]
