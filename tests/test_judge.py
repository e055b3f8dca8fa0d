"""A loaded judge: verdicts in order, logits independent of batches, reports and their parts."""

from __future__ import annotations

import errno
import json
import shutil

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import acceptor
from acceptor.data.load import load_split
from acceptor.data.reading.read import read_table
from acceptor.errors import DataError, EncoderError, ResourceError, RunError, UsageError
from acceptor.evaluation.evaluate import report_of
from acceptor.judging.close_calls import recompute_close_calls
from acceptor.judging.decision import MOST_PROBABLE
from acceptor.judging.dedup import LogitsCache
from acceptor.judging.predict import predict
from acceptor.judging.rows import judged_table
from acceptor.judging.verdicts import verdict_columns
from acceptor.model.classifier import load_classifier
from acceptor.report import figures
from conftest import raises, toy_rows, turning


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder)


def test_verdicts_come_one_a_sentence_in_order(judge):
    sentences = [sentence for sentence, _ in toy_rows(50, 3)]
    verdicts = judge(sentences)
    assert [verdict.label for verdict in verdicts] == [judge([one])[0].label for one in sentences]
    for verdict in verdicts:
        assert sum(verdict.probabilities) == pytest.approx(1)
        assert verdict.probability == max(verdict.probabilities)
        assert verdict.label == judge.labels[int(np.argmax(verdict.logits))]
    assert repr(verdicts[1]) == f"Verdict('acceptable', {verdicts[1].probability:.2f})"
    assert json.loads(json.dumps(verdicts[0].to_dict()))["label"] == verdicts[0].label


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("the cats .SLEEPy'd", min_size=1, max_size=60).filter(str.strip), min_size=1, max_size=40))
def test_logits_do_not_depend_on_the_other_inputs(judge, sentences):
    together = judge.logits(sentences)
    alone = np.concatenate([judge.logits([sentence]) for sentence in sentences])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_judge_in_fp32_computes_with_the_same_network(toy_run):
    """To make another one for each call takes longer than the call."""
    judge = acceptor.load(toy_run.folder, precision="bf16")
    judge.in_fp32().logits(["the cats sleep."])
    made = judge.scorer("fp32")
    assert judge.in_fp32().scorer("fp32") is made
    assert judge.in_fp32().in_fp32().runtime.precision == "fp32"


def test_no_sentences_give_no_verdicts(judge):
    assert judge([]) == []


@pytest.mark.parametrize("bad", ["", "  ", None, 7])
def test_an_input_that_is_not_a_sentence_is_refused(judge, bad):
    with raises(DataError, "E-DATA-TEXT", where="position 1", found=repr(bad)):
        judge(["the cats", bad])


def test_a_single_string_is_refused(judge):
    with raises(DataError, "E-DATA-TYPE", found="the cats", next='judge(["the cats"])'):
        judge("the cats")


def test_more_or_fewer_seconds_are_refused(judge):
    with raises(DataError, "E-DATA-PAIRS", expected="2 seconds", found="1"):
        judge(["a b", "c d"], ["e f"])


def test_loading_a_folder_that_is_not_a_run_is_refused(tmp_path, toy_run):
    with raises(RunError, "E-RUN-MISSING", problem=str(tmp_path / "nowhere"), found="no such folder"):
        acceptor.load(tmp_path / "nowhere")
    for impossible in ("a\0b", "x" * 300, tmp_path / ("y" * 300) / "run"):
        with raises(RunError, "E-RUN-MISSING", expected="a run folder", cause=""):
            acceptor.load(impossible)
    with raises(RunError, "E-RUN-MISSING", expected="judge.json", found="a folder"):
        acceptor.load(tmp_path)
    folder = shutil.copytree(toy_run.folder, tmp_path / "copy")
    (folder / "judge.json").write_text("{}")
    with raises(RunError, "E-RUN-FILE", where=str(folder / "judge.json"), found="labels"):
        acceptor.load(folder)
    shutil.copy(toy_run.folder / "judge.json", folder)
    (folder / "README.md").write_text("my own words")
    acceptor.load(folder)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        content = bytearray((folder / name).read_bytes())
        content[-10] ^= 1
        (folder / name).write_bytes(content)
        with raises(RunError, "E-RUN-FILE", where=str(folder / name), expected="sha256", found="sha256"):
            acceptor.load(folder)
        shutil.copy(toy_run.folder / name, folder)
    (folder / "manifest.json").unlink()
    with raises(RunError, "E-RUN-FILE", problem="manifest.json"):
        acceptor.load(folder)


