"""Real-world machines: variables, caches, control groups, threads, file systems, log files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from acceptor import native, progress
from acceptor.errors import ResourceError, UsageError
from acceptor.experiments import study
from acceptor.native import build
from acceptor.runs.search_file import STUDY_FILE, open_study_file
from acceptor.runtime import cache, contention, device, processes, spinning, threads
from acceptor.runtime.device import Runtime
from acceptor.storage import files, lock
from acceptor.storage.manifest import check_manifest, file_sha256
from conftest import REPOSITORY, raises, toy_rows

SOURCE = str(REPOSITORY / "src")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCE, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=kept, cwd="/", timeout=60)


# ── the cache ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ACCEPTOR_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "{tmp}"}, "{tmp}/.cache/acceptor"),
        ({"ACCEPTOR_CACHE": " ", "XDG_CACHE_HOME": "{tmp}/x", "HOME": "{tmp}"}, "{tmp}/x/acceptor"),
        ({"XDG_CACHE_HOME": "not/absolute", "HOME": "{tmp}"}, "{tmp}/.cache/acceptor"),
        ({"XDG_CACHE_HOME": "~/own", "HOME": "{tmp}"}, "{tmp}/own/acceptor"),
        ({"ACCEPTOR_CACHE": "~/mine", "HOME": "{tmp}"}, "{tmp}/mine"),
        ({"ACCEPTOR_CACHE": "here", "HOME": "{tmp}"}, "{tmp}/here"),
    ],
)
def test_an_empty_variable_is_not_set(variables, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ACCEPTOR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text.format(tmp=tmp_path))
    assert str(cache.cache_folder()) == expected.format(tmp=tmp_path)


def test_without_a_home_the_cache_is_private_and_temporary_with_one_warning():
    if os.geteuid() != 0:
        pytest.skip("only root can become a user without an entry in passwd")
    code = (
        "import os, tempfile; from acceptor.runtime.cache import cache_folder as f\n"
        "os.setgid(54321); os.setuid(54321)\n"
        "a, b = f(), f(); print(a == b, oct(a.stat().st_mode)[-3:], a)"
    )
    found = python(code, XDG_CACHE_HOME="")
    assert found.returncode == 0, found.stderr
    same, mode, place = found.stdout.split()
    assert (same, mode) == ("True", "700")
    assert found.stderr.count("no HOME") == 1
    assert not Path(place).exists()


def test_a_home_that_cannot_be_written_is_ignored(tmp_path, caplog):
    file = tmp_path / "file"
    file.touch()
    with caplog.at_level(logging.WARNING):
        place = cache._created(file / "cache")
    assert place.is_dir()
    assert "cannot be made" in caplog.text


# ── compiled kernels ─────────────────────────────────────────────────────────────────────────────────────

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not any(map(shutil.which, build.COMPILERS)), reason="no C compiler"
)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Compiles one small function; gives (a function that loads it again, the folder that keeps it)."""
    source = tmp_path / "small.c"
    source.write_text("int answer(void) { return 42; }\n")
    home = tmp_path / "cache"
    home.mkdir()
    monkeypatch.setattr(build, "cache_folder", lambda: home)
    return lambda: build.compiled([source], [], ["-shared", "-fPIC"], "small"), home / "native"


@needs_compiler
def test_kernels_are_cached_under_the_hash_of_their_sources_and_compiler(small, tmp_path, monkeypatch):
    load, folder = small
    assert load()[0].answer() == 42
    (first,) = folder.glob("*.so")
    assert first.stem.endswith(file_sha256(first))
    assert load()[0].answer() == 42
    assert list(folder.glob("*.so")) == [first]
    monkeypatch.setattr(build, "_version", lambda compiler: "another")
    load()
    assert len(list(folder.glob("*.so"))) == 2


X86 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2{more}\nbugs\t\t: none\n\nprocessor\t: 1\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd{more}\nCPU part\t: 0xd0c\n"


