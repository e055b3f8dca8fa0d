"""Root 2, first half: corpora in the containers and layouts in which they are distributed, and folders of them."""

from __future__ import annotations

import json
from pathlib import Path

from reliability.inputs.case import Case, Check, all_of, any_of, asserts, audit_shows, reads, refused
from reliability.inputs.kit import CASES
from reliability.inputs.layouts import (
    NLI,
    SECOND,
    N,
    arrow,
    cola_table,
    csv,
    glue,
    hub_table,
    jsonl,
    make,
    others,
    parquet,
    saved_dataset,
    saved_dict,
    simple,
    superglue,
    texts,
    tsv,
)
from reliability.inputs.programs import DATASET_AND_FILE, SECONDS_KEPT, with_words

BINARY, ENTAIL = ("unacceptable", "acceptable"), ("entailment", "not_entailment")
NUMBERS = {"unacceptable": 16, "acceptable": 32}


def cases() -> list[Case]:
    """All of them."""
    return [*_glue(), *_superglue(), *_others(), *_containers(), *_columnar(), *_folders(), *_json(), *_packed()]


def _audit(what: str, path: str, content: str | bytes, check: Check, options: str = "") -> Case:
    return Case(2, what, f"acceptor audit {path}{options} --json", check, {path: content})


def _glue() -> list[Case]:
    files = glue()

    def one(name: str, check: Check) -> Case:
        return _audit(f"GLUE {name}", name, files[name], check)

    over = "passed over"
    return [
        one("CoLA/train.tsv", reads(N, counts=NUMBERS, first="the cat")),
        one("CoLA/test.tsv", any_of(reads(N, labels=()), refused("no labels"))),
        one("SST-2/train.tsv", reads(N, counts=NUMBERS, first="the cat")),
        one("MRPC/train.tsv", reads(N, over, "#1 ID", "second ← #2 String", pairs=True, first="the cat")),
        one("QQP/train.tsv", reads(N, over, "qid1", "second ← question2", pairs=True, first="the cat")),
        one("MNLI/train.tsv", reads(N, over, "label1", "gold_label", pairs=True, labels=NLI, first="the cat")),
        one("MNLI/dev_matched.tsv", reads(N, over, "label5", "gold_label", pairs=True, labels=NLI)),
        one("MNLI/test_matched.tsv", any_of(reads(N, pairs=True, labels=()), refused("no labels"))),
        one("QNLI/train.tsv", reads(N, f"{over}: index", "question", pairs=True, labels=ENTAIL)),
        one("RTE/train.tsv", reads(N, f"{over}: index", pairs=True, labels=ENTAIL, first="the cat")),
        one("WNLI/train.tsv", reads(N, over, pairs=True, first="the cat")),
        one(
            "STS-B/train.tsv",
            any_of(audit_shows("measure|number", "--labels"), reads(N, "passed over[^;]*score", pairs=True, labels=())),
        ),
        Case(
            2,
            "QNLI's columns, from the shared file",
            "acceptor audit {cases}/question_and_sentence.tsv --json",
            reads(60, "passed over: index", "question", pairs=True, labels=ENTAIL),
            needs=CASES / "question_and_sentence.tsv",
        ),
        Case(
            2,
            "QNLI read as single sentences, where that is asked for",
            "acceptor audit train.tsv --columns sentence=sentence,label=label --json",
            reads(N, "passed over", "question", labels=ENTAIL, first="the cat"),
            {"train.tsv": files["QNLI/train.tsv"]},
        ),
        Case(
            2,
            "QNLI in Python: seconds are not lost",
            with_words(SECONDS_KEPT),
            asserts,
            {"train.tsv": files["QNLI/train.tsv"]},
        ),
    ]


def _superglue() -> list[Case]:
    files = superglue()

    def one(name: str, check: Check) -> Case:
        return _audit(f"SuperGLUE {name}", name, files[name], check)

    over = "passed over: idx"
    return [
        one("BoolQ/train.jsonl", reads(N, over, pairs=True, counts=NUMBERS)),
        one("CB/train.jsonl", reads(N, over, pairs=True, labels=NLI, first="the cat")),
        one("COPA/train.jsonl", audit_shows("choice1", "--columns", "second=")),
        one("WiC/train.jsonl", reads(N, "passed over", "word", pairs=True, counts=NUMBERS, first="the cat")),
        one("RTE/train.jsonl", reads(N, over, pairs=True, labels=ENTAIL, first="the cat")),
        one("RTE/test.jsonl", any_of(reads(N, pairs=True, labels=()), refused("no labels"))),
        one(
            "WSC/train.jsonl",
            any_of(reads(N, "target", counts=NUMBERS, first="the cat"), refused("target", "--columns", "label=label")),
        ),
    ]


