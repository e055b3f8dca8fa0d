"""Slices, annotations and leaked rows: against independent counts, mostly on made-up logits."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import matthews_corrcoef

import acceptor
from acceptor.data.auditing.duplicates import fingerprints
from acceptor.data.load import load_split
from acceptor.evaluation.evaluate import report_of
from acceptor.evaluation.groups import rows_by_value
from acceptor.evaluation.slices import slices, usual_slices
from acceptor.judging.decision import Decision
from acceptor.runs.fingerprints import FINGERPRINTS_FILE
from acceptor.storage.manifest import MANIFEST, file_sha256
from conftest import COLA, needs_cola, raises, toy_rows

LABELS = ("unacceptable", "acceptable")
ANNOTATIONS = COLA / "annotations"


def made_up(split, right=0.8, seed=0):
    """A report of logits that are right in about that share of the rows."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(split), len(split.labels))).astype(np.float32)
    logits[np.arange(len(split)), split.gold] += np.where(rng.random(len(split)) < right, 5.0, -5.0)
    return report_of(split, logits)


@pytest.fixture(scope="module")
def report():
    """120 rows: source a has both labels, b one, c few rows; p and q are columns of 0 and 1 that overlap."""
    rng = np.random.default_rng(3)
    rows = [
        {
            "sentence": " ".join(["word"] * (1 + index % 25)),
            "label": "1" if 60 <= index < 110 else str(index % 2),
            "source": "a" if index < 60 else "b" if index < 110 else "c",
            "p": str(int(rng.random() < 0.5)),
            "q": str(int(rng.random() < 0.3)),
        }
        for index in range(119)
    ]
    return made_up(acceptor.load_data(rows).train)


# ---------------------------------------------------------------------- slices


def test_a_slice_has_the_scores_of_its_rows(report):
    frame = report.split.table.frame
    parts = slices(report, "source")
    assert [(part.value, part.n) for part in parts] == [("a", 60), ("b", 50), ("c", 9)]
    for part in parts[:2]:
        rows = (frame["source"] == part.value).to_numpy()
        right = (report.predicted[rows] == report.split.gold[rows]).mean()
        assert part.scores.accuracy == pytest.approx(right)
    rows = (frame["source"] == "a").to_numpy()
    assert parts[0].scores.mcc == pytest.approx(matthews_corrcoef(report.split.gold[rows], report.predicted[rows]))
    assert parts[0].to_dict()["mcc_interval"][0] < parts[0].scores.mcc
    assert (parts[0].recall, parts[0].label, parts[0].note) == (None, None, None)


def test_verdicts_are_computed_once_for_all_parts(report, monkeypatch):
    made = dataclasses.replace(report)
    calls = []
    of_logits = Decision.label_ids
    monkeypatch.setattr(Decision, "label_ids", lambda self, logits: calls.append(1) or of_logits(self, logits))
    assert sum(part.n for part in made.by("source").values()) == len(made.per_batch(1)) == 119
    assert sum(part.n for part in slices(made, "source")) == 119
    assert len(calls) == 1


def test_rows_without_a_value_are_one_part_with_a_name_of_its_own():
    sources = [None, "not given", "a"] * 40
    rows = [
        {"sentence": text, "label": label, "source": source}
        for (text, label), source in zip(toy_rows(120), sources, strict=True)
    ]
    made = made_up(acceptor.load_data(rows).train)
    held = made.split.table.frame["source"].to_list()
    numbers = {"(not given)": held.count(""), "not given": held.count("not given"), "a": held.count("a")}
    assert {name: part.n for name, part in made.by("source").items()} == numbers
    assert {part.value: part.n for part in slices(made, "source")} == numbers
    assert {name: list(rows) for name, rows in rows_by_value(pl.Series(["a", None, ""])).items()} == {
        "a": [0],
        "not given": [1, 2],
    }


def test_where_one_label_is_empty_there_is_a_recall_and_no_mcc(report):
    one = slices(report, "source")[1].to_dict()
    assert (one["mcc"], one["mcc_interval"], one["note"]) == (None, None, "not defined (one label only)")
    assert (one["recall"], one["label"]) == (one["accuracy"], "acceptable")
    low, high = one["recall_interval"]
    assert low < one["recall"] < high


