"""Root 2, second half: separators, headers, line ends and columns that are not what they seem."""

from __future__ import annotations

from reliability.inputs.case import Case, See, Seen, also, asserts, either, reads, refused, said
from reliability.inputs.containers import BINARY, NUMBERS
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import SECOND, N, csv, simple, texts, tsv

HEAD = ("sentence", "label")
ROWS = simple()


def cases() -> list[Case]:
    """All of them."""
    return [*_second_texts(), *_separators(), *_line_ends(), *_joined(), *_split_column(), *_given(), *_alone()]


def _audit(what: str, path: str, content: str | bytes, see: See, options: str = "") -> Case:
    return Case(2, what, f"acceptor audit {path}{options} --json", see, {path: content})


def _second_texts() -> list[Case]:
    """A second text beside a sentence makes a pair, or an error asks."""
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
        see = reads(N, "passed over: id", pairs=True, labels=BINARY)
        found.append(_audit(f"{first} and {second} are a pair", "x.csv", content, either(see, names)))
    free = csv(("id", "text", "answer"), [(n, t, ("no", "yes")[y]) for n, (t, y) in enumerate(texts())])
    survey = either(reads(N, labels=BINARY), refused("answer", "sentence=", "label=answer|second=answer"))
    pairs = csv(("sentence", "comment", "label"), [(t, f"a comment {n}", y) for n, (t, y) in enumerate(texts())])
    return [
        *found,
        _audit("text and answer (yes, no): labels, or asked", "x.csv", free, survey),
        Case(
            2,
            "text and answer, from the shared file",
            "acceptor audit {cases}/text_and_answer.csv --json",
            either(reads(12, labels=BINARY), refused("answer", "sentence=")),
            needs=CASES / "text_and_answer.csv",
        ),
        _audit(
            "a comment beside a sentence is passed over",
            "x.csv",
            pairs,
            reads(N, "passed over: comment", counts=NUMBERS),
        ),
        _audit(
            "text and sentence: which is meant is asked or said",
            "x.csv",
            csv(("text", "sentence", "label"), [(t, SECOND, y) for t, y in texts()]),
            either(refused("sentence=", "text"), reads(N, "passed over", labels=BINARY)),
        ),
        _audit(
            "a pair by --columns",
            "x.csv",
            csv(("a", "b", "y"), [(t, SECOND, y) for t, y in texts()]),
            reads(N, pairs=True, counts=NUMBERS),
            " --columns sentence=a,second=b,label=y",
        ),
    ]


