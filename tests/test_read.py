"""Reading: nothing lost, nothing changed, and every error names the place."""

import codecs
import csv
import gzip
import io
import json
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from acceptor.data.reading import delimited, read, unpack
from acceptor.data.reading.stream import TableStream
from acceptor.errors import DataError
from conftest import raises

COLA = Path(__file__).parents[1] / "../shared/data/cola/raw"
needs_cola = pytest.mark.skipif(not COLA.is_dir(), reason="the CoLA files are not on this machine")
COLA_ROWS = {"in_domain_train": 8551, "in_domain_dev": 527, "out_of_domain_dev": 516}


def gz(data: bytes) -> bytes:
    """Gzipped without the time, so that test names do not change."""
    return gzip.compress(data, mtime=0)


def tar(name: str, content: bytes) -> bytes:
    """A tar archive of one file."""
    archive, member = io.BytesIO(), tarfile.TarInfo(name)
    member.size = len(content)
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.addfile(member, io.BytesIO(content))
    return archive.getvalue()


PACK = {"": lambda data: data, ".gz": gz, ".zst": zstandard.ZstdCompressor().compress}


def read_table(source, **options):
    """`read.read_table`; a file is also streamed, which has to give the same rows or the same error."""
    try:
        table, error = read.read_table(source, **options), None
    except DataError as caught:
        table, error = None, caught
    if isinstance(source, str | Path) and "a label is" not in str(error):  # a stream is judged: labels are not used
        assert streamed(source, **options) == (str(error) if error else contents(table))
        if "bomb" not in str(error) and not {".parquet", ".arrow", ".feather", ".ipc"} & set(Path(source).suffixes):
            small = streamed(source, piece=7 if table is None or len(table) < 1000 else 1 << 16, **options)
            assert small == contents(table) if table else place(small) == place(str(error))
    if error:
        raise error
    return table


def place(message):
    """The problem and its place."""
    assert isinstance(message, str)
    return [message.split("\n")[0], *re.findall(r"^  where:.*", message, re.MULTILINE)]


def contents(table):
    schema = table.schema.removesuffix("; label left out: empty in every row")
    columns = {name: cells for name, cells in table.frame.to_dict(as_series=False).items() if name != "label"}
    return columns, table.lines.tolist(), schema, table.unit, table.origin


