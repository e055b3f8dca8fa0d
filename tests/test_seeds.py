"""Several trainings in one folder: all scores, kept through kills, with collapsed runs in the count."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import acceptor
from acceptor.cli.render import seeds_text
from acceptor.errors import RunError, UsageError
from acceptor.evaluation.spread import expected_maximum, spread
from acceptor.experiments import workers
from acceptor.experiments.seeds import Seeds
from acceptor.runs.set_file import SeedsFile, read_set_file
from conftest import raises, toy_rows

SETTINGS = ["--epochs", "20", "--batch-size", "16", "--learning-rate", "0.01", "--max-length", "32"]


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(first, second):
    one, two = weights(first), weights(second)
    return all((one[name] == two[name]).all() for name in one)


@pytest.fixture(scope="module")
def short(toy_config):
    """Two epochs; a collapsed training is not restarted."""
    return toy_config.model_copy(update={"epochs": 2, "on_collapse": "go-on"})


@pytest.fixture(scope="module")
def three(toy, short, tmp_path_factory):
    return acceptor.train_seeds(toy, out=tmp_path_factory.mktemp("three") / "seeds", seeds=[7, 9, 8], config=short)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy-files")
    for name, rows in (("train", toy_rows(160)), ("dev", toy_rows(48, 1)), ("test", toy_rows(40, 2))):
        text = "".join(f"{label}\t{sentence}\ts{row % 4}\n" for row, (sentence, label) in enumerate(rows))
        (folder / f"{name}.tsv").write_text("label\tsentence\tsource\n" + text)
    return folder


# ---------------------------------------------------------------------- spread


def test_the_expected_maximum_is_that_of_all_draws():
    values = [0.3, 0.1, 0.4, 0.2]
    for k, expected in enumerate(expected_maximum(values), 1):
        draws = np.array(np.meshgrid(*[values] * k)).reshape(k, -1)
        assert expected == pytest.approx(draws.max(axis=0).mean())


def test_the_spread_is_the_textbooks():
    found = spread([0.1, 0.2, 0.4])
    assert (found.mean, found.sd) == pytest.approx((0.7 / 3, 0.152753), abs=1e-6)
    margin = 4.302653 * found.sd / 3**0.5  # Student's t, 2 degrees of freedom, 97.5 %
    assert found.interval == pytest.approx((found.mean - margin, found.mean + margin), abs=1e-6)
    assert spread([0.9, 1.0]).interval.high == 1.0  # no mean is beyond the scale
    assert spread([0.0, 0.2], lowest=0.0).interval.low == 0.0
    assert spread([]) is None
    same = spread([0.6, 0.6, 0.6])
    assert same.interval is None  # none of width 0: other seeds may differ
    one = spread([0.5])
    assert (one.sd, one.interval, one.best_of) == (None, None, (0.5,))
    assert "not defined" in str(one)


# ---------------------------------------------------------------------- seeds


def test_every_seed_is_the_run_that_train_gives(three, toy, short, tmp_path):
    alone = acceptor.train(toy, out=tmp_path / "run", config=short.model_copy(update={"seed": 9}))
    assert same(alone.folder, three.folder / "seed-9")
    entry = three.entries[1]
    assert entry["scores"]["test"]["mcc"] == alone.reports["test"].to_dict()["mcc"]
    assert [run.name for run in three.runs] == ["seed-7", "seed-9", "seed-8"]


def test_the_summary_is_that_of_all_values(three):
    on_disk = json.loads((three.folder / "seeds.json").read_text())
    assert on_disk == three.record
    for split in ("validation", "test"):
        values = [entry["scores"][split]["accuracy"] for entry in three.entries]
        summary = on_disk["summary"][split]["accuracy"]
        assert summary["values"] == values
        assert summary["mean"] == pytest.approx(np.mean(values))
        assert summary["sd"] == pytest.approx(np.std(values, ddof=1))
        assert (summary["min"], summary["max"], summary["n"]) == (min(values), max(values), 3)
        assert len(summary["expected_maximum"]) == 3
    assert (on_disk["n_runs"], on_disk["failed"]) == (3, 0)
    assert read_set_file(three.folder, SeedsFile).to_dict() == three.record


@pytest.mark.parametrize(
    ("ask", "fields"),
    [
        (lambda seeds: seeds.spread("valid"), {"problem": "'valid'", "expected": "test", "next": "'validation'"}),
        (lambda seeds: seeds.spread(""), {"expected": "validation"}),
        (lambda seeds: seeds.spread(metric="acuracy"), {"expected": "mcc", "next": "'accuracy'"}),
        (lambda seeds: seeds.spread("test", "auc"), {"problem": "'auc'", "expected": "balanced_accuracy"}),
        (lambda seeds: seeds.spread(metric=1), {"expected": "str"}),
        (lambda seeds: seeds.selected("tset"), {"next": "'test'"}),
    ],
)
def test_a_split_or_score_that_does_not_exist_is_refused(ask, fields, three):
    with raises(UsageError, "E-USAGE-OPTION", **fields):
        ask(three)
    assert three.spread("validation", "f1").mean == three.record["summary"]["validation"]["f1"]["mean"]


def test_the_text_shows_all_values_and_that_the_best_is_no_score(three, capsys):
    from acceptor.cli.render.tables import show

    record = copy.deepcopy(three.record)
    for entry, mcc in zip(record["runs"], (0.1, 0.2, 0.4), strict=True):
        entry["scores"]["test"] |= {"mcc": mcc, "mcc_interval": [mcc - 0.05, mcc + 0.05]}
    seeds = Seeds(three.folder, SeedsFile.model_validate(record))
    show(*seeds_text(seeds))
    text = capsys.readouterr().out
    for words in (
        "seed-7",
        "seed-8",
        "seed-9",
        "0.400 [0.350, 0.450]",
        "  MCC 0.233 ± 0.153, 0.100–0.400 (3 runs",
        "test: n 40",
    ):
        assert words in text, words
    assert "The score is the mean. The best of 3 seeds (0.400) is not" in text
    assert f"(expected best of k: 1 0.233, 2 {expected_maximum([0.1, 0.2, 0.4])[1]:.3f}" in text
    assert repr(seeds) == f"Seeds({three.folder} · test MCC 0.233 ± 0.153, 0.100–0.400 · collapsed 0 of 3)"


def test_scores_of_the_split_that_chose_are_marked(three, capsys):
    from acceptor.cli.render.tables import show

    record = copy.deepcopy(three.record)
    for entry in record["runs"]:
        entry["scores"]["validation"]["selected_on_this_split"] = True
    show(*seeds_text(Seeds(three.folder, SeedsFile.model_validate(record))))
    marked = [line for line in capsys.readouterr().out.splitlines() if "selected on this split" in line]
    assert len(marked) == 1
    assert marked[0].startswith("validation")
    for entry in record["runs"]:
        del entry["scores"]["test"]
    del record["summary"]["test"]
    assert "selected on this split" in repr(Seeds(three.folder, SeedsFile.model_validate(record)))
    assert "selected" not in repr(three)


def test_a_replaced_set_comes_back_if_no_training_finishes(three, toy, short, tmp_path):
    out = tmp_path / "seeds"
    shutil.copytree(three.folder, out)
    broken = short.model_copy(update={"learning_rate": 0.9, "on_collapse": "stop"})
    with pytest.raises(RunError, match="no training finished"):
        acceptor.train_seeds(toy, out=out, seeds=2, config=broken, overwrite=True)
    assert read_set_file(out, SeedsFile).finished_folders == [run.name for run in three.runs]


def test_numpys_integers_are_integers(three, toy, short):
    again = acceptor.train_seeds(toy, out=three.folder, seeds=np.arange(7, 10), config=short)
    assert set(again.runs) == set(three.runs)
    with raises(UsageError, "E-USAGE-OUTPUT"):
        acceptor.train_seeds(toy, out=three.folder / "seeds.json", seeds=np.int64(2), config=short)


def test_the_same_call_trains_nothing_again_and_takes_more_seeds(three, toy, short, monkeypatch):
    before = {run.name: (run / "manifest.json").stat().st_mtime_ns for run in three.runs}
    more = acceptor.train_seeds(toy, out=three.folder, seeds=[10], config=short)
    assert {entry["planned"] for entry in more.entries} == {7, 8, 9, 10}  # none is dropped from the count
    after = {run.name: (run / "manifest.json").stat().st_mtime_ns for run in more.runs}
    assert before.items() < after.items()
    other = acceptor.load_data(toy_rows(160, 5), validation=toy_rows(48, 1), test=toy_rows(40, 2))
    with raises(UsageError, "E-USAGE-CHANGED", expected="data.train.sha256 = ", next="--out PATH"):
        acceptor.train_seeds(other, out=three.folder, seeds=[7, 9, 8], config=short)
    changed = short.model_copy(update={"learning_rate": 0.03})
    with raises(UsageError, "E-USAGE-CHANGED", found="learning_rate = 0.03", where="seeds.json"):
        acceptor.train_seeds(toy, out=three.folder, seeds=[7, 9, 8], config=changed)
    with raises(UsageError, "E-USAGE-CHANGED", expected="vary = both", found="vary = order"):
        acceptor.train_seeds(toy, out=three.folder, seeds=[7, 9, 8], config=short, vary="order")


def test_a_run_of_other_settings_in_the_folder_is_refused(toy, toy_run, short, tmp_path):
    out = tmp_path / "seeds"
    acceptor.train_seeds(toy, out=out, seeds=[7], config=short)
    (out / "seed-8").symlink_to(toy_run.folder)  # four epochs, seed 7
    with raises(UsageError, "E-USAGE-CHANGED", found=("epochs = ", "on_collapse = ", "seed = "), where="seed-8"):
        acceptor.train_seeds(toy, out=out, seeds=[7, 8], config=short)


def test_vary_separates_head_and_order(toy, short, tmp_path, three):
    order = acceptor.train_seeds(toy, out=tmp_path / "order", seeds=[7, 8], config=short, vary="order")
    init = acceptor.train_seeds(toy, out=tmp_path / "init", seeds=[7, 8], config=short, vary="init")
    assert [(one["seed"], one["order_seed"]) for one in order.entries] == [(7, 7), (7, 8)]
    assert [(one["seed"], one["order_seed"]) for one in init.entries] == [(7, 7), (8, 7)]
    both = three.folder
    assert same(order.runs[0], init.runs[0])
    assert same(order.runs[0], both / "seed-7")
    for one, two in ((order.runs[1], init.runs[1]), (order.runs[1], both / "seed-8"), (init.runs[1], both / "seed-8")):
        assert not same(one, two)


@pytest.mark.parametrize(
    ("seeds", "fields"),
    [
        ([4, 4], {"problem": "twice: 4"}),
        ([], {"expected": "1 or more"}),
        (0, {"expected": "1 or more"}),
        ([-1], {"expected": "0 to 4294967295", "found": "-1"}),
        ([2**32], {"expected": "0 to 4294967295", "found": str(2**32)}),
    ],
)
def test_seeds_out_of_range_are_refused(seeds, fields, toy, toy_config, tmp_path):
    with raises(UsageError, "E-USAGE-OPTION", **fields):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=seeds, config=toy_config)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_refused_even_with_overwrite(toy, toy_config, tmp_path):
    (tmp_path / "thesis.txt").touch()
    with raises(UsageError, "E-USAGE-OUTPUT", problem="seeds.json"):
        acceptor.train_seeds(toy, out=tmp_path, seeds=[1], config=toy_config, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_one_seed_has_no_spread(toy, short, tmp_path, caplog):
    seeds = acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=1, config=short)
    assert "standard deviation" in caplog.text
    assert seeds.record["summary"]["test"]["accuracy"]["sd"] is None
    assert "sd not defined" in " ".join(part for part in seeds_text(seeds) if isinstance(part, str))


def test_a_training_that_is_left_alone_has_all_cores(toy, short, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "Worker", None)  # it would have an eighth of them
    seeds = acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=1, config=short, processes=8)
    assert seeds.count("finished") == 1


def test_an_error_of_all_seeds_is_raised_from_a_process_too(toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"device": "mps"})
    with raises(UsageError, "E-USAGE-DEVICE", problem="mps"):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=2, config=config, processes=2)


def test_output_of_a_library_is_not_taken_for_a_workers_result():
    code = """
