"""Corpora in the exact form in which they are distributed: columns, separators, label words; the sentences are made up.

GLUE: https://gluebenchmark.com, SuperGLUE: https://super.gluebenchmark.com, SNLI and MultiNLI: their papers' archives,
PAWS, JCoLA, ItaCoLA, RuCoLA, BLiMP: their repositories; Parquet and folders as `datasets` writes them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reliability.inputs.kit import sentences

N = 48
SECOND = "the book is there."
PARSE = "( ( the cats ) ( sleep . ) )", "(ROOT (S (NP the cats) (VP sleep) (. .)))"
NLI = ("entailment", "neutral", "contradiction")
Row = dict[str, Any]


def tsv(names: Sequence[str] | None, rows: Sequence[Sequence[Any]], end: str = "\n") -> str:
    """Tab-separated lines, under a header where there are names."""
    return "".join("\t".join(map(str, row)) + end for row in [*([names] if names else []), *rows])


def csv(names: Sequence[str] | None, rows: Sequence[Sequence[Any]], separator: str = ",", end: str = "\n") -> str:
    """Cells with a separator, quoted where they must be."""

    def cell(value: Any) -> str:
        text = str(value)
        special = any(mark in text for mark in (separator, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if special else text

    return "".join(separator.join(map(cell, row)) + end for row in [*([names] if names else []), *rows])


def jsonl(rows: Sequence[Row]) -> str:
    """A JSON object on each line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def texts(n: int = N, seed: int = 0) -> list[tuple[str, int]]:
    """Sentences with 1 (good) or 0."""
    return [(text, int(good)) for text, good in sentences(n, seed)]


def simple(labels: Sequence[Any] = ("0", "1"), n: int = N, seed: int = 0) -> list[tuple[str, Any]]:
    """Sentences with the first label (bad) or the second; with more labels, in turn."""
    if len(labels) == 2:
        return [(text, labels[good]) for text, good in texts(n, seed)]
    return [(text, labels[number % len(labels)]) for number, (text, _) in enumerate(texts(n, seed))]


# ── GLUE's own TSV ───────────────────────────────────────────────────────────────────────────────────────


def glue() -> dict[str, str]:
    """Every file of GLUE that is trained on, and its test files where they differ in kind."""
    rows = texts()
    entail = ("not_entailment", "entailment")
    parsed = (PARSE[0], PARSE[0], PARSE[1], PARSE[1])
    mnli = ["index", "promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse"]
    mnli += ["sentence1_parse", "sentence2_parse", "sentence1", "sentence2"]
    three = [(number, text, NLI[number % 3]) for number, (text, _) in enumerate(rows)]
    in_mnli = [(n, 31193 + n, f"{31193 + n}n", "government", *parsed, text, SECOND) for n, text, _ in three]
    mrpc = ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String")
    sts = ["index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score"]
    caption = ("main-captions", "MSRvid", "2012test", "0001", "none", "none")
    return {
        "CoLA/train.tsv": tsv(None, [("gj04", label, "" if label else "*", text) for text, label in rows]),
        "CoLA/test.tsv": tsv(("index", "sentence"), [(n, text) for n, (text, _) in enumerate(rows)]),
        "SST-2/train.tsv": tsv(("sentence", "label"), rows),
        "MRPC/train.tsv": "\ufeff"
        + tsv(mrpc, [(label, 702876 + n, 702977 + n, text, SECOND) for n, (text, label) in enumerate(rows)]),
        "QQP/train.tsv": tsv(
            ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
            [(133273 + n, 213221 + n, 213222 + n, text, SECOND, label) for n, (text, label) in enumerate(rows)],
        ),
        "MNLI/train.tsv": tsv(
            [*mnli, "label1", "gold_label"], [(*row, three[n][2], three[n][2]) for n, row in enumerate(in_mnli)]
        ),
        "MNLI/dev_matched.tsv": tsv(
            [*mnli, *(f"label{n}" for n in range(1, 6)), "gold_label"],
            [(*row, *[three[n][2]] * 4, NLI[(n + 1) % 3], three[n][2]) for n, row in enumerate(in_mnli)],
        ),
        "MNLI/test_matched.tsv": tsv(mnli, in_mnli),
        "QNLI/train.tsv": tsv(
            ("index", "question", "sentence", "label"),
            [(n, "where is the book ?", text, entail[label]) for n, (text, label) in enumerate(rows)],
        ),
        "RTE/train.tsv": tsv(
            ("index", "sentence1", "sentence2", "label"),
            [(n, text, SECOND, entail[label]) for n, (text, label) in enumerate(rows)],
        ),
        "WNLI/train.tsv": tsv(
            ("index", "sentence1", "sentence2", "label"),
            [(n, text, SECOND, label) for n, (text, label) in enumerate(rows)],
        ),
        "STS-B/train.tsv": tsv(
            sts, [(n, *caption, text, SECOND, f"{n % 20 / 4:.3f}") for n, (text, _) in enumerate(rows)]
        ),
    }


