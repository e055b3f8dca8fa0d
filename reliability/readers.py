"""Files of rows as the world has them: every cell comes through exactly, or the file is refused with its line.

`bad_files` writes some 200 files over TSV, CSV, JSON lines and Parquet, plain, gzipped and as zstd, and knows for each
what reading it must give. `fuzzed` changes random bytes of valid files; what is valid then is not known, so it asks
only that reading ends, in time, in rows or in an `AcceptorError`. Its changes follow from the seed alone: no coverage
guides them, so that a failure's number is enough to see it again.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from acceptor.data.load import load_data
from acceptor.data.reading.read import read_table
from acceptor.errors import AcceptorError
from reliability.outcome import Outcome

SECONDS = 5.0  # of processor time for one file
Row = Sequence[str]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
FORMS = (".tsv", ".csv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class BadFile:
    """A file, and what reading it must give: these rows, or an error in whose text the pattern is found."""

    name: str
    what: str
    content: bytes
    rows: list[Row] | None = None
    error: str = ""
    as_corpus: bool = False  # read by `load_data`, so that labels are looked at


# ── what must come through ───────────────────────────────────────────────────────────────────────────────

EXACT: dict[str, list[str]] = {
    "quotes": ['"unclosed', "b", '"quoted"', 'mid "dle"', '""', "'a'"],
    "words for missing values": ["None", "NA", "null", "nan", "N/A", "NaN", "-", "0", "TRUE"],
    "line separators of Unicode": ["a\u2028b", "a\u2029b", "a\x85b", "a\x0bb", "a\x0cb", "a\x1cb", "a\x1eb"],
    "lone carriage returns": ["a\rb", "\rb", "a\r \rb"],
    "controls": ["a\bb", "\x1b[2Jx", "\x7fdel", "a\x01b"],
    "white space around": ["  a", "a  ", "\u00a0a\u00a0", "\u3000a"],
    "no normal form": ["e\u0301", "\u00e9", "\ufb01", "\u212b", "a\ufeffb"],
    "emoji, joiners, right to left": ["👩\u200d👩\u200d👧", "\u202eabc", "שלום", "😀"],
    "backslashes, hashes, formulas": ["a\\", "\\n", "# no comment", "=1+1", "a;b", "@x"],
    "a long line": ["x" * 300_000, "short"],
}


def encoded(form: str, rows: Sequence[Row], names: Row = ("sentence", "note")) -> bytes:
    """Rows as a file of the form, by the rules of the form and nothing of Acceptor's."""
    if form == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)}), out)
        return out.getvalue()
    if form == ".jsonl":
        return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows).encode()
    if form == ".tsv":
        return "".join("\t".join(row) + "\n" for row in [names, *rows]).encode()
    quoted = (",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in [names, *rows])
    return "".join(quoted).encode()


def _exact() -> Iterator[BadFile]:
    """Odd text in every form and packing."""
    for number, (what, texts) in enumerate(EXACT.items()):
        rows = [(text, "end") for text in texts]
        for form in FORMS:
            for packing, pack in PACK.items():
                yield BadFile(f"x{number}{form}{packing}", what, pack(encoded(form, rows)), rows)


# ── what must be refused, or come through, by its bytes ──────────────────────────────────────────────────

AB = [("a", "1"), ("b", "0")]


def _lines() -> Iterator[BadFile]:
    """Delimited text with something about its bytes or lines, as TSV and as CSV."""
    header = "sentence\tlabel\n"
    for what, text, result in (
        ("no last line feed", f"{header}a\t1\nb\t0", AB),
        ("CRLF", f"{header}a\t1\nb\t0\n".replace("\n", "\r\n"), AB),
        ("a byte order mark", f"\ufeff{header}a\t1\nb\t0\n", AB),
        ("blank lines at the end", f"{header}a\t1\nb\t0\n\n\r\n", AB),
        ("nothing", "", "file is empty"),
        ("only a mark", "\ufeff", "file is empty"),
        ("only white space", "\r\n \n", "file is empty"),
        ("only a header", header, "no rows after the header"),
        ("a row too short", f"{header}a\t1\nb\n", r"wrong number of columns.*line 3\n"),
        ("a row too long", f"{header}a\t1\nb\t0\tc\n", r"wrong number of columns.*line 3\n"),
        ("a blank line", f"{header}a\t1\n\nb\t0\n", r"line is blank.*line 3\n"),
        ("no sentence", f"{header}a\t1\n\t0\n", r"sentence is empty.*line 3\n"),
        ("a sentence of spaces", f"{header}a\t1\n \u00a0\t0\n", r"sentence is empty.*line 3\n"),
        ("NUL", f"{header}a\t1\nb\0c\t0\n", r"NUL byte.*line 3, byte offset"),
        ("a column twice", "sentence\tid\tid\na\t1\t1\n", "two columns would be called 'id'"),
        ("two columns of labels", "sentence\tlabel\tgold\na\t1\t1\n", "more than one column may hold the labels"),
        ("columns without names", "a\tb\tc\nd\te\tf\n", "cannot be told apart"),
        ("UTF-16", f"{header}a\t1\n".encode("utf-16"), r"UTF-16.*line 1, byte offset 0"),
        ("UTF-16 without a mark", f"{header}a\t1\n".encode("utf-16-le"), r"NUL byte.*line 1, byte offset 1"),
        ("Latin-1", f"{header}a\t1\nna\xefve\t0\n".encode("latin-1"), r"not UTF-8.*line 3, byte offset 21"),
        ("Windows-1252", f"{header}a\t1\n\x93b\x94\t0\n".encode("latin-1"), r"not UTF-8.*line 3.*Windows-1252"),
        ("half of a pair", f"{header}a\t1\n".encode() + b"\xed\xa0\xbd\t0\n", r"not UTF-8.*line 3.*surrogate"),
        ("a cut character", f"{header}é\t1\n".encode() + b"b\xc3\t0\n", r"not UTF-8.*line 3.*0xc3"),
        ("an overlong slash", f"{header}a\t1\n".encode() + b"\xc0\xaf\t0\n", r"not UTF-8.*line 3.*0xc0"),
    ):
        raw = text.encode() if isinstance(text, str) else text
        tab = b"\t\0" if what.startswith("UTF-16") else b"\t"
        for form in (".tsv", ".csv"):
            content = raw if form == ".tsv" else raw.replace(tab, tab.replace(b"\t", b","))
            if isinstance(result, str):
                yield BadFile(f"x{form}", what, content, error=result)
            else:
                yield BadFile(f"x{form}", what, content, result)


def _quoting() -> Iterator[BadFile]:
    """CSV alone: quotes that do not close, or stand where they must not; and those that are right."""
    for what, text, result in (
        (
            "RFC 4180",
            'sentence,n\r\n"a, ""b""",1\r\n"two\r\nlines\n",0\r\n',
            [('a, "b"', "1"), ("two\r\nlines\n", "0")],
        ),
        ("a quote never closed", 'sentence,n\na,1\n"b,2\nc,3\n', r"never closed.*line 3, column 1"),
        ("a quote in a cell", 'sentence,n\na,1\nb"c,2\n', r"inside an unquoted cell.*line 3, column 2"),
        ("a quote at a cell's end", 'sentence,n\n"a",1\nb,2"\n', r"inside an unquoted cell.*line 3, column 4"),
        ("text behind a quote", 'sentence,n\n"a"b,1\n', r"follows a closing quote.*line 2, column 4"),
        ("a quote that takes in a row", 'sentence,n\n"a,1\nb,2\n"c",3\n', r"closing quote.*line 4, column 2.*line 2"),
        ("a doubled quote at the end", 'sentence,n\n"a""\n', r"never closed.*line 2, column 1"),
        ("a row too long behind two lines", 'sentence,n\na,1\n"b\nc",2,3\n', r"wrong number.*line 3\n"),
        ("a quoted nothing", 'sentence,n\na,1\n"",2\n', r"sentence is empty.*line 3\n"),
    ):
        content = text.encode()
        yield BadFile("x.csv", what, content, *((None, result) if isinstance(result, str) else (result,)))


def _json_lines() -> Iterator[BadFile]:
    """One good line, then a bad one."""
    good = '{"sentence": "a", "label": 1}\n'
    for what, line, error in (
        ("a list", "[1]", r"not one JSON object.*line 2\n"),
        ("a string", '"a"', r"not one JSON object.*line 2\n"),
        ("null", "null", r"not one JSON object.*line 2\n"),
        ("cut", '{"sentence": "b"', r"not one JSON object.*line 2\n"),
        ("two objects", '{"sentence": "b", "label": 1} {}', r"line 2\n.*Extra data"),
        ("NaN", '{"sentence": "b", "label": NaN}', r"line 2\n.*NaN is not JSON"),
        ("infinity", '{"sentence": "b", "label": -Infinity}', r"line 2\n.*-Infinity is not JSON"),
        ("a key twice", '{"sentence": "b", "label": 1, "label": 0}', r"line 2\n.*'label' appears twice"),
        ("deep", '{"sentence": "b", "label": 1, "x": ' + "[" * 100_000, r"not one JSON object.*line 2\n"),
        ("5,000 digits", '{"sentence": "b", "label": ' + "1" * 5000 + "}", r"not one JSON object.*line 2\n"),
        ("blank", "", r"not one JSON object.*line 2\n"),
        ("null for a sentence", '{"sentence": null, "label": 1}', r"sentence is empty.*line 2\n"),
        ("no sentence", '{"label": 1}', r"sentence is empty.*line 2\n"),
        ("an object for a sentence", '{"sentence": {"x": 1}, "label": 1}', r"sentence is not text.*line 2\n"),
        ("NUL", '{"sentence": "b\\u0000", "label": 1}', r"NUL character.*line 2\n"),
        ("half of a pair", '{"sentence": "b\\ud800", "label": 1}', r"surrogate pair.*line 2"),
        ("a control in a string", '{"sentence": "b\x01", "label": 1}', r"not one JSON object.*line 2\n"),
        ("single quotes", "{'sentence': 'b', 'label': 1}", r"not one JSON object.*line 2\n"),
        ("a comma too many", '{"sentence": "b", "label": 1,}', r"not one JSON object.*line 2\n"),
    ):
        yield BadFile("x.jsonl", f"a line that is {what}", (good + line + "\n" + good).encode(), error=error)


def _packed() -> Iterator[BadFile]:
    """Archives that are cut, damaged, inflated, of several members, or of another kind."""
    texts = [(f"row {n * 7919}", "end") for n in range(40)]
    plain = encoded(".tsv", texts)
    for kind, other in ((".gz", ".zst"), (".zst", ".gz")):
        packed = PACK[kind](plain)
        members = b"".join(PACK[kind](plain[at : at + 100]) for at in range(0, len(plain), 100))
        yield BadFile(f"x.tsv{kind}", "several members", members, texts)
        for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9):
            cut = packed[: max(5, int(len(packed) * share))]
            yield BadFile(f"x.tsv{kind}", f"cut at {share:.0%}", cut, error="cut short|is damaged")
        yield BadFile(f"x.tsv{kind}", "a byte short", packed[:-1], error="cut short|is damaged")
        yield BadFile(f"x.tsv{kind}", "rubbish behind", packed + b"rubbish", error="is damaged")
        broken = bytearray(packed)
        broken[-2 if kind == ".zst" else -6] ^= 1
        yield BadFile(f"x.tsv{kind}", "a bit of the checksum", bytes(broken), error="is damaged")
        bomb = PACK[kind](b"a\n" * (20 << 20))
        yield BadFile(f"x.tsv{kind}", "1 to 1,000", bomb, error="decompression bomb")
        yield BadFile(f"x.tsv{kind}", "plain text", plain, error="not what its name says")
        yield BadFile(f"x.tsv{kind}", "the other packing", PACK[other](plain), error="not what its name says")
        yield BadFile(f"x.tsv{kind}", "packed twice", PACK[kind](packed), error="not what its name says")
        yield BadFile("x.tsv", f"plain by name, {kind} in truth", packed, error="not what its name says")
        yield BadFile(f"x.tsv{kind}", "nothing inside", PACK[kind](b""), error="file is empty")
        yield BadFile(f"x.csv{kind}", "Latin-1 inside", PACK[kind](b"sentence,n\na,1\n\xe9,2\n"), error="line 3, byte")
    yield BadFile("x.csv", "an Excel workbook", b"PK\x03\x04\x14\0", error="Excel workbook")