@needs_compiler
@pytest.mark.parametrize("text", [X86, ARM], ids=["x86", "arm"])
def test_what_is_cached_for_a_cpu_is_not_used_on_one_with_other_features(text, small, tmp_path, monkeypatch):
    """Virtual machines of several generations are all called AMD EPYC, and ARM Linux names no CPU at all."""
    load, folder = small
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("ACCEPTOR_CACHE", str(tmp_path))
    gains = tmp_path / "bf16-gain.json"
    names = set()
    for count, more in enumerate(("", " avx512f"), 1):
        device.CPUINFO.write_text(text.format(more=more))
        names.add(device.processor_name())
        load()
        load()
        assert len(list(folder.glob("*.so"))) == count
        assert device.bf16_speedup() != 75
        known = json.loads(gains.read_text())
        assert len(known) == count  # machines that share a cache keep each other's
        gains.write_text(json.dumps(dict.fromkeys(known, 75)))
        assert device.bf16_speedup() == 75
    assert len(names) == 1


def test_without_a_list_of_features_the_name_is_the_key(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "absent")
    assert device.processor_key() == f"{device.processor_name()}, features unknown"
    assert device.processor_name()


@needs_compiler
@pytest.mark.parametrize("harm", ["other bytes", "writable file", "link"])
def test_a_cached_library_that_is_not_ours_is_compiled_again(harm, small, tmp_path, caplog):
    load, folder = small
    load()
    (kept,) = folder.glob("*.so")
    if harm == "other bytes":
        evil = tmp_path / "evil.c"
        evil.write_text("int answer(void) { return 13; }\n")
        kept.unlink()  # the loaded file is mapped: another takes its name
        subprocess.run(["cc", "-shared", "-fPIC", str(evil), "-o", str(kept)], check=True)
    elif harm == "writable file":
        kept.chmod(0o777)
    else:
        kept.rename(tmp_path / "elsewhere.so")
        kept.symlink_to(tmp_path / "elsewhere.so")
    with caplog.at_level(logging.WARNING):
        loaded, reason = load()
    assert loaded.answer() == 42
    assert "compiled by" in reason
    assert "compiled again" in caplog.text
    (kept,) = folder.glob("*.so")
    assert build._why_not_loaded(kept) is None


@needs_compiler
@pytest.mark.parametrize("harm", ["folder open", "cache open", "folder is a link", "another user's", "a file"])
def test_a_folder_that_others_can_write_is_not_used(harm, small, tmp_path, caplog):
    load, folder = small
    load()
    if harm == "folder open":
        folder.chmod(0o770)
    elif harm == "cache open":
        folder.parent.chmod(0o777)
    elif harm == "folder is a link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    elif harm == "a file":
        shutil.rmtree(folder)
        folder.touch()
    elif os.geteuid() == 0:
        os.chown(folder, 54321, -1)
    else:
        pytest.skip("only root can give a folder away")
    with caplog.at_level(logging.WARNING):
        loaded, reason = load()
    assert loaded.answer() == 42
    assert "compiled again" in reason
    assert "private folder" in caplog.text


