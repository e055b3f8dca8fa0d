"""Root 3: labels that are missing, measured, several, spelled in many ways, or numbers with a meaning."""

from __future__ import annotations

import json
import unicodedata

from reliability.inputs.case import (
    Case,
    Check,
    Result,
    all_of,
    any_of,
    asserts,
    audit_shows,
    classes,
    reads,
    refused,
    shows,
)
from reliability.inputs.containers import BINARY, NUMBERS
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import SECOND, N, csv, hub_table, jsonl, make, parquet, simple, texts, tsv
from reliability.inputs.programs import FLOATS, FLOATS_SKLEARN, with_words

HEAD = ("sentence", "label")
TRAIN = "--encoder {encoder} --epochs 1 --device cpu --max-length 32 --on-collapse go-on --out out --json"


def cases() -> list[Case]:
    """All of them."""
    return [*_missing(), *_measured(), *_several(), *_numbers(), *_spellings(), *_declared(), *_many()]


def _audit(what: str, labels: object, check: Check, options: str = "", name: str = "x.tsv") -> Case:
    rows = labels if isinstance(labels, list) else simple(labels)
    content = csv(HEAD, rows) if name.endswith(".csv") else tsv(HEAD, rows)
    return Case(3, what, f"acceptor audit {name}{options} --json", check, {name: content})


def _both(what: str, rows: object, *words: str, name: str = "x.tsv") -> list[Case]:
    """Labels that audit reports and that train refuses."""
    audit = _audit(f"{what}: audit reports", rows, audit_shows(*words), name=name)
    return [audit, Case(3, f"{what}: train refuses", f"acceptor train {name} {TRAIN}", refused(*words), audit.files)]


def _with(label: str, *at: int) -> list[tuple[str, str]]:
    return [(t, label if n in at else y) for n, (t, y) in enumerate(simple())]


def _missing() -> list[Case]:
    found = []
    for mark in ("-", "?", "-1", "", "NA", "nan", "None", "n/a", "null"):
        found += _both(f"{mark!r} among 0/1", _with(mark, 7, 20), r"\b9\b", r"\b22\b", "leave|remove|drop|fill|predict")
    for mark in ("-", "?"):
        words = [(t, mark if n in (7, 20) else y) for n, (t, y) in enumerate(simple(("ham", "spam")))]
        found += _both(f"{mark!r} among words", words, r"\b9\b", r"\b22\b", "leave|remove|drop|fill|predict")
    objects = [{"sentence": t, "label": None if n == 7 else y} for n, (t, y) in enumerate(texts())]
    absent = [{"sentence": t, **({} if n == 7 else {"label": y})} for n, (t, y) in enumerate(texts())]
    hidden = any_of(reads(N, labels=()), audit_shows("no labels|hidden"))
    return [
        *found,
        Case(3, "null in JSON", "acceptor audit x.jsonl --json", audit_shows(r"\b8\b"), {"x.jsonl": jsonl(objects)}),
        Case(
            3,
            "no label key in JSON",
            "acceptor audit x.jsonl --json",
            audit_shows(r"\b8\b"),
            {"x.jsonl": jsonl(absent)},
        ),
        Case(
            3,
            "evaluate: '?' among the labels",
            "acceptor evaluate {run} x.tsv --json",
            refused("line", "9", "22"),
            {"x.tsv": tsv(HEAD, _with("?", 7, 20))},
        ),
        Case(
            3,
            "train: '-' among the labels",
            f"acceptor train x.tsv {TRAIN}",
            refused("line", "9", "22"),
            {"x.tsv": tsv(HEAD, _with("-", 7, 20))},
        ),
        _audit("all labels -1 are hidden", [(t, "-1") for t, _ in texts()], hidden),
        _audit("all labels '-' are hidden", [(t, "-") for t, _ in texts()], hidden),
        _audit("all labels '?' are hidden", [(t, "?") for t, _ in texts()], hidden),
        Case(
            3,
            "evaluate on hidden labels",
            "acceptor evaluate {run} x.tsv --json",
            refused("no labels|hidden", "predict"),
            {"x.tsv": tsv(HEAD, [(t, "-1") for t, _ in texts()])},
        ),
        Case(
            3,
            "predict on hidden labels goes on",
            "acceptor predict {run} x.tsv -o y.jsonl --json",
            shows(f'"written": {N}'),
            {"x.tsv": tsv(HEAD, [(t, "-1") for t, _ in texts()])},
        ),
        Case(
            3,
            "predict where some labels are missing goes on",
            "acceptor predict {run} x.tsv -o y.jsonl --json",
            shows(f'"written": {N}'),
            {"x.tsv": tsv(HEAD, _with("?", 7, 20))},
        ),
        _audit(
            "a class that is called none stays right",
            [(t, y) for t, y in simple(("none", "some"))],
            reads(N, labels=("none", "some")),
        ),
    ]


