"""Root 6: the user's files are kept, types and names stay, and results can be read."""

from __future__ import annotations

import re
from pathlib import Path

from reliability.inputs.case import Case, Check, Result, all_of, any_of, asserts, ends_cleanly, refused, shows
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import SECOND, N, csv, jsonl, simple, texts, tsv
from reliability.inputs.programs import KILLED, RESUMED, SAME_TYPES, SAME_VALUES, with_words

HEAD = ("sentence", "label")
LINES = jsonl([{"id": n, "sentence": t} for n, (t, _) in enumerate(texts())])
TRAIN = "--epochs 1 --device cpu --max-length 32 --on-collapse go-on --json"
CORPUS = tsv(HEAD, simple(n=120, seed=4))


def cases() -> list[Case]:
    """All of them."""
    return [*_replaced(), *_runs(), *_types(), *_shown(), *_said()]


def unchanged(name: str, content: str) -> Check:
    """A file of the user is not changed."""
    return lambda result: (
        "" if (result.folder / name).read_text("utf-8") == content else f"{name} was changed or is gone"
    )


def _replaced() -> list[Case]:
    """An output that is an input."""
    where = "--overwrite --where 'probability >= 0.999' --json"
    kept = all_of(unchanged("s.jsonl", LINES), refused("input|same file|read|reads"))
    files = {"s.jsonl": LINES}

    def linked(hard: bool) -> object:
        def make(folder: Path) -> None:
            (folder / "link.jsonl").hardlink_to(folder / "s.jsonl") if hard else (folder / "link.jsonl").symlink_to(
                "s.jsonl"
            )

        return make

    def count(name: str, rows: int) -> Check:
        def check(result: Result) -> str:
            if result.code:
                return f"exit code {result.code}: {result.err.strip()[:140]}"
            found = len((result.folder / name).read_text("utf-8").splitlines())
            return "" if found == rows else f"{found} rows instead of {rows}"

        return check

    folder = {"in/a.jsonl": LINES, "in/b.jsonl": LINES}
    twice = "sh -c $ACCEPTOR predict {run} in -o in/out.jsonl --json; $ACCEPTOR predict {run} in -o in/out.jsonl --overwrite --json"
    return [
        Case(
            6,
            "predict s.jsonl -o s.jsonl --overwrite --where",
            f"acceptor predict {{run}} s.jsonl -o s.jsonl {where}",
            kept,
            files,
        ),
        Case(
            6,
            "the output is the input by another path",
            f"acceptor predict {{run}} s.jsonl -o ./x/../s.jsonl {where}",
            kept,
            {**files, "x/y": ""},
        ),
        Case(
            6,
            "the output is a symbolic link to the input",
            f"acceptor predict {{run}} s.jsonl -o link.jsonl {where}",
            kept,
            files,
            make=linked(False),
        ),
        Case(
            6,
            "the input is a symbolic link to the output",
            f"acceptor predict {{run}} link.jsonl -o s.jsonl {where}",
            kept,
            files,
            make=linked(False),
        ),
        Case(
            6,
            "the output is a hard link to the input",
            f"acceptor predict {{run}} s.jsonl -o link.jsonl {where}",
            kept,
            files,
            make=linked(True),
        ),
        Case(
            6,
            "the output matches the input's pattern",
            f"acceptor predict {{run}} '*.jsonl' -o s.jsonl {where}",
            kept,
            files,
        ),
        Case(
            6,
            "the output is a file of the input folder",
            f"acceptor predict {{run}} in -o in/a.jsonl {where}",
            all_of(unchanged("in/a.jsonl", LINES), refused("input|same file|read|reads")),
            folder,
        ),
        Case(
            6,
            "an output inside the input folder is not read",
            twice,
            count("in/out.jsonl", 2 * N),
            folder,
            process=True,
        ),
        Case(
            6,
            "evaluate --predictions onto the data",
            "acceptor evaluate {run} x.tsv --predictions x.tsv --overwrite --json",
            all_of(unchanged("x.tsv", tsv(HEAD, simple())), refused("input|same file|read|data")),
            {"x.tsv": tsv(HEAD, simple())},
        ),
        Case(
            6,
            "pairs -o onto the suite",
            "acceptor pairs {run} p.tsv -o p.tsv --overwrite --json",
            all_of(
                unchanged(
                    "p.tsv", tsv(("sentence_good", "sentence_bad"), [("the cats see.", "the cat them see.")] * 4)
                ),
                refused("input|same file|read|suite"),
            ),
            {"p.tsv": tsv(("sentence_good", "sentence_bad"), [("the cats see.", "the cat them see.")] * 4)},
        ),
        Case(
            6,
            "another output stays right",
            "acceptor predict {run} s.jsonl -o t.jsonl --json",
            count("t.jsonl", N),
            files,
        ),
        Case(
            6,
            "--overwrite of another file stays right",
            "acceptor predict {run} s.jsonl -o t.jsonl --overwrite --json",
            count("t.jsonl", N),
            {**files, "t.jsonl": "old\n"},
        ),
    ]