def test_the_run_that_was_probably_meant_is_named(toy_run, tmp_path):
    shutil.copytree(toy_run.folder, tmp_path / "odd-minilm")
    for wrong in (tmp_path, tmp_path / "odd-minlm", tmp_path / "odd-minilm" / "judge.json"):
        with raises(RunError, "E-RUN-MISSING", next=f"did you mean {tmp_path / 'odd-minilm'}?"):
            acceptor.load(wrong)
    (tmp_path / "even-minilm").mkdir()
    (tmp_path / "even-minilm" / "seeds.json").touch()  # a folder of seeds explains itself
    with raises(RunError, "E-RUN-MISSING", cause="a wrong path", next=f"did you mean {tmp_path / 'even-minilm'}?"):
        acceptor.load(tmp_path / "evne-minilm")


@pytest.mark.parametrize(
    ("file", "found", "following"),
    [
        (
            "seeds.json",
            "several seeds",
            "validation rows, make one judge of them: acceptor ensemble ",
        ),
        ("cv.json", "a cross-validation", "one of its runs, such as "),
        ("search.json", "a search", "one of its runs, such as "),
    ],
)
def test_a_folder_of_runs_is_told_from_a_run(toy_run, tmp_path, monkeypatch, file, found, following, run_cli):
    (tmp_path / file).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    with raises(RunError, "E-RUN-MISSING", found=found):
        acceptor.load("~")
    assert found in run_cli("train", tmp_path, "--resume")[2]
    with raises(RunError, "E-RUN-MISSING", found=found, next="none of its runs is finished"):
        acceptor.load(tmp_path)
    shutil.copytree(toy_run.folder, tmp_path / "fold-1")
    with raises(RunError, "E-RUN-MISSING", found=found, next=following):
        acceptor.load(tmp_path)
    if file != "seeds.json":  # of which reports and comparisons are made
        with raises(RunError, "E-RUN-MISSING", found=found, next=following):
            acceptor.compare(tmp_path, toy_run.folder)
        with raises(RunError, "E-RUN-MISSING", found=found, next=following):
            acceptor.write_report([tmp_path], tmp_path / "page.html")


def test_weights_that_are_not_safetensors_are_refused(tmp_path, toy_run):
    folder = shutil.copytree(toy_run.folder, tmp_path / "copy")
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with raises(EncoderError, "E-ENCODER-FILE", where="model.safetensors", cause="0 bytes"):
        load_classifier(folder, toy_run.judge.labels)


def test_a_judged_table_keeps_every_column_and_adds_verdicts(judge):
    rows = [{"sentence": text, "label": label, "verdict": "mine"} for text, label in toy_rows(9)]
    frame = judged_table(judge, read_table(rows))
    assert frame["sentence"].to_list() == [row["sentence"] for row in rows]
    assert frame["input.verdict"].to_list() == ["mine"] * 9
    assert set(frame["verdict"]) <= set(judge.labels)


def test_verdict_columns_do_not_overflow():
    frame = verdict_columns(np.array([[1e4, -1e4]], np.float32), ("no", "yes"), MOST_PROBABLE)
    assert frame.row(0) == ("no", 1.0, 1.0, 0.0, 1e4, -1e4)


def rounded_logits(n: int = 2000, step: float = 0.03):
    """Exact logits of two labels, and the same with rounding errors."""
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(n, 2)).astype(np.float32)
    return exact, (exact + rng.uniform(-step, step, exact.shape)).astype(np.float32)


@pytest.mark.parametrize("sides", [1, 2])
def test_close_calls_are_computed_again_and_no_others(sides):
    """Of verdicts (a call is one input's) and of the order of pairs (a call is two inputs')."""
    exact, logits = rounded_logits()
    calls = np.arange(len(exact)).reshape(sides, -1)
    asked = []

    def signed(of):
        margins = of[..., 1] - of[..., 0]
        return margins[0] if sides == 1 else margins[0] - margins[1]

    def in_fp32(rows):
        asked.extend(rows.tolist())
        return exact[rows]

    rough = logits.copy()
    assert (np.sign(signed(rough[calls])) != np.sign(signed(exact[calls]))).any()
    recompute_close_calls(
        logits,
        calls,
        margins=lambda of: np.abs(signed(of)),
        changes=lambda before, after: np.abs(signed(after) - signed(before)),
        in_fp32=in_fp32,
        at_once=64,
    )
    assert (np.sign(signed(logits[calls])) == np.sign(signed(exact[calls]))).all()
    assert len(set(asked)) == len(asked) < len(exact) / 3
    assert (logits[sorted(asked)] == exact[sorted(asked)]).all()
    others = np.setdiff1d(np.arange(len(exact)), asked)
    assert (logits[others] == rough[others]).all()
    assert np.abs(signed(rough[calls]))[np.isin(calls[0], others)].min() > 0.12  # 4 times a change of .03 at least