def test_the_recall_of_a_rare_label_is_shown(report):
    gold = report.split.gold
    rare = np.zeros(len(gold), bool)
    rare[np.flatnonzero(gold == gold[0])[:3]] = True
    (part,) = slices(report, {"rare": rare})
    assert (part.n, part.note) == (3, "not defined (one label only)")
    assert part.recall in (0, 1 / 3, 2 / 3, 1)
    assert part.recall_interval.low <= part.recall <= part.recall_interval.high


def test_a_small_slice_has_a_note_and_no_number(report):
    small = slices(report, "source")[2].to_dict()
    assert (small["n"], small["note"]) == (9, "too small (n < 10)")
    scores = ("mcc", "mcc_interval", "accuracy", "accuracy_interval", "recall", "recall_interval", "majority")
    assert [small[name] for name in scores] == [None] * 7


def test_slices_by_length_label_and_columns_of_0_and_1(report):
    words = np.array([len(sentence.split()) for sentence in report.split.sentences])
    bands = {"1–5 words": (1, 5), "6–8 words": (6, 8), "9–12 words": (9, 12), "13–20 words": (13, 20)}
    bands["21 words or more"] = (21, 99)
    found = {part.value: part.n for part in slices(report, "length")}
    assert found == {name: int(((words >= low) & (words <= high)).sum()) for name, (low, high) in bands.items()}
    assert {part.value: part.n for part in slices(report, "label")} == report.split.balance()
    frame = report.split.table.frame
    found = {part.value: part.n for part in slices(report, "p,q")}
    assert found == {name: int((frame[name] == "1").sum()) for name in "pq"}
    assert {part.value: part.n for part in slices(report, "p")}["0"] == int((frame["p"] == "0").sum())
    masks = {"first": np.arange(119) < 20}
    assert [(part.value, part.n) for part in slices(report, masks)] == [("first", 20)]


def test_slices_are_sorted_by_n_and_an_empty_one_is_too_small(report):
    sizes = [part.n for part in slices(report, "length")]
    assert sizes == sorted(sizes, reverse=True)
    (nothing,) = slices(report, {"nothing": np.zeros(119, dtype=bool)})
    assert (nothing.n, nothing.note) == (0, "too small (n < 10)")


def test_columns_that_make_no_slices_are_refused(report):
    with raises(acceptor.DataError, "E-DATA-COLUMN", problem="'sourse'", next="'source'"):
        slices(report, "sourse")
    with raises(acceptor.DataError, "E-DATA-COLUMN", problem=("'source'", "0 and 1"), where="row 1", found="'a'"):
        slices(report, "p,source")
    rows = [(f"sentence number {index}", str(index % 2)) for index in range(1001)]
    keys = made_up(acceptor.load_data(rows).train)
    for parts in (keys.by, functools.partial(slices, keys)):
        with raises(acceptor.DataError, "E-DATA-COLUMN", problem="1001 values"):
            parts("sentence")
    rows = [{"sentence": text, "label": label, "source": text} for text, label in rows]
    assert list(usual_slices(made_up(acceptor.load_data(rows).train))) == ["length", "label"]


def test_a_column_called_length_hides_the_bands_and_the_user_is_told_how_to_see_them(toy_run, run_cli, tmp_path):
    file = tmp_path / "in.tsv"
    rows = [f"{sentence}\t{label}\t{len(sentence)}\n" for sentence, label in toy_rows(24)]
    file.write_text("sentence\tlabel\tlength\n" + "".join(rows))
    code, stdout, stderr = run_cli("evaluate", toy_run.folder, file, "--by", "length")
    assert code == 0
    assert "words" not in stdout
    assert stderr.count("--columns other=length") == 1
    code, stdout, stderr = run_cli("evaluate", toy_run.folder, file, "--by", "length", "--columns", "other=length")
    assert code == 0
    assert "1–5 words" in stdout
    assert "--columns" not in stderr
    stderr = run_cli("evaluate", toy_run.folder, file, "--by", "lengths")[2]
    assert "expected: sentence, label, length\n" in stderr


