"""An old output stays until the new one is complete; inputs are never overwritten."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import pytest

import acceptor
from acceptor.errors import UsageError
from acceptor.runs.checkpoint import newest_whole
from acceptor.runs.out_path import default_out
from acceptor.training.checkpoint import Checkpoints
from conftest import REPOSITORY, raises, toy_rows

CONFIG = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2, "max_length": 32, "on_collapse": "go-on"}


@pytest.fixture
def old(toy_run, tmp_path):
    """A finished run in a new folder, and the bytes of its weights."""
    shutil.copytree(toy_run.folder, tmp_path / "runs" / "R")
    return tmp_path / "runs" / "R"


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_training_that_is_killed_leaves_the_old_run_and_resumes(old, tiny_bert, tmp_path):
    before = weights(old)
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in toy_rows(60)))
    code = f"""
        import os, signal, acceptor
        from acceptor.training.checkpoint import Checkpoints
        save = Checkpoints.save
        Checkpoints.due = lambda self, **_: True
        Checkpoints.save = lambda self, *rest: (save(self, *rest), os.kill(os.getpid(), signal.SIGKILL))
        config = acceptor.TrainConfig(encoder={str(tiny_bert)!r}, **{CONFIG!r})
        acceptor.train({str(tmp_path / "train.tsv")!r}, out={str(old)!r}, config=config, overwrite=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    kept = old.with_name(".R.replaced-1")
    assert (weights(kept), (old / "manifest.json").exists()) == (before, False)
    run = acceptor.resume(old)
    assert names(tmp_path / "runs") == ["R"]
    assert weights(run.folder) != before
    assert acceptor.load(old)(["the cats sleep."])


def test_a_kill_before_the_first_checkpoint_keeps_the_old_run(old, toy, toy_config):
    before = weights(old)
    old.rename(old.with_name(".R.replaced-1"))  # as a kill right after it leaves it
    with raises(UsageError, "E-USAGE-OUTPUT", problem="finished run", next="--overwrite"):
        acceptor.train(toy, out=old, config=toy_config)
    assert (weights(old), names(old.parent)) == (before, ["R"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("saved", [False, True])
def test_an_error_restores_it_unless_there_is_a_checkpoint(error, saved, old, toy, toy_config, monkeypatch):
    before = weights(old)
    save = Checkpoints.save

    def stop(self, *rest):
        if saved:
            save(self, *rest)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "due", lambda *_, **__: True)
        patch.setattr(Checkpoints, "save", stop)
        with pytest.raises(error):
            acceptor.train(toy, out=old, config=toy_config, overwrite=True)
    assert names(old.parent) == ([".R.replaced-1", "R"] if saved else ["R"])
    assert weights(old.with_name(".R.replaced-1") if saved else old) == before
    run = acceptor.train(toy, out=old, config=toy_config, resume=saved, overwrite=not saved)
    assert names(old.parent) == ["R"]
    assert len(run.history) > 4


def test_bad_data_leave_the_old_run_where_it_is(old, toy_config):
    with pytest.raises(acceptor.DataError):
        acceptor.train("nowhere.tsv", out=old, config=toy_config, overwrite=True)
    assert names(old.parent) == ["R"]


def test_another_folder_in_its_place_is_not_removed(old, toy, toy_config):
    old.rename(old.with_name(".R.replaced-1"))
    old.mkdir()
    (old / "mine.txt").write_text("mine")
    with raises(UsageError, "E-USAGE-OUTPUT", expected="a path", next="--out PATH"):
        acceptor.train(toy, out=old, config=toy_config, overwrite=True)
    assert names(old) == ["mine.txt"]
    assert names(old.parent) == [".R.replaced-1", "R"]


def link(place, target):
    place.symlink_to(target, target_is_directory=True)
    return place


def test_the_default_place_of_a_run_is_new_or_that_of_the_last_stopped_training(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    place = partial(default_out, "a.tsv", "minilm")
    assert place(resume=False) == place(resume=True) == Path("runs/a-minilm")
    for name in ("a-minilm", "a-minilm-2", "a-minilm-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert (place(resume=False), place(resume=True)) == (Path("runs/a-minilm-4"), Path("runs/a-minilm-3"))
    assert not caplog.records
    (tmp_path / "runs" / "a-minilm-2" / "checkpoints" / "epoch-1-step-9").mkdir(parents=True)
    assert (place(resume=False), place(resume=True)) == (Path("runs/a-minilm-4"), Path("runs/a-minilm-2"))
    assert "to resume it: acceptor train runs/a-minilm-2 --resume" in caplog.text
    with raises(acceptor.RunError, "E-RUN-CHECKPOINT", next="acceptor train runs/a-minilm-2 --resume"):
        newest_whole(Path("runs/a-another-encoder"), lambda _: None)


def test_a_run_goes_where_a_link_leads(toy, toy_config, tmp_path):
    """To a larger disk, for instance. The names of the link and of the new folder were exchanged."""
    target = tmp_path / "large disk" / "there"
    target.mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    out = link(tmp_path / "runs" / "here", target)

    def stop(history):
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        acceptor.train(toy, out=out, config=toy_config, on_epoch=stop)
    run = acceptor.train(toy, out=out, config=toy_config, resume=True)
    assert (names(out.parent), names(target.parent)) == (["here"], ["there"])
    assert out.is_symlink()
    assert run.folder == target
    assert not (target / "checkpoints").exists()
    acceptor.load(out)


@pytest.mark.parametrize("way", ["itself", "linked", "linked out", "data", "within", "path through a link"])
def test_an_output_that_contains_an_input_is_refused(way, old, toy, toy_config, tmp_path):
    out, data, encoder = old, toy, toy_config.encoder
    if way == "itself":
        encoder = old
    elif way == "linked":
        encoder = link(tmp_path / "encoder", old)
    elif way == "linked out":
        encoder, out = old, link(tmp_path / "out", old)
    elif way == "within":
        encoder = shutil.copytree(toy_config.encoder, old / "encoder")
    elif way == "path through a link":
        encoder = link(old / "encoder", toy_config.encoder)
    else:
        data = old / "train.tsv"
        data.write_text("sentence\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in toy_rows(60)))
    before = weights(old)
    config = toy_config.model_copy(update={"encoder": str(encoder)})
    with raises(UsageError, "E-USAGE-OUTPUT", where=str(out.resolve()), next="--out"):
        acceptor.train(data, out=out, config=config, overwrite=True)
    assert weights(old) == before


def test_seeds_and_folds_and_searches_refuse_it_too(toy, toy_config, tmp_path):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    seeds = acceptor.train_seeds(toy, out=tmp_path / "S", seeds=1, config=config)
    before = weights(seeds.runs[0])
    own = config.model_copy(update={"encoder": str(seeds.runs[0])})
    with raises(UsageError, "E-USAGE-OUTPUT", where=str(tmp_path / "S")):
        acceptor.train_seeds(toy, out=tmp_path / "S", seeds=1, config=own, overwrite=True)
    with raises(UsageError, "E-USAGE-OUTPUT", where=str(tmp_path / "S")):
        acceptor.cross_validate(toy, by=2, out=tmp_path / "S", config=own, overwrite=True)
    pytest.importorskip("optuna")
    with raises(UsageError, "E-USAGE-OUTPUT", where=str(tmp_path / "S")):
        acceptor.search_settings(toy, out=tmp_path / "S", trials=1, seeds=0, config=own)
    assert weights(seeds.runs[0]) == before


def test_seeds_that_fail_restore_the_old_ones(toy, toy_config, tmp_path, monkeypatch):
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    seeds = acceptor.train_seeds(toy, out=tmp_path / "S", seeds=1, config=config)
    before = weights(seeds.runs[0])
    with monkeypatch.context() as patch:
        patch.setattr("acceptor.experiments.run_set.train_plans", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            acceptor.train_seeds(toy, out=tmp_path / "S", seeds=1, config=config, overwrite=True)
    assert (weights(seeds.runs[0]), names(tmp_path)) == (before, ["S"])
    acceptor.train_seeds(toy, out=tmp_path / "S", seeds=1, config=config, overwrite=True)
    assert names(tmp_path) == ["S"]


@pytest.mark.parametrize("out", ["", ".", "/"])
@pytest.mark.parametrize("command", ["report", "export"])
def test_an_output_without_a_name_is_refused(run_cli, toy_run, command, out):
    """An empty variable of a shell, for instance."""
    code, _, stderr = run_cli(command, toy_run.folder, "-o", out)
    assert (code, "code:     E-USAGE-OUTPUT" in stderr) == (2, True), stderr


def stopped_within(folder, data, config, monkeypatch):
    """A training that was stopped after its first checkpoint; its data are beside its folder."""
    save = Checkpoints.save

    def stop(self, *rest):
        save(self, *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Checkpoints, "due", lambda *_, **__: True)
        patch.setattr(Checkpoints, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            acceptor.train(data, out=".", config=config)


def test_a_training_is_stopped_and_resumed_within_its_folder(toy_config, tmp_path, monkeypatch):
    """The shell's own folder is renamed at the end."""
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in toy_rows(60)))
    place = tmp_path / "runs" / "R"
    place.mkdir(parents=True)
    stopped_within(place, "../../train.tsv", toy_config.model_copy(update=CONFIG), monkeypatch)
    assert (names(place.parent), names(place)) == (["R"], ["checkpoints"])
    done = subprocess.run(
        [sys.executable, "-m", "acceptor", "train", ".", "--resume", "--json"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "cd ." in done.stderr
    assert json.loads(done.stdout)["folder"] == str(place)
    assert names(place.parent) == ["R"]
    assert {"report.html", "manifest.json"} <= set(names(place))
    assert acceptor.load(place)(["the cats sleep."])


@pytest.mark.parametrize("out", [".", "", "within/.."])
def test_the_current_folder_can_be_overwritten(out, old, toy, toy_config, monkeypatch):
    before = weights(old)
    (old / "within").mkdir()
    monkeypatch.chdir(old)
    run = acceptor.train(toy, out=out, config=toy_config.model_copy(update={"epochs": 1}), overwrite=True)
    assert (run.folder, names(old.parent)) == (old, ["R"])
    assert weights(old) != before
    assert Path.cwd() == old
    assert Path("manifest.json").is_file()


def test_an_empty_current_folder_takes_seeds(toy, toy_config, tmp_path, monkeypatch):
    (tmp_path / "S").mkdir()
    monkeypatch.chdir(tmp_path / "S")
    config = toy_config.model_copy(update={"epochs": 1, "on_collapse": "go-on"})
    seeds = acceptor.train_seeds(toy, out=".", seeds=1, config=config)
    assert (seeds.folder, names(tmp_path)) == (tmp_path / "S", ["S"])