def _others() -> list[Case]:
    files = others()

    def one(name: str, check: Check, options: str = "") -> Case:
        return _audit(name.partition("/")[0] + " " + name.partition("/")[2], name, files[name], check, options)

    return [
        one("snli_1.0/snli_1.0_train.txt", reads(N, "passed over", "label1", pairs=True, labels=NLI, first="the cat")),
        one("snli_1.0/snli_1.0_dev.txt", audit_shows("'-'", r"\b9\b", r"\b22\b")),
        one("snli_1.0/snli_1.0_train.jsonl", reads(N, "annotator_labels", pairs=True, labels=NLI, first="the cat")),
        one("paws/train.tsv", reads(N, "passed over: id", pairs=True, first="the cat")),
        one("jcola/in_domain_train.jsonl", reads(N, counts=NUMBERS, first="the cat")),
        one("itacola/ItaCoLA_dataset.tsv", audit_shows("Split", "--split column")),
        one("rucola/in_domain_train.csv", reads(N, counts=NUMBERS, first="the cat")),
        Case(
            2,
            "blimp wh_island.jsonl",
            "acceptor pairs {run} wh_island.jsonl --json",
            lambda result: "" if result.json.get("n") == 20 else result.text[:200],
            {"wh_island.jsonl": files["blimp/wh_island.jsonl"]},
        ),
    ]


def _containers() -> list[Case]:
    """The same rows in every container, read to the same labels."""
    rows = simple()
    check = reads(N, counts=NUMBERS, first="the cat")
    objects = [{"sentence": text, "label": int(label)} for text, label in rows]
    head = ("sentence", "label")

    def one(path: str, content: str | bytes) -> Case:
        return _audit(f"container: {path}", path, content, check)

    return [
        one("with-header.tsv", tsv(head, rows)),
        one("headerless.tsv", tsv(None, rows)),
        one("table.csv", csv(head, rows)),
        one("lines.jsonl", jsonl(objects)),
        one("array.json", json.dumps(objects)),
        Case(
            2,
            "container: table.arrow",
            "acceptor audit table.arrow --json",
            check,
            make=make("table.arrow", lambda: arrow(cola_table())),
        ),
        Case(
            2,
            "container: hub.parquet",
            "acceptor audit hub.parquet --json",
            check,
            make=make("hub.parquet", lambda: parquet(cola_table())),
        ),
        Case(
            2,
            "container: save_to_disk folder",
            "acceptor audit saved --json",
            any_of(check, refused("data-00000-of-00001.arrow", "acceptor audit")),
            make=lambda folder: saved_dataset(folder / "saved", cola_table()),
        ),
    ]


def _columnar() -> list[Case]:
    """ClassLabel names, hidden labels, numbers of any kind in Parquet and Arrow."""
    rows = texts()
    sentence, label = [t for t, _ in rows], [y for _, y in rows]
    named = NLI

    def one(what: str, table: object, check: Check, name: str = "x.parquet") -> Case:
        pack = arrow if name.endswith(".arrow") else parquet
        return Case(2, what, f"acceptor audit {name} --json", check, make=make(name, lambda: pack(table)))

    three = hub_table({"premise": sentence, "hypothesis": [SECOND] * N, "label": [n % 3 for n in range(N)]}, named)
    both = with_words(DATASET_AND_FILE)
    ham = hub_table({"text": sentence, "label": label}, ("ham", "spam"))
    return [
        one("ClassLabel names in Parquet: three", three, reads(N, pairs=True, labels=NLI, first="the cat")),
        one("ClassLabel names in Parquet: ham and spam", ham, reads(N, counts={"ham": 16, "spam": 32})),
        one("ClassLabel names in Arrow", ham, reads(N, counts={"ham": 16, "spam": 32}), "x.arrow"),
        one(
            "hub Parquet: all labels -1 are hidden",
            cola_table(hidden=True),
            any_of(reads(N, labels=()), audit_shows("no labels|hidden")),
        ),
        Case(
            2,
            "a Dataset and its Parquet file read alike",
            both,
            asserts,
            make=make("x.parquet", lambda: parquet(three)),
            slow=True,
        ),
        one(
            "ClassLabel with some -1",
            hub_table({"text": sentence, "label": [-1, *label[1:]]}, ("ham", "spam")),
            audit_shows("-1|no label|without a label", r"\b1\b"),
        ),
        one(
            "float labels in Parquet",
            hub_table({"sentence": sentence, "label": [float(y) for y in label]}),
            reads(N, counts=NUMBERS),
        ),
        one(
            "bool labels in Parquet",
            hub_table({"sentence": sentence, "label": [bool(y) for y in label]}),
            reads(N, counts=NUMBERS),
        ),
        one(
            "lists of labels in Parquet",
            hub_table({"sentence": sentence, "labels": [["rude"] * (1 + y) for y in label]}),
            audit_shows("several labels|more than one label|list"),
        ),
    ]


