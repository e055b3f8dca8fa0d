"""Documents split into sentences: exact positions for any text; one row for each sentence; consistent counts."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import random
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from acceptor.data import documents as sentences
from acceptor.data.documents import LANGUAGES, spans
from acceptor.data.reading import stream, unpack
from acceptor.data.reading.read import read_table
from acceptor.data.reading.stream import chunks
from acceptor.errors import DataError, UsageError
from acceptor.judging import predict as predict_module
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.predict import predict
from conftest import COLA, needs_cola, raises

ATOMS = [
    *("The cat", " sat", " on the mat", ". ", "! ", "? ", "... ", "…", "Dr. ", "e.g. ", "U.S. ", "3.14 ", "St. "),
    *("\n", "\n\n", "\r\n", "\r\n\r\n", "\r", "\t", "  ", "\u00a0", "\u2003", "\u2028", "\u2029", "\ufeff", "\x85"),
    *("😀", "👍🏽", "e\u0301", "🇩🇪", "\U0010ffff", "\ud7ff", "\u200b", "\u202e", "\x00", "\x0b", "\x1c", "ß", "İ"),
    *('"', "“", "”", "(", ")", "[", "]", "'", "‘", "’", "«", "»", "「", "」", "``", "''", "<br>", "{", "}"),
    *(
        "。",
        "！",
        "？",
        "। ",
        "۔ ",
        "中文",
        "عرب",
        "हिन्दी",
        "https://a.b/c?d=e.f ",
        "a@b.cd ",
        "1. ",
        "- ",
        "* ",
        "[1] ",
    ),
]


def cut(text, language="en"):
    return [text[start:end] for start, end in spans(text, language)]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def rejected(out):
    return [json.loads(line) for line in out.with_name(out.name + ".rejected.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------------- where sentences begin and end


def test_all_text_is_in_exactly_one_sentence_without_the_space_around_it(monkeypatch):
    monkeypatch.setattr(sentences, "_WINDOW", 60)  # so that most texts are split in several windows
    monkeypatch.setattr(sentences, "_UNSURE", 20)
    rng = random.Random(0)
    for number in range(3000):
        text = "".join(rng.choices(ATOMS, k=rng.randrange(60)))
        found = list(spans(text, LANGUAGES[number % len(LANGUAGES)]))
        assert all(text[start:end] == text[start:end].strip() != "" for start, end in found), text
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(found)), text
        outside = zip([0, *(end for _, end in found)], [*(start for start, _ in found), len(text)], strict=True)
        assert not "".join(text[end:start] for end, start in outside).strip(), text


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Smith met J. R. Jones at 3 p.m. in St. Louis.", "He paid $3.50, i.e. too much.", "Then he left."]),
        ("en", ['"Are you coming?" she asked.', "He said nothing...", "It rose 5.5% in Q3.", "See Fig. 3.2!", "OK?"]),
        ("en", ["See https://example.com/a.b?c=d.", "Mail a.b@c.org!", "I love it 😀.", "👍🏽 Really?"]),
        ("de", ["Am 3. Mai 2020 kam Dr. Müller, z. B. mit dem Zug.", "Er sagte: „Guten Tag.“", "Dann ging er."]),
        ("fr", ["Il a dit : « Bonjour. »", "Puis il est parti...", "Voilà !", "Non ?"]),
        ("ru", ["Он родился в 1900 году.", "Потом уехал!"]),
        ("hi", ["यह एक वाक्य है।", "यह दूसरा है।"]),
    ],
)
def test_sentences_of_some_languages(language, expected):
    assert cut(" ".join(expected), language) == expected


def test_text_without_spaces_and_paragraphs():
    assert cut("今天天气很好。我们去公园吧！你觉得呢？", "en") == ["今天天气很好。", "我们去公园吧！", "你觉得呢？"]
    assert cut("A title\n\nText that is\nwrapped. More.\r\n\r\nThe end") == [
        "A title", "Text that is\nwrapped.", "More.", "The end",
    ]  # fmt: skip
    assert cut("") == cut(" \n\n\t") == []


def test_the_language_makes_a_difference():
    assert cut("Am 3. Mai kam er.", "de") == ["Am 3. Mai kam er."]
    assert cut("Am 3. Mai kam er.", "en") == ["Am 3.", "Mai kam er."]


@needs_cola
def test_a_long_text_is_split_like_a_short_one():
    """Windows change nothing if no quotation mark or bracket is left open."""
    lines = read_table(COLA / "raw" / "in_domain_train.tsv").frame["sentence"].to_list()
    lines = [line for line in lines if line[-1] in ".?!" and not set(line) & set("'\"`()<>[]{}")]
    text = " ".join(lines)
    assert len(text) > 20 * sentences._WINDOW
    paragraphs = [" ".join(lines[start : start + 100]) for start in range(0, len(lines), 100)]
    assert cut(text) == [sentence for paragraph in paragraphs for sentence in cut(paragraph)]


def test_a_quotation_that_never_closes_swallows_no_more_than_a_window():
    text = 'He said "no. ' + "Then we left. " * 5000 + 'The 6" pipe held.'
    assert len(cut(text)) > 4000


@pytest.mark.parametrize(("text", "sentences_in_it"), [("今天天气。" * 60_000, 60_000), ("x" * 3_000_000, 1)])
def test_work_grows_with_the_length_of_a_text_without_line_breaks(text, sentences_in_it):
    """The splitter's time grows with the square of its input, so the sum of its inputs must grow linearly."""
    seen = []

    def segment(window):
        seen.append(len(window))
        return re.findall("[^。]*。|[^。]+", window)

    assert len(list(sentences._spans(text, segment))) == sentences_in_it
    assert sum(seen) <= 4 * len(text)
    assert max(seen) == sentences._WINDOW or sentences_in_it == 1