def _whole(result: Result, name: str) -> str:
    return "" if (result.folder / name / "manifest.json").exists() else f"the run {name} is gone"


def _runs() -> list[Case]:
    """A run, an encoder or data inside the folder that is overwritten."""
    copy = "cp -r {run} R && "
    onto = f"$ACCEPTOR train x.tsv {TRAIN} --overwrite"
    inside = refused("inside|encoder|data|same folder", error="UsageError|DataError|RunError|EncoderError")
    plain_train = f"$ACCEPTOR train x.tsv {TRAIN}".replace("--epochs 1 ", "").replace(" --json", "")
    killed, resumed = (with_words(program, TRAIN=plain_train) for program in (KILLED, RESUMED))
    files = {"x.tsv": CORPUS}
    return [
        Case(
            6,
            "train --encoder R --out R --overwrite",
            f"sh -c {copy}{onto} --encoder R --out R",
            all_of(lambda s: _whole(s, "R"), inside),
            files,
            process=True,
        ),
        Case(
            6,
            "train --encoder ./R/ --out R/../R --overwrite",
            f"sh -c {copy}{onto} --encoder ./R/ --out R/../R",
            all_of(lambda s: _whole(s, "R"), inside),
            files,
            process=True,
        ),
        Case(
            6,
            "train --encoder, a link to R, --out R --overwrite",
            f"sh -c {copy}ln -s R L && {onto} --encoder L --out R",
            all_of(lambda s: _whole(s, "R"), inside),
            files,
            process=True,
        ),
        Case(
            6,
            "an encoder inside the output",
            f"sh -c mkdir O && cp -r {{encoder}} O/enc && {onto} --encoder O/enc --out O",
            all_of(
                lambda s: "" if (s.folder / "O/enc/config.json").exists() else "the encoder is gone",
                refused(error="UsageError|DataError|RunError|EncoderError"),
            ),
            files,
            process=True,
        ),
        Case(
            6,
            "data inside the output",
            f"sh -c {copy}cp x.tsv R/x.tsv && $ACCEPTOR train R/x.tsv {TRAIN} --overwrite --encoder {{encoder}} --out R",
            all_of(lambda s: "" if (s.folder / "R/x.tsv").exists() else "the data are gone", inside),
            files,
            process=True,
        ),
        Case(
            6,
            "validation data inside the output",
            f"sh -c {copy}cp x.tsv R/v.tsv && {onto} --validation R/v.tsv --encoder {{encoder}} --out R",
            all_of(lambda s: "" if (s.folder / "R/v.tsv").exists() else "the data are gone", inside),
            files,
            process=True,
        ),
        Case(6, "train --out R --overwrite, killed: the old run is kept", killed, shows("KEPT"), files, process=True),
        Case(
            6,
            "train --out R --overwrite, killed, then --resume goes on",
            resumed,
            shows("done", absent=[r"\bresumed\b"]),
            files,
            process=True,
        ),
        Case(
            6,
            "seeds --encoder R --out R --overwrite",
            f"sh -c {copy}$ACCEPTOR seeds x.tsv {TRAIN} --seeds 1 --overwrite --encoder R --out R",
            all_of(lambda s: _whole(s, "R"), refused(error="UsageError|DataError|RunError|EncoderError")),
            files,
            process=True,
        ),
    ]


def _types() -> list[Case]:
    """Integers, dates, null, lists, bytes and names through predict."""
    shared = CASES / "types.parquet"
    own = {
        "s.jsonl": jsonl(
            [
                {"text": t, "n": n, "f": 0.5, "flag": True, "none": None, "tags": ["a", "b"], "of": {"x": 1}}
                for n, (t, _) in enumerate(texts())
            ]
        )
    }
    read = {".parquet": "pq.read_table('OUT')", ".arrow": "pa.ipc.open_file('OUT').read_all()"}
    types = "{cases}/types.parquet"
    found = []
    for kind, how in read.items():
        program = with_words(SAME_TYPES, READ=how, INPUT=types, OUT=f"y{kind}")
        found.append(Case(6, f"types.parquet to {kind}: types and names stay", program, asserts, needs=shared))
    return [
        *found,
        Case(
            6,
            "types.parquet to .jsonl: numbers, null, lists stay",
            with_words(SAME_VALUES, INPUT=types, OUT="y.jsonl"),
            asserts,
            needs=shared,
        ),
        Case(
            6,
            "JSON lines to JSON lines: types and names stay",
            with_words(SAME_VALUES, INPUT="s.jsonl", OUT="y.jsonl"),
            asserts,
            own,
        ),
        Case(
            6,
            "CSV to CSV: `text` keeps its name",
            "acceptor predict {run} x.csv -o y.csv --json",
            lambda result: (
                ""
                if result.code == 0 and (result.folder / "y.csv").read_text("utf-8").startswith("text,")
                else f"header: {(result.folder / 'y.csv').read_text('utf-8').splitlines()[0]}"
            ),
            {"x.csv": csv(("text", "id"), [(t, n) for n, (t, _) in enumerate(texts())])},
        ),
        Case(
            6,
            "types.parquet to .csv still works",
            "acceptor predict {run} {cases}/types.parquet -o y.csv --json",
            shows('"written"'),
            needs=shared,
        ),
    ]