@needs_compiler
def test_nothing_in_the_working_folder_is_ever_loaded(tmp_path, monkeypatch):
    """The case of the issue: an empty cache variable, and a library of the right name where the command runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("ACCEPTOR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    native.library.__wrapped__()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────

RENDEZVOUS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def set_only(monkeypatch, variables):
    for name in (*processes.NAMES, "GROUP_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "two"},
        {"RANK": "-1", "WORLD_SIZE": "2", **RENDEZVOUS},
        {"RANK": "3"},
        {"WORLD_SIZE": "8"},
        {"WORLD_SIZE": "8", "RANK": ""},
        {"WORLD_SIZE": "8.0"},
        {"WORLD_SIZE": "0"},
        {"RANK": "0", "WORLD_SIZE": "8"},
        {"RANK": "8", "WORLD_SIZE": "8", **RENDEZVOUS},
        {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "http"},
        {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "70000"},
        {"LOCAL_RANK": "first"},
    ],
)
def test_left_over_variables_are_named_before_anything_waits(variables, monkeypatch):
    set_only(monkeypatch, variables)
    with raises(UsageError, "E-USAGE-ENVIRONMENT", next="unset") as caught:
        processes.process_rank()
    assert any(name in str(caught.value) for name in variables)


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, (0, 1, 0)),
        ({"RANK": "", "WORLD_SIZE": "", "LOCAL_RANK": ""}, (0, 1, 0)),
        ({"RANK": "0"}, (0, 1, 0)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1, 0)),
        ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8"}, (0, 1, 0)),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", **RENDEZVOUS}, (1, 2, 1)),
    ],
)
def test_torchruns_variables_are_read(variables, place, monkeypatch):
    set_only(monkeypatch, variables)
    found = processes.process_rank()
    assert (found.rank, found.world_size, found.local_rank) == place


def test_train_refuses_them_and_judging_ignores_them(monkeypatch, toy_run, tmp_path, run_cli):
    set_only(monkeypatch, {"RANK": "x", "WORLD_SIZE": "8", "LOCAL_RANK": "9"})
    code, out, err = run_cli("train", "starter", "--out", tmp_path / "run")
    assert (code, out) == (2, "")
    assert "unset RANK" in err
    code, out, _ = run_cli("judge", toy_run.folder, "the cats sleep.")
    assert code == 0
    assert "the cats sleep." in out


def test_waiting_for_missing_processes_warns_and_ends(monkeypatch, caplog):
    import torch.distributed as dist

    said = []
    set_only(monkeypatch, {"RANK": "1", "WORLD_SIZE": "2", **RENDEZVOUS})
    monkeypatch.setattr(processes, "WARN_AFTER", 0.0)

    def nobody(*_, **__):
        while not caplog.text:  # until the warning is logged
            pass
        said.append(caplog.text)
        raise dist.DistNetworkError("timed out")

    monkeypatch.setattr(dist, "rendezvous", nobody)
    here = Runtime("cpu", "", 0, "fp32", rank=1, world_size=2)
    caplog.set_level(logging.WARNING)
    with raises(ResourceError, "E-RESOURCE-PROCESSES", next="unset RANK"), processes.process_group(here):
        pytest.fail("nobody came")
    assert "127.0.0.1:29500" in said[0]


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "file", "text", "cores"),
    [
        ("0::/", "cpu.max", "150000 100000", 1.5),
        ("0::/a/b", "a/cpu.max", "200000 100000", 2.0),
        ("0::/a/b", "cpu.max", "max 100000", None),
        ("0::/../..", "cpu.max", "50000 100000", 0.5),
        ("0::/gone/in/a/container", "cpu.max", "250000 100000", 2.5),
        ("3:cpu,cpuacct:/x", "cpu,cpuacct/x/cpu.cfs_quota_us", "150000", 1.5),
        ("3:cpu:/docker/1", "cpu/cpu.cfs_quota_us", "300000", 3.0),
        ("3:cpu:/", "cpu/cpu.cfs_quota_us", "-1", None),
        ("3:cpuset:/", "cpu/cpu.cfs_quota_us", "100000", None),
        ("not a line", "other", "", None),
    ],
)
def test_the_limits_of_control_groups_are_read(line, file, text, cores, tmp_path, monkeypatch):
    (tmp_path / "self").write_text(line + "\n")
    place = tmp_path / "mounts" / file
    place.parent.mkdir(parents=True)
    place.write_text(text + "\n")
    place.with_name("cpu.cfs_period_us").write_text("100000\n")
    monkeypatch.setattr(threads, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(threads, "GROUPS", tmp_path / "self")
    assert threads.cpu_quota() == cores
    monkeypatch.setattr(threads, "GROUPS", tmp_path / "missing")
    assert threads.cpu_quota() is None


@pytest.mark.parametrize(
    ("given", "cores", "quota", "expected"),
    [
        ("", 4, None, 4),
        ("", 4, 1.4, 1),
        ("", 4, 1.5, 2),
        ("", 4, 0.2, 1),
        ("", 4, 3.0, 3),
        ("", 4, 8.0, 4),
        ("2", 4, 1.5, 2),
        ("3,1", 4, 1, 3),
    ],
)
def test_threads_are_the_cores_that_are_there(given, cores, quota, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    assert threads.choose_threads().value == expected


def test_torchs_threads_are_set_only_if_no_other_code_has_set_them(monkeypatch):
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    monkeypatch.setattr(threads, "cpu_quota", lambda: 2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert (threads.use_threads().value, told) == (8, [])
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert (threads.use_threads().value, told) == (2, [2])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    assert (threads.use_threads().value, told) == (5, [2])


# ── spinning ─────────────────────────────────────────────────────────────────────────────────────────────

SAYS = (
    "import acceptor, os; from acceptor.runtime.spinning import describe_spinning\n"
    "print(os.environ.get('GOMP_SPINCOUNT'), *describe_spinning())"
)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
        ({"ACCEPTOR_SPIN": "0"}, "None"),
        (spinning.BOUNDS, "10000"),
    ],
)
def test_spins_are_bounded_before_torch_is_loaded_unless_the_user_decided(variables, expected):
    said = python(SAYS, **variables).stdout
    assert said.split()[0] == expected
    assert ("at most" in said) == (expected == "10000")


def test_importing_torch_first_is_reported():
    assert "before acceptor" in python("import sys; sys.modules['torch'] = sys\n" + SAYS).stdout


def test_other_programs_are_measured_in_the_original_environment():
    code = "import acceptor, os; from acceptor.runtime.spinning import original_environment as f; print(f(os.environ))"
    assert "GOMP_SPINCOUNT" not in python(code).stdout
    assert "'GOMP_SPINCOUNT': '7'" in python(code, GOMP_SPINCOUNT="7").stdout


def test_spins_are_short_only_while_threads_wait():
    assert not contention.should_shorten_spins(0.05, now=False)
    assert contention.should_shorten_spins(0.2, now=False)
    assert contention.should_shorten_spins(0.05, now=True)
    assert not contention.should_shorten_spins(0.01, now=True)


@pytest.mark.skipif(sys.platform != "linux", reason="the scheduler's figures are Linux'")
def test_training_watches_and_stops_watching(monkeypatch):
    """The team is made once, after threads have waited, and is removed at the end."""
    import threading

    made = threading.Event()
    stand_by = contention._hold_team
    monkeypatch.setattr(contention, "CHECK_EVERY", 0.001)
    monkeypatch.setattr(contention, "controls_spinning", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    seconds = iter(range(1_000_000))
    monkeypatch.setattr(contention, "cpu_wait_seconds", lambda: float(next(seconds)))
    monkeypatch.setattr(contention, "_hold_team", lambda ends: (made.set(), stand_by(ends)))
    before = threading.active_count()
    with contention.shorter_spins_under_load():
        assert made.wait(60)
    assert threading.active_count() == before


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_the_time_waited_is_read_from_all_threads(tmp_path, monkeypatch):
    assert contention.cpu_wait_seconds() is not None
    for name, text in (("1", "5 1000000000 3"), ("2", "5 500000000 3")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text)
    (tmp_path / "3").mkdir()  # it has just ended
    monkeypatch.setattr(contention, "TASKS", tmp_path)
    assert contention.cpu_wait_seconds() == 1.5
    monkeypatch.setattr(contention, "TASKS", tmp_path / "missing")
    assert contention.cpu_wait_seconds() is None
    with contention.shorter_spins_under_load():
        pass


def test_doctor_shows_all_of_it(run_cli, monkeypatch):
    code, out, _ = run_cli("doctor")
    assert code == 0
    for word in ("threads", "OMP_NUM_THREADS", "spin", "cgroup", "kernels", "cache"):
        assert word in out


# ── file systems ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def fresh_warnings():
    files.warn_once.cache_clear()
    yield
    files.warn_once.cache_clear()


@pytest.mark.parametrize("number", lock.NO_LOCKS)
def test_without_locks_work_continues_with_one_warning(number, tmp_path, monkeypatch, caplog, fresh_warnings):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    written = tmp_path / ".out.abcdefgh.part"  # perhaps by a living process
    written.touch()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with lock.one_writer(tmp_path / "out"), study.locked(tmp_path) as known:
                assert not known
    assert caplog.text.count("no locks") == 1
    assert written.exists()
    with raises(UsageError, "E-USAGE-OUTPUT", next="--processes 1"):
        study.check_shareable(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE stands for the full disk")
def test_a_full_disk_keeps_no_lock_from_being_taken(tmp_path):
    """What the lock's file says about its holder is for people; that it cannot be written is no reason to end."""
    code = (
        "import pathlib, resource, signal, sys; from acceptor.storage.lock import one_writer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "with one_writer(pathlib.Path(sys.argv[1])): pass"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_error_of_a_lock_is_an_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="broken"), lock.one_writer(tmp_path / "out"):
        pass


def test_sqlite_uses_no_locks_if_there_are_none(tmp_path):
    folder = tmp_path / "a ?#% b"
    folder.mkdir()
    for has_locks in (True, False):
        with contextlib.closing(open_study_file(folder, has_locks=has_locks)) as connection, connection:
            connection.execute("create table if not exists t (x)")
    assert (folder / STUDY_FILE).is_file()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES])
