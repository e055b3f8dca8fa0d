"""Minimal pairs: reading suites, which side has the higher margin, ties, intervals, no pair decided by rounding."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math

import numpy as np
import polars as pl
import pytest

import acceptor
from acceptor.cli.render.scores import pairs_text
from acceptor.data.labels import good_label
from acceptor.data.reading.stream import chunks
from acceptor.data.suite import load_suite
from acceptor.errors import DataError, RunError, UsageError
from acceptor.evaluation.intervals import share_interval
from acceptor.evaluation.metrics import log_odds
from acceptor.evaluation.pairs import PairScores, PairsReport
from acceptor.training import defaults
from conftest import needs_minilm, raises, toy_rows

BLIMP = {"field": "syntax", "linguistics_term": "agreement", "UID": "cats_1", "simple_LM_method": True, "pairID": "0"}


def toy_pairs(n: int, seed: int = 5) -> list[tuple[str, str]]:
    """Pairs that the toy judge can judge: "the cats" is acceptable, "the cat them" is not."""
    tails = [sentence.split(maxsplit=3 if "them" in sentence else 2)[-1] for sentence, _ in toy_rows(n, seed)]
    return [(f"the cats {tail}", f"the cat them {tail}") for tail in tails]


def write_blimp(path, rows, **more):
    lines = (json.dumps({"sentence_good": good, "sentence_bad": bad, **BLIMP, **more}) + "\n" for good, bad in rows)
    path.write_text("".join(lines), "utf-8")


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder)


# ---------------------------------------------------------------------- scores


def test_a_pair_is_right_if_the_acceptable_side_has_the_higher_margin(judge):
    rows = toy_pairs(60)
    rows += [(bad, good) for good, bad in toy_pairs(20, 6)] + [(rows[0][0], rows[0][0])]
    report = acceptor.pairs(judge, rows)
    good, bad = (judge.logits([pair[side] for pair in rows]) for side in (0, 1))
    difference = (good[:, 1] - good[:, 0]) - (bad[:, 1] - bad[:, 0])
    right, ties = int((difference[:-1] > 0).sum()), 1
    both = int(((good[:, 1] > good[:, 0]) & (bad[:, 1] < bad[:, 0])).sum())
    assert report.scores == PairScores(81, right, ties, both)
    assert 50 < right < 81 > report.scores.n - both > 10  # the judge was trained on the other order
    assert report.frame["right"].to_list() == [*(difference[:-1] > 0).astype(float), 0.5]
    np.testing.assert_allclose(report.frame["margin_good"] - report.frame["margin_bad"], difference, atol=1e-4)
    assert (report.identical, report.alike) == (1, 0)
    assert repr(report).startswith(f"{report.scores.share:.3f} [")
    assert "\n" not in repr(report)
    assert json.loads(json.dumps(report.to_dict()))["ties"] == 1


def test_sides_with_the_same_ids_are_ties_in_any_batch(judge):
    rows = [(good, good.upper()) for good, _ in toy_pairs(40)]
    report = acceptor.pairs(judge, rows + toy_pairs(40))
    assert (report.identical, report.alike, report.scores.ties) == (0, 40, 40)
    assert report.frame["right"].to_list()[:40] == [0.5] * 40


def test_shares_count_ties_half_and_their_interval_covers():
    scores = PairScores(n=400, right=180, ties=80, both=100)
    assert (scores.share, scores.both_share) == (0.55, 0.25)
    assert scores.interval == share_interval(220, 400)
    assert PairScores(40, 40, 0, 0).interval.low < 1 == PairScores(40, 40, 0, 0).interval.high
    draws = np.random.default_rng(1).multinomial(400, [0.5, 0.2, 0.3], size=2000)  # right, tie, wrong: share .6
    parts = [PairScores(400, int(right), int(ties), 0).interval for right, ties, _ in draws]
    assert np.mean([low <= 0.6 <= high for low, high in parts]) > 0.95


def test_the_mean_of_phenomena_weighs_each_the_same_and_its_interval_covers(judge):
    rows = [{"good": g, "bad": b, "phenomenon": "many"} for g, b in toy_pairs(90)]
    rows += [{"good": b, "bad": g, "phenomenon": "few"} for g, b in toy_pairs(10, 9)]
    report = acceptor.pairs(judge, rows)
    parts = report.by("phenomenon")
    assert list(parts) == ["few", "many"]  # the lowest first
    mean, interval = report.macro
    assert mean == pytest.approx((parts["few"].share + parts["many"].share) / 2)
    assert mean < report.scores.share - 0.2
    assert interval.low < mean < interval.high
    rng, shares, sizes = np.random.default_rng(2), np.array([0.5, 0.7, 0.95]), [30, 60, 200]
    covered = 0
    for _ in range(2000):
        frame = pl.DataFrame(
            {
                "phenomenon": np.repeat(["a", "b", "c"], sizes),
                "right": np.concatenate([rng.random(n) < share for share, n in zip(shares, sizes, strict=True)]) * 1.0,
                "both": False,
            }
        )
        low, high = dataclasses.replace(report, frame=frame).macro[1]
        covered += low <= shares.mean() <= high
    assert 0.93 < covered / 2000 < 0.975


def test_of_a_single_phenomenon_there_is_no_mean(judge):
    found = acceptor.pairs(judge, [("the cats sleep.", "the cat them sleep.")])
    assert "mean of" not in repr(found) + "".join(map(str, pairs_text(found)))


def test_margins_are_log_odds_for_any_number_of_labels():
    logits = np.array([[1.0, 3.0, -2.0]], dtype=np.float32)
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert log_odds(logits, 1)[0] == pytest.approx(math.log(p[1] / (1 - p[1])))
    assert log_odds(logits[:, :2], 1)[0] == pytest.approx(2.0)


def test_bf16_decides_no_pair(judge):
    rows = toy_pairs(300) + [(good, other) for (good, _), (other, _) in zip(toy_pairs(300), toy_pairs(300, 8))]  # noqa: B905
    rough = dataclasses.replace(judge, runtime=dataclasses.replace(judge.runtime, precision="bf16"))
    exact = acceptor.pairs(judge, rows).frame["right"]
    assert (acceptor.pairs(dataclasses.replace(rough, lossless=False), rows).frame["right"] != exact).any()
    assert (acceptor.pairs(rough, rows).frame["right"] == exact).all()


def test_the_acceptable_label_is_found_by_name_or_must_be_given(judge):
    assert good_label(("unacceptable", "acceptable")) == 1
    assert good_label(("good", "bad")) == 0
    assert good_label(("spam", "ham"), "ham") == 1
    with raises(UsageError, "E-USAGE-LABELS", found="spam, ham", next="--good LABEL"):
        good_label(("spam", "ham"))
    with raises(UsageError, "E-USAGE-LABELS", found="0, 1, 2"):
        good_label(("0", "1", "2"))
    with raises(UsageError, "E-USAGE-LABELS", problem=("'aceptable'", "'acceptable'")):
        good_label(("unacceptable", "acceptable"), "aceptable")
    report = acceptor.pairs(judge, toy_pairs(20), good="unacceptable")
    assert report.good == "unacceptable"
    assert report.scores.share == pytest.approx(1 - acceptor.pairs(judge, toy_pairs(20)).scores.share)


def test_a_judge_that_computes_nan_is_an_error(toy_run):
    broken = acceptor.load(toy_run.folder)
    broken.model.classifier.bias.data[0] = math.nan
    with raises(RunError, "E-RUN-NAN", where="list", found=("nan", "3 such pairs")):
        acceptor.pairs(broken, toy_pairs(3))


# ---------------------------------------------------------------------- suites


def test_a_folder_of_blimp_files_is_one_suite(judge, tmp_path):
    write_blimp(tmp_path / "a.jsonl", toy_pairs(5))
    write_blimp(tmp_path / "b.jsonl", toy_pairs(7, 6), UID="cats_2", linguistics_term="word order")
    (tmp_path / "c.tsv").write_text("Good\tBad\tline\nthe cats sleep\tthe cat them sleep\tx\n")
    with gzip.open(tmp_path / "d.csv.gz", "wt") as stream:
        stream.write('acceptable,unacceptable,phenomenon\n"the cats, see","the cat, them see",commas\n')
    (tmp_path / "notes.md").write_text("not a suite")
    report = acceptor.pairs(judge, tmp_path)
    assert {name: s.n for name, s in report.by("phenomenon").items()} == {"cats_1": 5, "cats_2": 7, "c": 1, "commas": 1}
    assert sorted(report.by("term")) == ["agreement", "not given", "word order"]
    assert len(report.files) == report.frame["file"].n_unique() == 4
    assert report.frame.filter(pl.col("phenomenon") == "c")["input.line"].to_list() == ["x"]
    assert report.frame.filter(pl.col("phenomenon") == "cats_2")["line"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    with raises(DataError, "E-DATA-COLUMN", problem="'phenomenn'", next="'phenomenon'"):
        report.by("phenomenn")


def test_pairs_without_a_term_are_kept_apart_from_those_that_say_so():
    judged = pl.DataFrame({"term": [None, "not given", "", "a"], "right": [1.0, 0.0, 1.0, 1.0], "both": [True] * 4})
    report = PairsReport(judged, PairScores(4, 3, 0, 4), "1", 0, 0, {})
    assert {name: part.n for name, part in report.by("term").items()} == {"not given": 1, "(not given)": 2, "a": 1}


def test_the_starter_suite_is_its_test_split():
    suite = load_suite("starter")
    assert len(suite) == 546
    test = acceptor.load_data("starter").test
    label = dict(zip(test.sentences, test.gold, strict=True))
    assert {label[sentence] for sentence in suite.frame["sentence_good"]} == {1}
    assert {label[sentence] for sentence in suite.frame["sentence_bad"]} == {0}
    assert test.sentences[suite.frame["line"][7] - 1] == suite.frame["sentence_good"][7]
    assert suite.frame["phenomenon"].n_unique() == 39


BAD = {
    "a missing side": (
        '{"sentence_good": "a b", "sentence_bad": "b a"}\n{"sentence_good": "a"}\n',
        "E-DATA-TEXT",
        {"where": "line 2"},
    ),
    "an empty side": (
        '{"sentence_good": "a b", "sentence_bad": " "}\n',
        "E-DATA-TEXT",
        {"where": "line 1", "found": "' '"},
    ),
    "a side that is no text": (
        '{"sentence_good": ["a"], "sentence_bad": "b"}\n',
        "E-DATA-TEXT",
        {"where": "line 1", "found": "list"},
    ),
    "no pairs": ("", "E-DATA-EMPTY", {"found": "0 bytes"}),
    "no column for a side": (
        '{"sentence_good": "a", "sentence": "b"}\n',
        "E-DATA-COLUMN",
        {"expected": "sentence_bad", "next": "sentence_good="},
    ),
    "a phenomenon left out": (
        '{"good": "a", "bad": "b", "UID": "x"}\n{"good": "a", "bad": "b", "UID": ""}\n',
        "E-DATA-TEXT",
        {"problem": "phenomenon", "where": "line 2"},
    ),
    "broken JSON": (
        '{"sentence_good": "a", "sentence_bad": "b"}\n{"sentence_good": \n',
        "E-DATA-ROW",
        {"where": "line 2", "cause": "column 19"},
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_suite_is_an_error_with_its_line(case, tmp_path):
    text, code, fields = BAD[case]
    (tmp_path / "suite.jsonl").write_text(text)
    with raises(DataError, code, **fields) as caught:
        load_suite(tmp_path / "suite.jsonl")
    assert "suite.jsonl" in caught.value.details["where"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"good": "the cats", "bad": "the cat them"}\n'),
        ("a.jsonl", '{"UID": "x", "sentence_bad": "the cat them", "sentence_good": "the cats"}\n'),
        ("a.csv", "good,bad\n" + 5 * "the cats see the mat,the cat them see mat\n"),
    ],
)
def test_minimal_pairs_are_no_sentences_and_are_called_what_they_are(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert len(load_suite(tmp_path / name)) == text.count("\n") - (name == "a.csv")
    with raises(DataError, "E-DATA-COLUMN", cause=("minimal pairs", "bad"), next="acceptor pairs RUN FILE") as caught:
        acceptor.load_data(str(tmp_path / name))
    assert "--columns" not in caught.value.details["next"]
    with raises(DataError, "E-DATA-COLUMN", cause="minimal pairs", next="acceptor.pairs("):
        acceptor.load_data([{"good": "the cats", "bad": "the cat them"}])
    with raises(DataError, "E-DATA-COLUMN", next="acceptor pairs RUN FILE"):
        list(chunks([str(tmp_path / name)]))


def test_other_bad_suites(tmp_path):
    with raises(DataError, "E-DATA-MISSING", where=str(tmp_path)):
        load_suite(tmp_path)
    (tmp_path / "header.csv").write_text("good,bad\n")
    with raises(DataError, "E-DATA-EMPTY", where="header.csv"):
        load_suite(tmp_path / "header.csv")
    with raises(DataError, "E-DATA-TEXT", problem="sentence_bad", where="row 2"):
        load_suite([("a", "b"), ("a",)])
    with raises(DataError, "E-DATA-COLUMN", expected="sentence_good", next='{"sentence_good": "NAME"'):
        load_suite([("a", "b", "c")])
    with raises(UsageError, "E-USAGE-CONFLICT", problem="'starter'", next="--columns"):
        load_suite("starter", columns={"sentence_good": "a"})
    (tmp_path / "named.csv").write_text("good,bad\nthe cats,the cat them\n")
    for columns, following in (
        ({"sentence_good": "goood"}, "--columns sentence_good=good"),
        ({"sentence_good": "x"}, "--columns sentence_good=good,sentence_bad=bad"),
        ({"sentence_bad": "1", "term": "x"}, "--columns sentence_good=good,sentence_bad=1"),
    ):
        with raises(DataError, "E-DATA-COLUMN", problem="there is no column", next=following):
            load_suite(tmp_path / "named.csv", columns=columns)
    (tmp_path / "odd.tsv").write_text("right one\twrong one\nthe cats\tthe cat them\n")
    suite = load_suite(tmp_path / "odd.tsv", columns={"sentence_good": "right one", "sentence_bad": "2"})
    assert suite.frame.select("sentence_good", "sentence_bad").row(0) == ("the cats", "the cat them")


# ---------------------------------------------------------------------- command


def test_the_command_shows_phenomena_and_writes_every_pair(run_cli, toy_run, tmp_path):
    write_blimp(tmp_path / "a.jsonl", [*toy_pairs(30), ("the cats see", "the cats see")])
    out = tmp_path / "verdicts.jsonl"
    code, stdout, stderr = run_cli("pairs", toy_run.folder, tmp_path / "a.jsonl", "-o", out)
    assert code == 0, stderr
    for words in (
        "phenomenon",
        "cats_1",
        "agreement",
        "chance 0.5",
        "both verdicts right",
        "1 ties count half",
        str(out),
    ):
        assert words in stdout, words
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert (len(rows), rows[-1]["right"]) == (31, 0.5)
    content = json.loads(run_cli("pairs", toy_run.folder, tmp_path / "a.jsonl", "--json")[1])
    assert content["by phenomenon"]["cats_1"]["n"] == content["n"] == 31
    code, _, stderr = run_cli("pairs", toy_run.folder, tmp_path / "a.jsonl", "-o", out)
    assert (code, "--overwrite" in stderr) == (2, True)


@pytest.mark.real
@needs_minilm
def test_the_demo_trains_a_judge_that_orders_plain_pairs(run_cli, tmp_path, monkeypatch):
    """One epoch of the demo's seven has all pairs in order; all seven had both verdicts right, too: records/LOG.md."""
    monkeypatch.setattr(defaults, "MOST_EPOCHS", 1)
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path / "cache"))  # the precision of this machine, as for its users
    monkeypatch.setenv("HOME", str(tmp_path))
    out = tmp_path / "demo"
    code, stdout, stderr = run_cli("demo", "--out", "~/demo")
    assert code == 0, stderr
    (out / "report.html").unlink()
    assert stdout.count("✓") + stdout.count("✗") == 42
    scores = json.loads(run_cli("demo", "--out", "~/demo", "--json")[1])  # the run is used again
    assert (out / "report.html").is_file()
    assert scores["n"] == 20
    assert scores["right"] >= 16
    assert f"{scores['right']} of 20 pairs in the right order, both verdicts right in {scores['both']}" in stdout
    assert stdout.count("✓") - 1 >= 2 * scores["both"]


def test_a_suite_that_is_misspelt_is_named():
    with raises(DataError, "E-DATA-MISSING", problem="did you mean 'plain'", expected="starter, plain"):
        load_suite("plian")


def test_columns_of_another_judge_s_output_are_kept(toy_run, tmp_path, run_cli):
    write_blimp(tmp_path / "a.jsonl", toy_pairs(6))
    assert run_cli("pairs", toy_run.folder, tmp_path / "a.jsonl", "-o", tmp_path / "b.jsonl")[0] == 0
    again = acceptor.pairs(acceptor.load(toy_run.folder), tmp_path / "b.jsonl").frame
    assert {"margin_good", "input.margin_good", "right", "input.right"} <= set(again.columns)
    again.write_ndjson(tmp_path / "c.jsonl")
    with raises(DataError, "E-DATA-COLUMN", problem="two columns would be called 'input."):
        acceptor.pairs(acceptor.load(toy_run.folder), tmp_path / "c.jsonl")
