"""Files with unusual columns, labels and separators: each is read correctly, or refused with the reason."""

from __future__ import annotations

import bz2
import io
import json
import logging
import lzma
import re
import sys
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import acceptor
from acceptor.cli.options import columns_of, listed_in, separator_of
from acceptor.config import TrainConfig
from acceptor.data.auditing.inspection import split_column
from acceptor.data.labels import LabelRules, label_key
from acceptor.data.load import inspect_data, load_split
from acceptor.data.reading.read import read_table
from acceptor.data.reading.stream import TableStream
from acceptor.data.split import with_validation
from acceptor.errors import DataError, UsageError
from conftest import COLA, REPOSITORY, needs_cola, raises, toy_rows

CASES = REPOSITORY.parent / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the cases lie beside the repository only where it is lent")

TEXTS = ["The cat sat there.", "Where did it go?", "It went home.", "Nobody saw it go.", "They did, in the end.", "Oh."]
PLAIN = [text.replace(",", "") for text in TEXTS]


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file of the given name; return its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def delimited(header, rows, separator="\t"):
    return "".join(separator.join(map(str, row)) + "\n" for row in ([header, *rows] if header else rows))


def streamed(path, **options):
    """The frame that a stream gives of a file, and what it says of its rejected rows."""
    rejected = []
    with TableStream(str(path), **options) as stream:
        tables = [stream.table(part, lambda line, error: rejected.append((line, error))) for part in stream.parts()]
    return pl.concat([table.frame for table in tables]), rejected


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────


def test_how_a_file_was_read_is_logged_and_kept(write, caplog):
    caplog.set_level(logging.INFO, "acceptor")
    rows = [(number, text, "x", "ab"[number % 2]) for number, text in enumerate(TEXTS)]
    path = write("data.tsv", delimited(("idx", "text", "note", "gold_label"), rows))
    data = acceptor.load_data(path)
    schema = "TSV with a header: sentence ← text, label ← gold_label; passed over: idx, note"
    line = f"{path}: {schema} · 6 rows · labels a 3, b 3"
    assert line in caplog.messages
    assert data.train.to_dict()["schema"] in line  # which run.json keeps
    caplog.clear()
    load_split(path, ("a", "b"))
    assert line in caplog.messages


@pytest.mark.parametrize("command", ["evaluate", "predict", "predict -o", "audit"])
def test_commands_log_how_a_file_was_read(command, toy_run, write, run_cli, tmp_path):
    rows = [(number, sentence, label) for number, (sentence, label) in enumerate(toy_rows(12))]
    path = write("data.csv", delimited(("n", "text", "label"), rows, ","))
    words = {"predict -o": ["-o", tmp_path / "out.jsonl"]}.get(command, [])
    run = [] if command == "audit" else [toy_run.folder]
    code, out, err = run_cli(command.split()[0], *run, path, *words)
    assert code == 0, err
    assert "CSV with a header: sentence ← text, label; passed over: n" in (out if command == "audit" else err)


# ── columns as a table ───────────────────────────────────────────────────────────────────────────────────

QUESTION = "Where did the cat go then?"
LAYOUTS = {
    "QNLI": (
        ("index", "question", "sentence", "label"),
        (0, QUESTION, "It sat.", "entailment"),
        "question",
        "sentence",
    ),
    "MNLI": (
        (
            "index",
            "promptID",
            "genre",
            "sentence1_parse",
            "sentence2_parse",
            "sentence1",
            "sentence2",
            "label1",
            "gold_label",
        ),
        (0, "31193n", "fiction", "(ROOT (S it))", "(ROOT (S he))", "It sat.", "He sat down.", "neutral", "neutral"),
        "sentence1",
        "sentence2",
    ),
    "SNLI": (
        ("gold_label", "sentence1_binary_parse", "sentence1", "sentence2", "captionID", "label1"),
        ("neutral", "( it sat )", "It sat.", "He sat down.", "37.jpg#0", "neutral"),
        "sentence1",
        "sentence2",
    ),
    "MRPC": (
        ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
        (1, 7, 8, "It sat.", "He sat."),
        "#1 String",
        "#2 String",
    ),
    "QQP": (
        ("id", "qid1", "qid2", "question1", "question2", "is_duplicate"),
        (1, 7, 8, QUESTION, "Where is it?", 0),
        "question1",
        "question2",
    ),
    "PAWS": (("id", "sentence1", "sentence2", "label"), (1, "It sat.", "He sat.", 0), "sentence1", "sentence2"),
    "RTE": (
        ("index", "sentence1", "sentence2", "label"),
        (1, "It sat.", "He sat.", "entailment"),
        "sentence1",
        "sentence2",
    ),
    "SICK": (
        ("pair_ID", "sentence_A", "sentence_B", "entailment_judgment"),
        (1, "It sat.", "He sat.", "NEUTRAL"),
        "sentence_A",
        "sentence_B",
    ),
    "BoolQ": (
        ("question", "passage", "idx", "label"),
        (QUESTION, "The cat went home.", 3, "true"),
        "question",
        "passage",
    ),
    "CB": (("premise", "hypothesis", "label"), ("It sat.", "He sat.", "neutral"), "premise", "hypothesis"),
    "WiC": (
        ("word", "sentence1", "sentence2", "start1", "label"),
        ("sit", "It sat.", "He sat.", 3, "true"),
        "sentence1",
        "sentence2",
    ),
    "SST-2": (("sentence", "label"), ("It sat.", 1), "sentence", None),
    "ItaCoLA": (
        ("UniqueIndexID", "Source", "Acceptability", "Sentence"),
        (0, "Mine_2026", 0, "It sat."),
        "Sentence",
        None,
    ),
    "RuCoLA": (("id", "sentence", "acceptable", "error_type"), (0, "It sat.", 0, "Syntax"), "sentence", None),
    "JCoLA": (("uid", "source", "label", "diacritic", "sentence"), (0, "book", 0, "*", "It sat."), "sentence", None),
}


@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_layouts_of_known_corpora_are_read_correctly(name, form, tmp_path):
    header, row, first, second = LAYOUTS[name]
    frame = pl.DataFrame([row] * 5, schema=list(header), orient="row")
    path = tmp_path / f"x{form}"
    if form == ".parquet":
        frame.write_parquet(path)
    elif form == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if form == ".tsv" else ",", quote_style="never")
    table = read_table(path)
    assert table.frame["sentence"][0] == row[header.index(first)]
    assert "label" in table.frame.columns
    if second is None:
        assert "second" not in table.frame.columns
    else:
        assert table.frame["second"][0] == row[header.index(second)]
    others = [one for one in header if one not in (first, second, "label", "gold_label")]
    for one in set(others) & {"index", "promptID", "sentence1_parse", "qid1", "captionID", "error_type", "uid"}:
        assert one in table.schema.split("passed over: ")[1]