def test_a_splitter_that_changes_the_text_is_refused():
    for pieces, found in ((["One. ", "Too."], "'Too.'"), (["One. "], "'Two.'")):
        with raises(DataError, "E-DATA-SPLITTER", problem="sentencex", found=found):
            list(sentences._spans("One. Two.", lambda _, pieces=pieces: pieces))


# ---------------------------------------------------------------------- rows


@pytest.fixture
def small(monkeypatch):
    """Chunks of 4 documents, blocks of 2 chunks."""
    monkeypatch.setattr(stream, "CHUNK", 4)
    monkeypatch.setattr(predict_module, "CHUNK", 4)
    monkeypatch.setattr(predict_module, "BLOCK", 2)


@pytest.mark.parametrize("suffix", [".tsv", ".jsonl.gz", ".parquet", ".arrow"])
def test_each_sentence_is_a_row_with_its_place(small, toy_run, tmp_path, suffix):
    texts = [" The girl  sees. 😀 the boy!", " ", *(f"the cats {'see ' * row}.  John sleeps." for row in range(9))]
    rows = [{"id": str(row), "body": text, "note": f"n{row}"} for row, text in enumerate(texts)]
    files = [jsonl(tmp_path / "a.jsonl", rows[:3]), jsonl(tmp_path / "b.jsonl", rows[3:])]
    out = tmp_path / f"out{suffix}"
    settings = {"columns": {"sentence": "body"}, "split_language": "en"}
    tally = predict(toy_run.folder, files, out=out, **settings)
    table = read_table(out, columns={"sentence": "body"})
    assert "sentence ← body" in table.schema
    frame = table.frame
    assert frame.columns == ["id", "sentence", "note", "document", "start", "end", "verdict", "probability", "margin"]
    assert [(row["id"], row["document"]) for row in frame.to_dicts()] == [
        (str(row), str(row + 1)) for row in range(11) if row != 1 for _ in range(2)
    ]
    for row in frame.to_dicts():
        assert texts[int(row["document"]) - 1][int(row["start"]) : int(row["end"])] == row["sentence"]
    assert frame["sentence"].to_list()[:3] == ["The girl  sees.", "😀 the boy!", "the cats ."]
    expected = [verdict.label for verdict in toy_run.judge(frame["sentence"].to_list())]
    assert frame["verdict"].to_list() == expected
    assert str(tally).startswith("11 documents in = 10 cut + 1 rejected; 20 sentences = 20 out + 0 rejected")
    assert [(fault["file"], fault["line"]) for fault in rejected(out)] == [(files[0], 2)]


def test_documents_of_several_files_in_one_chunk_are_counted_on(toy_run, tmp_path):
    texts = ["", "The girl.", "The boy.", " ", "The cats.", ""]
    files = [jsonl(tmp_path / f"{row}.jsonl", [{"text": text} for text in texts[row : row + 3]]) for row in (0, 3)]
    tally = predict(toy_run.folder, files, out=tmp_path / "out.jsonl", split_language="en")
    assert pl.read_ndjson(tmp_path / "out.jsonl")["document"].to_list() == [2, 3, 5]
    assert (tally.documents, tally.unread) == (6, 3)