def _terminal(command: str, columns: int = 80) -> str:
    return f"sh -c stty cols {columns} 2>/dev/null; COLUMNS={columns} script -qec \"{command}\" /dev/null | tr -d '\\r'"


def _shown() -> list[Case]:
    """Many classes on a terminal, line breaks in TSV, slices that are not defined."""
    env = {"COLUMNS": "80"}
    shown = shows("the cats sleep", "kind")
    three = {"s.txt": "the cats sleep.\nthe cat them see.\n"}
    breaks = {"x.csv": csv(("sentence", "id"), [(f"{t}\nand more.", n) for n, (t, _) in enumerate(texts(20))])}
    many = {"x.tsv": tsv(HEAD, [(t, f"kind {n % 30:02}") for n, (t, _) in enumerate(texts(90, 5))])}
    eight = {"x.tsv": tsv(HEAD, [(t, f"kind {n % 8}") for n, (t, _) in enumerate(texts(48, 5))])}

    def table(result: Result) -> str:
        if fault := ends_cleanly(result):
            return fault
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[:140]}"
        blank = [line for line in result.out.splitlines() if line.count("…") > 4]
        return f"cut to nothing: {blank[0][:60]}" if blank else ""

    def confusion(result: Result) -> str:
        numbers = re.search(r"kind \d\d", result.out) is not None
        return table(result) or ("" if numbers else "no class is named in what evaluate prints")

    source = tsv(
        ("source", "label", "mark", "sentence"),
        [
            ("one", 1, "", t) if n % 4 == 0 else ("two" if n % 2 else "three", y, "", t)
            for n, (t, y) in enumerate(texts(160, 9))
        ],
    )
    report = f"sh -c $ACCEPTOR train x.tsv --encoder {{encoder}} {TRAIN} --out out && $ACCEPTOR report out --json && $ACCEPTOR evaluate out x.tsv --by source"
    slices = {"x.tsv": source, "y.tsv": source}
    return [
        Case(
            6,
            "judge, 8 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR judge {many} 'the cats sleep.'"),
            all_of(shown, table),
            env=env,
        ),
        Case(
            6,
            "predict, 8 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR predict {many} s.txt"),
            all_of(shown, table),
            three,
            env=env,
        ),
        Case(
            6,
            "judge, 30 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR judge {thirty} 'the cats sleep.'"),
            all_of(shown, table),
            env=env,
        ),
        Case(
            6,
            "predict, 30 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR predict {thirty} s.txt"),
            all_of(shown, table),
            three,
            env=env,
        ),
        Case(6, "predict, 30 classes, a pipe", "acceptor predict {thirty} s.txt", shown, three, slow=True),
        Case(
            6,
            "evaluate, 30 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR evaluate {thirty} x.tsv"),
            confusion,
            many,
            env=env,
        ),
        Case(
            6,
            "evaluate, 8 classes, a terminal of 80 columns",
            _terminal("$ACCEPTOR evaluate {many} x.tsv"),
            table,
            eight,
            env=env,
        ),
        Case(
            6,
            "evaluate, 2 classes, keeps its confusion table",
            _terminal("$ACCEPTOR evaluate {run} x.tsv"),
            all_of(shows("acceptable"), table),
            {"x.tsv": tsv(HEAD, simple())},
            env=env,
        ),
        Case(
            6,
            "CSV with line breaks to .tsv: refused before, with a format",
            "acceptor predict {run} x.csv -o y.tsv --json",
            any_of(
                refused("line break", "jsonl|csv"),
                all_of(shows("line break", "\\.jsonl|\\.csv|\\.parquet")),
                lambda result: (
                    "" if result.json.get("written") == 20 else "rows are rejected without a word of the format"
                ),
            ),
            breaks,
        ),
        Case(
            6,
            "CSV with line breaks to .csv keeps them",
            "acceptor predict {run} x.csv -o y.csv --json",
            shows('"written": 20'),
            breaks,
        ),
        Case(
            6, "a slice that is not defined: train, report, evaluate --by", report, shows("one"), slices, process=True
        ),
        Case(
            6,
            "evaluate --by with a slice of one class",
            "acceptor evaluate {run} x.tsv --by source",
            shows("one", "not defined"),
            slices,
        ),
    ]