@pytest.mark.parametrize(
    "header",
    [
        ("sentence", "context", "label"),
        ("premise", "question", "label"),
        ("text", "claim", "label"),
        ("sentence", "sentence1", "sentence2"),
        ("paragraph", "question", "answer"),
        ("Text", "Premise", "y"),
    ],
)
def test_a_second_text_of_unclear_meaning_is_refused(write, header):
    rows = [
        (f"It sat there {n}.", f"Where did it go {n}?", f"He went {n}." if header[2][0] in "sa" else n % 2)
        for n in range(6)
    ]
    path = write("x.tsv", delimited(header, rows))
    with pytest.raises(DataError) as caught:
        read_table(path)
    pair, single = caught.value.details["next"].split("\n")
    assert "second=" in pair
    columns = columns_of(single.split("--columns ")[1].strip("'"))
    table = read_table(path, columns=columns)
    assert "second" not in table.frame.columns
    assert "second" in read_table(path, columns=columns_of(pair.split("--columns ")[1].strip("'"))).frame.columns


def test_an_answer_of_yes_and_no_is_no_second_text(write):
    path = write(
        "x.csv", delimited(("id", "text", "answer"), [(n, text, "yn"[n % 2]) for n, text in enumerate(PLAIN)], ",")
    )
    assert read_table(path).frame.columns == ["id", "sentence", "answer"]
    with pytest.raises(DataError) as caught:
        acceptor.load_data(path)
    assert caught.value.details["next"] == "name it: --columns label=answer"


def test_columns_of_0_and_1_are_several_labels_a_row(write):
    rows = [(text, n % 2, n % 3 == 0, 1) for n, text in enumerate(PLAIN)]
    path = write(
        "x.csv", delimited(("comment_text", "toxic", "rude", "spam"), [(t, a, int(b), c) for t, a, b, c in rows], ",")
    )
    with pytest.raises(DataError) as caught:
        acceptor.load_data(path)
    assert "several labels" in caught.value.details["cause"]
    assert "label=toxic" in caught.value.details["next"]


# ── separators and line ends ─────────────────────────────────────────────────────────────────────────────

LABELLED = [(text, n % 2) for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    ("name", "separator", "option"),
    [
        ("x.csv", ";", ";"),
        ("x.csv", "\t", "tab"),
        ("x.csv", "|", "|"),
        ("x.tsv", ";", ";"),
        ("x.tsv", ",", ","),
        ("x.txt", "|", "|"),
    ],
)
@pytest.mark.parametrize("header", [("sentence", "label"), None], ids=["header", "none"])
def test_another_separator_is_refused_with_the_option_that_reads_it(write, name, separator, option, header):
    rows = [row for row in LABELLED if separator not in row[0]]
    path = write(name, delimited(header, rows, separator))
    for reading in (read_table, streamed):
        with pytest.raises(DataError) as caught:
            reading(path)
        assert f"--separator {option if option == 'tab' else repr(option)}" in caught.value.details["next"]
    wanted = [(text, str(label)) for text, label in rows]
    assert read_table(path, separator=separator_of(option)).frame.select("sentence", "label").rows() == wanted
    assert streamed(path, separator=separator_of(option))[0].select("sentence", "label").rows() == wanted


def test_a_separator_that_some_lines_have_too_often_is_named(write):
    path = write("x.csv", 'sentence;label\n"Well, no.";0\nYes, yes, yes.;1\nOh.;0\n')
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert "--separator ';'" in caught.value.details["next"]
    assert read_table(path, separator=";").frame["sentence"].to_list() == ["Well, no.", "Yes, yes, yes.", "Oh."]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
@pytest.mark.parametrize("sep", [";", ",", "|", "\t"])
def test_a_first_line_that_declares_the_separator_is_used(write, name, sep):
    path = write(name, f"sep={sep}\n" + delimited(("sentence", "label"), [("He ran", 1), ("Ran he", 0)], sep))
    table = read_table(path)
    assert table.frame.rows() == [("He ran", "1"), ("Ran he", "0")]
    assert table.lines.tolist() == [3, 4]
    assert streamed(path)[0].rows() == table.frame.rows()


@pytest.mark.parametrize(
    "lines",
    [
        ["Well, I never.", "Oh, it did."],
        ["Yes, yes."] * 5,
        ["He came; he saw.", "It rained; they left."],
        ["a|b c", "a|c d"],
        ["One, two."],
        ["So, the cat sat.", "No comma here."],
    ],
)
@pytest.mark.parametrize("name", ["x.txt", "x.tsv"])
def test_commas_in_prose_separate_nothing(write, lines, name):
    assert read_table(write(name, "".join(line + "\n" for line in lines))).frame["sentence"].to_list() == lines


def test_lone_carriage_returns_are_named_with_the_command_that_helps(write):
    for name, content in (
        ("x.tsv", "sentence\tlabel\rHe ran.\t1\rRan he.\t0\r"),
        ("x.csv", "sentence,label\rHe ran.,1\r"),
        ("x.jsonl", '{"sentence": "a"}\r{"sentence": "b"}\r{"sentence": "c"}'),
    ):
        with pytest.raises(DataError) as caught:
            read_table(write(name, content))
        assert "tr '\\r' '\\n'" in caught.value.details["next"]
    assert len(read_table(write("one.txt", "He ran.\rRan he."))) == 1  # one carriage return is text


@pytest.mark.parametrize("text", ["tab", "TAB", "\\t", ";", "|", "\x1f"])
def test_separators_that_can_be_given(text):
    assert separator_of(text) in ("\t", ";", "|", "\x1f")


@pytest.mark.parametrize("text", ["", ";;", "a", "1", '"', "\n", "comma"])
def test_separators_that_cannot(text):
    with pytest.raises(UsageError):
        separator_of(text)


# ── files that were joined ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("header", ["sentence\tlabel", "label\tsentence", "text", "Wort\tUrteil"])
def test_a_header_in_the_midst_is_named_with_its_line(write, mark, header):
    swap = header.startswith("label")
    rows = [f"{label}\t{text}" if swap else f"{text}\t{label}" for text, label in LABELLED]
    rows = [row.split("\t")[0] for row in rows] if "\t" not in header else rows
    half = "\n".join([header, *rows]) + "\n"
    path = write("x.tsv", mark + half + mark + half)
    options = {"columns": {"sentence": "Wort", "label": "Urteil"}} if "Wort" in header else {}
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    assert f"line {len(rows) + 2}" in caught.value.details["where"]
    frame, [(line, _)] = streamed(path, **options)
    assert (len(frame), line) == (2 * len(rows), len(rows) + 2)


