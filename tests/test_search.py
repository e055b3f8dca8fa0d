"""The search: resumed after a kill as if there had been none, pruned, shared by processes, blind to the test split."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import acceptor
from acceptor.cli import app as cli
from acceptor.config import TrainConfig
from acceptor.data.split import with_validation
from acceptor.errors import ResourceError, UsageError
from acceptor.experiments import search as searching
from acceptor.experiments.search import default_space, search_settings
from acceptor.experiments.study import in_states, load_optuna, locked, open_study
from acceptor.model.pretrained import find_encoder
from acceptor.training import defaults
from acceptor.training.defaults import resolve
from conftest import REPOSITORY, encoder_of, raises, split_of, toy_rows, wait_for

SMALL = {"learning_rate": (1e-3, 3e-2, "log"), "epochs": (2, 3), "warmup": (0.0, 0.3)}


@pytest.fixture(scope="module")
def data():
    return acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1), test=toy_rows(40, 2))


@pytest.fixture(scope="module")
def config(tiny_bert):
    return TrainConfig(
        encoder=str(tiny_bert),
        epochs=2,
        batch_size=8,
        learning_rate=1e-2,
        adam_beta2=0.98,
        dropout=0.1,
        reinit_layers=0,
        max_length=32,
        seed=7,
    )


def outcome(found):
    """What must be the same, however often the search was stopped."""
    return [(trial["state"], trial["params"], trial["value"], trial["epochs"]) for trial in found.trials]


@pytest.fixture(scope="module")
def undisturbed(data, config, tmp_path_factory):
    return search_settings(
        data, out=tmp_path_factory.mktemp("search") / "whole", trials=4, seeds=0, config=config, space=SMALL
    )


KILLED = """
import os, signal, sys
sys.path.insert(0, "tests")
import acceptor
from acceptor.experiments import search
from acceptor.config import TrainConfig
from conftest import toy_rows

class Watch(search._Pruner):
    def __call__(self, history):
        super().__call__(history)
        if self.trial.number == 2:  # its first epoch has ended
            os.kill(os.getpid(), signal.SIGKILL)

