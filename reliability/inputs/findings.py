"""Root 1: every command that reads a file prints on stderr, in one line, how it was read."""

from __future__ import annotations

import json

from reliability.inputs.case import Case, Check, Result, ends_cleanly
from reliability.inputs.layouts import csv, jsonl, simple, texts, tsv

TRAIN = "--encoder {encoder} --epochs 1 --device cpu --max-length 32 --on-collapse go-on"
ROWS = [(n, text, "x", label) for n, (text, label) in enumerate(simple())]
HEADED = tsv(("idx", "text", "note", "label"), ROWS)
LINE = ("header", r"sentence ← text|sentence.{1,6}text|text.{1,6}sentence", "passed over: [^;]*idx", "note")
COUNTED = (r"\b48\b", r"\b16\b", r"\b32\b")


def on_stderr(*words: str, code: int = 0) -> Check:
    """One line of stderr has all these words."""

    def check(result: Result) -> str:
        import re

        if fault := ends_cleanly(result):
            return fault
        if result.code != code:
            return f"exit code {result.code}: {result.err.strip()[:140]}"
        lines = result.err.splitlines()
        if any(all(re.search(word, line, re.IGNORECASE) for word in words) for line in lines):
            return ""
        return f"no line on stderr with {', '.join(words)}"

    return check


def _in_run_json(result: Result) -> str:
    if result.code:
        return f"exit code {result.code}: {result.err.strip()[:140]}"
    record = json.dumps(json.loads((result.folder / "out" / "run.json").read_text("utf-8")), ensure_ascii=False)
    return "" if "passed over: idx" in record else "run.json does not name the columns that were passed over"


def cases() -> list[Case]:
    """All of them."""
    files = {"data.tsv": HEADED}
    pairs = tsv(
        ("sentence1", "sentence2", "label"), [(t, "the book.", ("not_entailment", "entailment")[y]) for t, y in texts()]
    )
    head = ("sentence", "label")
    train = f"acceptor train data.tsv {TRAIN} --out out"

    def one(what: str, run: str, check: Check, slow: bool = True, **made: object) -> Case:
        return Case(1, what, run, check, **{"files": files, **made}, slow=slow)  # type: ignore[arg-type]

    evaluate = "acceptor evaluate {run} data"
    return [
        one("train", train, on_stderr("tsv", *LINE, *COUNTED)),
        one("train --json: the line stays on stderr", f"{train} --json", on_stderr("tsv", *LINE, *COUNTED)),
        one("seeds", f"acceptor seeds data.tsv {TRAIN} --seeds 1 --out out", on_stderr("tsv", *LINE, *COUNTED)),
        one(
            "search",
            f"acceptor search data.tsv {TRAIN.replace('--epochs 1 ', '')} --trials 1 --seeds 0 --out out",
            on_stderr("tsv", *LINE, *COUNTED),
        ),
        one("evaluate", f"{evaluate}.tsv", on_stderr("tsv", *LINE, *COUNTED), slow=False),
        one("compare --data", "acceptor compare {run} {other} --data data.tsv", on_stderr("tsv", *LINE, *COUNTED)),
        one("predict on the terminal", "acceptor predict {run} data.tsv", on_stderr("tsv", *LINE, r"\b48\b"), False),
        one("predict into a file", "acceptor predict {run} data.tsv -o out.tsv", on_stderr("tsv", *LINE), False),
        one("predict to stdout", "acceptor predict {run} data.tsv -o -", on_stderr("tsv", *LINE), False),
        one(
            "train --cv",
            f"acceptor train data.tsv {TRAIN} --cv 2 --batch-size 8 --out out",
            on_stderr("tsv", *LINE, *COUNTED),
        ),
        one("run.json holds it", train, _in_run_json),
        one(
            "evaluate, no header",
            f"{evaluate}.tsv",
            on_stderr("tsv", "headerless|no header|without a header", "sentence", "label", *COUNTED),
            False,
            files={"data.tsv": tsv(None, simple())},
        ),
        one(
            "evaluate, CoLA's own form",
            f"{evaluate}.tsv",
            on_stderr("CoLA", *COUNTED),
            False,
            files={"data.tsv": tsv(None, [("a", y, "", t) for t, y in texts()])},
        ),
        one(
            "evaluate, CSV",
            f"{evaluate}.csv",
            on_stderr("csv", "header", *COUNTED),
            False,
            files={"data.csv": csv(head, simple())},
        ),
        one(
            "evaluate, JSON lines",
            f"{evaluate}.jsonl",
            on_stderr("jsonl|JSON lines", "sentence", *COUNTED),
            False,
            files={"data.jsonl": jsonl([{"sentence": t, "label": y} for t, y in texts()])},
        ),
        one(
            "evaluate, pairs",
            "acceptor evaluate {pairs} data.tsv",
            on_stderr("tsv", "header", "sentence1", "second", "sentence2", *COUNTED),
            False,
            files={"data.tsv": pairs},
        ),
        one(
            "evaluate, semicolons asked for",
            f"{evaluate}.csv --separator ';'",
            on_stderr("csv", "separator|';'|semicolon", *COUNTED),
            False,
            files={"data.csv": csv(head, simple(), ";")},
        ),
    ]