def test_a_byte_order_mark_inside_is_reported_with_its_line(write, caplog):
    text = delimited(None, LABELLED)
    path = write("x.tsv", text + "\ufeff" + text)
    with pytest.raises(DataError) as caught:
        acceptor.load_data(path)
    assert "line 7" in caught.value.details["where"]
    frame, [(line, _)] = streamed(path)
    assert (len(frame), line) == (11, 7)
    acceptor.load_data(
        write("y.tsv", "sentence\tlabel\n" + text + "\ufeff" + text)
    )  # may be meant: text is not changed
    assert any("byte order mark" in message and "line 8" in message for message in caplog.messages)


# ── headers of unknown names ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "labels"),
    [("Satz\tUrteil", ["0", "1"]), ("Lause\tArvio", ["good", "bad"]), ("jumla\tlebo", ["gut", "schlecht"])],
)
def test_a_header_is_not_judged_where_columns_are_given_by_number(write, header, labels):
    rows = [(text, labels[n % 2]) for n, text in enumerate(TEXTS)]
    path = write("x.tsv", header + "\n" + delimited(None, rows))
    table = read_table(path, columns={"sentence": "1", "label": "2"})
    assert table.frame["sentence"].to_list() == TEXTS
    assert "with a header" in table.schema
    if labels[0] != "gut":  # words that nobody knows need to be named
        assert read_table(path).frame["sentence"].to_list() == TEXTS


def test_a_first_row_with_a_rare_label_is_a_row(write):
    rows = [("She came.", "neutral"), *((text, ("pos", "neg")[n % 2]) for n, text in enumerate(TEXTS))]
    path = write("x.tsv", delimited(None, rows))
    assert len(read_table(path, columns={"sentence": "1", "label": "2"})) == 7


@pytest.mark.parametrize(
    ("first", "is_header"),
    [
        ("sentence", True),
        ("Sentence", True),
        ("Satz", True),
        ("文", True),
        ("question", True),
        ("Question", False),
        ("Yes.", False),
        ("Review", True),
        ("premise", True),
        ("Premise", False),
    ],
)
def test_the_first_line_of_one_column(write, first, is_header):
    table = read_table(write("x.txt", "\n".join([first, *TEXTS])))
    assert table.frame["sentence"].to_list() == ([] if is_header else [first]) + TEXTS
    assert ("with a header" in table.schema) == is_header


def test_a_first_line_that_may_be_a_header_is_reported(write):
    path = write("x.txt", "\n".join(["Jumla", *TEXTS[:3]]))
    table = read_table(path)
    assert len(table) == 4
    assert "'Jumla', is taken for a sentence" in table.schema
    assert len(read_table(path, columns={"sentence": "Jumla"})) == 3  # as the finding advises


def test_columns_named_by_numbers_have_one_meaning():
    frame = pl.DataFrame({"0": ["0", "1"], "1": ["He ran.", "Ran he."]})
    table = read_table(frame, columns={"sentence": "1"})
    assert table.frame["sentence"][0] == "He ran."
    assert "the column of that name" in table.schema


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("sentence=text,label=3", {"sentence": "text", "label": "3"}),
        ('sentence="my, text",label=ok', {"sentence": "my, text", "label": "ok"}),
        ('"sentence=my, text",label=1', {"sentence": "my, text", "label": "1"}),
        ('sentence="a ""b"""', {"sentence": 'a "b"'}),
        ("sentence=my text", {"sentence": "my text"}),
    ],
)
def test_names_with_commas_blanks_and_quotes_can_be_given(text, columns):
    assert columns_of(text) == columns


@pytest.mark.parametrize("text", ["sentence", "sentence=", 'sentence="a', "=a", "sentence=a,"])
def test_columns_that_cannot_be_read(text):
    with pytest.raises(UsageError):
        columns_of(text)


def test_blanks_around_names_in_a_header_do_not_hide_them(write):
    table = read_table(write("x.csv", "sentence, label\nHe ran., 1\nRan he., 0\n"))
    assert "label ← ' label'" in table.schema
    assert acceptor.load_data(write("y.csv", "sentence, label\nHe ran., 1\nRan he., 0\n")).train.gold.tolist() == [1, 0]
    assert (
        read_table(write("z.csv", "a, b c\nHe ran., 1\n"), columns={"sentence": "a", "label": "b c"}).frame["label"][0]
        == " 1"
    )


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        '{"sentence": "He ran.", "label": 1}\n{"sentence": "Ran he.", "label": 0}\n',
        '[{"sentence": "He ran.", "label": 1},\n {"sentence": "Ran he.", "label": 0}]',
        '\n[\n{"sentence": "He ran.",\n"label": 1}\n,\n{"sentence": "Ran he.", "label": 0}\n]\n',
    ],
)
def test_json_of_lines_and_of_an_array(write, content):
    table = read_table(write("x.json", content))
    assert table.frame.rows() == [("He ran.", "1"), ("Ran he.", "0")]
    assert (table.unit, table.lines.tolist()) == ("row" if content.lstrip().startswith("[") else "line", [1, 2])
    assert streamed(write("y.json", content))[0].rows() == table.frame.rows()


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        ('{"data": [{"text": "a"}, {"text": "b"}],\n "version": 1}', ".data[]"),
        ('{"text": {"0": "a", "1": "b"},\n "label": {"0": 1, "1": 0}}', "orient"),
    ],
)
def test_the_error_of_one_json_object_names_its_rows(write, content, advice):
    with pytest.raises(DataError) as caught:
        read_table(write("x.json", content))
    assert advice in caught.value.details["next"]


@pytest.mark.parametrize(
    "content", ["[", "[1]", '[{"text": "a"}', '[{"text": "a"} {"text": "b"}]', '[{"text": "a"}] x', "[]", "[{,}]"]
)
def test_broken_arrays_are_data_errors(write, content):
    with pytest.raises(DataError):
        read_table(write("x.json", content))


def test_nested_json_names_the_path_and_reads_it(write):
    path = write(
        "x.jsonl",
        "".join(json.dumps({"id": n, "data": {"text": text}, "label": n % 2}) + "\n" for n, text in enumerate(TEXTS)),
    )
    with pytest.raises(DataError) as caught:
        read_table(path)
    advice = caught.value.details["next"].split("--columns ")[1]
    assert advice == "sentence=data.text"
    assert read_table(path, columns=columns_of(advice)).frame["sentence"].to_list() == TEXTS
    assert streamed(path, columns=columns_of(advice))[0]["sentence"].to_list() == TEXTS


