"""`findings`: what may be wrong with a corpus, each with its count, examples by file and line, and what to do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from acceptor.data.auditing.duplicates import NORMALISATION, first_rows, normalised_units, rows_in, units
from acceptor.data.auditing.inspection import Remark
from acceptor.data.auditing.near_duplicates import NEAR, SHINGLE, Signatures, near_rows, signatures
from acceptor.data.table import ACCEPTABILITY, Data, Split
from acceptor.errors import checked_types

EXAMPLES = 10
LONGEST_SHOWN = 300  # characters of a text in an example

Rows = npt.NDArray[np.int64]
Example = dict[str, str | float | None]
"""A row as an example: ``split``, ``place``, ``line`` or ``row``, ``label``, the texts; ``similarity`` to the next."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        kind: Its name.
        split: The split; ``test in train`` for rows of test that are also in train.
        count: How often it was found.
        of: Number of rows, groups or sources that were checked.
        what: What was counted.
        advice: What to do about it.
        examples: Up to ten; each a list of the rows that belong together, as dicts of ``split``, ``place`` (file and
            line), ``line`` (``row`` where the data has no lines), ``label`` and the texts.
        severity: ``error``: training refuses the data; ``warning``: training logs it; ``note``: only an audit checks
            for it.
    """

    kind: str
    split: str
    count: int
    of: int
    what: str
    advice: str
    examples: list[list[Example]] = field(default_factory=list)
    severity: str = "note"

    def __repr__(self) -> str:
        return f"Finding({self.kind}, {self.split}: {self.count} of {self.of})"

    def to_dict(self) -> dict[str, object]:
        """All fields."""
        return dict(vars(self))


@dataclass(frozen=True, eq=False)
class _Texts:
    """A split with its rows' texts as they are compared."""

    split: Split
    exact: pl.Series
    normal: pl.Series
    signatures: Signatures  # of the normalised texts


def remarked(data: Data, role: str, remark: Remark) -> Finding:
    """A remark on the table of a split as a finding; of its rows, those that the split has."""
    split = next((split for split in data.splits if split.name == role), data.train)
    details = remark.error.details
    rows = np.flatnonzero(np.isin(split.table.lines, remark.lines)).tolist()
    what = remark.error.problem + "".join(f"; {details[name]}" for name in ("found", "cause") if name in details)
    what = what.replace("\n", "; ")
    advice = details.get("next", "correct the file").replace("\n", "; ")
    found = _single(remark.kind, split, rows, what, advice)
    return replace(found, count=len(remark.lines) or 1, severity=remark.severity)


@checked_types
def findings(data: Data) -> list[Finding]:
    """Finds duplicates, conflicts, leaks between splits, unusual characters and labels; a count is 0 if there are none.

    Extra rows do not count. Takes time and memory in proportion to the rows.
    """
    splits = [split.own for split in data.splits]
    texts = list(map(_texts_of, splits))
    found: list[Finding] = []
    for one in texts:
        found += [*_duplicates(one), *_conflicts(one)]
    for earlier, later in itertools.combinations(texts, 2):
        found += _leaks(earlier, later)
    for split in splits:
        found += [*_characters(split), *_marks(split), *_one_label(split)]
    return found


def _texts_of(split: Split) -> _Texts:
    normal = normalised_units(split)
    return _Texts(split, units(split), normal, signatures(normal.to_list()))


# ── rows with the same text ───────────────────────────────────────────────────────────────────────────────