def _folders() -> list[Case]:
    """Folders of files with roles."""
    shards = {
        "train-00000-of-00002.parquet": (24, 0),
        "train-00001-of-00002.parquet": (24, 1),
        "validation-00000-of-00001.parquet": (12, 2),
    }

    def hub(hidden_test: bool, folder: str = "data") -> object:
        def write(place: Path) -> None:
            (place / folder).mkdir(parents=True)
            for name, (n, seed) in shards.items():
                (place / folder / name).write_bytes(parquet(cola_table(n, seed)))
            test = parquet(cola_table(12, 3, hidden=hidden_test))
            (place / folder / "test-00000-of-00001.parquet").write_bytes(test)

        return write

    splits = {"train": 48, "validation": 12, "test": 12}
    dev = {
        "train.tsv": tsv(("sentence", "label"), simple()),
        "dev.tsv": tsv(("sentence", "label"), simple(n=12, seed=2)),
    }
    hidden = {**dev, "test.tsv": tsv(("index", "sentence"), [(n, t) for n, (t, _) in enumerate(texts(12, 3))])}
    train = "acceptor train {folder} --encoder {encoder} --epochs 1 --device cpu --batch-size 8 --on-collapse go-on --out out --json"

    def trains(result: object) -> str:
        return "" if result.code == 0 else f"exit code {result.code}: {result.err.strip()[:160]}"

    def says_no_labels(result: object) -> str:
        ok = "test" in result.err and ("no labels" in result.err or "hidden" in result.err)
        return "" if ok else "no line says that the test split has no labels"

    saved = make_saved()
    return [
        Case(
            2,
            "shards train-00000-of-00002.parquet have a role",
            "acceptor audit data --json",
            reads(48, splits=splits, counts={"unacceptable": 16, "acceptable": 32}),
            make=hub(False),
        ),
        Case(
            2,
            "a hub repository's folder with data/ inside",
            "acceptor audit repo --json",
            any_of(reads(48, splits=splits), refused("repo/data")),
            make=hub(False, "repo/data"),
        ),
        Case(
            2,
            "shards train, hidden test: training goes on and says so",
            train.replace("{folder}", "data"),
            all_of(trains, says_no_labels),
            make=hub(True),
            slow=True,
        ),
        Case(
            2,
            "GLUE-like folder, test.tsv without labels: training goes on and says so",
            train.replace("{folder}", "."),
            all_of(trains, says_no_labels),
            hidden,
            slow=True,
        ),
        Case(
            2,
            "train.tsv and dev.tsv",
            "acceptor audit . --json",
            reads(48, splits={"train": 48, "validation": 12}),
            dev,
        ),
        Case(
            2,
            "MNLI's folder: dev_matched and dev_mismatched",
            "acceptor audit . --json",
            any_of(
                reads(48, splits={"validation": 48}, pairs=True),
                refused("dev_matched", "dev_mismatched", "--validation"),
            ),
            {
                "train.tsv": glue()["MNLI/train.tsv"],
                "dev_matched.tsv": glue()["MNLI/dev_matched.tsv"],
                "dev_mismatched.tsv": glue()["MNLI/dev_matched.tsv"],
            },
        ),
        Case(
            2,
            "datasets.DatasetDict.save_to_disk",
            "acceptor audit saved --json",
            any_of(reads(48, splits={"test": 12}), refused("saved/train|data-00000-of-00001.arrow")),
            make=saved,
        ),
        Case(
            2,
            "a folder whose test labels are all -1",
            "acceptor audit . --json",
            reads(48, splits={"train": 48, "test": 12}),
            {**dev, "test.tsv": tsv(("sentence", "label"), simple(("-1", "-1"), 12, 3))},
        ),
    ]


def make_saved() -> object:
    """A saved DatasetDict with train and test."""
    return lambda folder: saved_dict(folder / "saved", train=cola_table(), test=cola_table(12, 3))


