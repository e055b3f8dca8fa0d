"""The quick form of the promises about trainings: killed, stopped, damaged, out of disk or memory, poisoned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from acceptor.errors import UsageError
from acceptor.files import new_folder, one_writer
from acceptor.runtime import is_out_of_memory
from acceptor.training.stopping import signals_held
from conftest import REPOSITORY


@pytest.mark.skipif(sys.platform != "linux", reason="forkserver, RLIMIT_FSIZE and /proc")
def test_what_is_promised_of_trainings_holds():
    command = [sys.executable, "-m", "reliability", "--quick", "--only", "training"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == {
        "changes", "damage", "disk_full", "kills", "kills_in_a_save", "not_finite", "one_writer",
        "out_of_memory", "stops",
    }  # fmt: skip
    assert all(held == tried > 0 for held, tried in found.values())
    assert found["kills"][1] >= 20
    assert found["kills_in_a_save"][1] >= 20


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
        code = f"import pathlib, acceptor.files as f\nwith f.one_writer(pathlib.Path({str(place)!r})): pass"
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
