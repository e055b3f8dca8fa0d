"""Root 2: second texts, columns that the caller names, columns that stand alone."""

from __future__ import annotations

from reliability.inputs.case import Case, Check, Result, all_of, any_of, asserts, audit_shows, reads, refused, shows
from reliability.inputs.containers import BINARY, NUMBERS
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import SECOND, N, csv, simple, texts, tsv
from reliability.inputs.programs import NUMBERED_FRAME, with_words

HEAD = ("sentence", "label")
ROWS = simple()


def cases() -> list[Case]:
    """All of them."""
    return [*_second_texts(), *_given(), *_alone()]


def _audit(what: str, path: str, content: str | bytes, check: Check, options: str = "") -> Case:
    return Case(2, what, f"acceptor audit {path}{options} --json", check, {path: content})


def _second_texts() -> list[Case]:
    """A second text beside a sentence makes a pair, or an error asks for the roles."""
    found = []
    for first, second in (
        ("premise", "hypothesis"),
        ("sentence1", "sentence2"),
        ("text_a", "text_b"),
        ("question1", "question2"),
        ("question", "passage"),
        ("context", "sentence"),
        ("Premise", "Hypothesis"),
        ("sentence_a", "sentence_b"),
        ("text1", "text2"),
        ("question", "context"),
        ("claim", "evidence"),
        ("query", "document"),
    ):
        content = csv(("id", first, second, "label"), [(n, t, SECOND, y) for n, (t, y) in enumerate(texts())])
        names = refused("sentence=", "second=", first, second)
        check = reads(N, "passed over: id", pairs=True, labels=BINARY)
        found.append(_audit(f"{first} and {second} are a pair", "x.csv", content, any_of(check, names)))
    free = csv(("id", "text", "answer"), [(n, t, ("no", "yes")[y]) for n, (t, y) in enumerate(texts())])
    survey = any_of(
        reads(N, labels=BINARY),
        reads(N, "passed over[^;]*answer", labels=()),
        refused("answer", "sentence=", "label=answer|second=answer"),
    )
    pairs = csv(("sentence", "comment", "label"), [(t, f"a comment {n}", y) for n, (t, y) in enumerate(texts())])
    return [
        *found,
        _audit("text and answer (yes, no): labels, or asked", "x.csv", free, survey),
        Case(
            2,
            "text and answer, from the shared file",
            "acceptor audit {cases}/text_and_answer.csv --json",
            any_of(
                reads(12, labels=BINARY), reads(12, "passed over[^;]*answer", labels=()), refused("answer", "sentence=")
            ),
            needs=CASES / "text_and_answer.csv",
        ),
        _audit(
            "a comment beside a sentence is passed over",
            "x.csv",
            pairs,
            reads(N, "passed over: comment", counts=NUMBERS),
        ),
        _audit(
            "text and sentence: which is meant is asked or reported",
            "x.csv",
            csv(("text", "sentence", "label"), [(t, SECOND, y) for t, y in texts()]),
            any_of(refused("sentence=", "text"), reads(N, "passed over", labels=BINARY)),
        ),
        _audit(
            "a pair by --columns",
            "x.csv",
            csv(("a", "b", "y"), [(t, SECOND, y) for t, y in texts()]),
            reads(N, pairs=True, counts=NUMBERS),
            " --columns sentence=a,second=b,label=y",
        ),
    ]