def zipped(content, *more):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("folder/x.tsv", "__MACOSX/x.tsv", *more):
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["x.tsv.bz2", "x.tsv.xz", "x.zip", "x.tsv.zip"])
def test_further_compressions_are_read_and_damage_is_reported(write, name):
    content = delimited(("sentence", "label"), LABELLED * 50).encode()
    packed = {"bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}[name.split(".")[-1]](content)
    assert len(read_table(write(name, packed))) == len(streamed(write(name, packed))[0]) == 300
    for broken in (packed[: len(packed) // 2], packed[:20], b"sentence\n"):
        with pytest.raises(DataError):
            read_table(write(name, broken))
    if "zip" in name:
        with raises(DataError, "E-DATA-FORMAT", problem="2 files", found="y.tsv"):
            read_table(write(name, zipped(content, "y.tsv")))


def test_a_workbook_is_read_if_fastexcel_is_installed(write, monkeypatch):
    pytest.importorskip("fastexcel")
    path = write("x.xlsx", workbook([["text", "label"], ["He ran.", 1], ["Ran he.", 0]]))
    assert acceptor.load_data(path).train.gold.tolist() == [1, 0]
    with raises(DataError, "E-DATA-DAMAGED", where="y.xlsx"):
        read_table(write("y.xlsx", path.read_bytes()[:200]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert "--convert-to csv" in caught.value.details["next"]


def test_a_workbook_is_judged_in_parts_as_the_same_csv(write, toy_run, tmp_path, monkeypatch):
    pytest.importorskip("fastexcel")
    monkeypatch.setattr("acceptor.data.reading.stream.CHUNK", 4)
    rows = [
        ["text", "id"],
        *([f"the {word} sees.", f"n{number}"] for number, word in enumerate(["cat", "girl"] * 5)),
        ["", "x"],
    ]
    paths = write("x.xlsx", workbook(rows)), write("x.csv", "".join(f"{a},{b}\n" for a, b in rows).encode())
    outs = tmp_path / "1.tsv", tmp_path / "2.tsv"
    tallies = [acceptor.predict(toy_run.folder, path, out=out) for path, out in zip(paths, outs, strict=True)]
    assert tallies[0] == tallies[1]
    assert (tallies[0].written, tallies[0].rejected) == (10, 1)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def workbook(rows):
    """The bytes of the smallest .xlsx that holds these rows."""
    cells = "".join(
        "<row>"
        + "".join(
            f'<c t="inlineStr"><is><t>{cell}</t></is></c>' if isinstance(cell, str) else f"<c><v>{cell}</v></c>"
            for cell in row
        )
        + "</row>"
        for row in rows
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    relations = "application/vnd.openxmlformats-package.relationships+xml"

    def relation(kind, target):
        one = f'<Relationship Id="r1" Type="{rels}/{kind}" Target="{target}"/>'
        return f'<Relationships xmlns="{package}/relationships">{one}</Relationships>'

    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Default Extension="rels" ContentType="{relations}"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": relation("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rels}">'
        '<sheets><sheet name="one" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relation("worksheet", "worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [delimited(("sentence", "label"), LABELLED), '{"sentence": "a", "label": 1}\n{"sentence": "b", "label": 0}\n'],
)
def test_standard_input_is_read_by_audit_and_evaluate(content, monkeypatch):
    for read in (lambda: acceptor.load_data("-").train, lambda: load_split("-", ("unacceptable", "acceptable"))):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        split = read()
        assert len(split) == content.count("\n") - content.startswith("s")
        assert "standard input" in split.table.origin


def test_commas_on_standard_input_are_recognised(monkeypatch):
    content = "sentence,label\n" + "".join(f"{text},{n % 2}\n" for n, text in enumerate(PLAIN))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    assert acceptor.load_data("-").train.sentences == PLAIN


def test_a_pipe_is_read_like_standard_input(tmp_path):
    import os
    import threading

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(delimited(("sentence", "label"), LABELLED)))
    writer.start()
    assert len(acceptor.load_data(pipe).train) == 6
    writer.join()


# ── folders ──────────────────────────────────────────────────────────────────────────────────────────────


def classified(labels, names=("unacceptable", "acceptable")):
    """An Arrow table as ``datasets`` writes it: class numbers, their names in the metadata."""
    feature = {
        "label": {"names": list(names), "_type": "ClassLabel"},
        "sentence": {"dtype": "string", "_type": "Value"},
    }
    info = json.dumps({"info": {"features": feature}})
    table = pa.table(
        {"sentence": [f"Sentence {n}." for n in range(len(labels))], "label": pa.array(labels, pa.int64())}
    )
    return table.replace_schema_metadata({"huggingface": info})


@pytest.mark.parametrize("inside", ["", "data/"])
def test_a_folder_as_hubs_have_it(write, tmp_path, inside):
    (tmp_path / inside).mkdir(exist_ok=True)
    for number, labels in enumerate([[0, 1, 1], [1, 0]]):
        pq.write_table(classified(labels), tmp_path / inside / f"train-{number:05}-of-00002.parquet")
    pq.write_table(classified([1, 0]), tmp_path / inside / "validation-00000-of-00001.parquet")
    pq.write_table(classified([-1, -1, -1]), tmp_path / inside / "test-00000-of-00001.parquet")
    write("README.md", "about")
    data = acceptor.load_data(tmp_path)
    assert [len(split) for split in data.splits] == [5, 2, 3]
    assert data.train.gold.tolist() == [0, 1, 1, 1, 0]
    assert data.labels == ("unacceptable", "acceptable")
    assert data.test.label_ids is None
    assert "train-*.parquet" in data.train.table.origin
    assert with_validation(data, TrainConfig(seed=1))[0].test is None  # training goes on without it
    (tmp_path / inside / "train-00000-of-00002.parquet").unlink()
    with raises(DataError, "E-DATA-MISSING", expected="2 files", found="00000"):
        acceptor.load_data(tmp_path)


def test_a_test_split_with_hidden_labels_is_logged_and_training_runs(toy, toy_config, tmp_path, caplog):
    test = pl.DataFrame({"sentence": TEXTS, "label": [-1] * 6})
    data = acceptor.load_data(toy_rows(96), validation=toy_rows(24, 1), test=test)
    assert any("will not be scored" in message for message in caplog.messages)
    run = acceptor.train(data, out=tmp_path / "run", config=toy_config.model_copy(update={"epochs": 1}))
    assert set(run.reports) == {"validation"}


def test_a_dataset_and_its_files_read_alike(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    rows = {"sentence": TEXTS, "label": [0, 1, 1, 0, 1, 0]}
    dataset = datasets.Dataset.from_dict(rows, features=features)
    expected = read_table(dataset).frame.rows()
    assert expected[1] == (TEXTS[1], "spam")
    dataset.to_parquet(tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet").frame.rows() == expected
    dataset.save_to_disk(tmp_path / "one")
    assert acceptor.load_data(tmp_path / "one").train.table.frame.rows() == expected
    datasets.DatasetDict({"train": dataset, "validation": dataset.select(range(4))}).save_to_disk(tmp_path / "two")
    data = acceptor.load_data(tmp_path / "two")
    assert [len(split) for split in data.splits] == [6, 4]
    assert data.labels == ("ham", "spam")


def test_two_splits_of_a_role_in_a_saved_dataset_are_refused(tmp_path):
    """As MNLI's validation_matched and validation_mismatched would be, if both names meant validation."""
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"sentence": TEXTS, "label": [0, 1, 1, 0, 1, 0]})
    datasets.DatasetDict(dict.fromkeys(("train", "validation", "dev"), dataset)).save_to_disk(tmp_path / "two")
    with raises(DataError, "E-DATA-SPLIT", problem="the validation split", found="dev and validation"):
        acceptor.load_data(tmp_path / "two")


@pytest.mark.parametrize("other", ["train-00000-of-00001.parquet", "train-00001-of-00002.jsonl"])
def test_shards_of_two_versions_are_refused(write, tmp_path, other):
    for number in range(2):
        pq.write_table(classified([0, 1, 1]), tmp_path / f"train-{number:05}-of-00002.parquet")
    write(other, "")
    with raises(DataError, "E-DATA-SPLIT", problem="two versions", found=other):
        acceptor.load_data(tmp_path)


def test_hostile_state_of_a_saved_dataset_is_refused(write, tmp_path):
    write("dataset_info.json", "{}")
    for state, code in (
        ({"_data_files": [{"filename": "../x.arrow"}]}, "E-DATA-UNSAFE"),
        ({"_data_files": []}, "E-DATA-UNSAFE"),
        ({}, "E-DATA-DAMAGED"),
        ({"_data_files": 3}, "E-DATA-DAMAGED"),
    ):
        write("state.json", json.dumps(state))
        with raises(DataError, code, where="state.json"):
            acceptor.load_data(tmp_path)


def test_a_file_with_the_name_of_a_corpus_is_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starter").mkdir()
    acceptor.load_data("starter")
    assert any("./starter" in message for message in caplog.messages)


# ── a column of splits ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Split", ("train", "dev", "test")),
        ("split", ("TRAIN", "validation", "Test")),
        ("partition", ("training", "val", "test")),
        ("set", ("train", "test", "test")),
    ],
)
def test_a_column_of_splits_is_used_or_reported(name, values):
    rows = [(sentence, label, values[min(n // 40, 2)]) for n, (sentence, label) in enumerate(toy_rows(100))]
    data = acceptor.load_data(pl.DataFrame(rows, schema=["sentence", "label", name], orient="row"))
    assert split_column(data.train.table)[0] == name
    with pytest.raises(DataError) as caught:
        with_validation(data, TrainConfig(seed=1))
    assert "--split column" in caught.value.details["next"]
    cut, reason = with_validation(data, TrainConfig(split="column", seed=1))
    assert len(cut.test) == (60 if name == "set" else 20)
    assert len(cut.train) + len(cut.validation) == (40 if name == "set" else 80)
    assert name in reason
    assert ("label shares kept" in reason) == (name == "set")
    assert (
        len(with_validation(data, TrainConfig(split="stratified", seed=1))[0].train) == 90
    )  # as before, where it is asked for


def test_rows_that_name_no_split_are_counted_also_where_validation_is_cut():
    rows = [(*row, ("train", "test", "unused")[n % 3]) for n, row in enumerate(toy_rows(90))]
    data = acceptor.load_data(pl.DataFrame(rows, schema=["sentence", "label", "split"], orient="row"))
    cut, reason = with_validation(data, TrainConfig(split="column", seed=1))
    assert [len(split) for split in cut.splits] == [27, 3, 30]
    assert "left out, since they name no split 30; validation: 10 % of train" in reason


def test_files_that_a_column_of_splits_replaces_are_named(toy, caplog):
    rows = [(*row, ("train", "dev")[n // 60]) for n, row in enumerate(toy_rows(100))]
    frame = pl.DataFrame(rows, schema=["sentence", "label", "split"], orient="row")
    data = acceptor.load_data(frame, validation=toy_rows(10, 1), test=toy_rows(12, 2))
    cut, _ = with_validation(data, TrainConfig(split="column", seed=1))
    assert (len(cut.validation), len(cut.test)) == (40, 12)  # the column has no test rows: the file's are taken
    assert re.findall("left out: the column split has its own (.*)", caplog.text) == ["validation"]


def test_a_column_of_splits_must_be_there_to_be_used(toy):
    with raises(DataError, "E-DATA-SPLIT", expected="a column called split"):
        with_validation(toy, TrainConfig(split="column", seed=1))
    frame = pl.DataFrame([(*row, "a") for row in toy_rows(30)], schema=["sentence", "label", "set"], orient="row")
    assert split_column(acceptor.load_data(frame).train.table) is None


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────


def rows(*labels):
    return [(f"sentence number {index}", label) for index, label in enumerate(labels)]


def errors_of(source, **options):
    return [remark.error for _, remark in inspect_data(source, **options)[1] if remark.severity == "error"]


@pytest.mark.parametrize("sign", ["-", "?", "-1", "", None, "nan", "N/A", "<NA>", -1, float("nan")])
def test_a_sign_for_no_label_is_never_a_class(sign):
    labels = ["good", sign, "bad", sign, "good", "bad"]
    with pytest.raises(DataError) as caught:
        acceptor.load_data(rows(*labels))
    assert "rows 2, 4" in caught.value.details["where"]
    assert "drop_unlabelled=True" in caught.value.details["next"]
    if sign in ("", None):  # an empty cell cannot be declared a class
        assert "labels=" not in caught.value.details["next"]
    data = acceptor.load_data(rows(*labels), drop_unlabelled=True)
    assert data.train.gold.tolist() == [1, 0, 1, 0]
    assert data.train.table.lines.tolist() == [1, 3, 5, 6]


def test_rows_left_out_are_logged(caplog):
    acceptor.load_data(rows("a", "-", "b", "a"), drop_unlabelled=True)
    assert any("without a label: row 2" in message for message in caplog.messages)


@pytest.mark.parametrize(
    "labels", [["0.00", "4.75", "2.5", "3"], ["0,5", "1,5", "0,5", "1,5"], [0.1, 0.2, 0.1, 1.0], ["1.5", "-2"]]
)
def test_measurements_are_refused_unless_declared(labels):
    with raises(DataError, "E-DATA-LABELS", problem="measurement", next='labels=["A", "B", …]'):
        acceptor.load_data(rows(*labels))
    names = [f"class {n}" for n in range(len({str(label) for label in labels}))]
    assert acceptor.load_data(rows(*labels), labels=names).labels == tuple(names)


@pytest.mark.parametrize(
    "labels",
    [
        ["rude|spam", "rude", "none"],
        ["a;b", "b;a", "c"],
        ["x, y", "x", "z"],
        ["[0, 2]", "[1]", "[0]"],
        ["['a']", "['a', 'b']", "[]"],
        ["{a}", "{b}", "{a,b}"],
        [["a"], ["a", "b"], ["b"]],
    ],
)
def test_several_labels_a_row_are_refused(labels):
    with raises(DataError, "E-DATA-LABELS", cause="multi-label"):
        acceptor.load_data(rows(*labels, *labels))


@pytest.mark.parametrize(
    "labels", [["Paris, France", "Lyon, France", "Rome, Italy"], ["R&B/Soul", "Rock/Pop", "Jazz"], ["a-b", "b-a", "a"]]
)
def test_names_with_commas_and_strokes_are_classes(labels):
    assert acceptor.load_data(rows(*labels, *labels)).labels == tuple(sorted(labels))


def test_whole_numbers_are_the_same_wherever_they_come_from(write, tmp_path):
    text = write("x.csv", "sentence,label\n" + "".join(f"s {n},{n % 2}.0\n" for n in range(4)))
    frame = pl.DataFrame({"sentence": [f"s {n}" for n in range(4)], "label": [0.0, 1.0, 0.0, 1.0]})
    frame.write_parquet(tmp_path / "x.parquet")
    pd = pytest.importorskip("pandas")
    dropped = pd.DataFrame({"sentence": ["a", "b", "c"], "label": [0, None, 1]}).dropna()
    sources = [
        text,
        frame,
        tmp_path / "x.parquet",
        dropped,
        rows(0.0, 1.0),
        rows(np.float32(0), np.float64(1)),
        rows("0", "1.0", "1"),
    ]
    for source in sources:
        data = acceptor.load_data(source)
        assert data.labels == ("unacceptable", "acceptable")
        assert load_split(source, data.labels).gold.tolist() == data.train.gold.tolist()
    assert acceptor.load_data(rows("1.0", "2", "3.", "2.0")).labels == ("1", "2", "3")
    assert [label_key(text) for text in ("1.0", "+1", " 1 ", "-1.00", "1.5", "1e0", "v1.0")] == [
        "1",
        "+1",
        "1",
        "-1",
        "1.5",
        "1e0",
        "v1.0",
    ]


SPELLINGS = ["Positif", "positif", "positif ", "n\u00e9gatif", "ne\u0301gatif", "N\u00c9GATIF"]


def test_spellings_of_one_label_are_reported_and_can_be_merged():
    with pytest.raises(DataError) as caught:
        acceptor.load_data(rows(*SPELLINGS * 3))
    assert "normalise_labels=True" in caught.value.details["next"]
    data = acceptor.load_data(rows(*SPELLINGS * 3, "positif"), normalise_labels=True)
    assert data.labels == ("n\u00e9gatif", "positif")
    assert data.train.gold.tolist()[:6] == [1, 1, 1, 0, 0, 0]
    test = load_split(rows("POSITIF", "ne\u0301gatif"), data.labels, normalise_labels=True)
    assert test.gold.tolist() == [1, 0]
    with pytest.raises(DataError) as caught:
        load_split(rows("POSITIF"), data.labels)
    assert "normalise_labels=True" in caught.value.details["next"]
    assert acceptor.load_data(rows("us", "US", "us"), labels=["us", "US"]).train.gold.tolist() == [0, 1, 0]
    assert acceptor.load_data(rows("True", "true", "FALSE"), normalise_labels=True).train.gold.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["-1", "1"], "-1,1"),
        (["-1", "0", "1"], "-1,0,1"),
        (["yes", "no", "maybe"], "no,maybe,yes"),
        (["good", "bad", "neutral"], "bad,neutral,good"),
        (["True", "False", "unknown"], "False,unknown,True"),
    ],
)
def test_labels_whose_order_is_not_clear_are_declared(labels, order):
    with pytest.raises(DataError) as caught:
        acceptor.load_data(rows(*labels * 4))
    assert f"labels={json.dumps(order.split(','))}" in caught.value.details["next"]
    assert "did you mean" not in str(caught.value)
    assert acceptor.load_data(rows(*labels * 4), labels=order.split(",")).labels == tuple(order.split(","))


@pytest.mark.parametrize(
    ("labels", "names", "ids"),
    [
        (["0", "1", "1"], ["nice", "toxic"], [0, 1, 1]),
        (["1", "2", "5"], ["low", "mid", "high"], [0, 1, 2]),
        (["0", "2", "1"], ["a", "b", "c"], [0, 2, 1]),
        (["-1", "1", "0"], ["neg", "neu", "pos"], [0, 2, 1]),
        ([True, False, True], ["nice", "toxic"], [1, 0, 1]),
        (["no", "yes", "no"], ["nice", "toxic"], [0, 1, 0]),
        ([0.0, 1.0, 0.0], ["nice", "toxic"], [0, 1, 0]),
    ],
)
def test_declared_names_are_given_in_the_order_of_the_values(labels, names, ids):
    data = acceptor.load_data(rows(*labels), labels=names, test=rows(*labels[::-1]))
    assert data.labels == tuple(names)
    assert data.train.gold.tolist() == ids
    assert data.test.gold.tolist() == ids[::-1]
    assert load_split(rows(*labels), data.labels, labels=names).gold.tolist() == ids
    assert load_split(rows(*names), data.labels).gold.tolist() == list(range(len(names)))


def test_a_judge_knows_how_its_labels_were_written(toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1})
    data = acceptor.load_data(toy_rows(96), validation=toy_rows(24, 1), labels=["nice", "toxic"])
    acceptor.train(data, out=tmp_path / "run", config=config)
    judge = acceptor.load(tmp_path / "run")
    assert (judge.labels, judge.written) == (("nice", "toxic"), ("0", "1"))
    frame = pl.DataFrame(toy_rows(20, 3), schema=["sentence", "label"], orient="row")
    split = load_split(frame, judge.labels, written=judge.written)
    assert split.gold.tolist() == frame["label"].cast(int).to_list()
    path = tmp_path / "run" / "judge.json"
    path.write_text(path.read_text().replace('"0"', "0"))
    with pytest.raises(acceptor.RunError):
        acceptor.load(tmp_path / "run")


def test_declared_names_that_fit_nothing_are_refused():
    for names in (["a", "b"], ["a", "b", "c", "d"]):
        with raises(DataError, "E-DATA-LABELS", where="row ", expected="labels=[…]: 'a', 'b'"):
            acceptor.load_data(rows("x", "y", "z"), labels=names)
    with raises(UsageError, "E-USAGE-LABELS", found="a, a"):
        acceptor.load_data(rows("0", "1"), labels=["a", "a"])
    with raises(UsageError, "E-USAGE-LABELS", expected="nice, toxic", found="nice, rude"):
        load_split(rows("0", "1"), ("nice", "toxic"), labels=["nice", "rude"])


def test_many_classes_with_few_examples_name_the_share_that_works():
    data = acceptor.load_data([(f"text {n}", f"intent {n % 77:02}") for n in range(616)])
    with pytest.raises(DataError) as caught:
        with_validation(data, TrainConfig(seed=1))
    share = float(caught.value.details["next"].split("--validation-share ")[1].split()[0])
    assert len(with_validation(data, TrainConfig(validation_share=share, seed=1))[0].validation) >= 77
    assert len(str(caught.value)) < 700


def test_class_lists_in_errors_are_cut():
    many = [f"intent {n:03}" for n in range(300)]
    data = acceptor.load_data(rows(*many * 3))
    with pytest.raises(DataError) as caught:
        load_split(rows("intent 3000"), data.labels)
    assert len(str(caught.value)) < 700
    assert len(repr(data)) < 700
    assert len(data.train.describe()) < 700


def test_texts_and_ids_are_no_classes():
    with raises(DataError, "E-DATA-LABELS", problem="40", expected="1000"):
        acceptor.load_data(rows(*(f"opinion number {n}" for n in range(40))))


def test_audit_reports_what_training_refuses_and_continues(run_cli, write):
    path = write("x.tsv", delimited(("sentence", "label"), [(f"text {n}", SPELLINGS[n % 6]) for n in range(30)]))
    code, out, _ = run_cli("audit", path)
    assert code == 0
    assert "one label, several spellings" in out
    assert "--normalise-labels" in out
    code, out, _ = run_cli("audit", path, "--json")
    (finding,) = [one for one in json.loads(out)["findings"] if one["severity"] == "error"]
    assert finding["examples"][0][0]["line"]
    assert run_cli("audit", path, "--normalise-labels")[0] == 0


# ── nothing that was right is refused ────────────────────────────────────────────────────────────────────


@needs_cola
@pytest.mark.parametrize("folder", ["raw", "tokenized", "notebook"])
def test_cola_has_no_remarks(folder):
    assert inspect_data(COLA / folder)[1] == []
    assert acceptor.load_data(COLA / folder).labels == ("unacceptable", "acceptable")


def test_starter_has_no_remarks():
    assert inspect_data("starter")[1] == []


@needs_cases
@pytest.mark.parametrize(
    ("name", "code", "fields"),
    [
        ("measured_score.tsv", "E-DATA-LABELS", {"problem": "measurement"}),
        ("several_labels_in_a_cell.tsv", "E-DATA-LABELS", {"cause": "multi-label"}),
        ("one_label_spelled_five_ways.tsv", "E-DATA-LABELS", {"next": "--normalise-labels"}),
        ("semicolons.csv", "E-DATA-SEPARATOR", {"next": "--separator ';'"}),
        ("two_files_joined.csv", "E-DATA-ROW", {"where": "line 42"}),
        ("text_and_answer.csv", "E-DATA-UNLABELLED", {"next": "label=answer"}),
    ],
)
def test_cases_that_are_refused(name, code, fields):
    with raises(DataError, code, **fields):
        acceptor.load_data(CASES / name)


@needs_cases
def test_cases_that_are_read():
    pairs = acceptor.load_data(CASES / "question_and_sentence.tsv").train
    assert pairs.seconds is not None
    assert "passed over: index" in pairs.table.schema
    train = acceptor.load_data(CASES / "float_labels_train.csv", test=CASES / "float_labels_test.csv")
    assert train.test.balance() == {"unacceptable": 14, "acceptable": 26}
    with raises(DataError, "E-DATA-SPLIT", next="--split column"):
        with_validation(acceptor.load_data(CASES / "split_column.tsv"), TrainConfig(seed=1))


# ── what a newcomer found ────────────────────────────────────────────────────────────────────────────────


def test_numbers_keep_their_meaning_in_a_file_that_has_not_all_of_them():
    written, names = ("1", "2", "3"), ("neg", "neu", "pos")
    for found in (["1", "2"], ["2", "3"], ["3", "1"], ["3", "3"]):
        for labels in (None, list(names)):
            split = load_split(rows(*found), names, written=written, labels=labels)
            assert split.gold.tolist() == [int(number) - 1 for number in found]
    for found in (["1", "2"], ["2", "3"]):  # a judge that does not know how they were written does not guess
        with pytest.raises(DataError):
            load_split(rows(*found), names, labels=list(names))
    turned = load_split(rows("1", "2", "3"), names, written=written, labels=["pos", "neu", "neg"])
    assert turned.gold.tolist() == [2, 1, 0]  # another order is the caller's word
    with raises(DataError, "E-DATA-LABELS", found=("a, b, c", "1, 2")):
        acceptor.load_data(rows("1", "2"), labels=["a", "b", "c"])


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("v1,v2,,,", "{0},{1},,,", {"sentence": "2", "label": "1"}),
        ("v1,v2", "{0},{1}", {"sentence": "2", "label": "1"}),
        ("ResponseId,StartDate,Q1", "17,2024-05-01 10:00,{1}", {"sentence": "3"}),
        (",Clothing ID,Review Text,Recommended IND", "{2},767,{1},1", {"sentence": "3"}),
        ("0,1", "{1},{3}", {}),
    ],
)
def test_headers_of_unknown_names_are_no_rows(write, header, row, columns):
    lines = [row.format(("ham", "spam")[n % 2], text, n, n % 2) for n, text in enumerate(PLAIN * 3)]
    table = read_table(write("x.csv", "\n".join([header, *lines])), columns=columns)
    assert table.frame["sentence"].to_list() == PLAIN * 3


def test_a_first_line_that_may_be_a_header_is_reported_with_its_name(write):
    path = write(
        "x.csv", "".join(f"{a},{b}\n" for a, b in [("Langue", "Phrase dite"), *zip(PLAIN, PLAIN, strict=True)])
    )
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert "Phrase dite" in caught.value.details["next"] or "Langue" in caught.value.details["next"]
    assert "is taken for a sentence" in read_table(path, columns={"sentence": "2"}).schema


def test_a_column_of_splits_with_other_values_too():
    values = ["train", "train", "test", "unsup"] * 25
    rows_ = [(*row, value) for row, value in zip(toy_rows(100), values, strict=True)]
    data = acceptor.load_data(pl.DataFrame(rows_, schema=["sentence", "label", "split"], orient="row"))
    with raises(DataError, "E-DATA-SPLIT", next="--split column"):
        with_validation(data, TrainConfig(seed=1))
    cut, _ = with_validation(data, TrainConfig(split="column", seed=1))
    assert (len(cut.train) + len(cut.validation), len(cut.test)) == (50, 25)


def test_hidden_labels_of_test_beside_a_column_of_splits():
    rows_ = [
        (text, label if n % 4 else "", "train" if n % 4 else "test") for n, (text, label) in enumerate(toy_rows(80))
    ]
    frame = pl.DataFrame(rows_, schema=["sentence", "label", "split"], orient="row")
    data = acceptor.load_data(frame, drop_unlabelled=True)
    cut, _ = with_validation(data, TrainConfig(split="column", seed=1))
    assert len(cut.train) + len(cut.validation) == 60


def test_a_generic_name_beside_another_label_is_refused(write):
    path = write(
        "x.csv", "Tweet,Target,Stance\n" + "".join(f"{text},Climate,{n % 2}\n" for n, text in enumerate(PLAIN))
    )
    with raises(DataError, "E-DATA-COLUMN", next="--columns"):
        read_table(path)


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "shift_jis", "koi8-r"])
def test_an_encoding_of_another_script_is_not_called_latin(write, encoding):
    text = "Книга была написана.\n" if encoding in ("cp1251", "koi8-r") else "本が書かれました。\n"
    with pytest.raises(DataError) as caught:
        read_table(write("x.txt", (text * 5).encode(encoding)))
    assert "Latin" not in str(caught.value)
    assert "1252" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "code", "fields"),
    [
        (
            "x.tsv",
            '"text"\t"label"\n"He ran."\t"1"\n"Ran he."\t"0"\n',
            "E-DATA-QUOTES",
            {"next": "--separator tab"},
        ),
        (
            "x.csv",
            "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 123\n",
            "E-DATA-FORMAT",
            {"next": "git lfs pull"},
        ),
        ("x.csv", "<!DOCTYPE html>\n<html><body>404</body></html>\n", "E-DATA-FORMAT", {"problem": "web page"}),
        (
            "x.txt",
            '{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n',
            "E-DATA-FORMAT",
            {"next": "FILE.jsonl"},
        ),
        ("x.json", '{"0": {"text": "a"}, "1": {"text": "b"}}', "E-DATA-FORMAT", {"next": "orient"}),
    ],
)
def test_files_that_are_something_else_are_named(write, name, content, code, fields):
    with raises(DataError, code, **fields):
        read_table(write(name, content))