import os, acceptor.experiments.workers as workers
def noisy():
    print("from Python")
    os.write(1, b"from C")
    return {"sum": 3}
workers._job = lambda: (noisy, 20)  # logging.INFO
workers.worker_main()
"""
    ended = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert json.loads(ended.stdout) == {"answer": {"sum": 3}}
    assert b"from Python" in ended.stderr


def test_a_run_that_fails_is_counted_and_tried_again(toy, short, tmp_path, monkeypatch):
    config = short.model_copy(update={"learning_rate": 0.999, "max_grad_norm": 0.0, "weight_decay": 1e30})
    with raises(RunError, "E-RUN-UNFINISHED", where="seeds.json", found="seed-7 failed"):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[7], config=config)
    entry = read_set_file(tmp_path / "seeds", SeedsFile).to_dict()["runs"][0]
    assert (entry["status"], entry["error"]["error"], entry["scores"]) == ("failed", "NotFiniteError", None)

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("acceptor.experiments.workers.train", stopped)
    with pytest.raises(KeyboardInterrupt):  # tried again and stopped, it is not dropped from the count
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[7], config=config)
    assert read_set_file(tmp_path / "seeds", SeedsFile).failed == 1
    (tmp_path / "seeds" / "seeds.json").write_text('{"runs": [7]}')
    with raises(RunError, "E-RUN-FILE", where="seeds.json", found="config"):
        read_set_file(tmp_path / "seeds", SeedsFile)


# ---------------------------------------------------------------------- kills


def command(files, tiny_bert, out, processes):
    words = ["seeds", files, "--encoder", tiny_bert, "--out", out, "--seeds", "7,8", *SETTINGS]
    return [sys.executable, "-m", "acceptor", *map(str, words), "--processes", str(processes)]


@pytest.fixture(scope="module")
def undisturbed(files, tiny_bert, tmp_path_factory):
    config = acceptor.TrainConfig(encoder=str(tiny_bert), epochs=20, batch_size=16, learning_rate=0.01, max_length=32)
    out = tmp_path_factory.mktemp("whole") / "seeds"
    return acceptor.train_seeds(files, out=out, seeds=[7, 8], config=config).folder


def test_seeds_that_cut_their_own_validation_rows_say_what_that_excludes(toy, toy_config, tmp_path, caplog):
    """Before they are trained: an ensemble of them is refused."""
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    alone = dataclasses.replace(toy, validation=None)
    for name, data, vary, said in (("a", alone, "both", True), ("b", alone, "order", False), ("c", toy, "both", False)):
        caplog.clear()
        with caplog.at_level("INFO", "acceptor"):
            acceptor.train_seeds(data, out=tmp_path / name, seeds=2, config=config, vary=vary)
        assert ("acceptor ensemble needs --validation FILE, or --vary order" in caplog.text) == said


def test_a_stopped_command_resumes_to_the_same_runs(files, tiny_bert, tmp_path, undisturbed):
    """Two parallel trainings are killed, resumed, stopped, and resumed in one process: the same runs."""
    out = tmp_path / "seeds"
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        process = subprocess.Popen(command(files, tiny_bert, out, 2), stderr=subprocess.PIPE, text=True)
        said = iter(process.stderr)
        assert any(": epoch " in line for line in said)
        process.send_signal(number)
        _, rest = process.communicate(timeout=60)
        assert process.returncode == code
        assert rest.count("stopping") == (number == signal.SIGTERM), "said once, for all trainings"
        assert not list(out.glob("seed-*/manifest.json")), "no checkpoint was left"
    done = subprocess.run(command(files, tiny_bert, out, 1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch" in done.stderr
    for seed in (7, 8):
        assert same(out / f"seed-{seed}", undisturbed / f"seed-{seed}")
    found, expected = (json.loads((each / "seeds.json").read_text()) for each in (out, undisturbed))
    assert found == expected


def test_ctrl_c_between_two_trainings_says_what_is_done_and_how_to_go_on(toy, short, tmp_path, caplog, interrupt_at):
    interrupt_at("seed-8 starts")
    with caplog.at_level("INFO", "acceptor"), pytest.raises(KeyboardInterrupt):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[7, 8], config=short)
    assert caplog.messages[-1] == "stopped: 1 of 2 trainings have ended; repeat the command"


def test_ctrl_c_in_a_training_of_a_set_is_told_once(toy, short, tmp_path, caplog, interrupt_at):
    interrupt_at("epoch 1/2")
    with caplog.at_level("INFO", "acceptor"), pytest.raises(KeyboardInterrupt):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[7, 8], config=short)
    said = [words for words in caplog.messages if words.startswith("stopped")]
    assert said == ["stopped at step 10", "stopped: 0 of 2 trainings have ended; repeat the command"]


# ---------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "ten"], "--seeds cannot be read"),
        (["--seeds", "9" * 5000], "--seeds cannot be read"),
        (["--seeds", "7,7"], "given twice: 7"),
        (["--seeds", "0"], "no seeds"),
        (["--seeds", "2", "--vary", "head"], "init, order or both"),
        (["--seeds", "2", "--processes", "0"], "processes = 0"),
        (["--seeds", "2", "--on-collapse", "again"], "on_collapse = 'again'"),
    ],
)
def test_options_out_of_range_are_refused(options, words, files, tiny_bert, tmp_path, monkeypatch, capsys):
    from acceptor.cli import app as cli

    out = tmp_path / "seeds"
    monkeypatch.setattr(
        sys, "argv", ["acceptor", "seeds", str(files), "--encoder", str(tiny_bert), "--out", str(out), *options]
    )
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not out.exists()