def _columnar() -> Iterator[BadFile]:
    """Parquet that is cut or damaged."""
    whole = encoded(".parquet", [(f"row {n}", "end") for n in range(200)])
    for share in (0.01, 0.2, 0.4, 0.6, 0.8, 0.99):
        cut = whole[: max(4, int(len(whole) * share))]
        yield BadFile("x.parquet", f"cut at {share:.0%}", cut, error="damaged or cut short|not what its name says")
    yield BadFile("x.parquet", "text", b"sentence\na\n", error="not what its name says")
    yield BadFile("x.parquet", "a footer without a file", b"PAR1" + whole[-60:], error="damaged or cut short")
    yield BadFile("x.parquet", "no rows", encoded(".parquet", []), error="no rows")
    for at, text in enumerate(("", " ")):
        content = encoded(".parquet", [("a", "x"), (text, "y")])
        yield BadFile("x.parquet", f"an empty sentence, {at}", content, error=r"sentence is empty.*row 2\n")


def _labels() -> Iterator[BadFile]:
    """Labels that are misspelt, mixed or alone, in a corpus of 60 rows."""
    for what, labels, error in (
        ("a typing error", ["acceptable", "unacceptable"] * 30 + ["aceptable"], "'acceptable'.*line 62"),
        ("a rare look-alike", ["positive", "negative"] * 30 + ["postive"], "did you mean 'positive'.*line 62"),
        ("another case", ["yes", "no"] * 30 + ["Yes"], "several ways.*line 62.*--normalise-labels"),
        ("a space behind", ["good", "bad"] * 30 + ["good "], "several ways.*line 62.*--normalise-labels"),
        ("one label missing", ["0", "1"] * 30 + ["-"], "have no label.*line 62.*--drop-unlabelled"),
        ("one label", ["1"] * 60, "only one label occurs"),
        ("1,001 labels", [f"l{n:04}" for n in range(1001)], "1001 different labels"),
        ("two spellings", ["0", "1"] * 30 + ["true"], "unknown label 'true'.*line 62"),
    ):
        rows = [(f"sentence {n}", label) for n, label in enumerate(labels)]
        for form in (".tsv", ".csv", ".jsonl"):
            line = re.sub("line 62", "line 61" if form == ".jsonl" else "line 62", error)
            content = encoded(form, rows, ("sentence", "label"))
            yield BadFile(f"x{form}", f"labels with {what}", content, error=line, as_corpus=True)