def test_a_path_that_does_not_exist_is_reported(write):
    path = write("x.jsonl", '{"data": {"text": "He ran.", "lab": 1}}\n' * 3)
    for columns in ({"sentence": "data.txt"}, {"sentence": "data.text", "label": "data.labl"}):
        with pytest.raises(DataError) as caught:
            read_table(path, columns=columns)
        assert "text, lab" in caught.value.details["expected"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels": "no,yes"},
        {"labels": {"no", "yes"}},
        {"labels": {0: "a"}},
        {"labels": [1, 0]},
        {"labels": []},
        {"columns": "sentence=a"},
        {"columns": ["a"]},
        {"separator": ";;"},
        {"separator": 3},
    ],
)
def test_arguments_that_cannot_be_read_are_usage_errors(arguments):
    with pytest.raises(UsageError):
        acceptor.load_data(rows("0", "1"), **arguments)


def test_one_of_two_equal_names_can_be_given_another(write):
    path = write("x.csv", "text,text,label\nHe ran.,Ran he.,1\n")
    with pytest.raises(DataError) as caught:
        read_table(path)
    columns = columns_of(caught.value.details["next"].split("--columns ")[1])
    assert read_table(path, columns=columns).frame["sentence"].to_list() == ["He ran."]


def test_a_pipe_is_not_predicted_into_a_file(toy_run, tmp_path, run_cli):
    code, _, err = run_cli("predict", toy_run.folder, "/dev/stdin", "-o", tmp_path / "out.jsonl")
    assert code == 2
    assert "standard input" in err