search._Pruner = Watch
data = acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1), test=toy_rows(40, 2))
config = TrainConfig.model_validate_json(sys.argv[1])
search.search_settings(data, out=sys.argv[2], trials=4, seeds=0, config=config, space=eval(sys.argv[3]))
"""


def environment():
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}


def test_a_killed_search_resumes_to_the_same_trials(data, config, undisturbed, tmp_path, caplog):
    out = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, config.model_dump_json(exclude_unset=True), str(out), repr(SMALL)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert (out / "trial-2" / "checkpoints").is_dir()
    with caplog.at_level("INFO"):
        found = search_settings(data, out=out, trials=4, seeds=0, config=config, space=SMALL)
    assert "trial 2 was stopped; it resumes" in caplog.text
    assert "resuming after epoch 1" in caplog.text
    assert outcome(found) == outcome(undisturbed)
    assert [trial["number"] for trial in found.trials] == [0, 1, 3, 4]  # 2 was resumed as 3
    again = search_settings(data, out=out, trials=4, seeds=0, config=config, space=SMALL)
    assert outcome(again) == outcome(found)


def test_ctrl_c_says_how_many_trials_have_ended_and_how_to_go_on(data, config, tmp_path, caplog, interrupt_at):
    interrupt_at("trial 1: learning_rate")
    with caplog.at_level("INFO", "acceptor"), pytest.raises(KeyboardInterrupt):
        search_settings(data, out=tmp_path / "search", trials=3, seeds=0, config=config, space=SMALL)
    assert caplog.messages[-1] == "stopped: 1 of 3 trials have ended; repeat the command"


def test_ctrl_c_in_the_first_trial_is_told_once(data, config, tmp_path, caplog, interrupt_at):
    """A trial is resumed by the command of the search, also before any trial has ended."""
    interrupt_at("epoch 1/2")
    with caplog.at_level("INFO", "acceptor"), pytest.raises(KeyboardInterrupt):
        search_settings(data, out=tmp_path / "search", trials=3, seeds=0, config=config, space=SMALL)
    said = [words for words in caplog.messages if words.startswith("stopped")]
    assert said == ["stopped at step 20", "stopped: 0 of 3 trials have ended; repeat the command"]


def test_a_search_records_all_trials_and_keeps_the_best_ones_run(undisturbed, config):
    first = undisturbed.trials[0]
    assert first["params"] == {name: getattr(config, name) for name in SMALL}  # the baseline
    assert len(undisturbed.trials) == 4
    for trial in undisturbed.trials:
        assert 1e-3 <= trial["params"]["learning_rate"] <= 3e-2
        assert trial["params"]["epochs"] in (2, 3)
        assert len(trial["epochs"]) <= trial["params"]["epochs"]
    values = [trial["value"] for trial in undisturbed.trials if trial["value"] is not None]
    assert undisturbed.best["value"] == max(values)
    assert [path.name for path in undisturbed.folder.glob("trial-*")] == [undisturbed.best["folder"]]
    judge = acceptor.load(undisturbed.folder / undisturbed.best["folder"])
    validation = acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1)).validation
    assert acceptor.evaluate(judge, validation).mcc == pytest.approx(undisturbed.best["value"], abs=1e-6)
    record = json.loads((undisturbed.folder / "search.json").read_text())
    assert record == undisturbed.record
    assert record["best"]["scores"]["n"] == 48
    assert "too good" in repr(undisturbed)
    assert json.loads(json.dumps(undisturbed.to_dict()))["seeds"] is None


def test_no_trial_sees_the_test_split(data, config, tmp_path, monkeypatch):
    seen = []
    train = searching.train_trial

    def watched(data, **more):
        seen.append(data.test)
        return train(data, **more)

    monkeypatch.setattr(searching, "train_trial", watched)
    found = search_settings(data, out=tmp_path / "s", trials=1, seeds=0, config=config, space={"epochs": [3]})
    assert seen == [None]
    run = found.folder / found.best["folder"]
    report = json.loads((run / "report.json").read_text())
    assert list(report) == ["format", "validation"]
    assert report["validation"]["selected_on_this_split"]  # it chose among the trials
    assert data.test.table.sha256 not in (run / "run.json").read_text() + (found.folder / "search.json").read_text()
    # Another test split changes nothing: the same search resumes.
    other = acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1), test=toy_rows(30, 5))
    again = search_settings(other, out=tmp_path / "s", trials=1, seeds=0, config=config, space={"epochs": [3]})
    assert outcome(again) == outcome(found)


def test_a_column_of_splits_hides_the_test_split_from_the_trials(config, tmp_path, monkeypatch, caplog):
    rows = [(*row, ("train", "train", "dev", "test")[n % 4]) for n, row in enumerate(toy_rows(200))]
    data = acceptor.load_data(pl.DataFrame(rows, schema=["sentence", "label", "split"], orient="row"))
    seen, real = [], searching.train_trial
    monkeypatch.setattr(searching, "train_trial", lambda data, **more: seen.append(data) or real(data, **more))
    by_column = config.model_copy(update={"split": "column", "epochs": None, "batch_size": 8})
    space = {"learning_rate": (1e-3, 1e-2, "log")}
    monkeypatch.setattr(defaults, "MOST_EPOCHS", 2)
    found = search_settings(data, out=tmp_path / "s", trials=1, seeds=1, config=by_column, space=space)
    assert [(len(data.train), len(data.validation), data.test) for data in seen] == [(100, 50, None)]
    [seed] = found.seeds.file.runs
    assert seed.scores.keys() == {"validation", "test"}
    assert "no test split" not in caplog.text


def test_settings_are_derived_from_the_rows_that_a_trial_trains_on(config, tmp_path):
    rows = toy_rows(900)
    given = config.model_copy(update={"validation_share": 0.9, "epochs": None})
    found = search_settings(rows, out=tmp_path / "s", trials=1, seeds=0, config=given, space={"epochs": (1, 99)})
    cut, _ = with_validation(acceptor.load_data(rows), TrainConfig(validation_share=0.9, seed=7))
    expected = resolve(given, find_encoder(given.encoder), cut.train)[0].epochs
    assert expected != resolve(given, find_encoder(given.encoder), acceptor.load_data(rows).train)[0].epochs
    assert found.trials[0]["params"]["epochs"] == expected


def test_a_search_is_resumed_with_the_same_columns_and_weights(config, tiny_bert, tmp_path):
    frame = pl.DataFrame({"a": [text for text, _ in toy_rows(60)], "label": [label for _, label in toy_rows(60)]})
    file, encoder = tmp_path / "x.csv", tmp_path / "encoder"
    frame.with_columns(b=pl.col("a").str.to_uppercase()).write_csv(file)
    shutil.copytree(tiny_bert, encoder)
    given = config.model_copy(update={"encoder": str(encoder)})
    read = {name: acceptor.load_data(file, columns={"sentence": name}) for name in ("a", "b")}
    open_study(tmp_path / "s", given, SMALL, read["a"])
    open_study(tmp_path / "s", given, SMALL, read["a"])
    with raises(UsageError, "E-USAGE-CHANGED", expected="data.train, read as", found="sentence ← b"):
        open_study(tmp_path / "s", given, SMALL, read["b"])
    weights = encoder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with raises(UsageError, "E-USAGE-CHANGED", expected="data.encoder"):
        open_study(tmp_path / "s", given, SMALL, read["a"])


def test_an_older_search_is_resumed_with_the_files_that_it_knows(data, config, tmp_path):
    """It kept the hashes of its files, but not how they were read, nor the encoder's weights."""
    study = open_study(tmp_path / "s", config, SMALL, data)
    head = study.user_attrs["head"]
    known = {name: sha256 for name, sha256 in head["data"].items() if name in ("train", "validation")}
    study.set_user_attr("head", {**head, "data": known})
    open_study(tmp_path / "s", config, SMALL, data)
    with raises(UsageError, "E-USAGE-CHANGED", found="data.extra 1"):
        open_study(
            tmp_path / "s",
            config,
            SMALL,
            acceptor.load_data(toy_rows(160), validation=toy_rows(48, 1), extra=toy_rows(20, 3)),
        )