# ── SuperGLUE, SNLI and others ───────────────────────────────────────────────────────────────────────────


def superglue() -> dict[str, str]:
    """SuperGLUE's JSON lines."""
    rows = list(enumerate(texts()))
    entail = ("not_entailment", "entailment")
    ends = {"start1": 4, "start2": 4, "end1": 8, "end2": 8, "version": 1.1}
    spans = {"span2_index": 5, "span1_index": 1, "span1_text": "cats", "span2_text": "they"}
    return {
        "BoolQ/train.jsonl": jsonl(
            [
                {"question": "is the book there", "passage": text, "idx": n, "label": bool(good)}
                for n, (text, good) in rows
            ]
        ),
        "CB/train.jsonl": jsonl(
            [{"premise": text, "hypothesis": SECOND, "label": NLI[n % 3], "idx": n} for n, (text, _) in rows]
        ),
        "COPA/train.jsonl": jsonl(
            [
                {
                    "premise": text,
                    "choice1": SECOND,
                    "choice2": "it sees.",
                    "question": "cause",
                    "label": good,
                    "idx": n,
                }
                for n, (text, good) in rows
            ]
        ),
        "WiC/train.jsonl": jsonl(
            [
                {"word": "book", "sentence1": text, "sentence2": SECOND, "idx": n, "label": bool(good), **ends}
                for n, (text, good) in rows
            ]
        ),
        "RTE/train.jsonl": jsonl(
            [{"premise": text, "hypothesis": SECOND, "label": entail[good], "idx": n} for n, (text, good) in rows]
        ),
        "RTE/test.jsonl": jsonl([{"premise": text, "hypothesis": SECOND, "idx": n} for n, (text, _) in rows]),
        "WSC/train.jsonl": jsonl(
            [{"text": text, "target": spans, "idx": n, "label": bool(good)} for n, (text, good) in rows]
        ),
    }