def test_rules_are_plain():
    assert LabelRules() == LabelRules(None, False, False)
    assert listed_in('a,"b, c",d', "--labels") == ["a", "b, c", "d"]


@pytest.mark.parametrize(
    ("written", "declared", "more", "unused"),
    [
        (["rude", "nice"], ["rude", "nice", "meh"], {}, ["meh"]),
        (["rude", "nice"], ["rude", "nice", "meh", "so-so"], {}, ["meh", "so-so"]),
        (["0", "1"], ["0", "1", "2"], {}, ["2"]),
        (["Rude", "nice"], ["rude", "nice", "meh"], {"normalise_labels": True}, ["meh"]),
        (["rude", "nice"], ["nice", "rude"], {}, []),
        (["0", "1"], ["nice", "rude"], {}, []),  # names for numbers
    ],
)
def test_a_declared_label_without_rows_is_a_warning(written, declared, more, unused, caplog):
    data = acceptor.load_data(rows(*written * 4), labels=declared, **more)
    assert data.labels == tuple(declared)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [f"no row has the label {label!r}" in text for label, text in zip(unused, said, strict=True)] == [
        True for _ in unused
    ]
    _, remarks = inspect_data(rows(*written * 4), labels=declared, **more)
    assert [remark.kind for _, remark in remarks] == ["a label without rows" for _ in unused]


