"""Labels, splits, corpora, audit, writing: the steps between reading and encoding."""

from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import train_test_split

import acceptor
from acceptor.cli.options import OUTPUTS
from acceptor.config import TrainConfig
from acceptor.data import corpora
from acceptor.data.load import load_split
from acceptor.data.reading.unpack import COMPRESSIONS
from acceptor.data.split import notebook_rows, stratified_rows, with_validation
from acceptor.data.suite import load_suite
from acceptor.data.table import ACCEPTABILITY
from acceptor.data.writing.write import FORMATS, check_output, write_table
from acceptor.errors import DataError, ResourceError, UsageError
from conftest import COLA, needs_cola, raises, toy_rows


def rows(*labels):
    return [(f"sentence {index}", label) for index, label in enumerate(labels)]


# ---------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("no", "yes"),
    [("0", "1"), ("false", "true"), ("False", "True"), ("no", "yes"), ("bad", "good"), ("unacceptable", "acceptable")],
)
def test_known_spellings_mean_unacceptable_and_acceptable(no, yes):
    data = acceptor.load_data(rows(yes, no, yes))
    assert data.labels == ("unacceptable", "acceptable")
    assert data.train.gold.tolist() == [1, 0, 1]


@pytest.mark.parametrize("labels", [["no", "yes"], ["no", "maybe", "yes"]])
def test_a_missing_number_never_becomes_a_class(labels):
    frame = pl.DataFrame({"text": ["a b", "c d", "e f"], "label": [1.0, float("nan"), 0.0]})
    with raises(DataError, "E-DATA-UNLABELLED", where="row 2"):
        acceptor.load_data(frame, labels=labels)
    if len(labels) == 2:
        data = acceptor.load_data(frame, labels=labels, drop_unlabelled=True)
        assert data.train.gold.tolist() == [1, 0]


@pytest.mark.parametrize("kind", ["rows", "dicts", "polars"])
def test_a_missing_number_never_becomes_a_sentence(kind):
    """pandas writes a missing text as NaN, and `frame.values.tolist()` or a dict for each row has it so."""
    given = [("a b", "1"), (float("nan"), "0"), ("e f", "0")]
    sources = {
        "rows": given,
        "dicts": [dict(zip(("sentence", "label"), row, strict=True)) for row in given],
        "polars": pl.DataFrame({"sentence": [1.5, float("nan")], "label": ["1", "0"]}),
    }
    with raises(DataError, "E-DATA-TEXT", where="2", found="missing"):
        acceptor.load_data(sources[kind])


def test_a_name_that_is_how_another_label_is_written_is_no_name():
    """0 and 1 are called 1 and 2: in another file, 1 is what train writes so, and 2 is unknown."""
    data = acceptor.load_data(rows("0", "1", "0"), test=rows("0", "1"), labels=["1", "2"])
    assert data.test.gold.tolist() == [0, 1]
    with raises(DataError, "E-DATA-LABELS"):
        acceptor.load_data(rows("0", "1", "0"), test=rows("1", "2"), labels=["1", "2"])


@pytest.mark.parametrize("way", [{"columns": {"sentence": "x"}}, {"separator": "|"}])
def test_a_corpus_is_read_in_its_own_way(way):
    for read in (acceptor.load_data, acceptor.data.load.inspect_data):
        with raises(UsageError, "E-USAGE-CONFLICT", next=f"leave --{next(iter(way))} out"):
            read("starter", **way)
    with raises(UsageError, "E-USAGE-CONFLICT"):
        load_split("starter", ("unacceptable", "acceptable"), **way)


def test_what_came_through_a_pipe_cannot_be_read_again(monkeypatch):
    read, write = os.pipe()
    os.write(write, b"sentence\tlabel\na b\t0\nc d\t1\n")
    os.close(write)
    assert acceptor.load_data(f"/dev/fd/{read}").source is None
    os.close(read)


def test_booleans_and_numbers_of_a_frame_are_labels_too():
    frame = pl.DataFrame({"text": ["a b", "c d"], "acceptable": [True, False]})
    assert acceptor.load_data(frame).train.gold.tolist() == [1, 0]
    frame = frame.with_columns(acceptable=pl.Series([1, 0]))
    assert acceptor.load_data(frame).train.gold.tolist() == [1, 0]


