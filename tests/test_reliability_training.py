"""The quick form of the promises about trainings: killed, stopped, damaged, out of disk or memory, poisoned."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import acceptor
from acceptor.errors import ResourceError, RunError, TrainingError, UsageError
from acceptor.runs.checkpoint import newest_first
from acceptor.runs.folder import resume_command
from acceptor.runs.out_path import SLACK_BYTES, check_out, check_room
from acceptor.runtime.device import Runtime, is_out_of_memory
from acceptor.runtime.processes import process_group
from acceptor.storage.files import new_file, new_folder
from acceptor.storage.lock import one_writer
from acceptor.training import checkpoint, loop, session, signals
from acceptor.training.signals import deferred_signals
from conftest import REPOSITORY, raises, wait_for

KILLS = {
    "kills": 20, "kills_in_a_save": 20, "ten_kills_in_one_run": 10, "kills_between_epochs": 6, "kills_between_parts": 3,
    "stops": 4, "one_writer": 1,
}  # fmt: skip
OTHERS = {
    "changes": 10, "restarts": 2, "failed_rank": 1, "damage": 90, "hostile_checkpoints": 140, "power_cuts": 1000,
    "disk_full": 4, "unwritable": 6, "not_finite": 3, "out_of_memory": 3,
}  # fmt: skip


TIMED = {"time_for_checkpoints"}  # a timing: only `make reliability` measures it, on an idle machine


@pytest.mark.skipif(sys.platform != "linux", reason="forkserver, RLIMIT_FSIZE and /proc")
@pytest.mark.parametrize("rows", [KILLS, OTHERS], ids=["kills", "others"])
def test_the_promises_of_trainings_hold(rows):
    """In two halves, for the suite's two processes."""
    command = [sys.executable, "-m", "reliability", "--quick", "--only", ",".join(rows)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == rows.keys()
    for name, (held, tried) in found.items():
        assert held == tried >= rows[name], name


def test_every_promise_of_trainings_but_the_timed_one_is_in_the_suite():
    sys.path.insert(0, str(REPOSITORY))
    from reliability.__main__ import rows

    assert {
        row.name for row in rows(REPOSITORY, None) if row.half == "training"
    } == KILLS.keys() | OTHERS.keys() | TIMED


def test_a_checkpoint_is_due_only_if_all_stay_within_their_share_of_the_time(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    checkpoints = checkpoint.Checkpoints(tmp_path, None, None, {}, writes=False)
    assert checkpoints.due(epoch_ends=True)  # the cost of the first one is unknown
    assert not checkpoints.due()
    checkpoints.saving_seconds = checkpoints.longest_save = 3.0
    affordable = (
        6.0 / checkpoint.MAX_SAVING_SHARE
    )  # after this time all saves, and the longest once more, are its share
    clock[0] = 1000 + affordable - 1
    assert not checkpoints.due(epoch_ends=True)
    assert not checkpoints.due()
    clock[0] = 1000 + affordable + 1
    assert checkpoints.due(epoch_ends=True)
    assert checkpoints.due()  # more than a minute after the last
    checkpoints.saved = clock[0] - checkpoint.MIN_INTERVAL + 1
    assert not checkpoints.due()


def test_a_training_that_was_killed_in_its_first_save_starts_again(tmp_path):
    """Neither finished nor with a checkpoint: --resume finds nothing, and the same command without it must work."""
    out = tmp_path / "run"
    (out / "checkpoints" / ".epoch-0-step-1.abcdefgh.part").mkdir(parents=True)
    check_out(out, overwrite=False, resume=False)
    (out / "checkpoints" / "mine.txt").write_text("")
    with raises(UsageError, "E-USAGE-OUTPUT", expected="a path"):
        check_out(out, overwrite=False, resume=False)


def test_restarted_processes_do_not_wait_for_ended_ones(monkeypatch):
    """torchrun keeps one store for all its attempts: processes of one attempt must find only each other in it."""
    import torch.distributed as dist

    store = dist.HashStore()
    seen = []
    monkeypatch.setattr(dist, "rendezvous", lambda *_, **__: iter([(store, 0, 2)]))
    monkeypatch.setattr(dist, "init_process_group", lambda *_, store, **__: seen.append(store))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    monkeypatch.setenv("GROUP_WORLD_SIZE", "1")
    for attempt in range(3):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(attempt))
        for rank in range(2):
            with process_group(Runtime("cpu", "", 0, "fp32", rank=rank, world_size=2)):
                found = seen[-1].get("address").decode() if seen[-1].check(["address"]) else None
                assert found == (f"of attempt {attempt}" if rank else None)
                seen[-1].set("address", f"of attempt {attempt}")


def test_the_best_epochs_weights_need_room_as_well(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=(11 << 30) + SLACK_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    check_room(tmp_path / "run", 1 << 30)
    with raises(ResourceError, "E-RESOURCE-DISK", expected="MB", found="MB free"):
        check_room(tmp_path / "run", 1 << 30, keeps_best=True)


def test_the_command_line_reports_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    command = ["train", "starter", "--encoder", "minilm", "--out", str(tmp_path / "file" / "run")]
    done = subprocess.run([sys.executable, "-m", "acceptor", *command], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"(?s)cannot be written.*cause: +File exists.*next: .*--out PATH", done.stderr)


def test_a_replaced_folder_exists_at_all_times(tmp_path):
    place = tmp_path / "run"
    for number in ("1", "2"):
        with new_folder(place) as folder:
            (folder / "file").write_text(number)
            assert place.exists() == (number == "2")
        assert (place / "file").read_text() == number
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_lock_names_its_holder_and_removes_files_of_a_killed_one(tmp_path):
    place = tmp_path / "new" / "run"
    left = tmp_path / "new" / ".run.abcdefgh.part"
    left.mkdir(parents=True)
    other = tmp_path / "new" / ".run-2.abcdefgh.part"  # another run's, which may be active
    other.mkdir()
    with one_writer(place):
        assert not left.exists()
        code = f"import pathlib, acceptor.storage.lock as f\nwith f.one_writer(pathlib.Path({str(place)!r})): pass"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "code:     E-RUN-LOCKED" in done.stderr
        assert f"process {os.getpid()} on " in done.stderr
    assert [path.name for path in place.parent.iterdir()] == [other.name]


def test_a_folder_has_one_lock_from_within_and_from_outside(tmp_path, monkeypatch):
    (tmp_path / "run" / "within").mkdir(parents=True)
    for here, given in ((".", "."), (".", ""), ("within", "..")):
        monkeypatch.chdir(tmp_path / "run" / here)
        with (
            one_writer(Path(given)),
            raises(RunError, "E-RUN-LOCKED", found=str(os.getpid())),
            one_writer(tmp_path / "run"),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_of_a_killed_writer_is_removed_by_the_next_one_and_by_no_other(tmp_path):
    place = tmp_path / "page.html"
    code = (
        "import os, pathlib, sys; from acceptor.storage.files import new_file\n"
        "with new_file(pathlib.Path(sys.argv[1])) as scratch: scratch.write_text('half'); os._exit(9)"
    )
    for target in (place, tmp_path / "page.html.json"):
        assert subprocess.run([sys.executable, "-c", code, target]).returncode == 9
    left, other = sorted(tmp_path.iterdir(), key=lambda path: len(path.name))
    with new_file(place) as scratch:  # without the lock: the other file may be a living process'
        scratch.write_text("whole")
    assert left.exists()
    with one_writer(place):
        assert sorted(tmp_path.glob("*page*")) == sorted([tmp_path / ".page.html.lock", other, place])
    assert place.read_text() == "whole"


def test_a_signal_that_is_ignored_stops_no_training():
    """Otherwise it would end the loop but not the process, and a half-trained judge would be saved as finished."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_signals() as seen:
            signal.raise_signal(signal.SIGINT)
        assert seen == []
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_is_answered_at_once_though_its_effect_takes_minutes(caplog):
    """Once: who presses Ctrl-C again during a long validation reads no second promise."""

    def judge_for_minutes():
        with deferred_signals("stopping after this step"):
            signal.raise_signal(signal.SIGINT)
            wait_for(lambda: caplog.messages)
            signal.raise_signal(signal.SIGINT)

    with caplog.at_level(logging.WARNING, "acceptor"), pytest.raises(KeyboardInterrupt):
        judge_for_minutes()
    assert caplog.messages == ["stopping after this step"]


def test_an_answer_that_comes_too_late_is_not_given(caplog, monkeypatch):
    """It would promise a checkpoint after the line that says at which step the training was stopped."""
    late = []
    monkeypatch.setattr(signals._thread, "start_new_thread", lambda answer, _: late.append(answer))

    def stop():
        with deferred_signals("stopping after this step"):
            signal.raise_signal(signal.SIGINT)

    with caplog.at_level(logging.WARNING, "acceptor"), pytest.raises(KeyboardInterrupt):
        stop()
    late[0]()
    assert caplog.messages == []


def test_a_signal_is_not_lost_in_an_error():
    """A search catches such errors, and went on with the next training."""

    def prune():
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("pruned")

    with pytest.raises(KeyboardInterrupt):
        prune()


@pytest.fixture
def ignores_sigint():
    """A program with a handler of its own, which returns."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("skips", [False, True], ids=["at the end of the last epoch", "while steps are skipped"])
def test_a_stop_is_seen_at_every_event_and_leaves_a_checkpoint(toy, toy_config, tmp_path, monkeypatch, skips):
    config = toy_config.model_copy(update={"epochs": 1, "on_nan": "skip", "on_collapse": "go-on"})
    whole = acceptor.train(toy, out=tmp_path / "whole", config=config)
    name, fetch = "skip_line" if skips else "epoch_line", loop._fetch_losses
    kept = getattr(session, name)

    def stopping(event, *rest):
        if not skips or event.step == 3:
            signal.raise_signal(signal.SIGINT)
        return kept(event, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoints, "due", lambda *_, **__: False)
        patch.setattr(session, name, stopping)
        if skips:
            patch.setattr(loop, "_fetch_losses", lambda *given: [math.nan for _ in fetch(*given)])
        with pytest.raises(KeyboardInterrupt):
            acceptor.train(toy, out=tmp_path / "run", config=config)
    assert newest_first(tmp_path / "run")[0].name.endswith("step-3" if skips else "step-10")
    again = acceptor.train(toy, out=tmp_path / "run", config=config, resume=True)
    if not skips:
        assert again.report.to_dict() == whole.report.to_dict()


def test_an_error_that_a_signal_hides_is_logged(caplog):
    """A full disk at the last checkpoint, for instance: the exit code alone promises that there is one."""

    def fail():
        with deferred_signals():
            signal.raise_signal(signal.SIGINT)
            raise ResourceError("the disk is full", code="E-RESOURCE-DISK")

    with caplog.at_level(logging.ERROR, "acceptor"), pytest.raises(KeyboardInterrupt):
        fail()
    assert "the disk is full" in caplog.text


def test_a_stop_in_the_last_on_epoch_leaves_a_checkpoint(toy, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.Checkpoints, "due", lambda *_, **__: False)
    seen = []

    def stop(history):
        seen.append(history)
        if len(seen) == toy_config.epochs:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        acceptor.train(toy, out=tmp_path / "run", config=toy_config, on_epoch=stop)
    assert newest_first(tmp_path / "run")[0].name == "epoch-4-step-40"


@pytest.mark.usefixtures("ignores_sigint")
def test_a_stop_is_no_bad_trial_and_no_failed_seed(toy, toy_config, tmp_path, monkeypatch):
    def stopping(event, *rest, kept=session.epoch_line):
        signal.raise_signal(signal.SIGINT)
        return kept(event, *rest)

    monkeypatch.setattr(session, "epoch_line", stopping)
    space = {"warmup": (0.0, 0.3)}
    with raises(TrainingError, "E-TRAINING-STOPPED"):
        acceptor.search_settings(toy, out=tmp_path / "search", trials=2, seeds=0, config=toy_config, space=space)
    with raises(TrainingError, "E-TRAINING-STOPPED"):
        acceptor.train_seeds(toy, out=tmp_path / "seeds", seeds=[1, 2], config=toy_config)
    monkeypatch.undo()
    found = acceptor.search_settings(toy, out=tmp_path / "search", trials=1, seeds=0, config=toy_config, space=space)
    assert [(trial["state"], len(trial["epochs"])) for trial in found.trials] == [("complete", toy_config.epochs)]


@pytest.mark.usefixtures("ignores_sigint")
def test_a_training_that_was_stopped_is_not_taken_for_finished(toy, toy_config, tmp_path):
    """Under torchrun, too: only one process gets the signal, and all stop."""
    with raises(TrainingError, "E-TRAINING-STOPPED", where="step ", next="repeat the command"):
        acceptor.train(
            toy, out=tmp_path / "run", config=toy_config, on_epoch=lambda _: signal.raise_signal(signal.SIGINT)
        )
    assert not (tmp_path / "run" / "judge.json").exists()
    assert acceptor.train(toy, out=tmp_path / "run", config=toy_config, resume=True).report.scores.mcc is not None


def test_a_stopped_run_of_several_is_resumed_by_the_command_that_made_all(tmp_path):
    """By its path, this one alone would be finished."""
    source = {"source": "starter"}
    assert resume_command(tmp_path / "seed-1", source) == f"acceptor train {tmp_path / 'seed-1'} --resume"
    (tmp_path / "seeds.json").touch()
    assert resume_command(tmp_path / "seed-1", source) == "repeat the command"


def test_other_errors_are_not_out_of_memory():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(UsageError("out of memory"))