# ---------------------------------------------------------------------- reports


@pytest.fixture(scope="module")
def report(judge):
    rows = [
        {"sentence": text, "label": label, "source": "ab"[i % 2]} for i, (text, label) in enumerate(toy_rows(70, 5))
    ]
    return acceptor.evaluate(judge, acceptor.load_data(rows).train)


def test_a_report_scores_the_whole_split_once(report):
    assert report.scores.n == 70
    assert np.array(report.scores.confusion).sum() == 70
    assert report.mcc == report.scores.mcc
    assert "n 70" in repr(report)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["mcc"] == pytest.approx(report.mcc)


def test_parts_add_up_to_the_whole(report):
    parts = report.by("source")
    assert list(parts) == ["a", "b"]
    assert sum(np.array(part.confusion) for part in parts.values()).tolist() == [
        list(row) for row in report.scores.confusion
    ]
    with raises(DataError, "E-DATA-COLUMN", problem="'sourse'", next="'source'"):
        report.by("sourse")


def test_batches_of_32_as_in_the_chapter(report):
    batches = report.per_batch(32)
    assert [batch.n for batch in batches] == [32, 32, 6]


def test_batches_and_errors_need_a_number_that_makes_sense(report):
    with raises(UsageError, "E-USAGE-OPTION", found="0"):
        report.per_batch(0)
    with raises(UsageError, "E-USAGE-OPTION", found="-1"):
        report.worst(-1)


def test_a_split_without_rows_cannot_be_scored(toy, toy_run):
    with raises(DataError, "E-DATA-EMPTY", problem="no rows"):
        acceptor.evaluate(toy_run.judge, toy.test.take([], "none"))


def test_figures_that_cannot_be_written_are_a_typed_error(toy_run, run_cli, tmp_path, monkeypatch):
    (tmp_path / "test.tsv").write_text("sentence\tlabel\nthe cats sleep.\t1\nthe cat them see.\t0\n")
    (tmp_path / "taken").write_text("mine")
    arguments = ("evaluate", toy_run.folder, tmp_path / "test.tsv", "--per-batch", "2", "--figures", tmp_path / "taken")
    code, _, stderr = run_cli(*arguments)
    assert (code, "E-RESOURCE-WRITE" in stderr, (tmp_path / "taken").read_text()) == (1, True, "mine")


def test_a_disk_that_fills_up_in_a_figure_is_explained_by_what_is_written(
    toy, toy_run, toy_config, run_cli, tmp_path, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(figures, "save_png", full)
    with raises(ResourceError, "E-RESOURCE-DISK", problem="while run was written"):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config.model_copy(update={"epochs": 1}))
    with raises(ResourceError, "E-RESOURCE-DISK", problem="while page.html was written"):
        acceptor.write_report([toy_run.folder], tmp_path / "page.html")
    (tmp_path / "test.tsv").write_text("sentence\tlabel\nthe cats sleep.\t1\nthe cat them see.\t0\n")
    arguments = ("evaluate", toy_run.folder, tmp_path / "test.tsv", "--per-batch", "2", "--figures", tmp_path / "drawn")
    code, _, stderr = run_cli(*arguments)
    assert (code, "while drawn was written" in stderr, "E-RESOURCE-DISK" in stderr) == (1, True, True)


def test_predictions_are_a_table(report):
    frame = report.predictions()
    assert isinstance(frame, pl.DataFrame)
    assert {"split", "line", "sentence", "gold", "verdict", "probability"} <= set(frame.columns)
    agreement = (frame["gold"] == frame["verdict"]).mean()
    assert agreement == pytest.approx(report.scores.accuracy)


def test_evaluating_without_labels_or_with_others_is_refused(judge):
    unlabelled = load_split(["a b"], judge.labels)
    with raises(DataError, "E-DATA-UNLABELLED", next='{"label": "NAME"}'):
        acceptor.evaluate(judge, unlabelled)
    with raises(DataError, "E-DATA-LABELS", expected="unacceptable, acceptable", found="neg, pos"):
        acceptor.evaluate(judge, acceptor.load_data([("a b", "pos"), ("c d", "neg")]).train)