def _separators() -> list[Case]:
    found = []
    for name, right, separator in (("semicolons", ";", "';'"), ("tabs", "\t", "tab"), ("bars", "|", "'|'")):
        content = csv(HEAD, ROWS, right)
        found += [
            _audit(
                f".csv with {name}: refused with the separator",
                "x.csv",
                content,
                refused("--separator", rf"--separator ['\"]?{'tab' if right == chr(9) else chr(92) + right}"),
            ),
            _audit(
                f".csv with {name}: read with it",
                "x.csv",
                content,
                reads(N, counts=NUMBERS),
                f" --separator {separator}",
            ),
        ]
    no_header = csv(None, [(t, y) for t, y in ROWS], ";")
    decimal = csv(("id", "sentence", "score", "label"), [(n, t, f"{n},5", y) for n, (t, y) in enumerate(ROWS)], ";")
    quoted = "".join(f'"{t}";"{y}"\n' for t, y in [HEAD, *ROWS])
    clauses = [(t.replace(".", "; so it is."), y) for t, y in ROWS]
    commas = [(t.replace(".", ", so it is."), y) for t, y in ROWS]
    shared = refused("--separator ';'")
    train = "acceptor train {cases}/semicolons.csv --encoder {encoder} --json"
    return [
        *found,
        _audit(".csv with semicolons, no header", "x.csv", no_header, refused("--separator ['\"]?;")),
        _audit(".csv with semicolons, quoted cells", "x.csv", quoted, refused("--separator ['\"]?;")),
        _audit(".csv with semicolons and decimal commas", "x.csv", decimal, refused("--separator ['\"]?;")),
        _audit(
            ".csv with semicolons and decimal commas: read with it",
            "x.csv",
            decimal,
            reads(N, counts=NUMBERS),
            " --separator ';'",
        ),
        _audit(
            "sep=; as the first line",
            "x.csv",
            "sep=;\n" + csv(HEAD, ROWS, ";"),
            either(reads(N, counts=NUMBERS), refused("sep=;", "--separator ['\"]?;")),
        ),
        _audit(
            "sep=, as the first line",
            "x.csv",
            "sep=,\n" + csv(HEAD, ROWS),
            either(reads(N, counts=NUMBERS), refused("sep=,")),
        ),
        _audit(".tsv with commas", "x.tsv", csv(HEAD, ROWS), refused("--separator ['\"]?,|csv")),
        _audit(
            ".tsv with commas: read with it", "x.tsv", csv(HEAD, ROWS), reads(N, counts=NUMBERS), " --separator ','"
        ),
        _audit(".txt with semicolons", "x.txt", csv(HEAD, ROWS, ";"), refused("--separator ['\"]?;")),
        Case(
            2,
            "single sentences that hold commas stay right",
            "acceptor predict {run} x.txt -o y.jsonl --json",
            said('"written": 115', absent=["--separator"]),
            {"x.txt": "".join(f"{t}\n" for n, (t, _) in enumerate([*commas, *clauses, *ROWS]) if n % 5)},
        ),
        _audit(
            "semicolons inside sentences of a true CSV stay right",
            "x.csv",
            csv(HEAD, clauses),
            reads(N, counts=NUMBERS),
        ),
        _audit(
            "commas inside sentences of a true TSV stay right", "x.tsv", tsv(HEAD, commas), reads(N, counts=NUMBERS)
        ),
        _audit("a separator of two characters", "x.csv", csv(HEAD, ROWS), refused("separator"), " --separator '||'"),
        Case(
            2,
            "semicolons.csv, predict",
            "acceptor predict {run} {cases}/semicolons.csv --json",
            shared,
            needs=CASES / "semicolons.csv",
        ),
        Case(
            2,
            "semicolons.csv, predict into a file",
            "acceptor predict {run} {cases}/semicolons.csv -o x.jsonl --json",
            shared,
            needs=CASES / "semicolons.csv",
        ),
        Case(
            2,
            "semicolons.csv, evaluate",
            "acceptor evaluate {run} {cases}/semicolons.csv --json",
            shared,
            needs=CASES / "semicolons.csv",
        ),
        Case(2, "semicolons.csv, train", train, shared, needs=CASES / "semicolons.csv"),
        Case(
            2,
            "semicolons.csv, predict with --separator",
            "acceptor predict {run} {cases}/semicolons.csv --separator ';' -o x.jsonl --json",
            said('"written": 30'),
            needs=CASES / "semicolons.csv",
        ),
    ]


def _line_ends() -> list[Case]:
    read = reads(N, counts=NUMBERS, first="the cat")
    lone = either(read, refused(r"CR\b|carriage return|line ends|\\\\r|line breaks"))
    return [
        _audit("lone CR line ends, .tsv", "x.tsv", tsv(HEAD, ROWS, "\r"), lone),
        _audit("lone CR line ends, .csv", "x.csv", csv(HEAD, ROWS, end="\r"), lone),
        _audit(
            "lone CR line ends, .txt of sentences",
            "x.txt",
            "".join(f"{t}\r" for t, _ in ROWS),
            either(reads(N, first="the cat"), lone, refused("no labels")),
        ),
        Case(
            2,
            "lone CR line ends, predict",
            "acceptor predict {run} x.txt -o y.jsonl --json",
            either(said(f'"written": {N}'), lone),
            {"x.txt": "".join(f"{t}\r" for t, _ in ROWS)},
        ),
        _audit("CRLF", "x.csv", csv(HEAD, ROWS, end="\r\n"), read),
        _audit("a byte order mark at the start", "x.csv", "\ufeff" + csv(HEAD, ROWS), read),
    ]


