"""Files of known content from a seeded generator, for audit, `load_data`, evaluate and predict.

Each has one of three results: it is read and every sentence, pair and label is the generator's; it is refused with an
`AcceptorError` that has a place or a next step; or something is wrong. A wrong result without an error is the worst,
then a traceback, then a refusal of a plain file. The same number gives the same combination.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.inputs.case import in_this_process
from reliability.inputs.kit import Kit, sentences
from reliability.inputs.layouts import arrow, csv, hub_table, jsonl, parquet, tsv

N = 24
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
BINARY = {
    "0/1": ("0", "1"),
    "1.0/0.0": ("0.0", "1.0"),
    "True/False": ("False", "True"),
    "TRUE/FALSE": ("FALSE", "TRUE"),
    "no/yes": ("no", "yes"),
    "unacceptable/acceptable": ("unacceptable", "acceptable"),
}
"""Label kinds that mean acceptability."""
FREE = {
    "ham/spam": ("ham", "spam"),
    "-1/1": ("-1", "1"),
    "1/2/3": ("1", "2", "3"),
    "words with blanks": ("not so good", "quite good"),
    "accents": ("négatif", "positif"),
    "entailment": ("not_entailment", "entailment"),
    "-1/0/1": ("-1", "0", "1"),
    "yes/no/maybe": ("yes", "no", "maybe"),
}
"""Label kinds that are classes other than acceptability."""
BAD = {
    "some missing": "missing|without a label|no label",
    "scores": "measure|score|number",
    "several": "several|more than one label|multi",
    "spellings": "normalise-labels",
    "hidden": "hidden|no labels",
}
"""Label kinds that audit must report, with these words, and that training must refuse."""
UNUSUAL = {
    "plain": lambda text, n: text,
    "commas": lambda text, n: text.replace(".", ", it is."),
    "semicolons": lambda text, n: text.replace(".", "; it is."),
    "quotes": lambda text, n: f'"{text[:-1]}" it is.' if n % 3 == 0 else text,
    "accents": lambda text, n: text.replace(".", " café déjà."),
    "emoji": lambda text, n: text.replace(".", " 😀."),
    "Chinese": lambda text, n: text.replace(".", " 猫。"),
    "apostrophes": lambda text, n: text.replace(".", " don't."),
}
LAYOUTS = {
    "sentence": ("sentence", "", "label"),
    "text": ("text", "", "label"),
    "Sentence": ("Sentence", "", "Label"),
    "id first": ("sentence", "", "label"),
    "note last": ("text", "", "label"),
    "sentence1": ("sentence1", "sentence2", "label"),
    "premise": ("premise", "hypothesis", "label"),
    "question": ("question", "sentence", "label"),
    "text_a": ("text_a", "text_b", "label"),
    "unknown": ("Satz", "", "Urteil"),
    "CoLA": ("", "", ""),
    "none": ("", "", ""),
    "alone": ("sentence", "", ""),
}
"""Names of the sentence's, the second's and the label's column; CoLA and none have no header."""


@dataclass(frozen=True)
class Combination:
    """The parts of a combination."""

    number: int
    form: str
    packing: str
    separator: str  # of the cells; "" if the form has none
    given: str  # the value of --separator; "" if it is left out
    layout: str
    labels: str
    sentences: str
    encoding: str
    line_end: str
    stdout: str
    command: str

    @property
    def pairs(self) -> bool:
        """Whether the file holds pairs."""
        return bool(LAYOUTS[self.layout][1])

    @property
    def scores(self) -> bool:
        """Whether a judge of acceptability is to be scored on it."""
        return self.command in ("evaluate", "show scores")

    @property
    def judges(self) -> bool:
        """Whether a judge of single sentences is used on it."""
        return self.command not in ("audit", "load", "train")

    @property
    def plain(self) -> bool:
        """Whether there is no reason to refuse it."""
        right = {".tsv": "\t", ".txt": "\t", ".csv": ","}.get(self.form, "")
        free = () if self.scores or self.layout == "none" else ("ham/spam", "1/2/3", "entailment", "accents")
        named = self.layout not in ("unknown", "question") and (self.layout not in ("none", "alone") or self.judges)
        return (
            named
            and not (self.layout == "alone" and self.scores)
            and (self.separator == right or bool(self.given))
            and (self.labels in BINARY or self.labels in free)
            and self.encoding in ("utf-8", "utf-8-sig")
            and not (self.encoding == "utf-8-sig" and self.form in (".jsonl", ".json"))
            and self.line_end != "\r"
            and not (self.judges and self.pairs)
        )

    def __str__(self) -> str:
        what = [self.command, self.form + self.packing, f"separator {self.separator!r}" if self.separator else ""]
        what += [f"--separator {self.given!r}" if self.given else "", self.layout, self.labels, self.sentences]
        what += [self.encoding, f"line end {self.line_end!r}", f"stdout {self.stdout}"]
        return f"{self.number}: {' · '.join(part for part in what if part)}"