def test_length_counts_both_texts_of_a_pair():
    rows = [("one two three", "four five six", str(index % 2)) for index in range(12)]
    assert [part.value for part in slices(made_up(acceptor.load_data(rows).train), "length")] == ["6–8 words"]


# ---------------------------------------------------------------------- annotations


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    """In-domain dev, out-of-domain dev, and both, as files."""
    folder = tmp_path_factory.mktemp("dev")
    texts = [(COLA / "raw" / name).read_bytes() for name in ("in_domain_dev.tsv", "out_of_domain_dev.tsv")]
    files = {"in": texts[0], "out": texts[1], "both": b"".join(texts)}
    for name, content in files.items():
        (folder / f"{name}.tsv").write_bytes(content)
    return folder


def lines_of(path):
    return [line.split("\t") for line in path.read_text("utf-8").rstrip("\n").split("\n")]


@needs_cola
@pytest.mark.parametrize(("name", "first", "last"), [("in", 0, 527), ("out", 527, 1043), ("both", 0, 1043)])
def test_colas_annotations_are_joined_by_row(dev, name, first, last):
    split = load_split(dev / f"{name}.tsv", LABELS)
    joined = acceptor.read_annotations(ANNOTATIONS, split)
    assert {group: len(features) for group, features in joined.features.items()} == {
        "major features": 15,
        "minor features": 63,
    }
    for size in ("major", "minor"):
        header, *rows = lines_of(ANNOTATIONS / f"CoLA_grammatical_annotations_{size}_features.tsv")
        for column, feature in enumerate(header[4:], 4):
            ones = [row[column] == "1" for row in rows[first:last]]
            np.testing.assert_array_equal(joined.features[f"{size} features"][feature], ones)
    own = lines_of(dev / f"{name}.tsv")
    pairs = list(zip(rows[first:last], own, strict=True))
    texts = [index for index, (theirs, ours) in enumerate(pairs) if theirs[3] != ours[3]]
    labels = [index for index, (theirs, ours) in enumerate(pairs) if theirs[2] != ours[1]]
    assert (joined.other_texts, joined.other_labels) == (texts, labels)
    assert (len(texts), len(labels)) == {"in": (1, 2), "out": (3, 0), "both": (4, 2)}[name]
    parts = {part.value: part for part in slices(made_up(split), joined.features["major features"])}
    if name == "both":
        assert [parts[feature].n for feature in ("Argument Type", "Violations", "Imperative")] == [428, 145, 12]
        # All 145 were unacceptable in CoLA 1.0; two of them are not in 1.1: the rows with another label.
        violations = joined.features["major features"]["Violations"]
        assert np.flatnonzero(violations & (split.gold == 1)).tolist() == joined.other_labels == [53, 496]
    if name == "out":
        assert (parts["Violations"].label, parts["Violations"].n) == ("unacceptable", 66)
        assert parts["Violations"].recall is not None


@needs_cola
@pytest.mark.parametrize("name", ["in", "out", "both"])
@pytest.mark.parametrize("fault", ["a row less", "a row more", "two swapped", "one word more"])
def test_annotations_of_another_length_or_order_are_refused_and_the_row_is_named(dev, tmp_path, name, fault):
    rows = (dev / f"{name}.tsv").read_text("utf-8").rstrip("\n").split("\n")
    where = 101  # from 1
    if fault == "a row less":
        del rows[where - 1]
    elif fault == "a row more":
        rows.insert(where - 1, "x\t1\t\tA new sentence.")
    elif fault == "two swapped":
        rows[where - 1], rows[where + 100] = rows[where + 100], rows[where - 1]
    else:
        rows[where - 1] += " indeed"
    path = tmp_path / "changed.tsv"
    path.write_text("\n".join(rows), "utf-8")
    with raises(acceptor.DataError, "E-DATA-ANNOTATIONS", problem=f"row {where}", where=f"line {where}"):
        acceptor.read_annotations(ANNOTATIONS, load_split(path, LABELS))