def _duplicates(one: _Texts) -> list[Finding]:
    own = np.arange(len(one.split))
    exact, normal = first_rows(one.exact), first_rows(one.normal)
    rows = np.flatnonzero(exact != own)
    new = np.flatnonzero((normal != own) & (exact == own))
    first = np.flatnonzero(normal == own)
    near, partners, similarities = _near_among(one, first)
    return [
        _pairs(
            "exact duplicates", one.split, rows, one.split, exact[rows],
            "rows whose text equals that of an earlier row, character by character",
            "keep one of each, so that a sentence does not count twice",
        ),
        _pairs(
            "normalised duplicates", one.split, new, one.split, normal[new],
            f"further rows that equal an earlier one after normalisation ({NORMALISATION})",
            "check whether the difference is intended; if not, keep one of each",
        ),
        _pairs(
            "near duplicates", one.split, near, one.split, partners,
            f"further rows that share {NEAR:.0%} of their {SHINGLE}-character pieces with an earlier one (Jaccard)",
            "keep minimal pairs, which are intended; drop retyped copies; keep similar rows in one split",
            similarities,
        ),
    ]  # fmt: skip


def _near_among(one: _Texts, rows: Rows) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Near duplicates among some rows, as rows of the split."""
    near, partners, similarities = near_rows(_some(one.signatures, rows))
    return rows[near], rows[partners], similarities


def _some(all_of_them: Signatures, rows: Rows) -> Signatures:
    if len(rows) == len(all_of_them.texts):
        return all_of_them
    return Signatures([all_of_them.texts[row] for row in rows], all_of_them.values[rows])


def _conflicts(one: _Texts) -> list[Finding]:
    split = one.split
    if split.label_ids is None:
        return []
    frame = pl.DataFrame({"first": first_rows(one.exact), "label": split.label_ids}).with_row_index("row")
    groups = frame.group_by("first").agg("row", kinds=pl.col("label").n_unique()).sort("first")
    both = groups.filter(pl.col("kinds") > 1)["row"]
    what = "different texts that occur with more than one label"
    advice = "decide on one label, or drop them all: nothing can be learnt from a contradiction"
    examples = [[_row(split, row) for row in rows[:EXAMPLES]] for rows in both.head(EXAMPLES).to_list()]
    return [Finding("conflicting labels", split.name, len(both), len(groups), what, advice, examples)]


def _leaks(earlier: _Texts, later: _Texts) -> list[Finding]:
    exact, normal = rows_in(later.exact, earlier.exact), rows_in(later.normal, earlier.normal)
    rows = np.flatnonzero(exact >= 0)
    new = np.flatnonzero((normal >= 0) & (exact < 0))
    rest = np.flatnonzero(normal < 0)
    near, partners, similarities = near_rows(_some(later.signatures, rest), earlier.signatures)
    name = earlier.split.name
    without = (
        f"score {later.split.name} without them as well: every report of a run does so for rows that are in train"
        if name == "train"
        else f"leave them out of {name}: choices made there have seen them"
    )
    return [
        _pairs(
            "exact leaks", later.split, rows, earlier.split, exact[rows],
            f"rows of {later.split.name} whose text is in {name}, character by character", without,
        ),
        _pairs(
            "normalised leaks", later.split, new, earlier.split, normal[new],
            f"further rows that are in {name} after normalisation ({NORMALISATION})", without,
        ),
        _pairs(
            "near leaks", later.split, rest[near], earlier.split, partners,
            f"further rows that share {NEAR:.0%} of their {SHINGLE}-character pieces with a row of {name} (Jaccard)",
            "look at them; if they are retyped copies, leave them out of one side", similarities,
        ),
    ]  # fmt: skip


def _pairs(
    kind: str,
    split: Split,
    rows: Rows,
    other: Split,
    partners: Rows,
    what: str,
    advice: str,
    similarities: npt.NDArray[np.float64] | None = None,
) -> Finding:
    """A finding of rows that each have a partner."""
    if split.label_ids is not None and other.label_ids is not None and len(rows):
        ours, theirs = (np.array(one.labels, dtype=object) for one in (split, other))  # their ids may differ
        differ = int((ours[split.label_ids[rows]] != theirs[other.label_ids[partners]]).sum())
        what += f"; {differ} with another label than the row they resemble"
    examples = []
    for index in range(min(EXAMPLES, len(rows))):
        row = _row(split, int(rows[index]))
        if similarities is not None:
            row["similarity"] = round(float(similarities[index]), 3)
        examples.append([_row(other, int(partners[index])), row])
    name = split.name if split is other else f"{split.name} in {other.name}"
    return Finding(kind, name, len(rows), len(split), what, advice, examples)


# ── single rows ──────────────────────────────────────────────────────────────────────────────────────────

_UNUSUAL = {
    "control characters": (
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]",
        "control characters such as a backspace; tabs and line breaks do not count",
        "remove them from the file: a tokenizer drops them or gives an unknown token",
    ),
    "zero-width characters": (
        r"[\x{ad}\x{200b}-\x{200d}\x{2060}-\x{2064}\x{feff}]",
        "characters that cannot be seen: soft hyphens, zero-width spaces and joiners, byte order marks",
        "remove them, except joiners that the script or an emoji needs: a tokenizer splits words at them",
    ),
    "bidirectional controls": (
        r"[\x{61c}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}]",
        "characters that change the direction of what is shown",
        "remove them from left-to-right text: the text that is shown is not the text that is judged",
    ),
    "replacement characters": (
        r"\x{fffd}",
        "the mark of a byte that could not be decoded",
        "read the original in its own encoding again",
    ),
}


def _characters(split: Split) -> list[Finding]:
    frame = split.table.frame
    found = []
    for kind, (pattern, what, advice) in _UNUSUAL.items():
        has = frame["sentence"].str.contains(pattern)
        if "second" in frame.columns:
            has |= frame["second"].str.contains(pattern)
        found.append(_single(kind, split, has.arg_true().to_list(), f"rows with {what}", advice))
    return found


def _marks(split: Split) -> list[Finding]:
    """Compares labels with the author's marks: no mark means acceptable; *, ?? and ?* mean unacceptable."""
    frame = split.table.frame
    if "mark" not in frame.columns or split.label_ids is None or split.labels != ACCEPTABILITY:
        return []
    marks = frame["mark"].str.strip_chars()
    known = marks.str.contains(r"^[*?#]*$").to_numpy()
    rows = np.flatnonzero(known & ((marks == "").to_numpy() != (split.label_ids == 1)))
    what = "rows whose label is not what the author's mark says: none for acceptable; *, ? or # for unacceptable"
    advice = "look them up in the source and correct the label"
    return [_single("label against mark", split, rows.tolist(), what, advice)]


