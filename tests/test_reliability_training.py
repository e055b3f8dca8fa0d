"""The quick form of the promises about trainings: killed, stopped, damaged, out of disk or memory, poisoned."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from acceptor.errors import ResourceError, UsageError
from acceptor.runs.place import SLACK_BYTES, check_out, check_room
from acceptor.runtime.device import is_out_of_memory
from acceptor.storage.files import new_folder, one_writer
from acceptor.training import checkpoint
from acceptor.training.signals import signals_held
from conftest import REPOSITORY, raises

KILLS = {
    "kills": 20, "kills_in_a_save": 20, "ten_kills_in_one_run": 10, "kills_between_epochs": 6, "kills_between_parts": 3,
    "stops": 4, "one_writer": 1,
}  # fmt: skip
OTHERS = {
    "changes": 10, "restarts": 2, "failed_rank": 1, "damage": 90, "hostile_checkpoints": 140, "power_cuts": 1000,
    "disk_full": 4, "unwritable": 6, "not_finite": 3, "out_of_memory": 3,
}  # fmt: skip


TIMED = {"time_for_checkpoints"}  # a measurement: `make reliability` tells it, on a machine that does nothing else


@pytest.mark.skipif(sys.platform != "linux", reason="forkserver, RLIMIT_FSIZE and /proc")
@pytest.mark.parametrize("rows", [KILLS, OTHERS], ids=["kills", "others"])
def test_what_is_promised_of_trainings_holds(rows):
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


def test_a_checkpoint_is_due_only_where_all_of_them_stay_within_their_share_of_the_time(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(checkpoint, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    checkpoints = checkpoint.Checkpoints(tmp_path, None, None, {}, writes=False)
    assert checkpoints.due(epoch_ends=True)  # the first costs nobody knows what
    assert not checkpoints.due()
    checkpoints.spent = checkpoints.dearest = 3.0
    affordable = 6.0 / checkpoint.SHARE  # behind which what was spent, and once more the dearest, is the whole share
    clock[0] = 1000 + affordable - 1
    assert not checkpoints.due(epoch_ends=True)
    assert not checkpoints.due()
    clock[0] = 1000 + affordable + 1
    assert checkpoints.due(epoch_ends=True)
    assert checkpoints.due()  # more than a minute after the last
    checkpoints.saved = clock[0] - checkpoint.EVERY + 1
    assert not checkpoints.due()


def test_a_training_that_was_killed_in_its_first_save_starts_again(tmp_path):
    """Neither finished nor with a checkpoint: --resume finds nothing, and the plain command must not be refused."""
    out = tmp_path / "run"
    (out / "checkpoints" / ".epoch-0-step-1.abcdefgh.part").mkdir(parents=True)
    check_out(out, overwrite=False, resume=False)
    (out / "checkpoints" / "mine.txt").write_text("")
    with raises(UsageError, "E-USAGE-OUTPUT", expected="a path that is free"):
        check_out(out, overwrite=False, resume=False)


JOIN = """
import datetime, sys, time, torch
from acceptor.runtime import processes
from acceptor.runtime import device as runtime
processes.PATIENCE = datetime.timedelta(seconds=30)
time.sleep(float(sys.argv[1]))
here = runtime.Runtime("cpu", "", 0, "fp32", rank=int(sys.argv[2]), world=2)
with processes.process_group(here):
    torch.distributed.all_reduce(torch.ones(1))
"""


def test_restarted_processes_do_not_look_for_those_that_are_gone():
    """One store for all attempts, as torchrun has it; in later ones one process is seconds ahead, then the other."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    fixed = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1"}
    for attempt, ahead in ((0, 0), (1, 4), (2, 4)):
        own = {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": str(attempt)}
        both = [
            subprocess.Popen(
                [sys.executable, "-c", JOIN, str(ahead * late), str(rank)],
                env=os.environ | fixed | own | {"RANK": str(rank)},
                stderr=subprocess.PIPE,
                text=True,
            )
            for late, rank in enumerate((attempt % 2, 1 - attempt % 2))
        ]
        for process in both:
            _, words = process.communicate(timeout=100)
            assert process.returncode == 0, f"attempt {attempt}: {words[-1000:]}"


def test_the_best_epochs_weights_need_room_as_well(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=(11 << 30) + SLACK_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    check_room(tmp_path / "run", 1 << 30)
    with raises(ResourceError, "E-RESOURCE-DISK", expected="MB", found="MB free"):
        check_room(tmp_path / "run", 1 << 30, keeps_best=True)


def test_what_cannot_be_written_is_said_by_the_command_line(tmp_path):
    (tmp_path / "file").write_text("")
    command = ["train", "starter", "--encoder", "minilm", "--out", str(tmp_path / "file" / "run")]
    done = subprocess.run([sys.executable, "-m", "acceptor", *command], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(r"(?s)cannot be written.*cause: +File exists.*next: .*--out PATH", done.stderr)


def test_a_folder_that_is_replaced_is_there_at_all_times(tmp_path):
    place = tmp_path / "run"
    for number in ("1", "2"):
        with new_folder(place) as folder:
            (folder / "file").write_text(number)
            assert place.exists() == (number == "2")
        assert (place / "file").read_text() == number
        assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_lock_names_its_holder_and_clears_what_a_killed_one_left(tmp_path):
    place = tmp_path / "new" / "run"
    left = tmp_path / "new" / ".run.abcdefgh.part"
    left.mkdir(parents=True)
    other = tmp_path / "new" / ".run-2.abcdefgh.part"  # another run's, which may live
    other.mkdir()
    with one_writer(place):
        assert not left.exists()
        code = f"import pathlib, acceptor.storage.files as f\nwith f.one_writer(pathlib.Path({str(place)!r})): pass"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "another process is writing" in done.stderr
        assert f"process {os.getpid()} on " in done.stderr
    assert [path.name for path in place.parent.iterdir()] == [other.name]


def test_a_signal_that_is_ignored_stops_no_training():
    """Else it would end the loop but not the process, and a half-trained judge would be written as a finished one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_held() as seen:
            signal.raise_signal(signal.SIGINT)
        assert seen == []
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_errors_are_no_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(UsageError("out of memory"))