def all_files() -> list[BadFile]:
    """Every file, in the order in which they are tried."""
    kinds = (_exact(), _lines(), _quoting(), _json_lines(), _packed(), _columnar(), _labels())
    return [file for kind in kinds for file in kind]


def bad_files(scratch: Path) -> Outcome:
    """Reads every file: exactly these rows, or this error at this line.

    Args:
        scratch: An empty folder to work in.
    """
    failures = []
    files = all_files()
    for number, file in enumerate(files):
        path = scratch / f"{number}-{file.name}"
        path.write_bytes(file.content)
        if said := _wrong(file, path):
            failures.append(f"{file.name}, {file.what}: {said}")
    promise = "bad files of rows read exactly or refused with their line"
    return Outcome(promise, len(files) - len(failures), len(files), tuple(failures))


def _wrong(file: BadFile, path: Path) -> str:
    """What reading did instead of what it should; empty where it did that."""
    began = time.process_time()
    try:
        rows = load_data(path).train.table.frame.rows() if file.as_corpus else read_table(path).frame.rows()
    except AcceptorError as error:
        if file.rows is not None:
            return f"refused: {error}"
        found = re.search(file.error, str(error), re.DOTALL)
        return "" if found else f"refused otherwise, not with {file.error!r}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if time.process_time() - began > SECONDS:
        return "took too long"
    if file.rows is None:
        return f"read as {len(rows)} rows"
    return "" if rows == [tuple(row) for row in file.rows] else "read as other rows"


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────────