def _joined() -> list[Case]:
    """`cat a.csv b.csv`: a header in the middle, a byte order mark inside."""
    first, second = csv(HEAD, ROWS), csv(HEAD, simple(seed=5))
    words = simple(("poor taste", "good taste"))
    at = f"line {N + 2}\\b"
    evaluate = "acceptor evaluate {run} x.csv --json"
    return [
        _audit("cat a.csv b.csv: the header inside", "x.csv", first + second, refused("header", at)),
        _audit("cat a.csv b.csv: labels are words", "x.csv", csv(HEAD, words) * 2, refused("header", at)),
        _audit("cat a.tsv b.tsv", "x.tsv", tsv(HEAD, ROWS) + tsv(HEAD, simple(seed=5)), refused("header", at)),
        _audit(
            "a byte order mark inside",
            "x.csv",
            "\ufeff" + csv(HEAD, words) + "\ufeff" + csv(HEAD, words),
            refused("header|byte order mark", at),
        ),
        _audit(
            "a byte order mark inside, no headers",
            "x.tsv",
            tsv(None, ROWS) + "\ufeff" + tsv(None, simple(seed=5)),
            refused("byte order mark", f"line {N + 1}\\b"),
        ),
        _audit(
            "joined JSON lines with marks",
            "x.jsonl",
            '{"sentence": "a b", "label": 1}\n\ufeff{"sentence": "b c", "label": 0}\n',
            refused("byte order mark", "line 2"),
        ),
        Case(2, "a header inside, evaluate", evaluate, refused("header", at), {"x.csv": first + second}),
        Case(
            2,
            "a header inside, predict",
            "acceptor predict {run} x.csv -o y.jsonl --json",
            either(refused("header", at), said(at, "header")),
            {"x.csv": first + second},
        ),
        Case(
            2,
            "two_files_joined.csv, train",
            "acceptor train {cases}/two_files_joined.csv --encoder {encoder} --json",
            refused("header|byte order mark", "line 42"),
            needs=CASES / "two_files_joined.csv",
        ),
        Case(
            2,
            "two_files_joined.csv, audit",
            "acceptor audit {cases}/two_files_joined.csv --json",
            refused("header|byte order mark", "line 42"),
            needs=CASES / "two_files_joined.csv",
        ),
        _audit("cat with three headers", "x.csv", first * 3, refused("header", at)),
    ]


def _split_column() -> list[Case]:
    def data(words: tuple[str, str, str], name: str = "Split") -> str:
        of = [words[0]] * 4 + [words[1], words[2]]
        return tsv(("Sentence", "Acceptability", name), [(t, y, of[n % 6]) for n, (t, y) in enumerate(texts())])

    found: list[Case] = []
    for words, name in (
        (("train", "dev", "test"), "Split"),
        (("train", "validation", "test"), "split"),
        (("TRAIN", "VALID", "TEST"), "SPLIT"),
        (("training", "val", "testing"), "subset"),
    ):
        found += [
            _audit(
                f"{name} with {'/'.join(words)}: used, or said",
                "x.tsv",
                data(words, name),
                refused(name, "--split column"),
            ),
            _audit(
                f"{name} with {'/'.join(words)}: --split column",
                "x.tsv",
                data(words, name),
                reads(32, splits={"validation": 8, "test": 8}),
                " --split column",
            ),
        ]
    shared = CASES / "split_column.tsv"
    train = (
        "acceptor train {cases}/split_column.tsv --encoder {encoder} --device cpu --json --on-collapse go-on --epochs 1"
    )

    def trained(seen: Seen) -> str:
        if seen.code:
            return f"exit code {seen.code}: {seen.err.strip()[:140]}"
        import json

        data = json.loads((seen.folder / "out" / "run.json").read_text("utf-8"))["data"]
        rows = {name: split["rows"] for name, split in data.items() if isinstance(split, dict) and "rows" in split}
        return "" if set(rows) == {"train", "validation", "test"} and sum(rows.values()) == 150 else f"rows: {rows}"

    words = tsv(("sentence", "label", "split"), [(t, y, ("sharp", "clean")[n % 2]) for n, (t, y) in enumerate(texts())])
    given = {"x.tsv": data(("train", "dev", "test")), "dev.tsv": tsv(HEAD, simple(n=12, seed=3))}
    return [
        *found,
        _audit("a column called split with other words stays right", "x.tsv", words, reads(N, counts=NUMBERS)),
        _audit("--split column without such a column", "x.tsv", tsv(HEAD, ROWS), refused("split"), " --split column"),
        Case(2, "split_column.tsv, train without the option", train, refused("Split", "--split column"), needs=shared),
        Case(
            2,
            "split_column.tsv, train --split column",
            f"{train} --split column --out out",
            trained,
            needs=shared,
            slow=True,
        ),
        Case(
            2,
            "a split column and --validation: which one is said",
            "acceptor train x.tsv --validation dev.tsv --encoder {encoder} --json",
            refused("Split|split"),
            given,
        ),
        Case(
            2,
            "--split column, evaluate takes the test rows",
            "acceptor evaluate {run} x.tsv --split column --json",
            either(
                lambda seen: "" if seen.json.get("n") == 8 else f"n {seen.json.get('n')}: {seen.err.strip()[:100]}",
                refused("split", error="UsageError|DataError"),
            ),
            given,
        ),
    ]