def test_a_search_that_cannot_be_written_is_an_error(data, config, tmp_path):
    (tmp_path / "file").touch()
    with raises(ResourceError, "E-RESOURCE-WRITE"):
        open_study(tmp_path / "file" / "s", config, SMALL, data)


def test_a_bad_trial_is_pruned_at_the_same_share_of_its_training(data, config, tmp_path):
    study = open_study(tmp_path / "s", config, {"epochs": (1, 8)}, data)
    for _ in range(5):
        trial = study.ask()
        trial.suggest_int("epochs", 1, 8)
        for quarter in (1, 2, 3, 4):
            trial.report(0.5, quarter)
        study.tell(trial, 0.5)
    own = config.model_copy(update={"epochs": 8})

    def lines(*scores):
        return [{"event": "epoch", "mcc": score} for score in scores]

    watch = searching._Pruner(study.ask(), own)
    watch(lines(None))  # an eighth: not compared yet
    with pytest.raises(searching._PrunedError):
        watch(lines(None, 0.1))
    watch = searching._Pruner(study.ask(), own)
    for epoch in range(1, 9):
        watch(lines(*[0.1 + epoch / 10] * epoch) if epoch > 4 else lines(*[0.6] * epoch))
    good = study.ask()
    searching._Pruner(good, own)(lines(0.2, 0.6, 0.2, 0.7))  # resumed: it gets all epochs
    assert study.trials[good.number].intermediate_values == {1: 0.6, 2: 0.7}
    last = searching._Pruner(study.ask(), config.model_copy(update={"epochs": 1}))
    last(lines(0.0))  # it is done: there is nothing to save