@needs_cola
def test_a_split_that_is_shorter_or_longer_is_refused(dev, tmp_path):
    rows = (dev / "out.tsv").read_text("utf-8").rstrip("\n").split("\n")
    for content, row, fields in (
        (rows[:-1], 516, {"expected": "1043 of 1043", "found": "516 of 515"}),
        ([*rows, "x\t1\t\tMore."], 517, {"where": "line 517", "expected": "1044 of 1043", "found": "'More.'"}),
    ):
        path = tmp_path / "changed.tsv"
        path.write_text("\n".join(content), "utf-8")
        with raises(acceptor.DataError, "E-DATA-ANNOTATIONS", problem=f"row {row}", **fields):
            acceptor.read_annotations(ANNOTATIONS, load_split(path, LABELS))


def test_own_annotations_need_features_and_a_file(tmp_path):
    rows = toy_rows(12)
    split = acceptor.load_data(rows).train
    own = tmp_path / "own.tsv"
    own.write_text("sentence\tpassive\tnote\n" + "".join(f"{text}\t{i % 2}\tx\n" for i, (text, _) in enumerate(rows)))
    joined = acceptor.read_annotations(own, split)
    assert {name: list(features) for name, features in joined.features.items()} == {"own": ["passive"]}
    assert joined.features["own"]["passive"].sum() == 6
    own.write_text("sentence\tnote\n" + "".join(f"{text}\tx\n" for text, _ in rows))
    with raises(acceptor.DataError, "E-DATA-ANNOTATIONS", where=str(own), found="sentence, note"):
        acceptor.read_annotations(own, split)
    (tmp_path / "empty").mkdir()
    with raises(acceptor.DataError, "E-DATA-MISSING", where=str(tmp_path / "empty"), expected=".tsv"):
        acceptor.read_annotations(tmp_path / "empty", split)


@needs_cola
def test_evaluate_shows_slices_and_annotations(run_cli, toy_run, dev):
    arguments = ["evaluate", toy_run.folder, dev / "out.tsv", "--by", "source", "--by", "length"]
    code, stdout, _ = run_cli(*arguments, "--annotations", ANNOTATIONS)
    assert code == 0
    for words in (
        "swb04",
        "6–8 words",
        "Violations",
        "of unacceptable",
        "too small (n < 10)",
        "kept by row",
        "line 58",
    ):
        assert words in stdout, words
    code, stdout, _ = run_cli(
        "evaluate", toy_run.folder, "cola", "--data", COLA, "--annotations", ANNOTATIONS, "--json"
    )
    found = json.loads(stdout)
    assert [len(parts) for parts in found["slices"].values()] == [15, 63]
    assert len(found["annotations"]["other_texts"]) == 3
    code, _, stderr = run_cli(
        "evaluate", toy_run.folder, COLA / "raw" / "in_domain_train.tsv", "--annotations", ANNOTATIONS
    )
    assert (code, "code:     E-DATA-ANNOTATIONS" in stderr, "row 1 " in stderr) == (1, True, True)


# ---------------------------------------------------------------------- rows that are in train


@pytest.fixture(scope="module")
def leaky(toy_run):
    """Half of these rows are in train, some in other case and spacing."""
    train = [text for text, _ in toy_rows(160)]
    fresh = [(f"the cats see the book number {index}", str(index % 2)) for index in range(20)]
    old = [(text.upper() if index % 2 else text.replace(".", " ."), "1") for index, text in enumerate(train[:20])]
    return acceptor.load_data([*fresh, *old]).train


def test_a_report_gives_the_score_without_rows_that_stand_in_train(toy_run, leaky):
    report = acceptor.evaluate(acceptor.load(toy_run.folder), leaky)
    assert report.leaked.tolist() == [False] * 20 + [True] * 20
    rest = acceptor.evaluate(toy_run.judge, leaky.take(range(20), "test"))
    assert report.without_leaked.confusion == rest.scores.confusion
    found = report.to_dict()
    assert (found["leaked"], found["without_leaked"]["n"]) == (20, 20)
    assert "without the 20 that are also in train MCC" in repr(report)
    assert (rest.to_dict()["leaked"], rest.to_dict()["without_leaked"]) == (0, None)
    everything = acceptor.evaluate(toy_run.judge, leaky.take(range(20, 40), "test"))
    assert everything.without_leaked is None
    assert "without the 20 that are also in train MCC not defined (nothing is left)" in repr(everything)