@dataclass(frozen=True)
class Truth:
    """The content of a file: its sentences, the second ones of pairs, its labels if there are any."""

    sentences: list[str]
    seconds: list[str] | None
    labels: list[str] | None


def combination(number: int) -> Combination:
    """The combination of that number. Most parts are ordinary, so that an unusual one is not hidden by others."""
    rng = random.Random(number)

    def some(ordinary: str, *unusual: str, share: float = 0.3) -> str:
        return rng.choice(unusual) if rng.random() < share else ordinary

    form = rng.choice((".tsv", ".csv", ".jsonl", ".parquet", ".tsv", ".csv", ".json", ".arrow", ".txt"))
    own = {".tsv": "\t", ".txt": "\t", ".csv": ","}.get(form, "")
    separator = some(own, *{",", ";", "\t", "|"} - {own}, share=0.25) if own else ""
    separator = rng.choice(sorted({",", ";", "\t", "|"} - {own})) if own and separator != own else own
    given = (
        {"\t": "tab"}.get(separator, separator) if own and rng.random() < (0.5 if separator != own else 0.05) else ""
    )
    layouts = [name for name in LAYOUTS if own or name not in ("CoLA", "none")]
    layout = rng.choice(layouts)
    kinds = [*BINARY, *FREE, *BAD]
    labels = "0/1" if layout == "CoLA" else some(rng.choice(list(BINARY)), *kinds, share=0.6)
    text = some("plain", *UNUSUAL, share=0.4)
    encoding = (
        some("utf-8", "utf-8-sig", "latin-1", "utf-16", "cp1252", share=0.2)
        if form in (".tsv", ".csv", ".txt", ".jsonl", ".json")
        else "utf-8"
    )
    line_end = some("\n", "\r\n", "\r", share=0.25) if own else "\n"
    stdout = rng.choice(("utf-8", "utf-8", "ascii", "latin-1", "closed"))
    command = rng.choice(("audit", "load", "evaluate", "predict", "predict", "show scores", "show verdicts"))
    command = "train" if command == "load" and labels in BAD else command
    packing = some("", *[name for name in PACK if name], share=0.2) if form not in (".parquet", ".arrow") else ""
    return Combination(
        number, form, packing, separator, given, layout, labels, text, encoding, line_end, stdout, command
    )


def truth_of(it: Combination) -> Truth:
    """The rows of a combination."""
    rows = sentences(N, seed=it.number % 50)
    change = UNUSUAL[it.sentences]
    texts = [change(text, n) for n, (text, _) in enumerate(rows)]
    seconds = [f"the book is there {n % 5}." for n in range(N)] if it.pairs else None
    if it.layout == "alone":
        return Truth(texts, seconds, None)
    names = {**BINARY, **FREE}.get(it.labels)
    good = [good for _, good in rows]
    if names:
        labels = [names[good[n]] if len(names) == 2 else names[n % 3] for n in range(N)]
    elif it.labels == "some missing":
        mark = ("?", "-", "", "-1", "NA")[it.number % 5]
        labels = [mark if n in (5, 9) else str(int(good[n])) for n in range(N)]
    elif it.labels == "scores":
        labels = [f"{n * 5 % 17 / 4:.2f}" for n in range(N)]
    elif it.labels == "several":
        labels = [("rude", "rude|spam", "spam")[n % 3] for n in range(N)]
    elif it.labels == "spellings":
        labels = [("Spam", "spam", "ham", "ham ")[n % 4] for n in range(N)]
    else:
        labels = ["-1"] * N
    return Truth(texts, seconds, labels)


def content_of(it: Combination, truth: Truth) -> bytes:
    """The bytes of a combination's file."""
    columns = _columns(it, truth)
    names, rows = list(columns), list(zip(*columns.values(), strict=True))
    if it.form in (".parquet", ".arrow"):
        typed = {
            name: [_typed(cell, it) if name.lower() in ("label", "urteil") else cell for cell in cells]
            for name, cells in columns.items()
        }
        return (parquet if it.form == ".parquet" else arrow)(hub_table(typed))
    if it.form in (".jsonl", ".json"):
        objects = [
            {
                name: _typed(cell, it) if name.lower() in ("label", "urteil") else cell
                for name, cell in zip(names, row, strict=True)
            }
            for row in rows
        ]
        text = jsonl(objects) if it.form == ".jsonl" or it.number % 2 else json.dumps(objects, ensure_ascii=False)
    else:
        head = None if it.layout in ("CoLA", "none") else names
        plain = it.separator == "\t" and it.form != ".csv"
        text = tsv(head, rows, it.line_end) if plain else csv(head, rows, it.separator, it.line_end)
    try:
        return PACK[it.packing](text.encode(it.encoding))
    except UnicodeEncodeError:  # such a file cannot exist
        return PACK[it.packing](text.encode())


