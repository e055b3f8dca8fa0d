"""Paired comparison: error rates of the tests, power, systems that cannot be compared."""

from __future__ import annotations

import itertools
import json
import logging
import math
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

import acceptor
from acceptor.cli.render.scores import comparison_text
from acceptor.cli.render.tables import number, p_value
from acceptor.errors import DataError, RunError, UsageError
from acceptor.evaluation.compare import compare, compare_judged, holm, mcnemar_p
from acceptor.evaluation.judged import Judged, judged_of
from acceptor.evaluation.metrics import confusion_matrix, mcc
from acceptor.report.html import write_report
from conftest import raises, toy_rows


def systems(n=300, skill=(1.0, 1.0), seeds=(1, 1), seed=0, sources=None, sd=0.0):
    """Systems with correlated errors; ``sd`` is the standard deviation of skill over seeds."""
    rng = np.random.default_rng(seed)
    gold = (rng.random(n) < 0.69).astype(np.int64)
    common = 0.8 * rng.normal(size=n)
    source = None if sources is None else np.array([f"s{number}" for number in rng.integers(sources, size=n)])
    found = []
    for name, strength, count in zip("ab", skill, seeds, strict=True):
        own = 0.6 * rng.normal(size=(count, n)) + sd * rng.normal(size=(count, 1)) * (2 * gold - 1)
        verdicts = (strength * (2 * gold - 1) + common + own >= 0).astype(np.int64)
        found.append(Judged(name, ("no", "yes"), range(n), gold, verdicts, source))
    return found


def test_the_permutation_test_is_exact_on_few_disagreements():
    """All 2^k swaps of the k examples that are judged differently, counted one by one."""
    gold = np.array([0, 1] * 10)
    first, second = gold.copy(), gold.copy()
    first[[1, 3, 5, 7, 9, 11, 13]] = 0
    second[[0]] = 1
    apart = np.flatnonzero(first != second)

    def difference(swapped):
        a, b = first.copy(), second.copy()
        a[swapped], b[swapped] = second[swapped], first[swapped]
        return float(mcc(confusion_matrix(gold, b, 2)) - mcc(confusion_matrix(gold, a, 2)))

    observed = difference([])
    subsets = (list(rows) for size in range(len(apart) + 1) for rows in itertools.combinations(apart, size))
    as_large = [abs(difference(rows)) >= abs(observed) - 1e-12 for rows in subsets]
    base, other = (
        Judged(name, ("n", "y"), range(20), gold, one[None, :]) for name, one in (("a", first), ("b", second))
    )
    (found,) = compare_judged(base, [other], draws=20_000)
    assert found.p == pytest.approx(np.mean(as_large), abs=0.01)
    assert found.difference == pytest.approx(observed)
    assert found.disagreeing == 8


@pytest.mark.parametrize(("seeds", "sd", "sources"), [(1, 0.0, None), (4, 0.0, None), (4, 0.2, 17)])
def test_false_differences_are_found_as_rarely_as_stated(seeds, sd, sources):
    wrong = {"p": 0, "interval": 0}
    tries = 200
    for seed in range(tries):
        base, other = systems(seeds=(seeds, seeds), seed=seed, sd=sd, sources=sources)
        (found,) = compare_judged(base, [other], draws=500)
        wrong["p"] += found.p < 0.05
        wrong["interval"] += not found.interval.low <= 0 <= found.interval.high
    for count in wrong.values():
        assert count <= binom.ppf(0.999, tries, 0.05)


def test_the_smallest_difference_is_found_with_80_percent_power():
    """Four of five test sets show a difference as large as `smallest`."""
    found = [compare_judged(*_one(systems(n=800, skill=(0.7, 0.83), seed=seed)), draws=800)[0] for seed in range(100)]
    power = np.mean([one.p < 0.05 for one in found])
    ratio = np.mean([one.difference / one.smallest for one in found])
    expected = 0.8 * ratio if ratio < 1 else 0.8
    assert 0.6 < ratio < 1.6
    assert power >= expected - 0.15
    assert all(one.interval.low < one.difference < one.interval.high for one in found)


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_smallest_difference_of_few_seeds_is_finite(seeds):
    """Draws of Student's t with one or two degrees of freedom have no finite variance, so it must not be used."""
    (found,) = compare_judged(*_one(systems(n=500, seeds=(seeds, seeds), sd=0.3, seed=2)), draws=2000)
    assert found.standard_error == pytest.approx(np.ptp(found.interval) / 3.92, rel=0.01)