def test_places_are_numbers_in_formats_that_have_them(toy_run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", [{"text": "The girl sees. The boy.", "start": "mine"}])
    predict(toy_run.folder, [source], out=tmp_path / "out.parquet", split_language="en")
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert frame.schema.to_python() | {"verdict": str} == {
        "text": str, "input.start": str, "document": int, "start": int, "end": int,
        "verdict": str, "probability": float, "margin": float,
    }  # fmt: skip
    assert frame["input.start"].to_list() == ["mine", "mine"]
    source = jsonl(tmp_path / "in.jsonl", [{"text": "The girl.", "start": "mine", "input.start": "mine, too"}])
    with raises(DataError, "E-DATA-COLUMN", problem="'input.start'"):
        predict(toy_run.folder, [source], out=tmp_path / "more.parquet", split_language="en")


def test_an_equal_sentence_of_another_document_is_judged_once(small, toy_run, tmp_path):
    source = jsonl(tmp_path / "in.jsonl", [{"text": "The girl sees. The boy. The girl sees."}] * 12)
    tally = predict(toy_run.folder, [source], out=tmp_path / "out.jsonl", split_language="en", all_scores=True)
    assert (tally.rows, tally.judged) == (36, 4)  # two blocks
    frame = pl.read_ndjson(tmp_path / "out.jsonl")
    assert frame.group_by("text").agg(pl.col("logit(acceptable)").n_unique()).to_dict(as_series=False)[
        "logit(acceptable)"
    ] == [1, 1]


def test_a_condition_leaves_out_sentences_and_the_counts_add_up(small, toy_run, tmp_path):
    rows = [{"text": f"the cats see {'girl ' * row}. the cat them see."} for row in range(6)] + [{"text": ""}]
    source = jsonl(tmp_path / "in.jsonl", rows)
    settings = {"split_language": "en", "where": "verdict = 'acceptable'"}
    tally = predict(toy_run.folder, [source], out=tmp_path / "out.csv", **settings)
    assert (tally.documents, tally.unread, tally.rows) == (7, 1, 12)
    assert tally.rows == tally.written + tally.left_out
    assert tally.left_out >= 6
    assert len(read_table(tmp_path / "out.csv").frame) == tally.written
    words = f"12 sentences = {tally.written} out + {tally.left_out} left out + 0 rejected"
    assert str(tally) == f"7 documents in = 6 cut + 1 rejected; {words}"


def test_a_sentence_that_cannot_be_judged_is_rejected_with_its_place(toy_run, tmp_path):
    long = "One. " + "x" * 1_000_001 + ". Three."
    whole = "The girl sees the boy. " * 60_000  # longer than a sentence may be
    source = jsonl(tmp_path / "in.jsonl", [{"text": long}, {"text": whole}, {"text": "Two\nlines. The end."}])
    out = tmp_path / "out.tsv"
    tally = predict(toy_run.folder, [source], out=out, split_language="en")
    assert (tally.documents, tally.unread) == (3, 0)
    assert (tally.rows, tally.written, tally.rejected, tally.judged) == (60_005, 60_003, 2, 4)
    faults = [(fault["line"], fault["document"], fault["start"], fault["end"]) for fault in rejected(out)]
    assert faults == [(1, 1, 5, 1_000_007), (3, 3, 0, 10)]
    assert [fault["problem"] for fault in rejected(out)] == [
        "a sentence is longer than 1,000,000 bytes",
        "a cell holds a tab or a line break, which TSV cannot",
    ]


def test_pairs_unknown_languages_and_a_missing_splitter_are_refused(toy_run, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "in.jsonl", [{"sentence": "The girl. The boy.", "second": "a"}])
    with raises(UsageError, "E-USAGE-PAIRS", where=source, next="other="):
        predict(toy_run.folder, [source], out=tmp_path / "out.tsv", split_language="en")
    predict(toy_run.folder, [source], out=tmp_path / "other.tsv", columns={"other": "second"}, split_language="en")
    assert read_table(tmp_path / "other.tsv").frame["other"].to_list() == ["a", "a"]
    with raises(UsageError, "E-USAGE-OPTION", problem="'fa'", where="--split-sentences", expected=", en, "):
        predict(toy_run.folder, [source], out=tmp_path / "out.tsv", split_language="fa")

    monkeypatch.setitem(sys.modules, "sentencex", None)
    with raises(UsageError, "E-USAGE-EXTRA", next="acceptor[split]"):
        predict(toy_run.folder, [source], out=tmp_path / "out.tsv", split_language="en")


def test_another_splitter_does_not_continue(small, toy_run, tmp_path, monkeypatch):
    source = jsonl(tmp_path / "in.jsonl", [{"text": f"The girl {row}. The boy."} for row in range(20)])
    out, write = tmp_path / "out.jsonl", predict_module.Parts.write

    def stop(self, number, *rest):
        if number == 2:
            raise KeyboardInterrupt
        write(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(predict_module.Parts, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            predict(toy_run.folder, [source], out=out, split_language="en")
    with monkeypatch.context() as patch:
        patch.setattr(sentences, "version", lambda _: "0")
        with raises(UsageError, "E-USAGE-CHANGED", found="versions"):
            predict(toy_run.folder, [source], out=out, split_language="en")
    assert predict(toy_run.folder, [source], out=out, split_language="en").rows == 40


def test_a_cache_keeps_logits_in_the_order_of_their_slots_not_of_their_coming(toy_run):
    judge = toy_run.judge
    cache = LogitsCache(judge)
    first = cache.encode(["the cats see.", "a girl sees."])
    other = LogitsCache(judge)
    later = other.encode(["the cats sleep."])
    cache.restore(later.keys, other.add(later))  # a later chunk's, restored while the first one is judged
    cache.add(first)
    again = cache.encode(["the cats sleep.", "the cats see."])  # nothing new between two that have something
    assert cache.add(again).shape == (0, 2)
    last = cache.encode(["the boy", "a girl sees."])
    assert len(cache.add(last)) == 1
    assert cache.logits(np.zeros(0, dtype=np.int64)).shape == (0, 2)
    for inputs, texts in ((again, ["the cats sleep.", "the cats see."]), (last, ["the boy", "a girl sees."])):
        np.testing.assert_allclose(cache.logits(inputs.slots), judge.logits(texts), atol=1e-5)


# ---------------------------------------------------------------------- memory


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_chunks_of_long_documents_have_few_of_them(tmp_path, suffix):
    frame = pl.DataFrame({"text": [f"{row} " + "word " * 400 for row in range(500)]})
    write = {".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet, ".arrow": frame.write_ipc}[suffix]
    for number in range(3):
        write(tmp_path / f"{number}{suffix}")
    files = [str(tmp_path / f"{number}{suffix}") for number in range(3)]
    found = [chunk.read()[0] for chunk in chunks(files, text=300_000)]
    sizes = [sum(table.frame["sentence"].str.len_chars().sum() for table in tables) for tables in found]
    assert max(sizes) <= 300_000 + unpack.PIECE
    assert len(sizes) >= 500 * 3 * 2000 // 600_000
    assert sum(len(table) for tables in found for table in tables) == 1500


def test_small_files_of_long_documents_do_not_share_a_chunk_for_ever(tmp_path):
    files = [jsonl(tmp_path / f"{number}.jsonl", [{"text": "word " * 1000}]) for number in range(20)]
    assert [len(chunk.read()[0]) for chunk in chunks(files, text=16_000)] == [3, 3, 3, 3, 3, 3, 2]
    assert [len(chunk.read()[0]) for chunk in chunks(files)] == [20]


# ---------------------------------------------------------------------- the command


def test_the_command_counts_documents_and_sentences(run_cli, toy_run, tmp_path):
    source = tmp_path / "in.csv.gz"
    source.write_bytes(gzip.compress(b'id,text\n1,"The girl sees.\n\nThe boy."\n2, \n'))
    out = tmp_path / "out.csv"
    code, stdout, _ = run_cli("predict", toy_run.folder, source, "-o", out, "--split-sentences", "")
    assert (code, out.exists()) == (2, False)  # as of a variable that is not set
    code, stdout, _ = run_cli("predict", toy_run.folder, source, "-o", out, "--split-sentences", "en")
    assert (code, stdout.splitlines()[1]) == (
        0,
        "2 documents in = 1 cut + 1 rejected; 2 sentences = 2 out + 0 rejected; 2 judged",
    )
    assert read_table(out).frame.select("id", "sentence", "start").rows() == [
        ("1", "The girl sees.", "0"),
        ("1", "The boy.", "16"),
    ]
    code, stdout, _ = run_cli(
        "predict", toy_run.folder, source, "-o", out, "--overwrite", "--split-sentences", "en", "--json"
    )
    counts = json.loads(stdout)
    assert (counts["documents"], counts["unread"], counts["rows"], counts["written"]) == (2, 1, 2, 2)
    code, stdout, _ = run_cli("predict", toy_run.folder, source, "-o", out, "--overwrite", "--json")
    assert "documents" not in json.loads(stdout)
    broken = tmp_path / "broken.jsonl"
    broken.write_text("no JSON\n" * 3)
    for place in ("-", tmp_path / "none.tsv"):
        assert run_cli("predict", toy_run.folder, broken, "-o", place, "--split-sentences", "en")[0] == 1
    code, _, err = run_cli("predict", toy_run.folder, source, "--split-sentences", "en")
    assert (code, "code:     E-USAGE-OUTPUT" in err) == (2, True)


def test_documents_from_a_pipe_to_a_pipe(toy_run, monkeypatch, capsysbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The girl sees. The boy.\n \n")))
    tally = predict(toy_run.folder, ["-"], out=Path("-"), split_language="en")
    lines = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [(line["document"], line["start"], line["end"]) for line in lines] == [(1, 0, 14), (1, 15, 23)]
    assert str(tally) == "2 documents in = 1 cut + 1 rejected; 2 sentences = 2 out + 0 rejected"