def test_other_labels_keep_their_names_in_a_fixed_order():
    assert acceptor.load_data(rows("pos", "neg", "neutral")).labels == ("neg", "neutral", "pos")
    assert acceptor.load_data(rows("10", "2", "1")).labels == ("1", "2", "10")
    declared = acceptor.load_data(rows("pos", "neg"), labels=["pos", "neg"])
    assert declared.labels == ("pos", "neg")
    assert declared.train.gold.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "fields"),
    [
        (
            ["acceptable", "unacceptable", "acceptabel"],
            {"problem": ("'acceptabel'", "'acceptable'?"), "where": "row 3"},
        ),
        (["yes", "no", "Yes"], {"found": "'Yes'", "next": "normalise_labels=True"}),
        (["true", "false", "true "], {"found": "'true '", "next": "normalise_labels=True"}),
        (["0", "1", "o"], {"problem": "'o'", "where": "list, row 3", "expected": "one of '0', '1'"}),
        (
            ["positive"] * 40 + ["negative"] * 40 + ["positve"],
            {"problem": ("'positve'", "'positive'?"), "where": "row 81"},
        ),
        (["1", "1"], {"found": "all '1'"}),
    ],
)
def test_a_label_that_does_not_fit_is_refused_with_its_row(labels, fields):
    with raises(DataError, "E-DATA-LABELS", **fields):
        acceptor.load_data(rows(*labels))