def _json() -> list[Case]:
    objects = [{"sentence": text, "label": int(label)} for text, label in simple()]
    nested = [{"id": n, "data": {"text": t, "label": y}} for n, (t, y) in enumerate(texts())]
    check = reads(N, counts=NUMBERS, first="the cat")
    return [
        _audit(".json that holds lines", "x.json", jsonl(objects), check),
        _audit(".json that holds an array of objects", "x.json", json.dumps(objects), check),
        _audit(".json, an array over many lines", "x.json", json.dumps(objects, indent=2), check),
        _audit(
            ".jsonl that holds an array of objects",
            "x.jsonl",
            json.dumps(objects),
            any_of(check, refused("array", r"\.json\b")),
        ),
        _audit(
            ".json of columns (pandas' to_json)",
            "x.json",
            json.dumps({"sentence": {"0": "a"}, "label": {"0": 1}}),
            refused("array|lines|records"),
        ),
        _audit("nested JSON: the path is named", "x.jsonl", jsonl(nested), refused("data.text", "--columns sentence=")),
        _audit(
            "nested JSON: the path is taken",
            "x.jsonl",
            jsonl(nested),
            check,
            " --columns sentence=data.text,label=data.label",
        ),
        _audit(
            "nested JSON two deep",
            "x.jsonl",
            jsonl([{"a": {"b": {"text": t}}, "label": y} for t, y in texts()]),
            check,
            " --columns sentence=a.b.text",
        ),
        _audit(
            "JSON keys that hold a dot",
            "x.jsonl",
            jsonl([{"data.text": t, "label": y} for t, y in texts()]),
            check,
            " --columns sentence=data.text",
        ),
    ]


# bz2.compress(b"a\n" * (20 << 20)), which takes 6 s, in zlib and base 85
BOMB = (
    b"c-nJ{%CIzaj8qGblw267$DH@rk%2)#fkA=6puyKol*8p>K#N~e(<Yx~o7_$E9<kj$*2KV|;K1O(kjOBr7bt&dA;+AftSK{nQ_@;p"
    b"cJS`*Wno}&XkchyIK*fw5uzyU>Lh5{#dXqX)=8O*yE~-Ir8pQE8W|WF7+aXKOn~xSElR~AqLWfhC(aTTdSLd>M1X;jiGhiMnS<p@"
    b"VnB;8(28do+A62ARf^r-DdgVCP+(wUVPIik6X09{beoTsK<Al&FwZI1+%iJE8*cBo;K0Db!N9@5qaYmE>LduVV#b0slQq{&JS)AU"
    b"aeLu{1_llR1_1^M2erjOw;8N(QXlpHsP{*`KkEG<>wTxR>z$6AQw`wW=W?6mDv+rX$Sz*wY7sEu^-=9B0A8obvj"
)


def _packed() -> list[Case]:
    import base64
    import bz2
    import gzip
    import io
    import lzma
    import zipfile
    import zlib

    plain = tsv(("sentence", "label"), simple())
    check = reads(N, counts=NUMBERS, first="the cat")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train.tsv", plain)
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
        file.writestr("xl/workbook.xml", "<workbook/>")
    return [
        _audit(".bz2", "x.tsv.bz2", bz2.compress(plain.encode()), check),
        _audit(".xz", "x.tsv.xz", lzma.compress(plain.encode()), check),
        _audit(".csv.xz", "x.csv.xz", lzma.compress(csv(("sentence", "label"), simple()).encode()), check),
        _audit(
            ".jsonl.bz2",
            "x.jsonl.bz2",
            bz2.compress(jsonl([{"text": t, "label": y} for t, y in texts()]).encode()),
            check,
        ),
        _audit("a cut .xz", "x.tsv.xz", lzma.compress(plain.encode())[:-9], refused("cut short|damaged")),
        _audit("a cut .bz2", "x.tsv.bz2", bz2.compress(plain.encode())[:-9], refused("cut short|damaged")),
        _audit("a bomb in .bz2", "x.tsv.bz2", zlib.decompress(base64.b85decode(BOMB)), refused("bomb")),
        _audit(".gz", "x.tsv.gz", gzip.compress(plain.encode()), check),
        _audit(
            ".zip: read, or the command that unpacks it", "x.zip", archive.getvalue(), any_of(check, refused("unzip"))
        ),
        _audit(
            ".xlsx: read, or the command that converts it",
            "x.xlsx",
            book.getvalue(),
            refused("csv", "next:|export|soffice|libreoffice|convert"),
        ),
        Case(2, "- for audit", "acceptor audit - --json", check, stdin=plain, process=True),
        Case(2, "/dev/stdin for audit", "acceptor audit /dev/stdin --json", check, stdin=plain, process=True),
        Case(
            2,
            "/dev/fd/63 for audit",
            "sh -c $ACCEPTOR audit <(cat x.tsv) --json",
            check,
            {"x.tsv": plain},
            process=True,
        ),
        Case(
            2,
            "- for evaluate",
            "acceptor evaluate {run} - --json",
            lambda result: "" if result.json.get("n") == N else result.text[:160],
            stdin=plain,
            process=True,
        ),
        Case(
            2,
            "- for audit: CSV",
            "acceptor audit - --json",
            check,
            stdin=csv(("sentence", "label"), simple()),
            process=True,
        ),
        Case(
            2,
            "/dev/stdin for evaluate",
            "acceptor evaluate {run} /dev/stdin --json",
            lambda result: "" if result.json.get("n") == N else result.text[:160],
            stdin=plain,
            process=True,
        ),
    ]