def _measured() -> list[Case]:
    words = ("measure|score|number", "--labels")
    scores = [(t, f"{n % 20 / 4:.2f}") for n, (t, _) in enumerate(texts())]
    ratings = [(t, f"{1 + n % 37 / 7:.3f}") for n, (t, _) in enumerate(texts())]
    percent = [(t, str(n * 2)) for n, (t, _) in enumerate(texts())]
    named = ",".join(sorted({y for _, y in scores}))
    return [
        *_both("0.00 … 4.75, 20 values", scores, *words),
        *_both("Likert means, 37 values", ratings, *words),
        *_both("decimal commas 0,00 … 4,75", [(t, y.replace(".", ",")) for t, y in scores], *words),
        _audit(
            "measured, where --labels says they are classes",
            scores,
            reads(N, labels=named.split(",")),
            f" --labels {named}",
        ),
        _audit("a whole number for each row", percent, audit_shows("measure|score|number|ids?\\b|every row", "label")),
        _audit(
            "negative and positive measures",
            [(t, f"{n % 20 / 4 - 2.5:.2f}") for n, (t, _) in enumerate(texts())],
            audit_shows(*words),
        ),
        Case(
            3,
            "float scores in Parquet",
            "acceptor audit x.parquet --json",
            audit_shows(*words),
            make=make(
                "x.parquet",
                lambda: parquet(
                    hub_table(
                        {
                            "sentence1": [t for t, _ in scores],
                            "sentence2": [SECOND] * N,
                            "label": [float(y) for _, y in scores],
                        }
                    )
                ),
            ),
        ),
        Case(
            3,
            "measured_score.tsv",
            "acceptor audit {cases}/measured_score.tsv --json",
            audit_shows(*words),
            needs=CASES / "measured_score.tsv",
        ),
        _audit(
            "1 to 5 stars are classes",
            [(t, str(1 + n % 5)) for n, (t, _) in enumerate(texts())],
            reads(N, labels=tuple("12345")),
        ),
        _audit(
            "0.0, 0.5, 1.0: three classes or asked",
            [(t, ("0.0", "0.5", "1.0")[n % 3]) for n, (t, _) in enumerate(texts())],
            any_of(reads(N), refused("--labels")),
        ),
    ]