@pytest.fixture(scope="module")
def calibrated(toy, toy_config, tmp_path_factory):
    """A run with a decision that changes verdicts, whatever vocabulary the tiny encoder has: see `turning`."""
    config = toy_config.model_copy(update={"calibrate": True, "epochs": 1, "learning_rate": 3e-3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("acceptor.training.train.calibrate", turning)
        return acceptor.train(toy, out=tmp_path_factory.mktemp("runs") / "calibrated", config=config)


def test_a_fitted_decision_is_kept_and_used_alike_everywhere(calibrated, tmp_path):
    decision = calibrated.judge.decision
    assert decision.threshold is not None
    derived = {item["name"]: item for item in calibrated.record["derived"]}
    assert derived["threshold"]["value"] == round(decision.threshold, 4)
    assert derived["temperature"]["value"] == decision.temperature == 1.5
    loaded = acceptor.load(calibrated.folder)
    assert loaded.decision == decision
    sentences = calibrated.reports["test"].split.sentences
    verdicts = loaded(sentences)
    likely = decision.probabilities(loaded.logits(sentences))[:, 1]
    assert [verdict.label for verdict in verdicts] == [
        loaded.labels[int(probability >= decision.threshold)] for probability in likely
    ]
    assert [verdict.label for verdict in verdicts] != [loaded.labels[int(probability >= 0.5)] for probability in likely]
    of_verdicts = [p if v.label == loaded.labels[1] else 1 - p for v, p in zip(verdicts, likely, strict=True)]
    assert [verdict.probability for verdict in verdicts] == pytest.approx(of_verdicts)
    report = acceptor.evaluate(loaded, calibrated.reports["test"].split)
    assert report.predictions()["verdict"].to_list() == [verdict.label for verdict in verdicts]
    file = tmp_path / "sentences.txt"
    file.write_text("\n".join(sentences) + "\n")
    out = tmp_path / "verdicts.parquet"
    predict(calibrated.folder, [str(file)], out=out)
    frame = pl.read_parquet(out)
    assert frame["verdict"].to_list() == [verdict.label for verdict in verdicts]
    np.testing.assert_allclose(frame["margin"], decision.margins(loaded.logits(sentences)), atol=1e-4)


def test_a_report_marks_the_split_that_fitted_the_decision(calibrated):
    assert calibrated.report.selected
    assert "selected on this split" in repr(calibrated.report)
    assert not calibrated.reports["test"].selected
    assert calibrated.report.to_dict()["threshold"] == calibrated.judge.decision.threshold
    again = acceptor.load(calibrated.folder)  # also if the same file is scored later
    assert acceptor.evaluate(again, calibrated.report.split).selected
    assert not acceptor.evaluate(again, calibrated.reports["test"].split).selected


def test_a_decision_out_of_range_is_refused(calibrated, tmp_path):
    folder = shutil.copytree(calibrated.folder, tmp_path / "run")
    about = json.loads((folder / "judge.json").read_text())
    (folder / "judge.json").write_text(json.dumps(about | {"threshold": 1.5}))
    with raises(RunError, "E-RUN-FILE", where="judge.json", found="threshold"):
        acceptor.load(folder)


def test_nan_logits_are_refused(report):
    with raises(RunError, "E-RUN-NAN", found=("NaN", "1 of")):
        report_of(report.split, np.where(np.arange(len(report.split))[:, None] == 3, np.nan, report.logits))


def test_a_saved_judge_is_loaded_and_gives_the_same_logits(toy_run, tmp_path):
    sentences = ["the cats sleep.", "the cat sleep."]
    toy_run.judge.save(tmp_path / "copy")
    again = acceptor.load(tmp_path / "copy")
    assert again.decision == toy_run.judge.decision
    np.testing.assert_array_equal(again.logits(sentences), acceptor.load(toy_run.folder).logits(sentences))
    with raises(acceptor.UsageError, "E-USAGE-OUTPUT"):
        toy_run.judge.save(tmp_path / "copy")
    assert acceptor.load(tmp_path / "copy").labels == again.labels


def test_a_cache_is_as_before_after_a_refusal(judge):
    cache = LogitsCache(judge)
    with raises(DataError, "E-DATA-VOCABULARY"):
        cache.encode(["the cats sleep .", "ǂ"])
    inputs = cache.encode(["the cats sleep .", "the cat them ."])
    cache.add(inputs)
    assert inputs.slots.tolist() == [0, 1]
    np.testing.assert_allclose(
        cache.logits(inputs.slots), judge.logits(["the cats sleep .", "the cat them ."]), atol=1e-5
    )