def test_a_pruned_trial_is_counted_and_leaves_nothing(data, config, tmp_path):
    out = tmp_path / "s"
    space = {"epochs": [4], "learning_rate": (1e-7, 1e-2, "log")}
    study = open_study(out, config.model_copy(update={"epochs": 4}), space, data)
    for _ in range(5):
        trial = study.ask()
        trial.suggest_categorical("epochs", [4])
        trial.suggest_float("learning_rate", 1e-7, 1e-2, log=True)
        for quarter in (1, 2, 3, 4):
            trial.report(0.9, quarter)
        for name, value in {"defined": True, "seconds": 0.0, "process": 0}.items():
            trial.set_user_attr(name, value)
        study.tell(trial, 0.9)
    study.enqueue_trial({"epochs": 4, "learning_rate": 1e-7})
    found = search_settings(
        data, out=out, trials=6, seeds=0, config=config.model_copy(update={"epochs": 4}), space=space
    )
    pruned = found.trials[-1]
    assert (pruned["state"], pruned["value"], len(pruned["epochs"])) == ("pruned", None, 1)
    assert not list(out.glob("trial-*"))


def processes_at(lock):
    """The other processes that have a file open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(lock) and int(link.parts[2]) != os.getpid():
                found.add(link.parts[2])
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at who waits in /proc")
def test_two_processes_share_one_study(data, config, tmp_path, monkeypatch):
    out = tmp_path / "shared"
    run_workers, held = searching._work_in_processes, threading.Event()

    def hold():  # until both wait, so that neither does all trials
        with locked(out):
            held.set()
            wait_for(lambda: len(processes_at(out / ".study.lock")) >= 2)

    def both_at_once(*arguments):
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        run_workers(*arguments)
        thread.join()

    monkeypatch.setattr(searching, "_work_in_processes", both_at_once)
    found = search_settings(data, out=out, trials=4, seeds=0, config=config, space=SMALL, processes=2)
    assert [trial["number"] for trial in found.trials] == list(range(4))
    workers = {trial["process"] for trial in found.trials}
    assert len(workers) == 2
    assert os.getpid() not in workers


def test_the_same_command_started_twice_joins_the_study(data, config, tmp_path):
    out = tmp_path / "joined"
    train, both = searching.train_trial, threading.Barrier(2, timeout=60)
    first = set()
    waited = []

    def together(*arguments, **more):
        if threading.get_ident() not in first:  # the first trial of each begins when both have one
            first.add(threading.get_ident())
            both.wait()
            waited.append(len(in_states(open_study(out, config, SMALL, data), "RUNNING")))
        return train(*arguments, **more)

    found = {}

    def run(name):
        found[name] = search_settings(data, out=out, trials=4, seeds=0, config=config, space=SMALL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "train_trial", together)
        threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcome(found["a"]) == outcome(found["b"])
    assert len(found["a"].trials) == 4
    assert max(waited) == 2


def test_processes_that_create_the_same_study_at_the_same_time_share_it(data, config, tmp_path):
    for number in range(10):
        out, together = tmp_path / str(number), threading.Barrier(4)

        def create(_, out=out, together=together):
            together.wait()
            return open_study(out, config, SMALL, data).user_attrs["head"]

        with ThreadPoolExecutor(4) as pool:
            heads = list(pool.map(create, range(4)))
        assert heads == [heads[0]] * 4


def test_seeds_of_the_best_are_trained_with_all_data(data, config, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(searching, "train_seeds", lambda data, **more: calls.append((data, more)))
    space = {"epochs": [3], "learning_rate": (5e-3, 3e-2, "log")}
    found = search_settings(data, out=tmp_path / "s", trials=2, seeds=3, config=config, space=space)
    ((given, more),) = calls
    assert given.test is data.test
    # If more trials find other settings, their seeds are in another folder than the former ones.
    assert (more["seeds"], more["out"]) == (3, tmp_path / "s" / f"seeds-{found.best['folder']}")
    assert {name: getattr(more["config"], name) for name in space} == found.best["params"]
    assert (more["config"].encoder, more["config"].seed) == (config.encoder, config.seed + 1)  # new seeds


def test_the_command_shows_trials_and_the_scores_of_the_best(tiny_bert, tmp_path, monkeypatch, capsys):
    for name, rows in (("train", toy_rows(160)), ("dev", toy_rows(48, 1)), ("test", toy_rows(40, 2))):
        (tmp_path / f"{name}.tsv").write_text("".join(f"{sentence}\t{label}\n" for sentence, label in rows))
    arguments = ["search", tmp_path, "--encoder", tiny_bert, "--out", tmp_path / "s", "--trials", "2", "--seeds", "0"]
    monkeypatch.setattr(searching, "default_space", lambda config: SMALL)
    monkeypatch.setattr(sys, "argv", ["acceptor", *map(str, arguments), "--max-length", "32"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr().out
    assert not ended.value.code
    for words in ("mcc, validation", "learning_rate", "mcc after each epoch"):
        assert words in out, words
    assert ("selected on this split" in out and "too good" in out) or "no trial has a score (mcc)" in out


def test_a_training_that_fails_is_a_trial_without_a_value(data, config, tmp_path, monkeypatch, run_cli):
    def broken(data, **more):
        raise acceptor.TrainingError("the loss or its gradient is not finite")

    monkeypatch.setattr(searching, "train_trial", broken)
    found = search_settings(data, out=tmp_path / "s", trials=2, seeds=0, config=config, space=SMALL)
    assert [trial["value"] for trial in found.trials] == [None, None]
    assert found.trials[0]["problem"] == "the loss or its gradient is not finite"
    (tmp_path / "train.tsv").write_text("".join(f"{sentence}\t{label}\n" for sentence, label in toy_rows(160)))
    arguments = ["--encoder", config.encoder, "--out", tmp_path / "none", "--trials", 1, "--seeds", 0]
    code, out, _ = run_cli("search", tmp_path / "train.tsv", *arguments)
    assert code == 1
    assert "no trial has a score (mcc), and this search is over: the loss or its gradient is not finite" in out
    assert found.best is None
    assert "no value defined" in repr(found)


def test_settings_that_cannot_be_searched_are_refused(data, config, tmp_path, monkeypatch):
    def search(**more):
        return search_settings(data, **{"out": tmp_path / "s", "config": config, "seeds": 0, **more})

    for space, fields in (
        ({"seed": (1, 9)}, {"problem": "seed", "cause": "lucky seed"}),
        ({"encoder": ["minilm", "mpnet"]}, {"problem": "encoder", "cause": "derived for one encoder"}),
        ({}, {"expected": "learning_rate"}),
        ({"epochs": (4, 2)}, {"problem": "epochs", "found": "(4, 2)"}),
        ({"warmup": (0.0, 0.1, "linear")}, {"problem": "warmup", "found": "linear"}),
        ({"epochs": [0, 2]}, {"problem": "epochs = 0"}),
        ({"epochs": (1.0, 4.0)}, {"problem": "epochs", "expected": "whole numbers"}),
        ({"weight_decay": (0.0, 0.3, "log")}, {"problem": "weight_decay", "expected": "above 0"}),
        ({"weight_decay": (1, 0)}, {"problem": "weight_decay"}),
        ({"keep_head": (False, True)}, {"problem": "keep_head", "expected": "a list of values"}),
        ({"order_seed": (1, 9)}, {"problem": "order_seed", "cause": "lucky seed"}),
        ({"learning_rat": (0.1, 0.2)}, {"problem": "'learning_rate'"}),
    ):
        with raises(UsageError, "E-USAGE-OPTION", **fields):
            search(space=space)
    with raises(UsageError, "E-USAGE-OPTION", found="trials = 0"):
        search(trials=0)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "a.txt").write_text("mine")
    with raises(UsageError, "E-USAGE-OUTPUT", problem="taken"):
        search(out=tmp_path / "taken")
    open_study(tmp_path / "s", config, SMALL, data)
    with raises(UsageError, "E-USAGE-CHANGED", problem="metric", expected="metric = mcc", found="metric = f1"):
        search(config=config.model_copy(update={"metric": "f1"}), space=SMALL)
    with raises(UsageError, "E-USAGE-CHANGED", problem="space.epochs", found="[2, 4]", next="search elsewhere"):
        search(space={**SMALL, "epochs": (2, 4)})
    with raises(UsageError, "E-USAGE-CHANGED", cause="a data file has changed", where=str(tmp_path / "s")):
        open_study(tmp_path / "s", config, SMALL, acceptor.load_data(toy_rows(150), validation=toy_rows(48, 1)))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with raises(UsageError, "E-USAGE-EXTRA", next="acceptor[search]"):
        load_optuna()


@pytest.mark.parametrize(
    ("space", "code", "fields"),
    [
        ({"reinit_layers": [0, 1, 5]}, "E-USAGE-OPTION", {"problem": "5 layers", "expected": "at most 2"}),
        ({"reinit_layers": (0, 3)}, "E-USAGE-OPTION", {"problem": "3 layers", "where": ("reinit_layers", "(0, 3)")}),
        ({"learning_rate": [None, 0.01]}, "E-USAGE-OPTION", {"problem": "learning_rate = None"}),
        ({"keep_head": [False, True]}, "E-USAGE-HEAD", {"problem": "for other labels", "where": "keep_head"}),
        ({"device": ["cpu", "mps"]}, "E-USAGE-DEVICE", {"where": "device"}),
        ({"max_length": [4, 32]}, "E-USAGE-OPTION", {"where": "max_length"}),
    ],
    ids=str,
)
def test_a_value_that_no_trial_can_have_is_refused_before_the_first(space, code, fields, config, tmp_path, monkeypatch):
    """In a later trial it would end the search, which could then be neither resumed nor corrected."""
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    pairs = acceptor.load_data([(sentence, "the girl sees.", label) for sentence, label in toy_rows(96)])
    with raises(UsageError, code, **fields):
        search_settings(pairs, out=tmp_path / "s", seeds=0, config=config, space=space)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "given",
    [{}, {"batch_size": 8}, {"warmup": 0.4}, {"weight_decay": 0}, {"weight_decay": 0.9}, {"learning_rate": 0.9}],
    ids=str,
)
def test_the_default_space_holds_the_given_settings(given):
    defaults, _ = resolve(TrainConfig(**given), encoder_of(hidden_size=384), split_of(2528, 6023))
    for name, domain in default_space(defaults).items():
        value = getattr(defaults, name)
        assert value in domain if isinstance(domain, list) else domain[0] <= value <= domain[1]
        assert not math.isnan(float(value))


def test_a_setting_without_a_number_is_no_baseline(data, config, tmp_path):
    """The dropout of the encoder's configuration is not one value of a domain."""
    encoders = config.model_copy(update={"dropout": "encoder"})
    study = open_study(tmp_path / "s", encoders, {"dropout": (0.0, 0.3)}, data)
    assert in_states(study, "WAITING") == []


def test_seeds_of_the_best_restart_after_a_collapse_unless_the_caller_decides(data, config, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(searching, "train_seeds", lambda data, *, config, **_: seen.append(config.on_collapse))
    for name, given in (("a", config), ("b", config.model_copy(update={"on_collapse": "go-on"}))):
        search_settings(data, out=tmp_path / name, trials=1, seeds=1, config=given, space={"epochs": (1, 2)})
    assert seen == ["restart", "go-on"]


def test_whole_ends_of_a_fraction_are_no_whole_numbers(data, config, tmp_path):
    study = open_study(tmp_path / "s", config, {"weight_decay": (0, 1), "epochs": (1, 3)}, data)
    [first] = in_states(study, "WAITING")
    assert first.system_attrs["fixed_params"] == {"weight_decay": config.weight_decay, "epochs": config.epochs}
    found = search_settings(
        data, out=tmp_path / "s", trials=2, seeds=0, config=config, space={"weight_decay": (0, 1), "epochs": (1, 3)}
    )
    assert found.trials[0]["params"]["weight_decay"] == config.weight_decay
    assert all(isinstance(trial["params"]["epochs"], int) for trial in found.trials)