def _several() -> list[Case]:
    words = ("several labels|more than one label|multi-?label", "one label|split|choose|each|column|separate")
    shown = audit_shows(*words)
    bars = [(t, ("rude", "rude|threat", "threat", "rude|threat|spam")[n % 4]) for n, (t, _) in enumerate(texts())]
    lists = [{"text": t, "labels": ["rude", "spam"][: 1 + y]} for t, y in texts()]
    written = [(t, str(["rude", "spam"][: 1 + y])) for t, y in texts()]
    hot = [(t, y, 1 - y, int(n % 5 == 0)) for n, (t, y) in enumerate(texts())]
    objects = [{"text": t, "labels": {"rude": y, "spam": 1 - y}} for t, y in texts()]
    hyphen = [(t, ("and/or", "either")[y]) for t, y in texts()]
    return [
        *_both("rude|threat", bars, *words),
        *_both("a;b", [(t, y.replace("|", ";")) for t, y in bars], *words),
        *_both("a, b in a CSV's cell", [(t, y.replace("|", ", ")) for t, y in bars], *words, name="x.csv"),
        _audit("a+b or a/b: reported or refused", [(t, y.replace("|", "/")) for t, y in bars], any_of(shown, shows())),
        Case(3, "lists in JSON", "acceptor audit x.jsonl --json", shown, {"x.jsonl": jsonl(lists)}),
        Case(3, "lists in JSON, train", f"acceptor train x.jsonl {TRAIN}", refused(*words), {"x.jsonl": jsonl(lists)}),
        Case(
            3,
            "lists of one in JSON",
            "acceptor audit x.jsonl --json",
            any_of(shown, reads(N, labels=("rude", "spam"))),
            {"x.jsonl": jsonl([{"text": t, "label": [("rude", "spam")[y]]} for t, y in texts()])},
        ),
        Case(
            3,
            "objects in JSON",
            "acceptor audit x.jsonl --json",
            any_of(shown, audit_shows("labels\\.rude|object")),
            {"x.jsonl": jsonl(objects)},
        ),
        *_both("lists written as Python", written, *words),
        Case(
            3,
            "one-hot columns",
            "acceptor audit x.csv --json",
            any_of(shown, audit_shows("rude", "label="), reads(N, "passed over[^;]*rude", labels=())),
            {"x.csv": csv(("comment_text", "rude", "spam", "threat"), hot)},
        ),
        Case(
            3,
            "one-hot columns beside `text`, as Jigsaw has them",
            "acceptor audit x.csv --json",
            any_of(shown, audit_shows("rude", "label="), reads(N, "passed over[^;]*toxic", labels=())),
            {"x.csv": csv(("id", "text", "toxic", "obscene", "rude"), [(n, *row) for n, row in enumerate(hot)])},
        ),
        Case(
            3,
            "one of the one-hot columns by --columns",
            "acceptor audit x.csv --columns label=rude --json",
            reads(N, counts=NUMBERS),
            {"x.csv": csv(("text", "rude", "spam", "threat"), hot)},
        ),
        Case(
            3,
            "several_labels_in_a_cell.tsv, audit",
            "acceptor audit {cases}/several_labels_in_a_cell.tsv --json",
            shown,
            needs=CASES / "several_labels_in_a_cell.tsv",
        ),
        Case(
            3,
            "several_labels_in_a_cell.tsv, train",
            "acceptor train {cases}/several_labels_in_a_cell.tsv " + TRAIN,
            refused(*words),
            needs=CASES / "several_labels_in_a_cell.tsv",
        ),
        _audit("and/or, either: two plain words", hyphen, reads(N, labels=("and/or", "either"))),
        _audit(
            "a label with a comma that is one label",
            [(t, ("yes, sure", "no, never")[y]) for t, y in texts()],
            any_of(reads(N, labels=("yes, sure", "no, never")), refused("--labels")),
        ),
    ]