def _columns(it: Combination, truth: Truth) -> dict[str, list[str]]:
    if it.layout == "CoLA":
        marks = ["" if label == "1" else "*" for label in truth.labels or []]
        return {"1": ["gj04"] * N, "2": truth.labels or [], "3": marks, "4": truth.sentences}
    first, second, label = LAYOUTS[it.layout] if it.layout != "none" else ("1", "", "2")
    found = {first: truth.sentences}
    if truth.seconds is not None:
        found[second] = truth.seconds
    if truth.labels is not None:
        found[label] = truth.labels
    if it.layout == "id first":
        found = {"id": [str(n) for n in range(N)], **found}
    if it.layout == "note last":
        found["note"] = ["a remark"] * N
    return found


def _typed(cell: str, it: Combination) -> Any:
    """A label as JSON, Parquet and Arrow have it: a number, a truth value, null, a string."""
    if it.labels in ("0/1", "1/2/3", "-1/1", "-1/0/1", "hidden"):
        return int(cell)
    if it.labels in ("1.0/0.0", "scores"):
        return float(cell)
    if it.labels == "True/False":
        return cell == "True"
    return None if cell == "" else cell


class Judges:
    """The verdicts of the kit's two judges, cached."""

    def __init__(self, kit: Kit) -> None:
        import acceptor

        self.kit = kit
        self.judge = acceptor.load(kit["run"], device="cpu", precision="fp32")

    def labels(self, truth: Truth) -> list[str]:
        """The right verdicts."""
        return [verdict.label for verdict in self.judge(truth.sentences)]


def attempt(it: Combination, folder: Path, judges: Judges) -> str:
    """``right``, ``refused``, or what is wrong."""
    truth = truth_of(it)
    path = folder / f"{it.number}{it.form}{it.packing}"
    path.write_bytes(content_of(it, truth))
    try:
        return _outcome(it, truth, path, judges)
    finally:
        path.unlink()


def _outcome(it: Combination, truth: Truth, path: Path, judges: Judges) -> str:
    out = path.with_name(f"{it.number}-out.jsonl")
    options = ["--separator", it.given] if it.given else []
    commands = {
        "audit": ["audit", str(path), "--json"],
        "evaluate": ["evaluate", judges.kit["run"], str(path), "--json"],
        "predict": ["predict", judges.kit["run"], str(path), "-o", str(out)],
        "train": [
            "train",
            str(path),
            "--encoder",
            judges.kit["encoder"],
            "--epochs",
            "1",
            "--out",
            str(path.with_name("out")),
        ],
        "show scores": ["evaluate", judges.kit["run"], str(path)],
        "show verdicts": ["predict", judges.kit["run"], str(path)],
    }
    loaded: dict[str, Any] = {}

    def load() -> None:
        import acceptor

        loaded["data"] = acceptor.load_data(str(path), **({"separator": it.given} if it.given else {}))

    def command() -> None:
        from acceptor.cli import app as cli

        sys.argv = ["acceptor", *commands[it.command], *options]
        cli.main()

    code, out_text, err = in_this_process(load if it.command == "load" else command, encoding=it.stdout)
    try:
        if code == 99 or "Traceback (most" in out_text + err or code not in (0, 1, 2):
            return f"traceback: {_last(err)}"
        if code:
            return _refusal(it, err)
        wrong = _wrong(it, truth, out_text, err, out, loaded.get("data"), judges)
        return f"wrong: {wrong}" if wrong else "right"
    finally:
        out.unlink(missing_ok=True)


def _last(err: str) -> str:
    return next((line for line in reversed(err.splitlines()) if line.strip()), "no output")[:140]


def _refusal(it: Combination, err: str) -> str:
    if not re.search(r"^\s+(next|where|found|expected):|Usage:", err, re.MULTILINE):
        return f"traceback: refused without a place or a way on: {err.strip()[:120]}"
    return f"needless: {err.strip().splitlines()[0][:120]}" if it.plain else "refused"


# ── was the content read? ──────────────────────────────────────────────────────────────────