@pytest.mark.parametrize(("metric", "most"), [("mcc", 2), ("accuracy", 1)])
def test_a_difference_of_few_seeds_has_an_interval_of_possible_differences(metric, most):
    """Student's t with one degree of freedom reaches far beyond them."""
    base, other = systems(n=500, seeds=(2, 2), sd=1.5, seed=2, sources=5)
    (found,) = compare_judged(base, [other], metric=metric, draws=2000)
    for low, high in (found.interval, found.of_sources):
        assert -most <= low < found.difference < high <= most


def _one(pair):
    return pair[0], [pair[1]]


def test_the_better_of_several_is_found_and_their_number_counts():
    base, good = systems(n=1000, skill=(0.6, 1.2))
    same = replace(base, name="same")
    found = compare_judged(base, [good, same])
    assert found[0].p_holm < 0.01
    assert found[0].interval.low > 0
    assert found[1].difference == 0
    assert found[1].p == found[1].p_holm == 1.0
    assert found[1].p_mcnemar == 1.0
    assert found[1].interval is None  # the same verdicts: the smallest difference is not known
    assert math.isnan(found[1].smallest)
    assert "+" in repr(found[0])
    json.dumps([one.to_dict() for one in found], allow_nan=False)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.02]) == pytest.approx([0.5, math.nan, 0.04], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_score_of_zero_is_zero_and_a_p_value_is_not():
    values = (0.0, 0.0004, 0.0006, math.nan)
    assert [number(value) for value in (-0.0001, *values)] == ["0.000", "0.000", "0.000", "0.001", "not defined"]
    assert [p_value(value) for value in values] == ["< 0.001", "< 0.001", "0.001", "not defined"]


def test_mcnemar_by_hand():
    gold = np.zeros(20, dtype=np.int64)
    first, second = gold.copy(), gold.copy()
    first[:7], second[7] = 1, 1
    assert mcnemar_p(gold, first, second) == pytest.approx(2 * (binom.pmf(0, 8, 0.5) + binom.pmf(1, 8, 0.5)))
    assert mcnemar_p(gold, gold, gold) == 1.0


def test_more_seeds_narrow_intervals_and_other_sources_widen_them():
    few = compare_judged(*_one(systems(n=2000, seeds=(3, 3), sd=0.3, seed=3)))[0]
    many = compare_judged(*_one(systems(n=2000, seeds=(12, 12), sd=0.3, seed=3)))[0]
    assert np.ptp(many.interval) < np.ptp(few.interval)
    assert many.p_mcnemar is None
    assert many.seeds == (12, 12)
    rng = np.random.default_rng(5)
    base, other = systems(n=1000, sources=6)
    weak = base.sources == "s0"  # the system fails on one source
    verdicts = np.where(weak & (rng.random(1000) < 0.5), 1 - base.gold, other.predicted)
    (found,) = compare_judged(base, [replace(other, predicted=verdicts)])
    assert np.ptp(found.of_sources) > 1.5 * np.ptp(found.interval)


def test_intervals_for_other_sources_hold_the_truth_as_often_as_stated():
    """Both systems are equally good over all sources; either may be better on the few that there are."""
    wrong, tries = 0, 200
    for seed in range(tries):
        (found,) = compare_judged(*_one(of_few_sources(5, seed)), draws=200)
        low, high = found.of_sources
        wrong += not low <= 0 <= high
        assert low <= found.interval.low < found.interval.high <= high
    assert wrong <= binom.ppf(0.999, tries, 0.05)


@pytest.mark.parametrize(("sources", "words"), [(4, "since there are 4: it needs 5"), (5, "if other sources")])
def test_too_few_sources_have_no_interval_and_the_reason_is_printed(sources, words):
    base, other = of_few_sources(sources, seed=0)
    found = compare_judged(base, [other], draws=200)
    assert (found[0].of_sources is None) == (sources < 5)
    assert found[0].to_dict()["sources"] == sources
    assert any(words in str(line) for line in comparison_text(found))


def test_a_source_that_alone_has_a_label_leaves_no_interval():
    base, other = of_few_sources(5, seed=0)
    names = np.where(base.gold == 1, "s0", np.char.add("s", (1 + np.arange(len(base.gold)) % 4).astype(str)))
    found = compare_judged(replace(base, sources=names), [other], draws=200)
    assert (found[0].of_sources, found[0].sources) == (None, 5)
    assert any("mcc is not defined without one of these" in str(line) for line in comparison_text(found))


@pytest.mark.parametrize("none", [None, ""])
def test_sentences_without_a_source_are_no_source(none):
    """With them there seem to be five."""
    base, other = of_few_sources(5, seed=0)
    names = np.where(base.sources == "s0", none, base.sources.astype(object))
    found = compare_judged(replace(base, sources=names), [other], draws=200)
    assert (found[0].of_sources, found[0].sources, found[0].without_source) == (None, 4, 60)
    assert any("since 60 of the 300 sentences have no source" in str(line) for line in comparison_text(found))
    nowhere = replace(base, sources=np.full(300, none, dtype=object))
    (found,) = compare_judged(nowhere, [other], draws=200)
    assert (found.sources, found.without_source) == (0, 300)
    assert not any("source" in str(line) for line in comparison_text([found]))


def test_a_cell_of_a_typed_column_that_is_missing_is_no_source(toy_run):
    years = pl.Series("source", [None, 1999, 2001, 2003, 2005] * 8, dtype=pl.Int64)
    frame = pl.DataFrame(toy_rows(40, 2), schema=["sentence", "label"], orient="row").with_columns(years)
    report = acceptor.evaluate(toy_run.judge, acceptor.load_data(toy_rows(160), test=frame).test)
    (found,) = compare(report, report)
    assert (found.sources, found.without_source) == (4, 8)


def of_few_sources(sources, seed):
    """Two systems whose skill differs by source, and is the same over all sources that there could be."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(sources), 60)
    gold = (rng.random(len(source)) < 0.69).astype(np.int64)
    skill = 1 + 0.35 * rng.normal(size=(2, sources))
    verdicts = (skill[:, source] * (2 * gold - 1) + rng.normal(size=(2, len(gold))) >= 0).astype(np.int64)
    names = np.array([f"s{number}" for number in source])
    return [
        Judged(name, ("no", "yes"), range(len(gold)), gold, one[None], names)
        for name, one in zip("ab", verdicts, strict=True)
    ]


def test_many_labels_and_a_source_for_every_example_fit_in_memory(caplog):
    """Confusion matrices of 10,000 draws of 151 labels, or of samples of 20,000 patterns, would take gigabytes."""
    rng = np.random.default_rng(0)
    labels = tuple(f"intent {number}" for number in range(151))
    gold = rng.integers(151, size=2000)
    first, second = (np.where(rng.random(2000) < right, gold, rng.integers(151, size=2000)) for right in (0.7, 0.8))
    base, other = (Judged(name, labels, range(2000), gold, one[None]) for name, one in (("a", first), ("b", second)))
    key = np.array([f"row {row}" for row in range(2000)])
    tracemalloc.start()
    (found,) = compare_judged(replace(base, sources=key), [other], draws=500)
    assert tracemalloc.get_traced_memory()[1] < 80e6
    tracemalloc.stop()
    assert found.interval.low < found.difference < found.interval.high
    assert found.p < 0.01
    assert found.of_sources is None
    assert "source has 2,000 values" in caplog.text


def test_an_undefined_score_is_reported():
    base, other = systems()
    constant = replace(other, predicted=np.ones_like(other.predicted))
    (found,) = compare_judged(base, [constant])
    assert math.isnan(found.difference)
    assert found.interval is found.of_sources is None
    assert "not defined" in repr(found)
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert content["p"] is content["difference"] is None
    (found,) = compare_judged(base, [constant], metric="accuracy")
    assert found.difference < 0


def test_runs_without_a_score_are_named_with_the_next_step():
    """One of several is enough to leave no mean."""
    base, other = systems(seeds=(1, 3))
    verdicts = other.predicted.copy()
    verdicts[1] = 1
    other = replace(other, predicted=verdicts, runs=("runs/seed-1", "runs/seed-2", "runs/seed-3"))
    found = compare_judged(base, [other, replace(base, name="c", predicted=verdicts[1:2])], draws=200)
    assert [one.undefined for one in found] == [("runs/seed-2",), ("c",)]
    assert found[0].to_dict()["undefined"] == ["runs/seed-2"]
    assert "mcc not defined for runs/seed-2" in repr(found[0])
    (line,) = (str(line) for line in comparison_text(found) if "--metric accuracy" in str(line))
    assert line.startswith("mcc is not defined for runs/seed-2, c: one verdict for all")
    (found,) = compare_judged(base, [other], metric="accuracy", draws=200)
    assert (found.undefined, list(filter(lambda line: "--metric" in str(line), comparison_text([found])))) == ((), [])


def test_systems_that_cannot_be_compared_are_refused(toy_run, tmp_path):
    base, other = systems()
    changed = [*range(299), "another"]
    with raises(DataError, "E-DATA-COMPARE", where="example 300"):
        compare_judged(base, [replace(other, sentences=changed)])
    with raises(DataError, "E-DATA-COMPARE", expected="300", found="200"):
        compare_judged(base, systems(n=200)[:1])
    with raises(DataError, "E-DATA-COMPARE", found="bad, good"):
        compare_judged(base, [replace(other, labels=("bad", "good"))])
    with raises(DataError, "E-DATA-SPLIT", expected="10", found="9"):
        compare_judged(*_one(systems(n=9)))
    with raises(UsageError, "E-USAGE-OPTION", problem="'f2'", expected="mcc, accuracy, f1"):
        compare(toy_run.folder, toy_run.folder, metric="f2")
    with raises(UsageError, "E-USAGE-OPTION", problem="'tset'", expected="test or validation"):
        compare(toy_run.folder, toy_run.folder, split="tset")
    with raises(UsageError, "E-USAGE-CONFLICT", next=("data", "split")):
        compare(toy_run.folder, toy_run.folder, data="starter", split="test")
    with raises(UsageError, "E-USAGE-OPTION", expected="two systems"):
        compare(toy_run.folder)
    with raises(RunError, "E-RUN-MISSING", problem=str(tmp_path), expected="report.json"):
        compare(toy_run.folder, tmp_path)
    with raises(UsageError, "E-USAGE-OPTION", found="int"):
        compare(toy_run.folder, 7)


def test_judges_of_other_labels_are_named_before_a_file_is_read(toy_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(toy_run.folder, other)
    judge = json.loads((other / "judge.json").read_text())
    (other / "judge.json").write_text(json.dumps(judge | {"labels": ["bad", "good"]}))
    with raises(DataError, "E-DATA-COMPARE", problem="different labels", where="other", found="bad, good"):
        acceptor.compare(toy_run.folder, other, data=tmp_path / "not-there.tsv")


def test_runs_that_cut_their_own_validation_are_refused_with_the_reason(toy_config, tmp_path):
    settings = {"epochs": 1, "on_collapse": "go-on"}
    runs = [
        acceptor.train(toy_rows(200), out=tmp_path / str(seed), config=toy_config.model_copy(update=settings | one))
        for seed, one in enumerate(({"seed": 1}, {"seed": 2}, {"seed": 3, "validation_share": 0.2}))
    ]
    for other in runs[1:]:  # other sentences, and another number of them
        with raises(DataError, "E-DATA-COMPARE", cause="cut its own validation", next=("--data FILE", "--validation")):
            acceptor.compare(runs[0], other)
    own = acceptor.load_data(toy_rows(200), validation=toy_rows(12, 1))
    given = acceptor.train(own, out=tmp_path / "given", config=toy_config.model_copy(update=settings))
    other = acceptor.load_data(toy_rows(200), validation=toy_rows(12, 2))
    with raises(DataError, "E-DATA-COMPARE", next="--data FILE") as caught:
        acceptor.compare(given, acceptor.train(other, out=tmp_path / "o", config=toy_config))
    assert "cause" not in caught.value.details


def test_runs_folders_reports_and_seeds_are_all_systems(toy_run, tmp_path):
    report = toy_run.reports["test"]
    by_folder, by_run, by_report = (acceptor.compare(one, report)[0] for one in (str(toy_run.folder), toy_run, report))
    assert by_folder.n == len(report.split)
    assert by_folder.difference == by_run.difference == by_report.difference == 0
    assert by_folder.scores[0] == pytest.approx(report.mcc)
    (seeds,) = acceptor.compare([toy_run, toy_run], report)
    assert seeds.seeds == (2, 1)
    (several,) = acceptor.compare([report, report], [report])
    assert (several.base, several.name, several.seeds) == ("system 1", "system 2", (2, 1))
    few = acceptor.evaluate(toy_run.judge, report.split.take(range(20), "short"))
    assert acceptor.compare(few, few)[0].n == 20  # reports are compared on whatever they judged
    for reports in ((few, few), (report, toy_run)):
        with raises(UsageError, "E-USAGE-CONFLICT", problem="a report has no verdicts on validation"):
            acceptor.compare(*reports, split="validation")
    shutil.copytree(toy_run.folder, tmp_path / "seed-7")
    scores = {"test": report.to_dict()}
    one = {"planned": 7, "seed": 7, "order_seed": 7, "folder": "seed-7", "status": "finished", "scores": scores}
    runs = [one, {**one, "seed": 8, "folder": "x", "status": "collapsed", "scores": None}]
    record = {name: toy_run.record[name] for name in ("config", "encoder", "data")}
    record |= {"labels": list(report.split.labels), "vary": "both", "runs": runs, "summary": {}}
    record |= {"n_runs": 2, "collapsed": 1, "failed": 0, "one_verdict": 0}
    (tmp_path / "seeds.json").write_text(json.dumps(record))
    (found,) = acceptor.compare(tmp_path, [tmp_path, toy_run])
    assert (found.seeds, found.left_out, found.to_dict()["left_out"]) == ((1, 2), (1, 1), [1, 1])
    lines = [str(line) for line in comparison_text([found])]
    (judged,) = judged_of([[tmp_path, toy_run]])
    assert judged.runs == (str(tmp_path / "seed-7"), str(toy_run.folder))
    assert f"{found.base}: 1 of 2 trainings are not in this: they collapsed or failed" in lines
    assert f"{found.name}: 1 of 3 trainings are not in this: they collapsed or failed" in lines
    assert f"one run each, so interval and p say nothing of other seeds: {found.base}" in lines
    for change in ({"runs": 3}, {"config": 1}, {"runs": [{"status": "finished"}]}, {"runs": [one | {"folder": ".."}]}):
        (tmp_path / "seeds.json").write_text(json.dumps(record | change))
        for read in (
            lambda: acceptor.compare(tmp_path, toy_run),
            lambda: write_report([tmp_path], tmp_path / "x.html"),
        ):
            with raises(RunError, "E-RUN-FILE", problem="seeds.json", where=str(tmp_path)):
                read()
    (tmp_path / "seed-7" / "report.json").write_bytes((tmp_path / "seed-7" / "report.json").read_bytes() + b"\n")
    with raises(RunError, "E-RUN-FILE", where="report.json", expected="sha256", found="sha256"):
        acceptor.compare(tmp_path / "seed-7", toy_run)
    (validation,) = acceptor.compare(toy_run, toy_run, split="validation")
    assert validation.n == len(toy_run.report.split)
    file = tmp_path / "test.tsv"
    report.split.table.frame.select("sentence", "label").write_csv(file, separator="\t")
    (again,) = acceptor.compare(toy_run, toy_run, data=str(file))
    assert again.scores[0] == pytest.approx(report.mcc)
    other = tmp_path / "other.csv"
    frame = report.split.table.frame.select(pl.col("sentence").alias("text"), pl.col("label").alias("gold"))
    frame.write_csv(other, separator=";")
    reading = {"columns": {"sentence": "text", "label": "gold"}, "separator": ";"}
    (read_so,) = acceptor.compare(toy_run, toy_run, data=other, reading=reading)
    assert (read_so.scores, read_so.n) == (again.scores, again.n)
    with raises(UsageError, "E-USAGE-CONFLICT", found="--columns, --separator"):
        acceptor.compare(toy_run, toy_run, reading=reading)
    with raises(UsageError, "E-USAGE-OPTION", expected="columns, separator", found="column"):
        acceptor.compare(toy_run, toy_run, data=other, reading={"column": reading["columns"]})


def test_the_command_reads_other_data_as_it_is_told_and_once_for_all_runs(toy_run, tmp_path, run_cli):
    file = tmp_path / "semicolons.csv"
    frame = toy_run.reports["test"].split.table.frame.select("sentence", gold="label")
    frame.write_csv(file, separator=";")
    told = ["--separator", ";", "--columns", "sentence=sentence,label=gold"]
    code, stdout, stderr = run_cli("compare", toy_run.folder, toy_run.folder, "--data", file, *told, "--json")
    assert code == 0, stderr
    assert json.loads(stdout)["comparisons"][0]["n"] == len(frame)
    assert stderr.count("semicolons.csv: ") == 1
    code, _, stderr = run_cli("compare", toy_run.folder, toy_run.folder, *told)
    assert (code, "say how to read a file" in stderr) == (2, True)


def test_sentences_that_a_judge_was_trained_on_are_counted(toy, toy_run, tmp_path, caplog):
    rows = [*zip(toy.train.sentences[:9], toy.train.gold[:9], strict=True), ("the cats see a new garden", 1)]
    file = tmp_path / "test.tsv"
    file.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    with caplog.at_level(logging.WARNING, "acceptor"):
        acceptor.compare(toy_run, toy_run, data=str(file))
    found = [message for message in caplog.messages if "was trained on 9 of the 10 sentences" in message]
    assert len(found) == 2  # once for each system


@pytest.mark.parametrize("form", ["file", "folder"])
def test_an_exported_judge_is_compared_on_data_and_has_no_verdicts_of_its_training(form, toy_run, toy_onnx, tmp_path):
    """It is no wrong path: `compare` takes it with data."""
    exported = toy_onnx if form == "file" else acceptor.export(toy_run.judge, tmp_path / "judge").path
    with raises(RunError, "E-RUN-MISSING", cause="exported", next="--data FILE"):
        compare(toy_run.folder, exported)