def _numbers() -> list[Case]:
    """1.0 and 0.0 are 1 and 0, wherever they come from."""
    floats = [(t, f"{float(y)}") for t, y in texts()]
    ways = {
        "pandas after a dropna": "pd.concat([frame, pd.DataFrame([['x', None]], columns=frame.columns)]).dropna()",
        "NumPy float64": "[(t, np.float64(y)) for t, y in rows]",
        "NumPy float32": "[(t, np.float32(y)) for t, y in rows]",
        "NumPy bool": "[(t, np.bool_(y)) for t, y in rows]",
        "pandas Int64": "frame.astype({'label': 'Int64'})",
        "pandas float": "frame.astype({'label': float})",
        "polars": "pl.DataFrame({'sentence': [t for t, _ in rows], 'label': [float(y) for _, y in rows]})",
        "dicts": "[{'sentence': t, 'label': float(y)} for t, y in rows]",
    }
    rows = repr(texts())
    programs = [
        Case(3, f"1.0/0.0: {what}", with_words(FLOATS, ROWS=rows, WAY=way), asserts) for what, way in ways.items()
    ]
    sklearn = Case(3, "1.0/0.0: scikit-learn", with_words(FLOATS_SKLEARN, ROWS=rows), asserts, slow=True)
    both = any_of(
        lambda result: "" if result.json.get("n") == 40 else f"exit code {result.code}: {result.err.strip()[:100]}"
    )

    return [
        _audit("1.0/0.0 in a CSV are 1/0", floats, reads(N, counts=NUMBERS), name="x.csv"),
        _audit("1.00/0.00", [(t, f"{y}.00") for t, y in texts()], reads(N, counts=NUMBERS)),
        _audit("1. and 0.", [(t, f"{y}.") for t, y in texts()], any_of(reads(N, counts=NUMBERS), refused("label"))),
        _audit(
            "1.0 among 1: one label",
            [(t, "1.0" if n == 4 else str(y)) for n, (t, y) in enumerate(texts())],
            reads(N, counts=NUMBERS),
        ),
        _audit(
            "0.0, 1.0, 2.0 are three classes 0, 1, 2",
            [(t, f"{n % 3}.0") for n, (t, _) in enumerate(texts())],
            reads(N, labels=("0", "1", "2")),
        ),
        Case(
            3,
            "1.0/0.0 in JSON",
            "acceptor audit x.jsonl --json",
            reads(N, counts=NUMBERS),
            {"x.jsonl": jsonl([{"sentence": t, "label": float(y)} for t, y in texts()])},
        ),
        *programs,
        sklearn,
        Case(
            3,
            "1.0/0.0: one run judges both",
            "acceptor evaluate {run} {cases}/float_labels_test.csv --json",
            both,
            needs=CASES / "float_labels_test.csv",
        ),
        Case(
            3,
            "1.0/0.0: a run of 0/1 evaluates 1.0/0.0",
            "acceptor evaluate {run} {cases}/float_labels_train.csv --json",
            lambda result: "" if result.json.get("n") == 90 else f"exit code {result.code}: {result.err.strip()[:100]}",
            needs=CASES / "float_labels_train.csv",
        ),
        Case(
            3,
            "1.0/0.0: train on one, test on the other",
            "acceptor train {cases}/float_labels_train.csv --test {cases}/float_labels_test.csv " + TRAIN,
            shows("acceptable"),
            needs=CASES / "float_labels_train.csv",
            slow=True,
        ),
    ]


def _spellings() -> list[Case]:
    five = ["Positif", "positif", "positif ", "négatif", unicodedata.normalize("NFD", "négatif")]
    rows = [(t, five[n % 5]) for n, (t, _) in enumerate(texts())]
    case = [(t, ("spam", "Spam", "ham")[n % 3]) for n, (t, _) in enumerate(texts())]
    wide = [(t, ("spam", "ｓｐａｍ", "ham")[n % 3]) for n, (t, _) in enumerate(texts())]
    hidden = [(t, ("spam", "sp\u200bam", "ham")[n % 3]) for n, (t, _) in enumerate(texts())]
    nbsp = [(t, ("not ok", "not\u00a0ok", "fine")[n % 3]) for n, (t, _) in enumerate(texts())]
    reported = audit_shows("--normalise-labels")
    wanted = refused("--normalise-labels")

    def audit(what: str, data: list[tuple[str, str]]) -> list[Case]:
        files = {"x.tsv": tsv(HEAD, data)}
        return [
            Case(3, f"{what}: audit reports", "acceptor audit x.tsv --json", reported, files),
            Case(3, f"{what}: train stops before it starts", f"acceptor train x.tsv {TRAIN}", wanted, files),
            Case(
                3,
                f"{what}: --normalise-labels merges",
                "acceptor audit x.tsv --normalise-labels --json",
                classes(2),
                files,
            ),
        ]

    shared = CASES / "one_label_spelled_five_ways.tsv"
    return [
        *audit("Positif, positif, positif␠, two forms of é", rows),
        *audit("spam, Spam", case),
        *audit("full-width letters", wide),
        *audit("a no-break space inside", nbsp),
        Case(
            3,
            "a zero-width space inside: audit reports",
            "acceptor audit x.tsv --json",
            any_of(reported, audit_shows("zero-width")),
            {"x.tsv": tsv(HEAD, hidden)},
        ),
        Case(
            3,
            "one_label_spelled_five_ways.tsv, audit",
            "acceptor audit {cases}/one_label_spelled_five_ways.tsv --json",
            reported,
            needs=shared,
        ),
        Case(
            3,
            "one_label_spelled_five_ways.tsv, train",
            "acceptor train {cases}/one_label_spelled_five_ways.tsv " + TRAIN,
            wanted,
            needs=shared,
        ),
        Case(
            3,
            "one_label_spelled_five_ways.tsv, train --normalise-labels",
            "acceptor train {cases}/one_label_spelled_five_ways.tsv --normalise-labels " + TRAIN,
            all_of(shows(), _two_labels),
            needs=shared,
            slow=True,
        ),
        _audit(
            "labels that only look a little alike stay right",
            [(t, ("noun", "pronoun")[y]) for t, y in texts()],
            reads(N, labels=("noun", "pronoun")),
        ),
        _audit(
            "NN, NNS, NNP: classes of their own",
            [(t, ("NN", "NNS", "NNP")[n % 3]) for n, (t, _) in enumerate(texts())],
            reads(N, labels=("NN", "NNS", "NNP")),
        ),
    ]