def test_a_label_that_was_not_declared_may_be_an_error_of_the_declaration(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + 5 * "the cats see,nice\nthe cat them,rude\n")
    fields = {"where": "line 2 (5 such rows)", "expected": "the labels of --labels: 'niec', 'rude'", "cause": "'niec'"}
    with raises(DataError, "E-DATA-LABELS", **fields, next="correct --labels, or the file"):
        acceptor.load_data(str(tmp_path / "a.csv"), labels=["niec", "rude"])
    with raises(DataError, "E-DATA-LABELS", expected="--labels: 'low', 'rude'", next="correct --labels, or the file"):
        acceptor.load_data(str(tmp_path / "a.csv"), labels=["low", "rude"])
    (tmp_path / "b.csv").write_text("text,label\nthe cats see,nice\nthe cat them,meh\n")
    with raises(DataError, "E-DATA-LABELS", where="b.csv, line 3", next="correct --labels, or the file"):
        acceptor.load_data(str(tmp_path / "a.csv"), labels=["nice", "rude"], validation=str(tmp_path / "b.csv"))
    with raises(DataError, "E-DATA-LABELS", where="b.csv, line 3", next="correct the file, or") as caught:
        acceptor.load_data(str(tmp_path / "a.csv"), validation=str(tmp_path / "b.csv"))
    assert "of --labels" not in caught.value.details["expected"]
