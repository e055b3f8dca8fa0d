"""Systems that are not POSIX: without POSIX modules and calls, everything that a user imports still works."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import toy_rows

ELSEWHERE = """
import os, signal, sys

# Libraries use calls of the system that they were built for, so they are loaded before the calls are removed.
import onnxruntime, onnxscript, sklearn.model_selection, torch.onnx, transformers.models.bert.modeling_bert

for name in [name for name in sys.modules if name.startswith(("filelock", "acceptor"))]:
    del sys.modules[name]
for name in ("fcntl", "resource", "pwd", "grp", "termios", "msvcrt"):
    sys.modules[name] = None  # importing it raises ImportError
for name in (
    "fork", "forkpty", "getuid", "geteuid", "getgid", "sched_getaffinity", "sysconf", "posix_fadvise", "fchmod",
    "chown", "register_at_fork", "getpgid", "killpg", "setsid", "getloadavg", "mkfifo", "pread", "nice",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGTERM", "SIGKILL", "SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1"):
    delattr(signal, name)
"""

TRAINS_AND_JUDGES = """
import acceptor

config = acceptor.TrainConfig(encoder=sys.argv[1], epochs=1, max_length=32, learning_rate=1e-2, on_collapse="go-on")
acceptor.train("train.tsv", out="run", config=config)
judge = acceptor.load("run")
verdicts = judge(["the cats sleep.", "the cat them sleep."])
assert len(verdicts) == 2

exported = acceptor.export(judge, "judge.onnx")
again = acceptor.load("judge.onnx")(["the cats sleep.", "the cat them sleep."])
assert [verdict.label for verdict in again] == [verdict.label for verdict in verdicts]

from acceptor.cli.app import main

for sys.argv[1:] in (["predict", "run", "in.txt", "-o", "out.jsonl"], ["judge", "judge.onnx", "the cats.", "--json"]):
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
"""


def test_nothing_of_posix_is_needed_to_train_judge_predict_and_export(tiny_bert, tmp_path):
    rows = toy_rows(48)
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text, _ in rows[:8]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE + TRAINS_AND_JUDGES, str(tiny_bert)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"ACCEPTOR_CACHE": str(tmp_path / "cache"), "ACCEPTOR_NATIVE": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    assert "the cats." in done.stdout.splitlines()[-1]
    assert "no locks" in done.stderr  # one warning: without locks two writers are possible