def test_a_label_that_train_does_not_know_is_refused_in_the_other_splits(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("sentence\tlabel\na b\t1\nc d\t0\ne f\t2\n")
    with raises(DataError, "E-DATA-LABELS", found="'2'", where="dev.tsv, line 4"):
        acceptor.load_data(toy_rows(10), validation=path)


def test_each_file_may_have_its_own_known_spelling():
    data = acceptor.load_data(rows("0", "1"), test=rows("acceptable", "unacceptable"))
    assert data.test.gold.tolist() == [1, 0]


def test_training_data_without_labels_is_refused():
    following = ("a column of labels", "acceptor.load(RUN)")
    with raises(DataError, "E-DATA-UNLABELLED", expected="a label column", next=following):
        acceptor.load_data(["a b", "c d"])


@pytest.mark.parametrize(
    ("text", "columns", "following"),
    [
        ("sentence\tverdict\nA cat.\tacceptable\nA dog.\tunacceptable\n", None, "label=verdict"),  # of two rows only
        (
            "sentence\tverdict\tmargin\n" + "A cat.\tacceptable\t1.5\nA dog.\tunacceptable\t.5\n" * 9,
            None,
            "label=verdict",
        ),
        ("rating,comment\n" + "0,A cat.\n1,A dog.\n" * 9, {"sentence": "2"}, "sentence=2,label=rating"),
        ("0\tA cat.\n1\tA dog.\n" * 9, {"sentence": "2"}, "sentence=2,label=1"),
        ("sentence\tmark, by me\n" + "A cat.\t0\nA dog.\t1\n" * 9, None, "sentence=sentence,label=2"),
    ],
    ids=["one other column", "output of predict", "beside a number", "no header", "a comma"],
)
def test_the_column_that_may_hold_the_labels_is_named_beside_those_given(text, columns, following, tmp_path):
    """The advice can be copied: with it alone, the data are read."""
    path = tmp_path / ("own.tsv" if "\t" in text else "own.csv")
    path.write_text(text)
    with raises(DataError, "E-DATA-UNLABELLED", next=f"name it: --columns {following}"):
        acceptor.load_data(path, columns=columns)
    named = dict(one.split("=") for one in following.split(","))
    assert acceptor.load_data(path, columns=named).train.balance().keys() >= {"acceptable"}


def test_the_line_of_a_corpus_says_what_its_labels_mean(caplog):
    with caplog.at_level("INFO", "acceptor"):
        acceptor.load_data([("A cat.", "yes"), ("A dog.", "no")] * 3, test=[("A cow.", "acceptable")])
    assert "labels unacceptable (no) 3, acceptable (yes) 3" in caplog.messages[0]
    assert "labels unacceptable 0, acceptable 1" in caplog.messages[1]


@pytest.mark.parametrize(
    ("written", "normalise", "forms"),
    [
        (("0", "1"), False, "unacceptable (0) 1, acceptable (1) 2"),
        (("FALSE", "TRUE"), False, "unacceptable (FALSE) 1, acceptable (TRUE) 2"),
        (("Bad", "GOOD"), True, "unacceptable (bad) 1, acceptable (good) 2"),
        (("no", "yes"), False, "unacceptable 1, acceptable 2"),  # as train, whose line says it
    ],
)
def test_the_line_of_a_file_that_writes_labels_in_another_way_says_how(written, normalise, forms, tmp_path, caplog):
    rows = [("A cow.", written[1]), ("A hen.", written[0]), ("A pig.", written[1])]
    with caplog.at_level("INFO", "acceptor"):
        acceptor.load_data([("A cat.", "yes"), ("A dog.", "no")] * 3, test=rows, normalise_labels=normalise)
        (tmp_path / "x.tsv").write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
        load_split(tmp_path / "x.tsv", ACCEPTABILITY, written=("no", "yes"), normalise_labels=normalise)
    assert [forms in message for message in caplog.messages] == [False, True, True]


def test_spellings_that_no_rule_makes_the_same_are_not_said_to_be(caplog):
    """Train's labels have other names here: a test file's False is none of them, however it is written."""
    for normalise in (False, True):
        with raises(DataError, "E-DATA-LABELS", problem="'False'", next="correct labels="):
            acceptor.load_data(
                rows("0", "1"), labels=("bad", "fine"), test=rows("False", "True"), normalise_labels=normalise
            )


def test_too_many_labels_are_a_wrong_column():
    with raises(DataError, "E-DATA-LABELS", problem="2000", next='columns={"label":'):
        acceptor.load_data([(f"s {index}", f"id {index * 7919:07}") for index in range(2000)])


def test_pairs_beside_single_sentences_are_refused():
    with raises(DataError, "E-DATA-PAIRS", found="test", next='columns={"sentence":'):
        acceptor.load_data(toy_rows(10), test=[("a", "b", "1"), ("c", "d", "0")])


# ---------------------------------------------------------------------- splits


def test_the_notebook_split_is_the_chapters():
    values = np.arange(8551)
    train, validation = train_test_split(values, random_state=2018, test_size=0.1)
    found = notebook_rows(8551)
    assert found[0].tolist() == train.tolist()
    assert found[1].tolist() == validation.tolist()
    assert (len(train), len(validation)) == (7695, 856)


def test_a_stratified_split_keeps_label_shares_and_loses_no_row():
    split = acceptor.load_data(toy_rows(300)).train
    train, validation = stratified_rows(split, 0.2, seed=3)
    assert sorted([*train, *validation]) == list(range(300))
    assert len(validation) == 60
    assert split.gold[validation].mean() == pytest.approx(split.gold.mean(), abs=0.02)
    assert validation.tolist() != stratified_rows(split, 0.2, seed=4)[1].tolist()


def test_where_validation_comes_from():
    given = acceptor.load_data(toy_rows(100), validation=toy_rows(20, 1))
    bare = acceptor.load_data(toy_rows(100))
    assert len(with_validation(given, TrainConfig(seed=0))[0].validation) == 20
    assert len(with_validation(given, TrainConfig(split="notebook", seed=0))[0].validation) == 10
    cut, reason = with_validation(bare, TrainConfig(validation_share=0.3, seed=5))
    assert (len(cut.train), len(cut.validation)) == (70, 30)
    assert reason == "30 % of train, label shares kept (seed 5)"
    with raises(DataError, "E-DATA-SPLIT", next=("--validation FILE", "--split stratified")):
        with_validation(bare, TrainConfig(split="given", seed=0))
    with raises(DataError, "E-DATA-SPLIT", found="3 examples of 2 labels"):
        with_validation(acceptor.load_data(rows("0", "1", "1")), TrainConfig(seed=0))


def test_take_keeps_lines_and_labels_together():
    split = acceptor.load_data(toy_rows(30)).train.take([7, 3], "few")
    assert split.sentences == [toy_rows(30)[7][0], toy_rows(30)[3][0]]
    assert split.table.lines.tolist() == [8, 4]
    assert split.gold.tolist() == [int(toy_rows(30)[7][1]), int(toy_rows(30)[3][1])]


# ---------------------------------------------------------------------- corpora and folders


@needs_cola
def test_cola_is_read_from_a_folder_and_pinned():
    data = acceptor.load_data("cola", folder=COLA / "raw")
    assert [len(split) for split in data.splits] == [8551, 527, 516]
    assert data.train.balance() == {"unacceptable": 2528, "acceptable": 6023}
    assert acceptor.load_data("cola", folder=COLA).train.table.sha256 == data.train.table.sha256


@needs_cola
def test_a_changed_cola_is_refused_by_name_and_read_as_a_folder(tmp_path):
    for path in (COLA / "raw").iterdir():
        shutil.copy(path, tmp_path)
    test = tmp_path / "out_of_domain_dev.tsv"
    test.write_bytes(test.read_bytes().replace(b"Somebody", b"Nobody", 1))
    with raises(DataError, "E-DATA-CHECKSUM", problem="CoLA 1.1", expected="201b9c57"):
        acceptor.load_data("cola", folder=tmp_path)
    assert len(acceptor.load_data(tmp_path).test) == 516


@needs_cola
def test_the_chapters_two_files_are_a_corpus_as_well():
    data = acceptor.load_data(COLA / "notebook")
    assert (len(data.train), data.validation, len(data.test)) == (8551, None, 516)


def test_the_error_of_a_folder_without_cola_names_the_option(tmp_path):
    with raises(DataError, "E-DATA-MISSING", where=str(tmp_path), next="--data FOLDER"):
        acceptor.load_data("cola", folder=tmp_path)


def test_the_error_of_a_failed_download_names_other_ways(monkeypatch):
    def unreachable(*_, **__):
        raise corpora.urllib.error.URLError("no route")

    monkeypatch.setattr(corpora.urllib.request, "urlopen", unreachable)
    with raises(DataError, "E-DATA-DOWNLOAD", where="https://", next=("--data FOLDER", "train starter")):
        acceptor.load_data("cola")


@needs_cola
def test_a_downloaded_cola_is_checked_and_cached(monkeypatch, tmp_path):
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for path in (COLA / "raw").iterdir():
            target.write(path, f"cola_public/raw/{path.name}")
    calls = []
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path))
    monkeypatch.setattr(
        corpora.urllib.request, "urlopen", lambda *_, **__: calls.append(1) or io.BytesIO(archive.getvalue())
    )
    assert len(acceptor.load_data("cola").train) == 8551
    assert len(acceptor.load_data("cola").train) == 8551
    assert len(calls) == 1
    monkeypatch.setitem(corpora.COLA_FILES, "test", ("out_of_domain_dev.tsv", hashlib.sha256(b"").hexdigest()))
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path / "other"))
    with raises(DataError, "E-DATA-CHECKSUM", where="https://", found="sha256"):
        acceptor.load_data("cola")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_folder_gives_its_files_their_roles(tmp_path):
    for name in ("train", "dev", "test"):
        pl.DataFrame(toy_rows(12), schema=["sentence", "label"], orient="row").write_csv(tmp_path / f"{name}.csv")
    assert [split.name for split in acceptor.load_data(tmp_path).splits] == ["train", "validation", "test"]
    shutil.copy(tmp_path / "dev.csv", tmp_path / "valid.csv")
    with raises(DataError, "E-DATA-SPLIT", problem="validation", found="dev.csv and valid.csv"):
        acceptor.load_data(tmp_path)
    (tmp_path / "empty").mkdir()
    with raises(DataError, "E-DATA-MISSING", expected="train.tsv", found="empty"):
        acceptor.load_data(tmp_path / "empty")