def test_a_folder_that_cannot_be_flushed_costs_a_warning(number, tmp_path, monkeypatch, caplog, fresh_warnings):
    real = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with caplog.at_level(logging.WARNING):
        for name in ("a", "b"):
            with files.new_folder(tmp_path / name) as folder:
                (folder / "x").write_text("x")
    check_manifest(tmp_path / "b")
    assert caplog.text.count("flush") == 1


def test_a_disk_that_fails_is_an_error(tmp_path, monkeypatch):
    def fsync(_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="broken"):
        files.fsync(tmp_path)


# ── log files ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets: clock[0] seconds."""
    now = [0.0]
    monkeypatch.setattr(progress, "clock", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_every_half_minute(clock, capsys):
    with progress.meter("training", 4000, "steps") as bar:
        for _ in range(100):
            clock[0] += 1
            bar.advance(20, "loss 0.321")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0] == "training: 600 of 4,000 steps, 20 steps/s, 2 min 50 s left, loss 0.321"


def test_short_or_silent_work_logs_nothing(clock, capsys):
    with progress.meter("judging", 10, "sentences") as bar:
        clock[0] += 29
        bar.advance(10)
    with progress.without_progress(), progress.meter("judging", 10, "sentences") as bar:
        clock[0] += 100
        bar.advance(5)
    with progress.meter("judging", 10, "sentences", silent=True) as bar:
        clock[0] += 100
        bar.advance(5)
    assert capsys.readouterr().err == ""