def _said() -> list[Case]:
    """Pipes, bytes, the words of `next:`, the version."""

    def verdicts(rows: int) -> Check:
        def check(result: Result) -> str:
            if fault := ends_cleanly(result):
                return fault
            found = [line for line in result.out.splitlines() if '"verdict"' in line]
            return (
                ""
                if len(found) == rows and result.code == 0
                else f"{len(found)} verdicts instead of {rows}, exit code {result.code}"
            )

        return check

    pairs = tsv(
        ("sentence1", "sentence2", "label"),
        [(t, SECOND, ("not_entailment", "entailment")[y]) for t, y in texts(120, 4)],
    )

    def fits(result: Result) -> str:
        if result.code:
            return f"exit code {result.code}: {result.err.strip()[:140]}"
        wrong = [
            line.strip()
            for line in result.text.splitlines()
            if re.search(r"acceptor judge \S+ ['\"]", line) and "second" not in line.lower()
        ]
        return f"advice that a judge of pairs refuses: {wrong[0][:100]}" if wrong else ""

    def quotes(result: Result) -> str:
        bare = [
            line.strip()
            for line in result.text.splitlines()
            if re.search(r"acceptor \w+ [^'\"]*(?<!['\"/\w])my run(?!['\"])", line)
        ]
        return f"a path with a blank is not quoted: {bare[0][:100]}" if bare else ""

    train = f"acceptor train 'my data.tsv' --encoder {{encoder}} {TRAIN.replace(' --json', '')}"
    data = {"my data.tsv": CORPUS}
    latin = "the caf\xe9 sleeps.\nthe cats sleep.\n".encode("latin-1")
    return [
        Case(
            6,
            "judge in a pipe goes on after a blank line",
            "acceptor judge {run} --json",
            verdicts(2),
            stdin="the cats sleep.\n\nthe cat them see.\n",
        ),
        Case(
            6,
            "judge in a pipe: blank lines first and last",
            "acceptor judge {run} --json",
            verdicts(1),
            stdin="\n\nthe cats sleep.\n\n",
        ),
        Case(
            6,
            "judge in a pipe: CRLF",
            "acceptor judge {run} --json",
            verdicts(2),
            stdin="the cats sleep.\r\nthe cat them see.\r\n",
        ),
        Case(
            6,
            "judge in a pipe: Latin-1 bytes",
            "acceptor judge {run} --json",
            any_of(refused("UTF-8|Latin-1", error="DataError|UsageError"), verdicts(2), verdicts(1)),
            stdin=latin,
            process=True,
        ),
        Case(
            6,
            "predict - with Latin-1 bytes",
            "acceptor predict {run} - -o -",
            any_of(refused("UTF-8"), shows("reject")),
            stdin=latin,
            process=True,
        ),
        Case(
            6,
            "a sentence in Latin-1 on the command line",
            "sh -c $ACCEPTOR judge {run} $'the caf\\xe9 sleeps.' --json",
            any_of(refused(), verdicts(1), lambda s: ends_cleanly(s)),
            process=True,
        ),
        Case(
            6,
            "next: fits a run of pairs",
            f"acceptor train x.tsv --encoder {{encoder}} {TRAIN.replace(' --json', '')} --out out",
            fits,
            {"x.tsv": pairs},
            slow=True,
        ),
        Case(
            6,
            "next: quotes paths, a run that stands there",
            "sh -c cp -r {run} 'my run'; $ACCEPTOR train 'my data.tsv' --encoder {encoder} --out 'my run'",
            all_of(refused(error="UsageError|RunError"), quotes),
            data,
            process=True,
        ),
        Case(
            6,
            "next: quotes paths, train's last words",
            f"{train} --out 'my run'",
            all_of(shows(), quotes),
            data,
            slow=True,
        ),
        Case(
            6,
            "next: quotes paths, a file in Latin-1",
            "acceptor audit 'my data.csv' --json",
            refused("'my data.csv'|my\\\\ data"),
            {"my data.csv": csv(HEAD, simple()).replace("cats", "caf\xe9").encode("latin-1")},
        ),
        Case(6, "--version", "acceptor --version", shows(r"\d+\.\d+")),
        Case(
            6,
            "-V or --version of no command needs no torch",
            "sh -c time -p $ACCEPTOR --version",
            shows(r"\d+\.\d+"),
            process=True,
        ),
    ]