def test_a_misspelt_corpus_is_refused_with_the_nearest():
    with raises(DataError, "E-DATA-MISSING", problem="'starter'?"):
        acceptor.load_data("startr")


def test_columns_may_be_numbers():
    rows = [{"a": "1", "b": f"sentence {index}"} for index in range(3)] + [{"a": "0", "b": "x y"}]
    assert acceptor.load_data(pl.DataFrame(rows), columns={"label": 1, "sentence": 2}).train.sentences[3] == "x y"


def test_declared_labels_must_occur():
    with raises(DataError, "E-DATA-LABELS", found="all 'a'"):
        acceptor.load_data(rows("a", "a"), labels=["a", "b"])


def test_load_split_takes_the_test_split_of_a_corpus(tmp_path):
    assert load_split("starter", ("unacceptable", "acceptable")).table.origin == "starter:test"
    pl.DataFrame(toy_rows(12), schema=["sentence", "label"], orient="row").write_csv(tmp_path / "train.csv")
    with raises(DataError, "E-DATA-SPLIT", where=str(tmp_path)):
        load_split(tmp_path, ("unacceptable", "acceptable"))


# ---------------------------------------------------------------------- audit and writing


@needs_cola
def test_audit_of_cola_equals_the_chapters():
    found = acceptor.audit(acceptor.load_data(COLA / "raw").train)
    assert (found.rows, len(found.columns)) == (8551, 4)
    assert len(found.sample) == 10
    assert found.words["max"] == 42
    lines = (COLA / "raw" / "in_domain_train.tsv").read_text("utf-8").split("\n")
    assert all(lines[row["line"] - 1].endswith(row["sentence"]) for row in found.sample.to_dicts())