def others() -> dict[str, str]:
    """SNLI, PAWS, and acceptability in other languages."""
    rows = list(enumerate(texts()))
    snli = ["gold_label", "sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse"]
    snli += ["sentence1", "sentence2", "captionID", "pairID", *(f"label{n}" for n in range(1, 6))]
    lines = []
    for n, (text, _) in rows:
        votes = [NLI[n % 3]] * 4 + [NLI[(n + 1) % 3]]
        lines.append(
            (NLI[n % 3], PARSE[0], PARSE[0], PARSE[1], PARSE[1], text, SECOND, f"{n}.jpg#4", f"{n}r1n", *votes)
        )
    undecided = [("-", *line[1:]) if n in (7, 20) else line for n, line in enumerate(lines)]
    keys = ("annotator_labels", "captionID", "gold_label", "pairID", "sentence1", "sentence1_binary_parse")
    objects = [
        dict(
            zip(
                (*keys, "sentence1_parse", "sentence2"),
                (line[9:], line[7], line[0], line[8], line[5], *PARSE, SECOND),
                strict=True,
            )
        )
        for line in lines
    ]
    return {
        "snli_1.0/snli_1.0_train.txt": tsv(snli, lines),
        "snli_1.0/snli_1.0_dev.txt": tsv(snli, undecided),
        "snli_1.0/snli_1.0_train.jsonl": jsonl(objects),
        "paws/train.tsv": tsv(("id", "sentence1", "sentence2", "label"), [(n + 1, t, SECOND, y) for n, (t, y) in rows]),
        "jcola/in_domain_train.jsonl": jsonl(
            [
                {
                    **{
                        "uid": n,
                        "source": "Abe_2015",
                        "label": good,
                        "diacritic": "" if good else "*",
                        "sentence": text,
                    },
                    **{"original": text, "translation": "It is.", "gloss": False, "simple": 1},
                    "linguistic_phenomenon": "argument structure",
                }
                for n, (text, good) in rows
            ]
        ),
        "itacola/ItaCoLA_dataset.tsv": tsv(
            ("UniqueIndexID", "Source", "Acceptability", "Sentence", "Split"),
            [(n, "Mine_2026", y, t, "train" if n % 6 < 4 else ("dev", "test")[n % 2]) for n, (t, y) in rows],
        ),
        "rucola/in_domain_train.csv": csv(
            ("id", "sentence", "acceptable", "error_type", "detailed_source"),
            [(n, t, y, "0" if y else "Syntax", "Paducheva2004") for n, (t, y) in rows],
        ),
        "blimp/wh_island.jsonl": jsonl(
            [
                {
                    **{"sentence_good": f"the cats sleep {n}.", "sentence_bad": f"the cat them sleep {n}."},
                    **{"field": "syntax", "linguistics_term": "island_effects", "UID": "wh_island"},
                    **{"simple_LM_method": True, "one_prefix_method": False, "two_prefix_method": False},
                    **{"lexically_identical": False, "pair_id": n},
                }
                for n in range(20)
            ]
        ),
    }


# ── Parquet and Arrow as `datasets` writes them ──────────────────────────────────────────────────────────


def hub_table(columns: dict[str, list[Any]], names: Sequence[str] | None = None, label: str = "label") -> Any:
    """An Arrow table whose schema says, as the hub's files do, that ``label`` is a ClassLabel of these names."""
    import pyarrow as pa

    table = pa.table(columns)
    features: dict[str, Any] = {
        name: {"dtype": str(kind), "_type": "Value"}
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
    }
    if names:
        features[label] = {"names": list(names), "_type": "ClassLabel"}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def parquet(table: Any) -> bytes:
    """A table as the bytes of a Parquet file."""
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def arrow(table: Any, *, stream: bool = False) -> bytes:
    """A table as the bytes of an Arrow file or stream."""
    import pyarrow as pa

    out = io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def cola_table(n: int = N, seed: int = 0, *, hidden: bool = False) -> Any:
    """The hub's glue/cola: sentence, label (ClassLabel), idx."""
    rows = texts(n, seed)
    columns = {"sentence": [t for t, _ in rows], "label": [-1 if hidden else y for _, y in rows], "idx": list(range(n))}
    return hub_table(columns, ("unacceptable", "acceptable"))


def saved_dataset(folder: Path, table: Any) -> None:
    """A folder as `datasets.Dataset.save_to_disk` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data-00000-of-00001.arrow").write_bytes(arrow(table, stream=True))
    info = json.loads(table.schema.metadata[b"huggingface"])["info"]
    (folder / "dataset_info.json").write_text(json.dumps({"citation": "", "description": "", **info}, indent=2))
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_fingerprint": "d17dd33f0caea86c"}
    state |= {"_format_columns": None, "_format_kwargs": {}, "_format_type": None, "_split": None}
    (folder / "state.json").write_text(json.dumps(state, indent=2))


def saved_dict(folder: Path, **tables: Any) -> None:
    """A folder as `datasets.DatasetDict.save_to_disk` leaves it."""
    for name, table in tables.items():
        saved_dataset(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(tables)}))


def make(path: str, content: Callable[[], bytes]) -> Callable[[Path], None]:
    """Writes one file when its case is tried."""

    def write(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content())

    return write