def _wrong(it: Combination, truth: Truth, out_text: str, err: str, out: Path, data: Any, judges: Judges) -> str:
    """What differs from the truth; empty if nothing does."""
    if it.command == "train":
        return f"trained on labels that are {it.labels}" if truth.labels else "trained without labels"
    if it.command == "load":
        return _wrong_data(it, truth, data)
    if it.judges and it.pairs:
        return "pairs met by a judge of single sentences"
    if it.command == "predict":
        return _wrong_verdicts(it, truth, out, out_text + err, judges)
    if it.stdout == "closed":
        return ""
    if it.command.startswith("show"):
        return "" if out_text.strip() else "nothing was printed"
    found = json.loads(out_text.splitlines()[-1])
    return _wrong_audit(it, truth, found, err) if it.command == "audit" else _wrong_scores(it, truth, found, judges)


def _classes(it: Combination, truth: Truth) -> list[str]:
    """The labels by the names that are shown."""
    if it.labels in BINARY:
        bad = BINARY[it.labels][0]
        return ["unacceptable" if label == bad else "acceptable" for label in truth.labels or []]
    return list(truth.labels or [])


def _wrong_data(it: Combination, truth: Truth, data: Any) -> str:
    train = data.train
    if len(train) != N:
        return f"{len(train)} rows; {train.table.schema}"
    if (train.seconds is not None) != it.pairs:
        return f"{'singles' if it.pairs else 'pairs'}; {train.table.schema}"
    texts = [train.sentences, train.seconds]
    if texts != [truth.sentences, truth.seconds] and not (
        it.layout == "question" and texts == [truth.seconds, truth.sentences]
    ):
        return f"other texts, the first is {train.sentences[0][:50]!r}"
    if truth.labels is None:
        return "labels out of nothing" if train.label_ids is not None else ""
    labels = [train.labels[index] for index in train.gold]
    return "" if labels == _classes(it, truth) else f"labels {sorted(set(labels))}"


def _wrong_audit(it: Combination, truth: Truth, found: dict[str, Any], text: str) -> str:
    train = found["train"]
    if train["rows"] != N:
        return f"{train['rows']} rows; {train['schema']}"
    if ("second" in train["columns"]) != it.pairs:
        return f"{'singles' if it.pairs else 'pairs'}; {train['schema']}"
    if it.labels in BAD and truth.labels is not None:
        reported = json.dumps(found["findings"], ensure_ascii=False) + text
        hidden = it.labels == "hidden" and not train["balance"]
        return "" if hidden or re.search(BAD[it.labels], reported) else f"labels that are {it.labels}, without a word"
    if train["balance"] != dict(Counter(_classes(it, truth))):
        return f"labels {train['balance']}"
    texts, known = {row["sentence"] for row in train["sample"]}, {*truth.sentences, *(truth.seconds or [])}
    return "" if it.stdout != "utf-8" or texts <= known else f"a sentence is {min(texts - known)[:60]!r}"


def _wrong_scores(it: Combination, truth: Truth, found: dict[str, Any], judges: Judges) -> str:
    if it.labels not in BINARY or truth.labels is None:
        return f"labels {it.labels} scored by a judge of acceptability"
    if found["n"] != N:
        return f"n {found['n']}"
    right = sum(a == b for a, b in zip(judges.labels(truth), _classes(it, truth), strict=True))
    return (
        ""
        if abs(found["accuracy"] - right / N) < 1e-9
        else f"accuracy {found['accuracy']:.3f} instead of {right / N:.3f}"
    )


def _wrong_verdicts(it: Combination, truth: Truth, out: Path, text: str, judges: Judges) -> str:
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    verdicts, right = [row["verdict"] for row in rows], judges.labels(truth)
    columns = [[row.get(name) for row in rows] for name in rows[0]] if rows else []
    if truth.sentences in columns:
        return "" if verdicts == right else "other verdicts"
    header = [column[0] for column in columns if column[1:] == truth.sentences]
    if header and verdicts[1:] == right and str(header[0]) in text and "header" in text:
        return ""  # a first line that may be a header or a sentence, and is reported as one
    if (
        it.labels == "some missing"
        and "reject" in text
        and len(rows) < N
        and [row for row in columns if set(row) < set(truth.sentences)]
    ):
        return ""
    return f"{len(rows)} rows, the first is {str(rows[:1])[:80]}"


def tried(numbers: Iterator[int] | range, scratch: Path, kit: Kit) -> list[tuple[Combination, str]]:
    """The result of each combination."""
    scratch.mkdir(parents=True, exist_ok=True)
    judges = Judges(kit)
    found = []
    for number in numbers:
        it = combination(number)
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                ended = attempt(it, scratch, judges)
            except Exception as error:  # what was written cannot be read back
                ended = f"wrong: {type(error).__name__}: {error}"[:200]
        found.append((it, ended))
    return found


def summary(found: list[tuple[Combination, str]]) -> dict[str, int]:
    """How many ended in which way."""
    counts = Counter(ended.partition(":")[0] for _, ended in found)
    return {kind: counts.get(kind, 0) for kind in ("right", "refused", "needless", "wrong", "traceback")}