@pytest.mark.parametrize(
    "suffix", [".tsv", ".csv", ".jsonl", ".parquet", ".arrow", ".feather", ".tsv.gz", ".csv.zst", ".jsonl.gz"]
)
def test_written_tables_are_read_back_the_same(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    texts = ['He said "no".', "None", "a, b", "\\N", "naïve — 😀", "x\u2028y"]
    write_table(pl.DataFrame({"sentence": texts, "label": ["0", "1"] * 3}), path)
    back = acceptor.load_data(path).train
    assert back.sentences == texts
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("character", ["\t", "\n", "\r"])  # other readers end a row at a lone carriage return
def test_a_tab_cannot_be_written_as_tsv_and_leaves_nothing_behind(tmp_path, character):
    with raises(DataError, "E-DATA-TSV", where="column sentence, row 2", next="out.jsonl"):
        write_table(pl.DataFrame({"sentence": ["fine", f"a{character}b"]}), tmp_path / "out.tsv")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_a_table_is_written_is_a_typed_error(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device (os error 28)")  # as polars says it

    monkeypatch.setattr("acceptor.data.writing.write.write_rows", full)
    with raises(ResourceError, "E-RESOURCE-DISK", problem="out.tsv", cause="No space left"):
        write_table(pl.DataFrame({"sentence": ["fine"]}), tmp_path / "out.tsv")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_exist_or_have_unknown_formats_are_refused(tmp_path):
    (tmp_path / "taken.csv").touch()
    with raises(UsageError, "E-USAGE-OUTPUT", problem="taken.csv", next="--overwrite"):
        check_output(tmp_path / "taken.csv", overwrite=False)
    check_output(tmp_path / "taken.csv", overwrite=True)
    for name in ("out.xlsx", "out.gz", "out", "out.parquet.zst", "out.arrow.gz", "out.tsv.xz"):
        with raises(UsageError, "E-USAGE-OUTPUT", expected=(".tsv, .csv, .jsonl, .parquet, .arrow, ", " .gz or .zst")):
            check_output(tmp_path / name, overwrite=False)
    assert all(suffix in OUTPUTS for suffix in (*FORMATS, *COMPRESSIONS))  # as in the help of commands
    with raises(UsageError, "E-USAGE-OUTPUT", next="mkdir -p "):
        check_output(tmp_path / "nowhere" / "out.csv", overwrite=False)


# ---------------------------------------------------------------------- paths


@pytest.mark.parametrize("path", ["~no-such-user/x.tsv", "a sentence where a path belongs " * 20, "a\0b.tsv"])
def test_what_can_be_no_path_is_an_error(path):
    with pytest.raises(DataError):
        acceptor.load_data(path)
    with pytest.raises(DataError):
        load_split(path, ("unacceptable", "acceptable"))
    with pytest.raises(DataError):
        load_suite(path)


@pytest.mark.parametrize(
    ("given", "following"),
    [("rude,nice", "['rude', 'nice']"), ("rude, nice", "['rude', 'nice']"), ("rude", "['rude']")],
)
def test_labels_in_one_string_are_advised_as_a_list(given, following):
    with raises(UsageError, "E-USAGE-OPTION", problem="labels", found=given, next=f"a list: {following}"):
        acceptor.load_data("comments.csv", labels=given)


def test_seeds_in_one_string_are_advised_as_a_list_of_numbers(toy):
    with raises(UsageError, "E-USAGE-OPTION", problem="seeds", next="a list: [1, 2]"):
        acceptor.train_seeds(toy, out="new", seeds="1,2")