TRICKS = [
    *(b"\t", b"\n", b"\r", b"\r\n", b",", b'"', b'""', b"\\", b"{", b"}", b"[", b"]", b":", b"null", b"NaN"),
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1f\x8b", b"PAR1"),
    *(b"1e999", b"-1", b"\\ud800", b"\\u0000", b"9" * 400, b"[" * 2000, codecs.BOM_UTF16_LE),
]
"""What a change puts in: all that means something to one of the readers."""


def seeds() -> dict[str, bytes]:
    """Valid files with rows like CoLA's, by the ending of their names."""
    sentences = ["The sailors rode the breeze.", "They drank the pub.", 'He whispered "Shut up".', "Naïve — isn't it?"]
    rows = [(f"gj0{n}", str(n % 2), "" if n % 2 else "*", sentences[n % 4]) for n in range(12)]
    names = ("source", "label", "mark", "sentence")
    found = {}
    for form in FORMS:
        for packing, pack in PACK.items():
            found[form + packing] = pack(encoded(form, rows, names))
    found[".txt"] = encoded(".tsv", rows, names).split(b"\n", 1)[1]  # CoLA's own: no header
    return found


def mutated(data: bytes, mutate: random.Random) -> bytes:
    """The file after one to six changes: a byte, a piece put in, taken out, doubled, or the end cut off."""
    content = bytearray(data)
    for _ in range(mutate.randint(1, 6)):
        at = mutate.randrange(len(content) + 1)
        kind = mutate.randrange(6)
        if kind == 0 and at < len(content):
            content[at] = mutate.randrange(256)
        elif kind == 1 and at < len(content):
            content[at] ^= 1 << mutate.randrange(8)
        elif kind == 2:
            content[at:at] = mutate.choice(TRICKS)
        elif kind == 3:
            del content[at : at + mutate.randint(1, 12)]
        elif kind == 4:
            content[at:at] = content[at : at + mutate.randint(1, 60)]
        elif mutate.random() < 0.3:
            del content[at:]
    return bytes(content)


def fuzzed(scratch: Path, cases: int, seed: int) -> Outcome:
    """Reads changed files: each ends in rows or an `AcceptorError`, within five seconds of processor time.

    Args:
        scratch: An empty folder to work in.
        cases: How many files.
        seed: Of the changes; the same seed gives the same files.
    """
    mutate, failures = random.Random(seed), []
    valid = list(seeds().items())
    for number in range(cases):
        ending, data = valid[number % len(valid)]
        path = scratch / f"mutated{ending}"
        path.write_bytes(mutated(data, mutate))
        began = time.process_time()
        said = ""
        try:
            if len(read_table(path)) < 1:
                said = "a table without rows"
        except AcceptorError:
            pass
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            said = f"{type(error).__name__}: {str(error)[:200]}"
        if time.process_time() - began > SECONDS:
            said = f"took too long; {said}"
        if said:
            failures.append(f"case {number} of seed {seed}, {ending}: {said}")
    return Outcome("mutated files end in rows or an understood error", cases - len(failures), cases, tuple(failures))