def _two_labels(result: Result) -> str:
    labels = json.loads((result.folder / "out" / "judge.json").read_text("utf-8"))["labels"]
    return "" if len(labels) == 2 else f"labels {labels}"


def _declared() -> list[Case]:
    refused_or_read = any_of(refused("--labels", absent=["did you mean '1'"]), reads(N))
    three = ("good", "bad", "neutral")
    named = "--labels nice,toxic"
    ids = {"nice": 16, "toxic": 32}
    run = "acceptor train x.tsv --labels nice,toxic " + TRAIN

    def toxic(result: Result) -> str:
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[:140]}"
        labels = json.loads((result.folder / "out" / "judge.json").read_text("utf-8"))["labels"]
        return "" if labels == ["nice", "toxic"] else f"labels {labels}"

    return [
        _audit(
            "-1/1: read in order, or --labels is named",
            ("-1", "1"),
            any_of(reads(N, labels=("-1", "1")), refused_or_read),
        ),
        _audit("-1/1 by --labels=-1,1", ("-1", "1"), reads(N, labels=("-1", "1")), " --labels=-1,1"),
        _audit("-1/1 named good and bad", ("-1", "1"), reads(N, counts={"bad": 16, "good": 32}), " --labels bad,good"),
        _audit(
            "-1/0/1: read, or --labels is named",
            ("-1", "0", "1"),
            any_of(reads(N, labels=("-1", "0", "1")), refused("--labels", absent=["did you mean '1'"])),
        ),
        _audit("-1/0/1 by --labels", ("-1", "0", "1"), reads(N, labels=("-1", "0", "1")), " --labels=-1,0,1"),
        _audit(
            "-1/0/1 named",
            ("-1", "0", "1"),
            reads(N, counts={"neg": 16, "neu": 16, "pos": 16}),
            " --labels neg,neu,pos",
        ),
        _audit("True/False", ("False", "True"), reads(N, counts=NUMBERS)),
        _audit("TRUE/FALSE of a spreadsheet", ("FALSE", "TRUE"), reads(N, counts=NUMBERS)),
        _audit(
            "yes/no/maybe",
            ("yes", "no", "maybe"),
            any_of(reads(N, labels=("yes", "no", "maybe")), refused("--labels", "maybe", absent=["did you mean"])),
        ),
        _audit(
            "yes/no/maybe by --labels",
            ("yes", "no", "maybe"),
            reads(N, labels=("yes", "no", "maybe")),
            " --labels no,maybe,yes",
        ),
        _audit(
            "good/bad/neutral",
            three,
            any_of(reads(N, labels=three), refused("--labels", "neutral", absent=["did you mean"])),
        ),
        _audit("good/bad/neutral by --labels", three, reads(N, labels=three), " --labels bad,neutral,good"),
        _audit(
            "true/false/unknown",
            ("true", "false", "unknown"),
            any_of(reads(N), refused("--labels", "unknown", absent=["did you mean"])),
        ),
        _audit("--labels nice,toxic on 0/1 names them", ("0", "1"), reads(N, counts=ids), f" {named}"),
        _audit("--labels nice,toxic on 1.0/0.0", ("0.0", "1.0"), reads(N, counts=ids), f" {named}"),
        _audit(
            "--labels a,b,c on 1/2/3", ("1", "2", "3"), reads(N, counts={"a": 16, "b": 16, "c": 16}), " --labels a,b,c"
        ),
        _audit(
            "--labels of the wrong number on 0/1",
            ("0", "1"),
            audit_shows("labels?\\b", r"\b[23]\b|two|three|\bc\b"),
            " --labels a,b,c",
        ),
        _audit(
            "--labels with a blank after the comma",
            ("ham", "spam"),
            reads(N, labels=("ham", "spam")),
            " --labels 'ham, spam'",
        ),
        _audit("--labels that lack a class", ("ham", "spam"), audit_shows("spam|eggs"), " --labels ham,eggs"),
        Case(3, "--labels nice,toxic: with the judge's labels", run, toxic, {"x.tsv": tsv(HEAD, simple())}, slow=True),
        Case(
            3,
            "--labels nice,toxic: then evaluate on 0/1",
            f"sh -c $ACCEPTOR {run.removeprefix('acceptor ')} >/dev/null 2>&1; $ACCEPTOR evaluate out x.tsv --json",
            lambda result: "" if result.json.get("n") == N else f"exit code {result.code}: {result.err.strip()[:100]}",
            {"x.tsv": tsv(HEAD, simple())},
            process=True,
        ),
        _audit("0/1 without --labels stay acceptability", ("0", "1"), reads(N, labels=BINARY)),
    ]


