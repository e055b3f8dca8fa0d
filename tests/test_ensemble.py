"""Several runs as one judge: its logits are the mean of theirs, and its folder is a run like any other."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import polars as pl
import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import acceptor
from acceptor.data.load import load_split
from acceptor.errors import DataError, EncoderError, RunError, UsageError
from acceptor.judging.decision import MOST_PROBABLE
from conftest import raises, toy_rows, turning, write_judge
from served import serving
from tiny import make_encoder

SENTENCES = [sentence for sentence, _ in toy_rows(60, 5)]


@pytest.fixture(scope="module")
def seeds(toy, toy_config, tmp_path_factory):
    """Three trainings too short to agree."""
    config = toy_config.model_copy(update={"epochs": 2, "on_collapse": "go-on"})
    return acceptor.train_seeds(toy, out=tmp_path_factory.mktemp("three") / "seeds", seeds=[7, 8, 9], config=config)


@pytest.fixture(scope="module")
def runs(seeds):
    return [seeds.folder / entry.folder for entry in seeds.file.runs]


@pytest.fixture(scope="module")
def made(seeds, tmp_path_factory):
    return acceptor.ensemble(seeds.folder, out=tmp_path_factory.mktemp("made") / "three")


def mean_of(runs, texts):
    return np.mean([acceptor.load(run).logits(texts) for run in runs], axis=0)


# ---------------------------------------------------------------------- what it computes


def test_its_logits_are_the_mean_of_its_runs(made, runs):
    judge = acceptor.load(made.folder)
    each = [acceptor.load(run).logits(SENTENCES) for run in runs]
    assert np.ptp(each, axis=0).max() > 0.1  # they differ, so that a mean is not one of them
    assert np.allclose(judge.logits(SENTENCES), np.mean(each, axis=0), atol=1e-5)
    assert np.allclose(made.judge.logits(SENTENCES), np.mean(each, axis=0), atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp32", "lossless"])
def test_in_every_precision(made, runs, precision):
    each = [acceptor.load(run, precision=precision).logits(SENTENCES) for run in runs]
    found = acceptor.load(made.folder, precision=precision).logits(SENTENCES)
    assert np.allclose(found, np.mean(each, axis=0), atol=1e-4)


def test_its_scores_are_those_of_judging_again(made, toy):
    for split in (toy.validation, toy.test):
        again = acceptor.evaluate(acceptor.load(made.folder), split)
        kept = made.reports[split.name]
        assert np.allclose(again.logits, kept.logits, atol=1e-5)
        assert again.scores.confusion == kept.scores.confusion
        assert again.decision == kept.decision
        assert again.leaks == kept.leaks
        assert again.selected == kept.selected


def test_the_decision_is_fitted_on_the_mean(runs, toy, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "acceptor.experiments.ensemble.calibrate",
        lambda logits, gold, metric, **options: (
            given.append((logits, gold)) or turning(logits, gold, metric, **options)
        ),
    )
    made = acceptor.ensemble(runs, out=tmp_path / "made")
    [(logits, gold)] = given
    assert np.allclose(logits, mean_of(runs, toy.validation.sentences), atol=1e-5)
    assert np.array_equal(gold, toy.validation.gold)
    judge = acceptor.load(made.folder)
    assert judge.decision == made.judge.decision == made.reports["test"].decision
    assert judge.decision.threshold is not None
    assert [made.reports[name].selected for name in ("validation", "test")] == [True, False]
    assert acceptor.evaluate(judge, toy.validation).selected
    assert [item["name"] for item in made.record["derived"]] == ["members", "temperature", "threshold"]


def test_runs_that_were_not_calibrated(toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on", "calibrate": False})
    of_set = acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[1, 2], config=config)
    assert acceptor.ensemble(of_set.folder, out=tmp_path / "made").judge.decision == MOST_PROBABLE


def test_networks_without_segments_are_exported(tmp_path, toy_config):
    folder = make_encoder(tmp_path / "distilbert", "distilbert", initializer_range=0.2)
    config = toy_config.model_copy(update={"encoder": str(folder), "epochs": 1, "on_collapse": "go-on"})
    of_set = acceptor.train_seeds(toy_rows(60), out=tmp_path / "seeds", seeds=[1, 2], vary="order", config=config)
    made = acceptor.ensemble(of_set.folder, out=tmp_path / "made")
    assert acceptor.export(made.judge, tmp_path / "made.onnx").largest_change < 1e-4


# ---------------------------------------------------------------------- a run like any other


def test_the_folder_is_a_finished_run(made, runs, run_cli):
    record = json.loads((made.folder / "run.json").read_text())
    assert [member["run"] for member in record["members"]] == [str(run) for run in runs]
    assert record["config"]["seed"] == [7, 8, 9]
    assert record["config"]["epochs"] == 2
    assert all(set(member["scores"]) == {"validation", "test"} for member in record["members"])
    frame = pl.read_parquet(made.folder / "predictions.parquet")
    assert set(frame["split"]) == {"validation", "test"}
    assert frame.columns == pl.read_parquet(runs[0] / "predictions.parquet").columns
    assert "the mean of these 3 networks" in (made.folder / "README.md").read_text()
    code, out, _ = run_cli("report", made.folder, "-o", made.folder.parent / "page.html")
    assert code == 0, out
    page = (made.folder.parent / "page.html").read_text()
    assert "3 runs as one judge" in page
    assert all(str(run) in page for run in runs)


def test_beside_a_run_in_a_report_and_in_comparisons(made, runs, tmp_path):
    page = acceptor.write_report([made.folder, runs[0]], tmp_path / "page.html").read_text()
    assert "2 runs side by side" in page
    acceptor.write_report([made.folder, made.folder], tmp_path / "twice.html")
    [found] = acceptor.compare(runs[0], made.folder)
    assert found.n == 40


def test_transformers_reads_each_member(made, runs):
    for number, run in enumerate(runs, 1):
        place = made.folder / f"member-{number}"
        model = AutoModelForSequenceClassification.from_pretrained(place).eval()
        inputs = AutoTokenizer.from_pretrained(place)(SENTENCES[0], return_tensors="pt")
        assert np.allclose(model(**inputs).logits.detach(), acceptor.load(run).logits(SENTENCES[:1]), atol=1e-5)


def test_predictions_explanations_copies(made, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(SENTENCES))
    acceptor.predict(made.folder, tmp_path / "texts.txt", out=tmp_path / "verdicts.tsv")
    judge = acceptor.load(made.folder)
    assert pl.read_csv(tmp_path / "verdicts.tsv", separator="\t")["verdict"].to_list() == [
        verdict.label for verdict in judge(SENTENCES)
    ]
    [found] = acceptor.explain(judge, SENTENCES[:1])
    assert len(found.words) == len(SENTENCES[0].rstrip(".").split()) + 1
    with raises(UsageError, "E-USAGE-JUDGE", problem="an ensemble"):
        acceptor.explain(judge, SENTENCES[:1], method="gradients")
    again = pickle.loads(pickle.dumps(judge))
    assert np.array_equal(again.logits(SENTENCES), judge.logits(SENTENCES))
    judge.save(tmp_path / "saved")
    assert np.allclose(acceptor.load(tmp_path / "saved").logits(SENTENCES), judge.logits(SENTENCES), atol=1e-5)


def test_one_file_of_all(made, tmp_path):
    found = acceptor.export(acceptor.load(made.folder), tmp_path / "all.onnx", bake=True)
    assert found.largest_change < 1e-4
    verdicts = [verdict.label for verdict in acceptor.load(found.path)(SENTENCES)]
    assert verdicts == [verdict.label for verdict in acceptor.load(made.folder)(SENTENCES)]
    with raises(UsageError, "E-USAGE-JUDGE", problem="no folder for Transformers"):
        acceptor.export(acceptor.load(made.folder), tmp_path / "folder")


@pytest.mark.enable_socket
def test_it_teaches_and_is_served(made, toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    student = acceptor.distil(toy, teachers=made.folder, out=tmp_path / "student", config=config)
    assert student.report.scores.n == 48
    with serving(made.folder) as server, acceptor.Client(server.url) as client:
        verdicts = client(SENTENCES)
    assert [verdict.label for verdict in verdicts] == [one.label for one in acceptor.load(made.folder)(SENTENCES)]


def test_the_command_shows_all_scores(runs, tmp_path, run_cli):
    code, out, err = run_cli("ensemble", *runs, "--out", tmp_path / "made")
    assert code == 0, err
    assert all(str(run) in out for run in runs)
    assert "together" in out
    assert "next: acceptor judge" in out
    assert (tmp_path / "made" / "report.html").is_file()
    code, _, err = run_cli("ensemble", *runs, "--out", tmp_path / "made")
    assert (code, "E-USAGE-OUTPUT" in err) == (2, True)
    code, out, err = run_cli("ensemble", *runs[:2], "--out", tmp_path / "made", "--overwrite", "--json")
    assert code == 0, err
    assert len(json.loads(out)["members"]) == 2


def test_beside_the_first_run_by_default(seeds, run_cli, tmp_path, monkeypatch):
    shutil.copytree(seeds.folder, tmp_path / "seeds")
    code, _, err = run_cli("ensemble", tmp_path / "seeds")
    assert code == 0, err
    made = tmp_path / "seeds-ensemble"
    assert (made / "manifest.json").is_file()
    shutil.rmtree(made)
    monkeypatch.chdir(tmp_path / "seeds")
    code, _, err = run_cli("ensemble", "seed-7", "seed-8")
    assert (code, "--out RUN" in err) == (2, True), err
    code, _, err = run_cli("ensemble", ".")
    assert (code, made.is_dir()) == (0, True), err


# ---------------------------------------------------------------------- what cannot be one judge


def test_one_run_is_no_ensemble(runs, tmp_path):
    for given in ([], runs[:1], [runs[0], runs[0]]):
        with raises(UsageError, "E-USAGE-OPTION"):
            acceptor.ensemble(given, out=tmp_path / "made")


def test_an_ensemble_is_no_member(made, runs, tmp_path):
    with raises(UsageError, "E-USAGE-JUDGE", next=str(runs[0])):
        acceptor.ensemble([made.folder, runs[0]], out=tmp_path / "made")


def test_runs_of_other_tasks(runs, toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    validation, test = toy_rows(48, 1), toy_rows(40, 2)

    def trained(name, rows, **changes):
        data = acceptor.load_data(rows, validation=validation, test=test)
        return acceptor.train(data, out=tmp_path / name, config=config.model_copy(update=changes)).folder

    labelled = acceptor.load_data(toy_rows(160), validation=validation, test=test, labels=["no", "yes"])
    labelled = acceptor.train(labelled, out=tmp_path / "labelled", config=config).folder
    other = make_encoder(tmp_path / "roberta", "roberta", initializer_range=0.2)
    for folder, problem in (
        (labelled, "labels"),
        (trained("data", toy_rows(60)), "training data"),
        (trained("metric", toy_rows(160), metric="f1"), "metric"),
        (trained("calibrate", toy_rows(160), calibrate=True), "calibrate"),
        (trained("length", toy_rows(160), max_length=20), "max_length"),
        (trained("encoder", toy_rows(160), encoder=str(other)), "encoder"),
    ):
        with raises(UsageError, "E-USAGE-ENSEMBLE", problem=problem, where=(str(runs[0]), str(folder))):
            acceptor.ensemble([runs[0], folder], out=tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_validation_splits_of_other_seeds(toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    odd = [*toy_rows(75), *[(f"{text} again", label) for text, label in toy_rows(70, 9)]]
    of_set = acceptor.train_seeds(odd, out=tmp_path / "odd", seeds=[1, 2, 3, 4], config=config)
    with raises(DataError, "E-DATA-COMPARE", next="--vary order"):  # of other shares of labels
        acceptor.ensemble(of_set.folder, out=tmp_path / "made")
    of_set = acceptor.train_seeds(toy_rows(160), out=tmp_path / "seeds", seeds=[1, 2], config=config)
    with raises(DataError, "E-DATA-COMPARE", cause="depends on the seed", next="--vary order"):
        acceptor.ensemble(of_set.folder, out=tmp_path / "made")
    of_set = acceptor.train_seeds(toy_rows(160), out=tmp_path / "order", seeds=[1, 2], vary="order", config=config)
    assert acceptor.ensemble(of_set.folder, out=tmp_path / "made").report.scores.n == len(toy_rows(160)) // 10


def test_the_same_network_twice(runs, tmp_path):
    shutil.copytree(runs[0], tmp_path / "copy")
    with raises(UsageError, "E-USAGE-ENSEMBLE", found="the same weights"):
        acceptor.ensemble([runs[0], tmp_path / "copy"], out=tmp_path / "made")


def test_a_member_that_guesses_is_named(seeds, runs, toy, toy_config, tmp_path, caplog):
    config = toy_config.model_copy(update={"epochs": 1, "learning_rate": 1e-6, "on_collapse": "go-on"})
    acceptor.train(toy, out=tmp_path / "guess", config=config)
    acceptor.ensemble([runs[0], tmp_path / "guess"], out=tmp_path / "made")
    assert f"{tmp_path / 'guess'} is no better than chance on validation: MCC not defined" in caplog.text
    assert f"{runs[0]} is" not in caplog.text


def test_what_has_no_verdicts_of_a_training(runs, made, toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    acceptor.cross_validate(toy, out=tmp_path / "folds", by=2, config=config)
    acceptor.export(acceptor.load(runs[0]), tmp_path / "one.onnx")
    acceptor.load(runs[0]).save(tmp_path / "saved")
    for name, found in (("folds", "cross-validation"), ("one.onnx", "exported"), ("saved", "without the verdicts")):
        with raises(UsageError, "E-USAGE-ENSEMBLE", found=found):
            acceptor.ensemble([runs[0], tmp_path / name], out=tmp_path / "made")


def test_what_is_no_run(runs, tmp_path):
    with raises(UsageError, "E-USAGE-ADDRESS"):
        acceptor.ensemble([runs[0], "http://127.0.0.1:8000"], out=tmp_path / "made")
    with raises(RunError, "E-RUN-MISSING"):
        acceptor.ensemble([runs[0], tmp_path / "nothing"], out=tmp_path / "made")
    shutil.copytree(runs[1], tmp_path / "changed")
    (tmp_path / "changed" / "report.json").write_text("{}")
    with raises(RunError, "E-RUN-FILE"):
        acceptor.ensemble([runs[0], tmp_path / "changed"], out=tmp_path / "made")


def test_the_output_must_not_hold_an_input_or_be_in_one(seeds, runs, tmp_path):
    for inside in (runs[0] / "made", runs[1] / "member-1" / "made", seeds.folder / "made"):
        with raises(UsageError, "E-USAGE-OUTPUT", problem="would be lost", next="-ensemble"):
            acceptor.ensemble(runs, out=inside)
        assert not inside.exists()
    shutil.copytree(runs[0], tmp_path / "one")
    with raises(UsageError, "E-USAGE-OUTPUT"):
        acceptor.ensemble([tmp_path / "one", runs[1]], out=tmp_path / "one", overwrite=True)
    assert (tmp_path / "one" / "manifest.json").is_file()


def changed(made, tmp_path, change):
    """A copy of the ensemble in which something was changed by hand."""
    folder = tmp_path / "changed"
    shutil.copytree(made.folder, folder)
    change(folder)
    return folder


def test_damaged_members_are_refused(made, tmp_path):
    folder = changed(made, tmp_path, lambda folder: (folder / "member-2" / "config.json").write_text("{}"))
    with raises(RunError, "E-RUN-FILE", problem="member-2/config.json"):
        acceptor.load(folder)
    shutil.rmtree(folder / "member-2")
    with raises(RunError, "E-RUN-FILE"):
        acceptor.load(folder)


def test_a_forged_number_of_members(made, tmp_path):
    folder = changed(made, tmp_path, lambda _: None)
    about = json.loads((folder / "judge.json").read_text())
    for members in (1, 0, -1, 1_000_000_000, "../x", 4):
        write_judge(folder, about | {"members": members})
        with raises(RunError, "E-RUN-FILE"):
            acceptor.load(folder)


def test_it_is_no_encoder(made, toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.chdir(made.folder.parent)
    for name in (made.folder, made.folder.name):
        config = toy_config.model_copy(update={"encoder": str(name)})
        with raises(EncoderError, "E-ENCODER-FILE", problem="ensemble", next="run.json"):
            acceptor.train(toy, out=tmp_path / "run", config=config)


def test_a_test_split_that_only_some_have(runs, toy, toy_config, tmp_path, caplog):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    acceptor.train(acceptor.Data(toy.train, toy.validation), out=tmp_path / "without", config=config)
    for given in ([runs[0], tmp_path / "without"], [tmp_path / "without", runs[0]]):
        made = acceptor.ensemble(given, out=tmp_path / "made", overwrite=True)
        assert list(made.reports) == ["validation"]
        assert list(made.record["data"]) == ["train", "validation"]
        assert "without has no scores on it" in caplog.text


def test_columns_of_the_data_with_names_of_ours(toy_config, tmp_path):
    def table(rows):
        return pl.DataFrame(
            {
                "sentence": [text for text, _ in rows],
                "label": [label for _, label in rows],
                "verdict": [f"v{number % 2}" for number in range(len(rows))],
                "split": ["own"] * len(rows),
                "p(x)": ["1"] * len(rows),
            }
        )

    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    data = acceptor.load_data(table(toy_rows(60)), validation=table(toy_rows(48, 1)))
    of_set = acceptor.train_seeds(data, out=tmp_path / "seeds", seeds=[1, 2], config=config)
    made = acceptor.ensemble(of_set.folder, out=tmp_path / "made")
    assert made.report.split.table.frame.columns == data.validation.table.frame.columns
    assert set(made.report.by("verdict")) == {"v0", "v1"}


def test_in_the_hubs_cache(made, tmp_path):
    """A snapshot there consists of links to blobs; that of an ensemble has them in folders, too."""
    cache = tmp_path / "models--someone--judge"
    snapshot = cache / "snapshots" / "0123456789abcdef"
    (cache / "blobs").mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in made.folder.rglob("*") if path.is_file())):
        place = snapshot / path.relative_to(made.folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, cache / "blobs" / str(number))
        place.symlink_to(os.path.relpath(cache / "blobs" / str(number), place.parent))
    assert np.array_equal(acceptor.load(snapshot).logits(SENTENCES), acceptor.load(made.folder).logits(SENTENCES))
    (tmp_path / "elsewhere").write_text("{}")
    (snapshot / "member-1" / "config.json").unlink()
    (snapshot / "member-1" / "config.json").symlink_to(tmp_path / "elsewhere")
    with raises(RunError, "E-RUN-FILE"):
        acceptor.load(snapshot)


def test_extra_rows_and_other_columns_are_kept(toy_config, tmp_path):
    def table(name, rows):
        path = tmp_path / name
        lines = [f"{text}\t{label}\ts{number % 3}" for number, (text, label) in enumerate(rows)]
        path.write_text("\n".join(["sentence\tlabel\tsource", *lines]))
        return path

    train, dev, more = (table(f"{name}.tsv", toy_rows(60, n)) for n, name in enumerate(("train", "dev", "more")))
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    data = acceptor.load_data(train, validation=dev, extra=more)
    of_set = acceptor.train_seeds(data, out=tmp_path / "seeds", seeds=[1, 2], config=config)
    made = acceptor.ensemble(of_set.folder, out=tmp_path / "made")
    assert set(made.report.by("source")) == {"s0", "s1", "s2"}
    assert "extra" in (made.folder / "README.md").read_text()
    assert made.report.split.sentences == load_split(dev, data.labels).sentences
    assert made.report.scores.confusion == acceptor.evaluate(made.judge, load_split(dev, data.labels)).scores.confusion