def _one_label(split: Split) -> list[Finding]:
    """Finds sources whose rows all have the same label."""
    if "source" not in split.table.frame.columns or split.label_ids is None:
        return []
    frame = pl.DataFrame({"source": split.table.frame["source"], "label": split.label_ids}).with_row_index("row")
    sources = frame.group_by("source").agg(pl.col("row").min(), kinds=pl.col("label").n_unique()).sort("row")
    rows = sources.filter(pl.col("kinds") == 1)["row"].to_list()
    what = "sources whose rows all have one label (the example is the first row)"
    found = _single("one-label sources", split, rows, what, "no MCC is defined there: look at the recall")
    return [replace(found, of=len(sources))]


def _single(kind: str, split: Split, rows: Sequence[int], what: str, advice: str) -> Finding:
    examples = [[_row(split, row)] for row in rows[:EXAMPLES]]
    return Finding(kind, split.name, len(rows), len(split), what, advice, examples)


def _row(split: Split, row: int) -> Example:
    frame = split.table.frame
    texts = {name: frame[name][row] for name in ("source", "mark", "sentence", "second") if name in frame.columns}
    return {
        "split": split.name,
        "place": split.table.place(row),
        split.table.unit: int(split.table.lines[row]),
        "label": None if split.label_ids is None else split.labels[split.label_ids[row]],
        **{name: text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…" for name, text in texts.items()},
    }