def _many() -> list[Case]:
    rows = [(f"{t} {n}", f"intent {n % 77:02}") for n, (t, _) in enumerate(texts(616))]
    train = f"acceptor train x.tsv {TRAIN}"
    share = refused("--validation-share", "0?\\.\\d+|1/8|share")

    def cut(result: Result) -> str:
        return "" if result.text.count("intent ") <= 40 else f"{result.text.count('intent ')} classes in one error"

    words = tsv(HEAD, rows)
    unknown = {"x.tsv": words, "dev.tsv": tsv(HEAD, [("the cats sleep.", "intent 99"), ("the cats see.", "intent 01")])}
    named = ",".join(f"intent {n:02}" for n in range(77))
    return [
        Case(
            3,
            "77 classes with 8 examples: the share that works",
            train,
            all_of(share, cut),
            {"x.tsv": words},
            slow=True,
        ),
        Case(
            3,
            "labels_77.tsv, train",
            "acceptor train {cases}/labels_77.tsv " + TRAIN,
            all_of(share, cut),
            needs=CASES / "labels_77.tsv",
            slow=True,
        ),
        Case(
            3,
            "labels_77.tsv, train with such a share",
            "acceptor train {cases}/labels_77.tsv --validation-share 0.125 " + TRAIN,
            shows(),
            needs=CASES / "labels_77.tsv",
            slow=True,
        ),
        Case(
            3,
            "labels_77.tsv, audit",
            "acceptor audit {cases}/labels_77.tsv --json",
            lambda result: (
                ""
                if len(result.json.get("train", {}).get("balance", {})) == 77
                else f"exit code {result.code}: {result.err.strip()[:140]}"
            ),
            needs=CASES / "labels_77.tsv",
        ),
        Case(
            3,
            "an unknown label among 77: the list is cut",
            f"acceptor train . {TRAIN}",
            any_of(
                lambda result: (
                    ""
                    if result.code == 1 and "intent 99" in result.text and not cut(result)
                    else cut(result) or f"exit code {result.code}"
                )
            ),
            {"train.tsv": words, "dev.tsv": unknown["dev.tsv"]},
        ),
        Case(
            3,
            "--labels that lack one of 77: the list is cut",
            f"{train} --labels '{named.replace('intent 05', 'intent x')}'",
            all_of(refused("intent 05"), cut),
            {"x.tsv": words},
        ),
        Case(
            3,
            "a run of eight classes meets another: the list is cut",
            "acceptor evaluate {many} dev.tsv --json",
            all_of(refused("intent", "kind"), cut),
            unknown,
            slow=True,
        ),
        Case(
            3,
            "1,001 classes: the list is cut",
            train,
            all_of(refused("label"), lambda result: "" if result.text.count("class ") < 40 else "not cut"),
            {"x.tsv": tsv(HEAD, [(f"{t} {n}", f"class {n % 1001}") for n, (t, _) in enumerate(texts(1010))])},
        ),
    ]