def streamed(source, *, piece=unpack.PIECE, columns=None):
    """All rows of a streamed file, or its error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "PIECE", piece)
        try:
            with TableStream(str(source), columns=columns) as stream:
                tables = [stream.table(part) for part in stream.parts()]
        except DataError as error:
            return str(error)
    frame = pl.concat([table.frame for table in tables])
    lines = [line for table in tables for line in table.lines.tolist()]
    columns = frame.drop("label", strict=False).to_dict(as_series=False)
    return columns, lines, tables[0].schema, tables[0].unit, tables[0].origin


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file of the given name; return its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


def sentences(table):
    return table.frame["sentence"].to_list()


def cola_lines(n):
    """``n`` rows as CoLA stores them."""
    return [f"s{row}\t{row % 2}\t\tSentence number {row}." for row in range(1, n + 1)]


# ── CoLA ─────────────────────────────────────────────────────────────────────────────────────────────────


@needs_cola
@pytest.mark.parametrize(("name", "rows"), COLA_ROWS.items())
def test_cola_is_read_byte_for_byte(name, rows):
    path = COLA / f"{name}.tsv"
    table = read_table(path)
    expected = [line.split(b"\t") for line in path.read_bytes().removesuffix(b"\n").split(b"\n")]
    found = table.frame.select("source", "label", "mark", "sentence").rows()
    assert [[cell.encode() for cell in row] for row in found] == expected
    assert len(table) == rows
    assert table.lines.tolist() == list(range(1, rows + 1))
    assert table.lines.dtype == np.int64
    assert table.origin == str(path)
    assert (
        table.schema
        == "TSV without a header, as CoLA's: sentence ← column 4, label ← column 2, source ← column 1, mark ← column 3"
    )


@needs_cola
def test_cola_fingerprint_and_backspaces():
    table = read_table(COLA / "in_domain_train.tsv")
    assert table.sha256.startswith("f320a10f")
    assert [int(table.lines[row]) for row, text in enumerate(sentences(table)) if "\b" in text] == [
        7130,
        7131,
        7132,
    ]


@needs_cola
@pytest.mark.parametrize("injected", [[101], [101, 5001], list(range(101, 8551, 800))])
def test_a_leading_quote_in_cola_swallows_no_row(write, injected):
    lines = (COLA / "in_domain_train.tsv").read_bytes().decode().removesuffix("\n").split("\n")
    expected = [line.split("\t")[3] for line in lines]
    for row in injected:
        expected[row] = '"' + expected[row]
    text = "\n".join("\t".join([*line.split("\t")[:3], cell]) for line, cell in zip(lines, expected, strict=True))
    assert sentences(read_table(write("train.tsv", text))) == expected


# ── TSV: unusual content ──────────────────────────────────────────────────────────────────────────

ODD_SENTENCES = {
    "leading quote": ['"unclosed', "b", "c", '"quoted"', 'mid "dle"'],
    "missing-value words": ["None", "NA", "null", "nan", "N/A", "NaN", "-", "0"],
    "unicode line separators": [
        "a\u2028b",
        "a\u2029b",
        "a\x85b",
        "a\x0bb",
        "a\x0cb",
        "a\x1cb",
        "a\x1db",
        "a\x1eb",
    ],
    "lone carriage return": ["a\rb", "\rb", "a\r \rb"],
    "backspace and escapes": ["a\bb", "a\\", "a\\n", "\x1b[0m x", "\x7fdel"],
    "white space around": ["  a", "a  ", "\u00a0a\u00a0", "\u3000a"],
    "no normalisation": ["e\u0301", "\u00e9", "\ufb01", "\u212b", "a\ufeffb", "\ufeff"],
    "emoji, joiners, right to left": ["👩\u200d👩\u200d👧", "\u202eabc", "שלום", "😀"],
    "commas and hashes": ["# no comment", "a, b", "a;b", "'a'"],
    "long line": ["x" * 1_200_000, "short"],
}


@pytest.mark.parametrize("texts", ODD_SENTENCES.values(), ids=ODD_SENTENCES)
@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
def test_unusual_sentences_stay_unchanged(write, texts, suffix):
    table = read_table(write(f"odd{suffix}", encode(suffix, ["sentence", "n"], [[text, "1"] for text in texts])))
    assert sentences(table) == texts
    assert table.frame.dtypes == [pl.String, pl.String]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain", b"sentence\tlabel\na\t1\nb\t0\n"),
        ("no last newline", b"sentence\tlabel\na\t1\nb\t0"),
        ("CRLF", b"sentence\tlabel\r\na\t1\r\nb\t0\r\n"),
        ("CRLF, no last line feed", b"sentence\tlabel\r\na\t1\r\nb\t0\r"),
        ("byte order mark", codecs.BOM_UTF8 + b"sentence\tlabel\na\t1\nb\t0\n"),
        ("blank lines at the end", b"sentence\tlabel\na\t1\nb\t0\n\n\r\n\n"),
        ("upper-case header", b"Sentence\tLABEL\na\t1\nb\t0\n"),
    ],
)
@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_line_ends_and_marks(write, name, content, suffix):
    table = read_table(write(f"x{suffix}", content if suffix == ".tsv" else content.replace(b"\t", b",")))
    assert table.frame.rows() == [("a", "1"), ("b", "0")]
    assert table.lines.tolist() == [2, 3]


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_only_one_carriage_return_belongs_to_the_line_end(write, suffix):
    assert sentences(read_table(write(f"x{suffix}", b"a\r\r\nb\r\r\n\r\n"))) == ["a\r", "b\r"]


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_csv_follows_rfc_4180(write):
    text = 'sentence,label,note\r\n"a, ""b""",1,\r\n"two\r\nlines\n",0,"x"\nplain,1,""\nc\rd,0,""""\n'
    table = read_table(write("x.csv", text))
    assert table.frame.rows() == [
        ('a, "b"', "1", ""),
        ("two\r\nlines\n", "0", "x"),
        ("plain", "1", ""),
        ("c\rd", "0", '"'),
    ]
    assert table.lines.tolist() == [2, 3, 6, 7]


def test_an_empty_quoted_cell_is_a_row(write):
    with raises(DataError, "E-DATA-TEXT", where="line 3", problem="sentence"):
        read_table(write("x.csv", 'a\nb\n""\n'))


@pytest.mark.parametrize(
    ("text", "code", "fields"),
    [
        ('sentence,n\na,1\n"b,2\nc,3\n', "E-DATA-QUOTES", {"where": "line 3, column 1", "found": '"b,2'}),
        ('sentence,n\na,1\nb"c,2\n', "E-DATA-QUOTES", {"where": "line 3, column 2"}),
        ('sentence,n\n"a",1\nb,2"\n', "E-DATA-QUOTES", {"where": "line 3, column 4"}),
        ('sentence,n\n"a"b,1\n', "E-DATA-QUOTES", {"where": "line 2, column 4", "expected": "comma"}),
        (
            'sentence,n\n"a,1\nb,2\n"c",3\n',
            "E-DATA-QUOTES",
            {"where": "line 4, column 2", "cause": "line 2, column 1"},
        ),
        ('sentence,n\n"a""\n', "E-DATA-QUOTES", {"where": "line 2, column 1"}),
        ('sentence,n\na,1\n"b\nc",2,3\n', "E-DATA-ROW", {"where": "line 3", "expected": "2 columns", "found": "3: "}),
        ("sentence,n\na,1\n\nb,2\n", "E-DATA-ROW", {"where": "line 3", "problem": "blank"}),
    ],
)
def test_csv_faults_are_located(write, text, code, fields):
    with raises(DataError, code, **fields):
        read_table(write("x.csv", text))


# ── refusals of text files ───────────────────────────────────────────────────────────────────────────────

HEADER = b"sentence\tlabel\n"


@pytest.mark.parametrize(
    ("name", "content", "code", "fields"),
    [
        ("x.tsv", b"", "E-DATA-EMPTY", {"found": "0 bytes"}),
        ("x.tsv", codecs.BOM_UTF8, "E-DATA-EMPTY", {"found": "byte order mark"}),
        ("x.csv", b"\r\n \n", "E-DATA-EMPTY", {"found": "white space"}),
        ("x.tsv.gz", gz(b""), "E-DATA-EMPTY", {}),
        ("x.tsv", HEADER, "E-DATA-EMPTY", {"problem": "header"}),
        (
            "x.tsv",
            HEADER + b"a\t1\nb\n",
            "E-DATA-ROW",
            {"where": "x.tsv, line 3", "expected": "2", "found": "1: 'b'"},
        ),
        ("x.tsv", HEADER + b"a\t1\nb\t0\tc\n", "E-DATA-ROW", {"where": "line 3", "expected": "2", "found": "3: "}),
        ("x.tsv", b"sentence\na\t1\nb\t0\nc\t0", "E-DATA-ROW", {"where": "line 1", "expected": "2", "found": "1: "}),
        ("x.tsv", HEADER + b"a\t1\n\nb\t0\n", "E-DATA-ROW", {"where": "line 3", "problem": "blank"}),
        ("x.txt", b"a\n\nb\n", "E-DATA-TEXT", {"where": "line 2", "problem": "sentence"}),
        ("x.tsv", HEADER + b"a\t1\n\t0\n", "E-DATA-TEXT", {"where": "line 3", "problem": "sentence"}),
        ("x.tsv", HEADER + b"a\t1\n \xc2\xa0\t0\n", "E-DATA-TEXT", {"where": "line 3", "problem": "sentence"}),
        ("x.tsv", b"sentence\tsentence2\na\tb\nc\t\n", "E-DATA-TEXT", {"where": "line 3", "problem": "second"}),
        (
            "x.tsv",
            HEADER + b"a\t1\nb\0c\t0\n",
            "E-DATA-ENCODING",
            {"where": "line 3, byte offset 20", "problem": "NUL"},
        ),
        (
            "x.tsv",
            HEADER + b"a\t1\nna\xefve\t0\n",
            "E-DATA-ENCODING",
            {
                "where": "line 3, byte offset 21",
                "found": "0xef",
                "cause": "Latin-1",
                "next": ("iconv", "-f ISO-8859-1 -t UTF-8"),
            },
        ),
        (
            "x.tsv",
            HEADER + b"a\x93b\x94\t0\n",
            "E-DATA-ENCODING",
            {
                "where": "line 2, byte offset 16",
                "found": "0x93",
                "cause": "Windows-1252",
                "next": ("iconv ", "iconv -f WINDOWS-1252"),
            },
        ),
        (
            "x.tsv",
            HEADER + "é\t1\n".encode() + b"b\xe9\t0\n",
            "E-DATA-ENCODING",
            {"where": "line 3, byte offset 21", "cause": "the text before it is UTF-8"},
        ),
        (
            "x.tsv",
            codecs.BOM_UTF8 + b"a\xe9b\n",
            "E-DATA-ENCODING",
            {"where": "line 1, byte offset 4", "cause": "Latin-1"},
        ),
        (
            "x.tsv",
            HEADER + b"\xed\xa0\xbd\t0\n",
            "E-DATA-ENCODING",
            {"where": "line 2, byte offset 15", "cause": "surrogate"},
        ),
        (
            "x.tsv.gz",
            gz(HEADER + b"\xff\t0\n"),
            "E-DATA-ENCODING",
            {"where": "byte offset 15 of the unpacked", "next": ("gzip -dc ", " iconv")},
        ),
        (
            "x.tsv",
            "sentence\tlabel\na\t1\n".encode("utf-16"),
            "E-DATA-ENCODING",
            {"where": "byte offset 0", "found": "UTF-16", "next": ("iconv ", "-f UTF-16 ")},
        ),
        (
            "x.csv",
            "sentence,label\na,1\n".encode("utf-16-le"),
            "E-DATA-ENCODING",
            {"problem": "NUL", "cause": "UTF-16 without", "next": ("UTF-16LE ", "utf8.csv")},
        ),
        (
            "x.csv",
            "sentence,label\na,1\n".encode("utf-16-be"),
            "E-DATA-ENCODING",
            {"problem": "NUL", "cause": "UTF-16 without", "next": ("UTF-16BE ", "utf8.csv")},
        ),
        (
            "x.tsv.gz",
            gz(HEADER + b"a\t1\nb\0c\t0\n"),
            "E-DATA-ENCODING",
            {"problem": "unpacked", "where": "of the unpacked file", "cause": "compressed content that is not text"},
        ),
        ("x.tsv", tar("x.tsv", HEADER), "E-DATA-FORMAT", {"problem": "tar archive", "next": "tar -xf "}),
        ("x.tsv.gz", gz(tar("x.tsv", HEADER)), "E-DATA-FORMAT", {"problem": "tar archive", "next": "tar -xf "}),
        ("x.tar", tar("x.tsv", HEADER), "E-DATA-FORMAT", {"found": ".tar", "next": "tar -xf "}),
        ("x.tar.gz", gz(tar("x.tsv", HEADER)), "E-DATA-FORMAT", {"found": ".tar.gz", "next": "tar -xf "}),
        ("x.tgz", gz(tar("x.tsv", HEADER)), "E-DATA-FORMAT", {"found": ".tgz", "next": "tar -xf "}),
    ],
)
def test_faulty_text_is_refused(write, name, content, code, fields):
    with raises(DataError, code, **fields):
        read_table(write(name, content))


# ── the file itself ──────────────────────────────────────────────────────────────────────────────────────


def test_missing_file_suggests_its_neighbour(write):
    path = write("train.tsv", "a\n")
    with raises(DataError, "E-DATA-MISSING", where="tran.tsv", next="train.tsv?"):
        read_table(path.with_name("tran.tsv"))
    with raises(DataError, "E-DATA-MISSING", cause="nowhere"):
        read_table(str(path.parent / "nowhere" / "train.tsv"))


@pytest.mark.parametrize(
    ("missing", "there", "meant"),
    [
        ("nofile.csv", ["nul.csv"], None),  # alike in the suffix alone
        ("nofile.csv.gz", ["nul.csv.gz", "x.csv.gz"], None),
        ("reviws.csv", ["reviews.csv", "reviews.tsv"], "reviews.csv"),
        ("reviws.tsv", ["reviews.csv", "reviews.tsv"], "reviews.tsv"),
        ("reviews.csv", ["reviews.jsonl.gz"], "reviews.jsonl.gz"),
        ("Reviews.2024.csv", ["reviews.2025.txt"], "reviews.2025.txt"),
        ("reviews.csv", ["reviews.md", ".reviews.csv"], None),  # not read as rows
        ("review", ["reviews"], "reviews"),
    ],
)
def test_a_file_is_meant_by_its_name_without_the_suffix(tmp_path, missing, there, meant):
    for name in there:
        (tmp_path / name).touch() if "." in name else (tmp_path / name).mkdir()
    with raises(DataError, "E-DATA-MISSING") as caught:
        read_table(tmp_path / missing)
    assert caught.value.details.get("next") == (meant and f"did you mean {tmp_path / meant}?")


def test_folder_unknown_extension_and_unreadable_name(tmp_path, write):
    with raises(DataError, "E-DATA-FORMAT", where=str(tmp_path), expected="one file"):
        read_table(tmp_path)
    for name in ("train.dat", "train", "train.gz", "train.tsv.bak"):
        with raises(DataError, "E-DATA-FORMAT", where=name, expected=(".tsv ", ".jsonl ", ".parquet")):
            read_table(write(name, "a\n"))
    with raises(DataError, "E-DATA-UNREADABLE", cause="null byte"):
        read_table("a\0b.tsv")


@pytest.mark.parametrize(
    ("name", "content", "promised", "found"),
    [
        ("x.tsv.gz", b"sentence\n", "gzip", "unknown data"),
        ("x.tsv.zst", gz(b"a\n"), "zstd", "gzip data"),
        ("x.tsv", gz(b"a\n"), "tsv", "gzip data"),
        ("x.csv", PACK[".zst"](b"a\n"), "csv", "zstd data"),
        ("x.tsv", b"PK\x03\x04\x14\0", "tsv", "zip data"),
        ("x.jsonl", b"PAR1\x15\0PAR1", "jsonl", "parquet data"),
        ("x.tsv.gz", gz(gz(b"a\n")), "tsv", "gzip data"),
        ("x.tsv", b"ARROW1\0\0rest", "tsv", "arrow data"),
        ("x.parquet", b"sentence\n", "parquet", "unknown data"),
    ],
)
def test_the_magic_number_must_agree_with_the_name(write, name, content, promised, found):
    with raises(
        DataError,
        "E-DATA-FORMAT",
        expected=f"{promised} data",
        found=found,
        **({"cause": "Excel"} if found[:3] == "zip" else {}),
    ):
        read_table(write(name, content))


def test_text_may_begin_like_a_parquet_file(write):
    assert sentences(read_table(write("x.txt", "PAR1 is a word\n"))) == ["PAR1 is a word"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_every_member_is_read(write, suffix):
    parts = [PACK[suffix](f"row {n}\n".encode() * 50_000) for n in range(3)]
    table = read_table(write(f"x.txt{suffix}", b"".join(parts)))
    assert sentences(table) == [f"row {n}" for n in range(3) for _ in range(50_000)]


def test_zstd_skippable_frames_and_frames_without_size(write):
    stream = zstandard.ZstdCompressor().compressobj()
    frame = stream.compress(b"a\n") + stream.flush()
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0xyz"
    assert sentences(read_table(write("x.txt.zst", skippable + frame + skippable + frame))) == ["a", "a"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_file_is_never_read_as_a_shorter_one(write, suffix):
    text = "\n".join(f"row {n * 7919}" for n in range(15)).encode()
    packed = PACK[suffix](text) + PACK[suffix](text)
    whole_members = {0, len(packed) // 2}
    for length in range(len(packed)):
        if length in whole_members:
            continue
        with pytest.raises(DataError) as caught:
            read_table(write(f"x.txt{suffix}", packed[:length]))
        assert caught.value.code in ("E-DATA-DAMAGED", "E-DATA-FORMAT")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damage_and_trailing_bytes_are_refused(write, suffix):
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(b"a\nb\n") if suffix == ".zst" else gz(b"a\nb\n")
    with raises(DataError, "E-DATA-DAMAGED", where=f"x.txt{suffix}"):
        read_table(write(f"x.txt{suffix}", packed + b"rubbish"))
    flipped = bytearray(packed)
    flipped[-1 if suffix == ".zst" else -5] ^= 1  # in the checksum
    with raises(DataError, "E-DATA-DAMAGED", where=f"x.txt{suffix}"):
        read_table(write(f"x.txt{suffix}", bytes(flipped)))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb_is_refused(write, suffix):
    bomb = PACK[suffix]((b"a" * 1023 + b"\n") * (40 << 10))  # long lines: few rows are made before the limit
    with raises(DataError, "E-DATA-UNSAFE", cause="decompression bomb"):
        read_table(write(f"x.txt{suffix}", bomb))


def test_a_small_file_may_pack_well(write):
    packed = PACK[".gz"](b"a\n" * 100_000)
    assert len(packed) * unpack._MAX_RATIO < 200_000
    assert len(read_table(write("x.txt.gz", packed))) == 100_000


# ── JSON lines ───────────────────────────────────────────────────────────────────────────────────────────


def test_json_values_become_text(write):
    rows = [
        {"text": "a", "label": True, "id": 1, "p": 0.5, "note": None, "tags": ["x", {"y": "é"}]},
        {"text": "b", "label": False, "id": -2, "more": "z"},
        {"text": 3, "label": 0},
    ]
    table = read_table(write("x.jsonl", "\r\n".join(map(json.dumps, rows)) + "\n\n"))
    assert table.frame.to_dicts() == [
        {
            "sentence": "a",
            "label": "true",
            "id": "1",
            "p": "0.5",
            "note": "",
            "tags": '["x", {"y": "é"}]',
            "more": "",
        },
        {"sentence": "b", "label": "false", "id": "-2", "p": "", "note": "", "tags": "", "more": "z"},
        {"sentence": "3", "label": "0", "id": "", "p": "", "note": "", "tags": "", "more": ""},
    ]
    assert table.schema == "JSON: sentence ← text, label; passed over: id, p, note, tags, more"
    assert table.lines.tolist() == [1, 2, 3]


GOOD = '{"sentence": "a", "label": 1}\n'


@pytest.mark.parametrize(
    ("line", "code", "fields"),
    [
        ("[1]", "E-DATA-ROW", {"cause": "a JSON list"}),
        ('"a"', "E-DATA-ROW", {"cause": "a JSON str"}),
        ("null", "E-DATA-ROW", {}),
        ('{"sentence": "b"', "E-DATA-ROW", {"cause": "column 17"}),
        ('{"sentence": "b", "label": 1} {}', "E-DATA-ROW", {"cause": "Extra data"}),
        ('{"sentence": "b", "label": NaN}', "E-DATA-ROW", {"cause": "NaN is not JSON"}),
        ('{"sentence": "b", "label": -Infinity}', "E-DATA-ROW", {"cause": "-Infinity is not JSON"}),
        ('{"sentence": "b", "label": 1, "label": 0}', "E-DATA-ROW", {"cause": "'label' appears twice"}),
        ('{"sentence": "b", "label": 1, "x": ' + "[" * 200_000, "E-DATA-ROW", {}),
        ('{"sentence": "b", "label": ' + "1" * 5000 + "}", "E-DATA-ROW", {}),
        ("", "E-DATA-ROW", {}),
        ('{"sentence": null, "label": 1}', "E-DATA-TEXT", {"problem": "sentence"}),
        ('{"label": 1}', "E-DATA-TEXT", {"problem": "sentence"}),
        ('{"sentence": {"x": 1}, "label": 1}', "E-DATA-TEXT", {"problem": "sentence", "found": "dict"}),
        ('{"sentence": "b\\u0000", "label": 1}', "E-DATA-TEXT", {"problem": "NUL"}),
        (
            '{"sentence": "b\\ud800", "label": 1}',
            "E-DATA-TEXT",
            {"where": "line 2, column 'sentence'", "found": "ud800"},
        ),
        ('{"sentence": "b", "label": 1, "\\ud800": 1}', "E-DATA-TEXT", {"found": "ud800", "where": "x.jsonl, line 1"}),
    ],
)
def test_faulty_json_is_located(write, line, code, fields):
    with raises(DataError, code, **{"where": "x.jsonl, line 2", **fields}):
        read_table(write("x.jsonl", GOOD + line + "\n" + GOOD))


def test_a_whole_pair_of_escaped_surrogates_is_a_character(write):
    assert sentences(read_table(write("x.jsonl", '{"text": "\\ud83d\\ude00"}'))) == ["😀"]


# ── round trips ──────────────────────────────────────────────────────────────────────────────────────────


def encode(suffix, names, rows):
    """Writes rows with the standard library (TSV by joining cells)."""
    if suffix == ".tsv":
        return "".join("\t".join(row) + "\n" for row in [names, *rows]).encode()
    if suffix == ".csv":
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows([names, *rows])
        return out.getvalue().encode()
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()


SPECIAL = st.sampled_from(list("\"',\b\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff\\\u00a0e\u0301😀"))


def cells(suffix, least):
    forbidden = "\0\t\n\r" if suffix == ".tsv" else "\0"
    plain = st.characters(codec="utf-8", exclude_characters=forbidden)
    line_breaks = st.sampled_from(["\r", "\r\n", "\n"]) if suffix != ".tsv" else st.sampled_from(["\rx"])
    return st.lists(plain | SPECIAL | line_breaks, min_size=least, max_size=12).map("".join)


def tables(suffix):
    sentence = cells(suffix, 1).filter(lambda text: text.strip())
    return st.lists(st.tuples(sentence, st.sampled_from(["0", "1", "None"]), cells(suffix, 0)), min_size=1, max_size=8)


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("suffix", [".tsv", ".csv", ".jsonl"])
def test_written_tables_are_read_back(tmp_path, suffix, packing):
    path = tmp_path / f"x{suffix}{packing}"

    @given(tables(suffix), st.booleans())
    @settings(max_examples=40, deadline=None, database=None)
    def round_trip(rows, end):
        rows = [(*row, "end") for row in rows]  # a TSV line's last \r would be part of the line end
        data = encode(suffix, ["sentence", "label", "note", "last"], rows)
        path.write_bytes(PACK[packing](data if end else data.removesuffix(b"\n")))
        assert read_table(path).frame.rows() == rows

    round_trip()


@given(st.binary(max_size=60), st.sampled_from(["", "sentence,n\n", "sentence\tn\n", '{"sentence": "']))
@settings(max_examples=25, deadline=None, database=None)
def test_no_bytes_raise_anything_but_a_data_error(tmp_path_factory, dropout_masks, start):
    folder = tmp_path_factory.getbasetemp()
    for suffix in (".tsv", ".csv", ".jsonl", ".parquet", ".arrow", ".txt.gz", ".txt.zst"):
        path = folder / f"noise{suffix}"
        path.write_bytes(start.encode() + dropout_masks)
        try:
            table = read.read_table(path)
        except DataError:
            assert isinstance(streamed(path), str)  # of two faults the first one
            continue
        assert streamed(path) == contents(table)


# ── which column is which ────────────────────────────────────────────────────────────────────────────────

PAIRS = [["0", "Aha it is."], ["1", "It was."], ["0", "Was."], ["1", "So."]]


@pytest.mark.parametrize(
    ("rows", "schema", "first"),
    [
        ([["sentence"], ["a"]], "with a header: sentence", {"sentence": "a"}),
        ([["a"], ["sentence"]], "without a header: sentence ← column 1", {"sentence": "a"}),
        (
            [["id", "Text", "Acceptable", "source"], ["7", "a", "1", "s"]],
            "with a header: sentence ← Text, label ← Acceptable; passed over: id, source",
            {"id": "7", "sentence": "a", "label": "1", "source": "s"},
        ),
        (
            [["text", "sentence", "y"], ["t", "a", "1"]],
            "with a header: sentence, label ← y; passed over: text",
            {"text": "t", "sentence": "a", "label": "1"},
        ),
        (
            [["premise", "hypothesis", "label"], ["p", "h", "neutral"]],
            "with a header: sentence ← premise, second ← hypothesis, label",
            {"sentence": "p", "second": "h", "label": "neutral"},
        ),
        (
            [["question1", "question2", "is_duplicate"], ["p", "h", "1"]],
            "with a header: sentence ← question1, second ← question2, label ← is_duplicate",
            {"sentence": "p", "second": "h", "label": "1"},
        ),
        (
            [["index", "sentence", ""], ["0", "a", "z"]],
            "with a header: sentence; passed over: index, column3",
            {"column3": "z"},
        ),
        (
            [["review", "label"], ["a", ""], ["b", ""]],
            "with a header: sentence ← review, label; label left out",
            {"sentence": "a"},
        ),
        (
            [row.split("\t") for row in cola_lines(3)],
            "without a header, as CoLA's: sentence ← column 4, label ← column 2",
            {"label": "1"},
        ),
        (PAIRS, "without a header: sentence ← column 2, label ← column 1", {"label": "0", "sentence": "Aha it is."}),
        (
            [row[::-1] for row in PAIRS],
            "without a header: sentence ← column 1, label ← column 2",
            {"label": "0", "sentence": "Aha it is."},
        ),
        (
            [[row[1], "Good"] for row in PAIRS],
            "without a header: sentence ← column 1, label ← column 2",
            {"label": "Good"},
        ),
    ],
)
@pytest.mark.parametrize("separator", ["\t", ","])
def test_columns_are_recognised(write, rows, schema, first, separator):
    name = {"\t": "x.tsv", ",": "x.csv"}[separator]
    table = read_table(write(name, "\n".join(separator.join(row) for row in rows)))
    assert table.schema.split(" ", 1)[1].startswith(schema)
    assert table.frame.row(0, named=True).items() >= first.items()
    if "left out" in schema:
        assert table.frame.columns == ["sentence"]


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a\tb\tc\n", {"found": "1 'a' | 2 'b' | 3 'c'", "next": "--columns sentence=1"}),
        ("1\t0\n0\t1\n1\t1\n1\t1", {"found": "1 '1' | 2 '0'"}),  # both columns look like labels
        ("1\ta\n0\tb\n1\tc", {"found": "1 '1' | 2 'a'"}),  # too few rows to judge
        ("sentence\tlabel\tgold\na\t1\t1\n", {"found": "label, gold", "next": "--columns label=label"}),
        ("sentence\tid\tid\na\t1\t1\n", {"problem": "'id'", "found": "sentence, id, id"}),
        (
            "\n".join([*cola_lines(4), "s\t2\t\tx"]),
            {"problem": "CoLA", "where": "line 5", "expected": "0 or 1 in column 2", "found": "'2'"},
        ),
    ],
)
def test_unclear_columns_are_refused(write, text, fields):
    with raises(DataError, "E-DATA-COLUMN", **fields):
        read_table(write("x.tsv", text))


def test_twenty_labels_are_still_labels(write):
    table = read_table(write("x.tsv", "\n".join(f"{n * 7 % 20}\ttext {n}" for n in range(20))))
    assert table.schema == "TSV without a header: sentence ← column 2, label ← column 1"


@pytest.mark.parametrize("rows", [5, 20, 21, 500])
def test_numbers_that_count_up_are_those_of_rows(write, rows):
    table = read_table(write("x.tsv", "\n".join(f"{n}\ttext {n}" for n in range(rows))))
    assert table.schema == "TSV without a header: sentence ← column 2; passed over: column 1"


@pytest.mark.parametrize(
    ("text", "columns", "schema", "rows"),
    [
        (
            "s\t1\t\ta\n",
            {"sentence": "4", "label": "2"},
            "without a header: sentence ← column 4, label ← column 2; passed over: column 1, column 3",
            [("s", "1", "", "a")],
        ),
        (
            "s\t1\ta\n",
            {"sentence": "3", "src": "1"},
            "without a header: sentence ← column 3, src ← column 1; passed over: column 2",
            [("s", "1", "a")],
        ),
        (
            "tweet\tlabel\na\t1\n",
            {"sentence": "1", "label": "2"},
            "with a header: sentence ← tweet, label",
            [("a", "1")],
        ),
        (
            "text\tok\na\t1\n",
            {"sentence": "1", "label": "2"},
            "with a header: sentence ← text, label ← ok",
            [("a", "1")],
        ),
        (
            "Yes.\ty\nNo.\tn\nOh.\ty\n",
            {"sentence": "1", "label": "2"},
            "without a header: sentence ← column 1, label ← column 2",
            [("Yes.", "y"), ("No.", "n"), ("Oh.", "y")],
        ),
        (
            "tweet\tok\na\t1\n",
            {"sentence": "tweet", "label": "ok"},
            "with a header: sentence ← tweet, label ← ok",
            [("a", "1")],
        ),
        ("tweet\tlabel\na\t1\n", {"sentence": "tweet"}, "with a header: sentence ← tweet, label", [("a", "1")]),
        (
            "a\tb\tlabel\tgold\n1\t2\t3\t4\n",
            {"sentence": "2", "label": "gold", "old": "label"},
            "with a header: sentence ← b, label ← gold, old ← label; passed over: a",
            [("1", "2", "3", "4")],
        ),
        (
            "premise\thypothesis\np\th\n",
            {"sentence": "hypothesis"},
            "with a header: sentence ← hypothesis; passed over: premise",
            [("p", "h")],
        ),
    ],
)
def test_columns_can_be_given(write, text, columns, schema, rows):
    table = read_table(write("x.tsv", text), columns=columns)
    assert (table.schema, table.frame.rows()) == (f"TSV {schema}", rows)


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        (
            {"sentence": "twet"},
            {
                "problem": "'twet'; did you mean 'tweet'?",
                "expected": "tweet, ok, label",
                "next": "--columns sentence=tweet",
            },
        ),
        ({"sentence": "4"}, {"problem": "'4'", "expected": "one of these columns: 1, 2, 3"}),
        ({"sentence": "0"}, {"problem": "'0'", "expected": "one of these columns: 1, 2, 3"}),
        ({"sentence": "1", "label": "1"}, {"problem": "'1'", "found": "label=1"}),
        (
            {"sentence": "tweet", "label": "ok"},
            {"problem": "'label'", "next": "--columns sentence=tweet,label=ok,other_label=3"},
        ),
        ({"label": "ok", "old": "tweet"}, {"problem": "sentences", "expected": "tweet, ok, label"}),
    ],
)
def test_wrong_columns_are_refused(write, columns, fields):
    with raises(DataError, "E-DATA-COLUMN", **fields):
        read_table(write("x.tsv", "tweet\tok\tlabel\na\t1\t2\n"), columns=columns)


def reviews(write, text="review,stars,sentiment\n"):
    return write("reviews.csv", text + "".join(f"all is well here {n},{n % 5},{n % 2}\n" for n in range(20)))


@pytest.mark.parametrize(
    ("columns", "following"),
    [
        ({"label": "sentimnt"}, "--columns label=sentiment"),
        ({"sentence": "reveiw", "label": "stars"}, "--columns sentence=review,label=stars"),
        ({"sentence": "review", "label": "reviews"}, "--columns sentence=review,label=sentiment"),
        ({"sentence": "foo", "label": "bar"}, "--columns sentence=review,label=sentiment"),
        ({"sentence": "foo", "label": "stars", "kept": "bar"}, "--columns sentence=review,label=stars"),
        ({"label": "4"}, "--columns sentence=review,label=sentiment"),
    ],
)
def test_a_name_that_no_column_has_is_answered_by_one_that_a_column_has(write, columns, following):
    """A name that looks alike is corrected and the rest left; else known names come before what cells look like."""
    with raises(DataError, "E-DATA-COLUMN") as caught:
        read_table(reviews(write), columns=columns)
    assert caught.value.details["next"].endswith(following)
    advised = following.removeprefix("--columns ")
    read_table(reviews(write), columns=dict(part.split("=") for part in advised.split(",")))


def test_a_column_of_labels_is_advised_by_its_name(write):
    with raises(DataError, "E-DATA-COLUMN", next="--columns sentence=words,label=sentiment"):
        read_table(reviews(write, "words,stars,sentiment\n"))
    with raises(DataError, "E-DATA-COLUMN", next="--columns sentence=words,label=stars"):
        read_table(reviews(write, "words,stars,mood\n"))
    with raises(DataError, "E-DATA-COLUMN", next="--columns sentence=words,label=stars"):  # as the caller says
        read_table(reviews(write, "words,stars,sentiment\n"), columns={"label": "stars"})
    with raises(DataError, "E-DATA-COLUMN", next="--columns sentence=1,label=stars"):  # a name that no option can hold
        read_table(reviews(write, '"words, all",stars,mood\n'))


def test_a_column_called_label_is_no_sentence_if_the_other_looks_like_labels(write):
    """Two columns can be told by their cells, but not against a name."""
    with raises(DataError, "E-DATA-COLUMN", problem="sentences", next="--columns"):
        read_table(write("x.csv", "label,length\nnice,31\nrude,30\nnice,12\nrude,12\n"))
    table = read_table(write("y.csv", "comment,label\nall is well here,nice\ngo away now,rude\n"))
    assert table.frame.columns == ["sentence", "label"]


def test_a_link_to_nowhere_is_called_so(tmp_path):
    (tmp_path / "a.csv").symlink_to("nowhere.csv")
    with raises(DataError, "E-DATA-MISSING", where="a.csv", cause="a link to nowhere.csv") as caught:
        read_table(tmp_path / "a.csv")
    assert "next" not in caught.value.details


# ── Parquet and Arrow ────────────────────────────────────────────────────────────────────────────────────

ARROW = pa.table(
    {
        "text": ["None", "a\tb\n", "NA"],
        "label": pa.array(["good", "bad", "good"]).dictionary_encode(),
        "n": [1, None, 3],
        "tags": [["x"], [], None],
    }
)


def arrow_bytes(kind, table, chunk=1):
    out = pa.BufferOutputStream()
    if kind == ".parquet":
        pq.write_table(table, out)
    else:
        new = pa.ipc.new_stream if kind == ".stream.arrow" else pa.ipc.new_file
        with new(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=chunk)
    return out.getvalue().to_pybytes()


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", [".parquet", ".arrow", ".feather", ".ipc", ".stream.arrow"])
def test_arrow_formats(write, kind, packing):
    table = read_table(write(f"x{kind}{packing}", PACK[packing](arrow_bytes(kind, ARROW))))
    assert table.frame.rows() == [
        ("None", "good", "1", '["x"]'),
        ("a\tb\n", "bad", "", "[]"),
        ("NA", "good", "3", ""),
    ]
    assert table.schema.split(": ", 1)[1] == "sentence ← text, label; passed over: n, tags"
    assert table.lines.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", [".parquet", ".arrow", ".stream.arrow"])
def test_arrow_faults(write, kind):
    data = arrow_bytes(kind, ARROW.select(["text"]))
    for length in range(8, len(data), 8):  # messages, and so clean cuts, are aligned to 8 bytes
        with pytest.raises(DataError) as caught:
            read_table(write(f"x{kind}", data[:length]))
        assert caught.value.code in ("E-DATA-DAMAGED", "E-DATA-FORMAT")
    for column, code, fields in (
        (pa.array(["a", None]), "E-DATA-TEXT", {"where": "row 2"}),
        (pa.array(["a", ""]), "E-DATA-TEXT", {"where": "row 2"}),
        (pa.array([b"a", b"\xff"]), "E-DATA-TEXT", {"where": "row 1", "found": "bytes"}),
        (pa.array([b"a", b"\xff"]).view(pa.utf8()), "E-DATA-DAMAGED", {}),
    ):
        with raises(DataError, code, **fields):
            read_table(write(f"x{kind}", arrow_bytes(kind, pa.table({"sentence": column}))))
    with raises(DataError, "E-DATA-EMPTY"):
        read_table(write(f"x{kind}", arrow_bytes(kind, ARROW[:0])))


def test_impossible_arrow_offsets_are_refused(write):
    offsets = pa.py_buffer(np.array([0, 2, 1, 2], dtype=np.int32))  # the second string has length -1
    column = pa.Array.from_buffers(pa.utf8(), 3, [None, offsets, pa.py_buffer(b"ab")])
    with raises(DataError, "E-DATA-DAMAGED", where="x.arrow"):
        read_table(write("x.arrow", arrow_bytes(".arrow", pa.table({"sentence": column}), chunk=3)))


# ── objects in memory ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "schema", "expected"),
    [
        (["a", "None"], "list: sentence", [("a",), ("None",)]),
        ([("a", 1), ("b", True)], "list: sentence, label", [("a", "1"), ("b", "true")]),
        (
            (["a", "b", 1.0], ["c", "d", np.int64(0)]),
            "list: sentence, second, label",
            [("a", "b", "1.0"), ("c", "d", "0")],
        ),
        (
            [{"text": "a"}, {"text": "b", "x": 1}],
            "list: sentence ← text; passed over: x",
            [("a", ""), ("b", "1")],
        ),
        (
            [("a", None), ("b", None)],
            "list: sentence, label; label left out: empty in every row",
            [("a",), ("b",)],
        ),
    ],
)
def test_lists(rows, schema, expected):
    table = read_table(rows)
    assert (table.schema, table.frame.rows(), table.origin) == (schema, expected, "list")
    assert table.lines.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("source", "code", "fields"),
    [
        ([], "E-DATA-EMPTY", {}),
        (["a", ("b", 1)], "E-DATA-TYPE", {"where": "row 2", "found": "b"}),
        ([("a", 1), ("b", "c", 1)], "E-DATA-TYPE", {"where": "row 2"}),
        ([("a",)], "E-DATA-TYPE", {"where": "row 1"}),
        ([3], "E-DATA-TYPE", {"where": "row 1"}),
        (["a", " "], "E-DATA-TEXT", {"where": "row 2", "problem": "sentence"}),
        (["a", "\ud800"], "E-DATA-TEXT", {"where": "row 2, column 'sentence'", "found": "ud800"}),
        ([{}], "E-DATA-COLUMN", {"problem": "sentences"}),
        ([{"txt": "a"}], "E-DATA-COLUMN", {"expected": "one of these columns: txt"}),
        (3, "E-DATA-TYPE", {"found": "builtins.int"}),
        (b"train.tsv", "E-DATA-TYPE", {"found": "bytes"}),
        (iter(["a"]), "E-DATA-TYPE", {"found": "list_iterator"}),
        (pl.DataFrame({"sentence": ["a", None]}), "E-DATA-TEXT", {"where": "row 2", "problem": "sentence"}),
        (pl.DataFrame({"sentence": ["a"], "label": [None]}).clear(), "E-DATA-EMPTY", {}),
        (pl.DataFrame({"a": ["a"]}).lazy(), "E-DATA-TYPE", {"found": "polars.LazyFrame"}),
    ],
)
def test_wrong_objects_are_refused(source, code, fields):
    with raises(DataError, code, **fields):
        read_table(source)


def test_polars():
    frame = pl.DataFrame(
        {
            "text": ["a", "NA"],
            "label": pl.Series(["x", "y"], dtype=pl.Categorical),
            "n": [1.5, None],
            "b": [True, False],
        }
    )
    table = read_table(frame)
    assert table.frame.rows() == [("a", "x", "1.5", "true"), ("NA", "y", "", "false")]
    assert table.frame.dtypes == [pl.String] * 4
    assert table.origin == "DataFrame (polars)"


def test_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"sentence": ["a", "nan"], "label": pd.Categorical(["x", "y"]), "n": [1, None], 4: [True, False]},
        index=[7, 7],
    )
    table = read_table(frame)
    assert table.frame.rows() == [("a", "x", "1.0", "true"), ("nan", "y", "", "false")]
    assert (table.origin, table.frame.columns) == ("DataFrame (pandas)", ["sentence", "label", "n", "4"])
    for column in (["a", float("nan")], ["a", None], ["a", pd.NA]):
        with raises(DataError, "E-DATA-TEXT", where="row 2", problem="sentence"):
            read_table(pd.DataFrame({"sentence": column}))
    with raises(DataError, "E-DATA-COLUMN", problem="'x'", found="sentence, x, x"):
        read_table(pd.DataFrame([["a", 1, 2]], columns=["sentence", "x", "x"]))


def test_datasets():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "sentence": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["bad", "good"]),
            "idx": datasets.Value("int32"),
        }
    )

    def dataset(labels):
        rows = {
            "sentence": [f"s{n}" for n in range(len(labels))],
            "label": labels,
            "idx": list(range(len(labels))),
        }
        return datasets.Dataset.from_dict(rows, features=features)

    table = read_table(dataset([1, 0, 1]).with_format("numpy").select([2, 1]))
    assert table.frame.rows() == [("s2", "good", "2"), ("s1", "bad", "1")]
    assert table.origin == "Dataset"
    hidden = read_table(dataset([-1, -1]))
    assert hidden.frame.columns == ["sentence", "idx"]
    assert "label left out" in hidden.schema
    plain = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": [-1, -1]})
    assert read_table(plain).frame.columns == ["sentence"]
    assert read_table(dataset([1, -1])).frame["label"].to_list() == ["good", ""]
    with raises(DataError, "E-DATA-TYPE", found="datasets.DatasetDict", next="dataset['train']"):
        read_table(datasets.DatasetDict({"train": dataset([1])}))


def test_the_fingerprint_follows_the_rows(write):
    rows = [("a", "1"), ("b", "0")]
    frame = pl.DataFrame(rows, schema=["sentence", "label"], orient="row")
    prints = {read_table(source).sha256 for source in (rows, frame, frame.to_dicts())}
    assert len(prints) == 1
    others = [rows[::-1], [("a", "1"), ("b", "1")], [("a", "1")], ["a", "b"]]
    assert len({read_table(other).sha256 for other in others} | prints) == 5
    packed = read_table(write("x.tsv.gz", gz(b"sentence\na\n"))).sha256
    assert packed != read_table(write("x.tsv", b"sentence\na\n")).sha256  # the bytes as stored


def test_reading_imports_neither_pandas_nor_datasets(write):
    path = write("x.tsv", "\n".join(cola_lines(3)))
    code = (
        "import sys; from acceptor.data.reading.read import read_table; read_table(sys.argv[1]); read_table(['a']);"
        "print(sorted({'pandas', 'datasets', 'torch', 'transformers', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------------- found by a reader


def test_a_long_row_behind_the_header_is_read_in_parts_too(write):
    """The characters of a quoted cell are counted before its row is whole: the header alone is no part."""
    text = "a long line of text\n" * 100_000
    path = write("long.csv", f'id,text\n1,"{text}"\n2,"short text here"\n')
    with TableStream(str(path), text=1 << 20) as stream:
        found = [row for part in stream.parts() for row in stream.table(part, lambda *_: None).frame.rows()]
    assert [len(row[-1]) for row in found] == [len(text), 15]


def test_a_comma_at_the_end_of_a_json_array_is_an_error(write):
    for end in (",]", ", \n ]"):
        with raises(DataError, "E-DATA-FORMAT", cause="behind the last comma"):
            read_table(write("x.json", f'[{{"sentence": "a b", "label": "0"}}{end}'))


def test_the_key_of_rows_in_an_object_cannot_leave_its_quotes(write):
    key = "a'; touch pwned; '"
    with pytest.raises(DataError) as caught:
        read_table(write("x.json", json.dumps({key: [{"sentence": "a b"}], "n": 1})))
    words = shlex.split(caught.value.details["next"])
    assert words == ["jq", "-c", f'.["{key}"][]', "FILE.json", ">", "FILE.jsonl"]


def test_a_zip_whose_names_are_not_utf_8_is_an_error(write):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("f\u00e9.tsv", "sentence\tlabel\n")
    path = write("x.zip", packed.getvalue().replace("f\u00e9".encode(), b"f\xff\xfe"))
    with raises(DataError, "E-DATA-DAMAGED", where=str(path)):
        read_table(path)


@pytest.mark.parametrize(
    ("number", "kind"), [(10**8, pa.date32()), (10**15, pa.timestamp("ms")), (10**15, pa.duration("s"))], ids=str
)
def test_cells_that_python_has_no_value_for_are_text(tmp_path, number, kind):
    pq.write_table(pa.table({"sentence": ["a b"], "when": pa.array([number], kind)}), tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet").frame["sentence"].to_list() == ["a b"]


def test_ragged_rows_are_looked_at_once(write, monkeypatch):
    """Whether another separator would fit is asked of the file, not of each of its bad rows."""
    asked, real = [], delimited._other_separator
    monkeypatch.setattr(delimited, "_other_separator", lambda *given: asked.append(1) or real(*given))
    lines = ["id\tsentence", *(f"{n}\ta b" + "\tx" * (n % 4 == 0) for n in range(1, 200))]
    with TableStream(str(write("x.tsv", "\n".join(lines)))) as stream:
        for part in stream.parts():
            stream.table(part, lambda *_: None)
    assert len(asked) <= 3


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("j.tsv", b'{"sentence": "a"}\n{"sentence": "b"}\n', "mv {} FILE.jsonl"),
        ("j.tsv.gz", b'{"sentence": "a"}\n{"sentence": "b"}\n', "mv {} FILE.jsonl.gz"),
        ("mac.tsv", b"sentence\tlabel\ra b\t0\rc d\t1\r", "tr '\\r' '\\n' < {} > with-line-feeds.tsv"),
        ("mac.tsv.gz", b"sentence\tlabel\ra b\t0\rc d\t1\r", "gzip -dc {} | tr '\\r' '\\n' > with-line-feeds.tsv"),
        ("w.tsv", b"sentence\tlabel\ncaf\xe9 x\t0\n", "iconv -f ISO-8859-1 -t UTF-8 < {} > in-utf8.tsv"),
        ("w.tsv.gz", b"sentence\tlabel\ncaf\xe9 x\t0\n", "gzip -dc {} | iconv -f ISO-8859-1 -t UTF-8 > in-utf8.tsv"),
    ],
)
def test_the_command_that_repairs_a_file_works_on_packed_ones_too(write, tmp_path, monkeypatch, name, content, command):
    """It is run in a shell, and its result is read."""
    monkeypatch.chdir(tmp_path)
    path = write(name, gz(content) if name.endswith(".gz") else content)
    with pytest.raises(DataError) as caught:
        read_table(path)
    advice = caught.value.details["next"].removeprefix("name it after what it holds: ").split("\n")[0]
    assert advice == command.format(path)
    subprocess.run(["bash", "-c", advice], check=True)
    assert len(read_table(next(tmp_path / last for last in [advice.split()[-1]])).frame) in (1, 2)