def _given() -> list[Case]:
    """Columns that the caller names or numbers."""
    unknown = tsv(("Satz", "Urteil"), ROWS)
    ids = csv(("Satz", "Wert"), simple(("schlecht", "gut")))
    comma = csv(("my, text", "the label"), ROWS)
    blanks = "sentence, label\n" + "".join(f"{t}, {y}\n" for t, y in ROWS)
    frame = "import acceptor, pandas as pd\nrows = ROWS\nframe = pd.DataFrame(rows, columns=['2', '1'])\n".replace(
        "ROWS", repr(ROWS)
    )
    numbered = frame + "try:\n    d = acceptor.load_data(frame, columns={'sentence': '1', 'label': '2'}).train\n"
    numbered += "except acceptor.DataError as error:\n    assert '1' in str(error) and 'number' in str(error), error\n"
    numbered += "else:\n    assert d.sentences[0] in ('0', '1') or 'number' in d.table.schema or 'position' in d.table.schema, d.table.schema"
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
            refused("--columns", "sentence="),
        ),
        _audit(
            "unknown names, two columns: the header is not judged",
            "x.tsv",
            unknown,
            either(reads(N, labels=BINARY), refused("header|Satz")),
        ),
        _audit(
            "a label column of words, one odd first word",
            "x.tsv",
            tsv(("S", "gold standard"), simple(("ham", "spam"))),
            either(reads(N, labels=("ham", "spam")), refused("header|--columns")),
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
            either(reads(N, counts=NUMBERS, first="the cat"), refused("' label'")),
        ),
        _audit(
            "a name that is not there",
            "x.tsv",
            unknown,
            refused("Satzz", "Satz"),
            " --columns sentence=Satzz,label=Urteil",
        ),
        Case(2, "sentence=1 and a frame with a column called 1: one meaning, said", numbered, asserts),
        _audit(
            "a file with columns called 1 and 2",
            "x.csv",
            csv(("2", "1"), ROWS),
            either(
                reads(N, "number|called|name|position", counts=NUMBERS, first="the cat"),
                refused("number|called|name|position"),
            ),
            " --columns sentence=1,label=2",
        ),
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
            either(reads(N, counts=NUMBERS, first="the cat"), refused("' Label'|' Sentence '")),
        ),
    ]


def _alone() -> list[Case]:
    """One column alone; two columns of which the first counts up."""
    plain = "".join(f"{t}\n" for t, _ in ROWS)
    count = '"written": {}'.format
    predict = "acceptor predict {run} x.txt -o y.jsonl --json"
    asked = refused("header|first line", "Satz")

    def judged(rows: int, first: str) -> See:
        def see(seen: Seen) -> str:
            text = (seen.folder / "y.jsonl").read_text("utf-8").splitlines() if seen.code == 0 else [""]
            return "" if first in text[0] and len(text) == rows else f"{len(text)} rows, the first is {text[0][:60]}"

        return also(said(count(rows)), see)

    ids = [(n, t) for n, (t, _) in enumerate(ROWS)]
    first = ROWS[0][0]
    return [
        Case(2, "sentences alone", predict, judged(N, first), {"x.txt": plain}),
        Case(2, "sentences alone under `sentence`", predict, judged(N, first), {"x.txt": "sentence\n" + plain}),
        Case(
            2,
            "`Satz` over sentences is not judged silently",
            predict,
            either(judged(N, first), asked, also(judged(N + 1, "Satz"), said("Satz", "header"))),
            {"x.txt": "Satz\n" + plain},
        ),
        Case(
            2,
            "`Phrase` over sentences is not judged silently",
            predict,
            either(judged(N, first), refused("Phrase"), also(judged(N + 1, "Phrase"), said("Phrase", "header"))),
            {"x.txt": "Phrase\n" + plain},
        ),
        Case(
            2,
            "a first sentence `Question` is not swallowed silently",
            predict,
            either(
                judged(N + 1, "Question"),
                refused("Question", "header"),
                also(judged(N, first), said("Question", "header")),
            ),
            {"x.txt": "Question\n" + plain},
        ),
        Case(
            2,
            "a first sentence `Text` is not swallowed silently",
            predict,
            either(
                judged(N + 1, "Text"),
                refused("Text", "header"),
                also(judged(N, first), said("header", "Text|sentence")),
            ),
            {"x.txt": "Text\n" + plain},
        ),
        _audit(
            "numbers that count up are ids, not labels", "x.tsv", tsv(None, ids), refused("no labels|ids?\\b|count")
        ),
        _audit(
            "numbers that count up from 1000",
            "x.tsv",
            tsv(None, [(1000 + n, t) for n, t in ids][:15]),
            refused("no labels|ids?\\b|count"),
        ),
        _audit(
            "ids in the second column", "x.tsv", tsv(None, [(t, n) for n, t in ids]), refused("no labels|ids?\\b|count")
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