def _given() -> list[Case]:
    """Columns that the caller names or numbers."""
    unknown = tsv(("Satz", "Urteil"), ROWS)
    ids = csv(("Satz", "Wert"), simple(("schlecht", "gut")))
    comma = csv(("my, text", "the label"), ROWS)
    blanks = "sentence, label\n" + "".join(f"{t}, {y}\n" for t, y in ROWS)
    numbered = with_words(NUMBERED_FRAME, ROWS=repr(ROWS))
    return [
        _audit(
            "sentence=1,label=2 under unknown names: they are a header",
            "x.tsv",
            unknown,
            reads(N, "header", counts=NUMBERS, first="the cat"),
            " --columns sentence=1,label=2",
        ),
        _audit(
            "the same with labels that are words",
            "x.csv",
            ids,
            reads(N, "header", labels=("schlecht", "gut"), first="the cat"),
            " --columns sentence=1,label=2",
        ),
        _audit(
            "sentence=1,label=2 without a header: no row is lost",
            "x.tsv",
            tsv(None, ROWS),
            reads(N, counts=NUMBERS, first="the cat"),
            " --columns sentence=1,label=2",
        ),
        _audit(
            "unknown names without --columns: asked",
            "x.tsv",
            tsv(("Satz", "Urteil", "Notiz"), [(t, y, "x") for t, y in ROWS]),
            any_of(reads(N, counts=NUMBERS), refused("--columns", "sentence=")),
        ),
        _audit(
            "unknown names, two columns: the header is not judged",
            "x.tsv",
            unknown,
            any_of(reads(N, labels=BINARY), refused("header|Satz")),
        ),
        _audit(
            "a label column of words, one unusual first word",
            "x.tsv",
            tsv(("S", "gold standard"), simple(("ham", "spam"))),
            any_of(reads(N, labels=("ham", "spam")), refused("header|--columns")),
        ),
        _audit(
            "a name with a comma: quoted",
            "x.csv",
            comma,
            reads(N, counts=NUMBERS),
            """ --columns 'sentence="my, text",label="the label"'""",
        ),
        _audit(
            "a name with blanks",
            "x.csv",
            csv(("my text", "the label"), ROWS),
            reads(N, counts=NUMBERS),
            " --columns 'sentence=my text,label=the label'",
        ),
        _audit(
            "a name with an equals sign",
            "x.csv",
            csv(("a=b", "y"), ROWS),
            reads(N, counts=NUMBERS),
            """ --columns 'sentence="a=b",label=y'""",
        ),
        _audit(
            "', label' in a CSV's header",
            "x.csv",
            blanks,
            any_of(reads(N, counts=NUMBERS, first="the cat"), refused("' label'")),
        ),
        _audit(
            "a name that is not there",
            "x.tsv",
            unknown,
            refused("Satzz", "Satz"),
            " --columns sentence=Satzz,label=Urteil",
        ),
        Case(2, "sentence=1 and a frame with a column called 1: one meaning, reported", numbered, asserts),
        _audit(
            "header words in capitals",
            "x.tsv",
            tsv(("SENTENCE", "LABEL"), ROWS),
            reads(N, counts=NUMBERS, first="the cat"),
        ),
        _audit(
            "header names with blanks around",
            "x.csv",
            csv((" Sentence ", " Label"), ROWS),
            any_of(reads(N, counts=NUMBERS, first="the cat"), refused("' Label'|' Sentence '")),
        ),
    ]


def _alone() -> list[Case]:
    """One column alone; two columns of which the first counts up."""
    plain = "".join(f"{t}\n" for t, _ in ROWS)
    count = '"written": {}'.format
    predict = "acceptor predict {run} x.txt -o y.jsonl --json"
    asked = refused("header|first line", "Satz")

    def judged(rows: int, first: str) -> Check:
        def check(result: Result) -> str:
            text = (result.folder / "y.jsonl").read_text("utf-8").splitlines() if result.code == 0 else [""]
            return "" if first in text[0] and len(text) == rows else f"{len(text)} rows, the first is {text[0][:60]}"

        return all_of(shows(count(rows)), check)

    ids = [(n, t) for n, (t, _) in enumerate(ROWS)]
    first = ROWS[0][0]
    return [
        Case(2, "sentences alone", predict, judged(N, first), {"x.txt": plain}),
        Case(2, "sentences alone under `sentence`", predict, judged(N, first), {"x.txt": "sentence\n" + plain}),
        Case(
            2,
            "`Satz` over sentences is not judged silently",
            predict,
            any_of(judged(N, first), asked, all_of(judged(N + 1, "Satz"), shows("Satz", "header"))),
            {"x.txt": "Satz\n" + plain},
        ),
        Case(
            2,
            "`Phrase` over sentences is not judged silently",
            predict,
            any_of(judged(N, first), refused("Phrase"), all_of(judged(N + 1, "Phrase"), shows("Phrase", "header"))),
            {"x.txt": "Phrase\n" + plain},
        ),
        Case(
            2,
            "a first sentence `Question` is not swallowed silently",
            predict,
            any_of(
                judged(N + 1, "Question"),
                refused("Question", "header"),
                all_of(judged(N, first), shows("Question", "header")),
            ),
            {"x.txt": "Question\n" + plain},
        ),
        Case(
            2,
            "a first sentence `Text` is not swallowed silently",
            predict,
            any_of(
                judged(N + 1, "Text"),
                refused("Text", "header"),
                all_of(judged(N, first), shows("header", "Text|sentence")),
            ),
            {"x.txt": "Text\n" + plain},
        ),
        _audit(
            "numbers that count up are ids, not labels",
            "x.tsv",
            tsv(None, ids),
            any_of(reads(N, "passed over", labels=()), audit_shows("no labels|ids?\\b|count")),
        ),
        _audit(
            "numbers that count up from 1000",
            "x.tsv",
            tsv(None, [(1000 + n, t) for n, t in ids][:15]),
            any_of(reads(15, "passed over", labels=()), audit_shows("no labels|ids?\\b|count")),
        ),
        _audit(
            "ids in the second column",
            "x.tsv",
            tsv(None, [(t, n) for n, t in ids]),
            any_of(reads(N, "passed over", labels=()), audit_shows("no labels|ids?\\b|count")),
        ),
        Case(
            2,
            "ids before sentences, predict",
            "acceptor predict {run} x.tsv -o y.jsonl --json",
            judged(15, ids[0][1]),
            {"x.tsv": tsv(None, ids[:15])},
        ),
        _audit(
            "0/1 labels in the first column stay right",
            "x.tsv",
            tsv(None, [(y, t) for t, y in ROWS]),
            reads(N, counts=NUMBERS),
        ),
    ]