def test_without_a_total_a_line_says_what_is_known(clock, capsys):
    with progress.meter("judging", None, "bytes") as bar:
        clock[0] += 40
        bar.advance(3_200_000, "1,000 rows/s")
    assert capsys.readouterr().err == "judging: 3.2 MB, 80.0 kB/s, 1,000 rows/s\n"


def test_a_slow_judge_of_a_small_file_has_no_rate_of_zero(clock, capsys):
    with progress.meter("judging", 2_200_000, "bytes") as bar:
        clock[0] += 40
        bar.advance(33_000)
        clock[0] += 40
        bar.advance(4_800)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "judging: 33.0 kB of 2.2 MB, 825 bytes/s, 43 min 47 s left"
    assert lines[1].startswith("judging: 37.8 kB of 2.2 MB, 120 bytes/s, 5 h 00 min left")


def test_training_and_predict_log_their_progress(clock, capsys, toy, toy_config, toy_run, tmp_path, monkeypatch):
    import acceptor
    from acceptor.judging import predict as predict_module

    monkeypatch.setattr(progress, "clock", lambda: clock.__setitem__(0, clock[0] + 31) or clock[0])
    acceptor.train(toy, out=tmp_path / "run", config=toy_config.model_copy(update={"epochs": 1}))
    assert "steps/s" in capsys.readouterr().err
    file = tmp_path / "in.txt"
    file.write_text("\n".join(text for text, _ in toy_rows(50)) + "\n")
    predict_module.predict(toy_run.folder, [str(file)], out=tmp_path / "out.jsonl")
    assert "judging: " in capsys.readouterr().err
