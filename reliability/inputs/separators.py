"""Root 2: separators, line ends, files that were joined, a column of splits."""

from __future__ import annotations

from reliability.inputs.case import Case, Check, Result, any_of, audit_shows, reads, refused, shows
from reliability.inputs.containers import NUMBERS
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import N, csv, simple, texts, tsv

HEAD = ("sentence", "label")
ROWS = simple()


def cases() -> list[Case]:
    """All of them."""
    return [*_separators(), *_line_ends(), *_joined(), *_split_column()]


def _audit(what: str, path: str, content: str | bytes, check: Check, options: str = "") -> Case:
    return Case(2, what, f"acceptor audit {path}{options} --json", check, {path: content})


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
            any_of(reads(N, counts=NUMBERS), refused("sep=;", "--separator ['\"]?;")),
        ),
        _audit(
            "sep=, as the first line",
            "x.csv",
            "sep=,\n" + csv(HEAD, ROWS),
            any_of(reads(N, counts=NUMBERS), refused("sep=,")),
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
            shows('"written": 115', absent=["--separator"]),
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
            shows('"written": 30'),
            needs=CASES / "semicolons.csv",
        ),
    ]


def _line_ends() -> list[Case]:
    read = reads(N, counts=NUMBERS, first="the cat")
    lone = any_of(read, refused(r"CR\b|carriage return|line ends|\\\\r|line breaks"))
    return [
        _audit("lone CR line ends, .tsv", "x.tsv", tsv(HEAD, ROWS, "\r"), lone),
        _audit("lone CR line ends, .csv", "x.csv", csv(HEAD, ROWS, end="\r"), lone),
        _audit(
            "lone CR line ends, .txt of sentences",
            "x.txt",
            "".join(f"{t}\r" for t, _ in ROWS),
            any_of(reads(N, first="the cat"), lone, refused("no labels")),
        ),
        Case(
            2,
            "lone CR line ends, predict",
            "acceptor predict {run} x.txt -o y.jsonl --json",
            any_of(shows(f'"written": {N}'), lone),
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
            any_of(refused("header", at), shows(at, "header")),
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
                f"{name} with {'/'.join(words)}: used, or reported",
                "x.tsv",
                data(words, name),
                audit_shows(name, "--split column"),
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

    def trained(result: Result) -> str:
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[:140]}"
        import json

        data = json.loads((result.folder / "out" / "run.json").read_text("utf-8"))["data"]
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
            "a split column and --validation: which one is reported",
            "acceptor train x.tsv --validation dev.tsv --encoder {encoder} --json",
            refused("Split|split"),
            given,
        ),
        Case(
            2,
            "--split column, evaluate takes the test rows",
            "acceptor evaluate {run} x.tsv --split column --json",
            any_of(
                lambda result: (
                    "" if result.json.get("n") == 8 else f"n {result.json.get('n')}: {result.err.strip()[:100]}"
                ),
                refused("split", error="UsageError|DataError"),
            ),
            given,
        ),
    ]