@needs_cola
def test_6_and_12_sentences_of_colas_dev_sets_leak(toy_run):
    """As many as the audit counts; scores without them are of the other 504."""
    cola = acceptor.load_data(COLA / "raw")
    judge = dataclasses.replace(toy_run.judge, trained_on=fingerprints(cola.train))
    train = set(cola.train.sentences)
    for split, count in ((cola.validation, 6), (cola.test, 12)):
        report = acceptor.evaluate(judge, split)
        assert report.leaks == count == sum(sentence in train for sentence in split.sentences)
        assert report.without_leaked.n == len(split) - count


def test_a_run_keeps_its_leaks_and_slices(toy, toy_run):
    kept = json.loads((toy_run.folder / "report.json").read_text())
    card = (toy_run.folder / "README.md").read_text()
    train = {text for text, _ in toy_rows(160)}
    for name, split in (("validation", toy.validation), ("test", toy.test)):
        leaks = sum(text in train for text in split.sentences)
        assert kept[name]["leaked"] == leaks > 0
        assert kept[name]["without_leaked"]["n"] == len(split) - leaks
        assert f"{leaks} rows of {name} are also in train" in card
        assert list(kept[name]["slices"]) == ["length", "label"]
        assert sum(part["n"] for part in kept[name]["slices"]["length"]) == len(split)
        assert {part["value"]: part["n"] for part in kept[name]["slices"]["label"]} == split.balance()
    judge = acceptor.load(toy_run.folder)
    np.testing.assert_array_equal(judge.trained_on, np.unique(fingerprints(toy.train)))


def test_leaks_of_a_run_without_fingerprints_are_not_known(run_cli, toy_run, leaky, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(toy_run.folder, old)
    (old / FINGERPRINTS_FILE).unlink()
    with raises(acceptor.RunError, "E-RUN-FILE", where=str(old / FINGERPRINTS_FILE), expected="sha256"):
        acceptor.load(old)
    manifest = json.loads((old / MANIFEST).read_text())
    del manifest["files"][FINGERPRINTS_FILE]
    (old / MANIFEST).write_text(json.dumps(manifest))
    report = acceptor.evaluate(acceptor.load(old), leaky)
    assert (report.leaks, report.without_leaked, report.to_dict()["leaked"]) == (None, None, None)
    assert "are also in train" not in repr(report)
    path = tmp_path / "test.tsv"
    path.write_text(
        "".join(f"{text}\t{label}\n" for text, label in leaky.table.frame.select("sentence", "label").rows())
    )
    assert "not known" in run_cli("evaluate", old, path)[1]
    assert "without the 20" in run_cli("evaluate", toy_run.folder, path)[1]


@pytest.mark.parametrize(
    "content", [b"", b"no tensors", {"other": np.zeros(2, np.uint64)}, {"sentences": np.zeros((2, 2), np.float32)}]
)
def test_broken_fingerprints_are_refused(toy_run, tmp_path, content):
    from safetensors.numpy import save

    run = tmp_path / "run"
    shutil.copytree(toy_run.folder, run)
    (run / FINGERPRINTS_FILE).write_bytes(content if isinstance(content, bytes) else save(content))
    manifest = json.loads((run / MANIFEST).read_text())
    manifest["files"][FINGERPRINTS_FILE] = file_sha256(run / FINGERPRINTS_FILE)
    (run / MANIFEST).write_text(json.dumps(manifest))
    with raises(acceptor.RunError, "E-RUN-FILE", where=str(run / FINGERPRINTS_FILE), expected="`sentences`"):
        acceptor.load(run)


def test_a_judge_that_knows_no_train_split_saves_no_fingerprints(toy_run, tmp_path):
    dataclasses.replace(toy_run.judge, trained_on=None).save(tmp_path)
    assert acceptor.load(tmp_path).trained_on is None
    assert not (tmp_path / FINGERPRINTS_FILE).exists()
