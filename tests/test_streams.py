"""Unusual standard output and error: ASCII, Latin-1, closed, full, cut off. The work is done in any case."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys

import pytest

from acceptor.cli import streams
from acceptor.errors import ResourceError
from acceptor.text import in_ascii
from conftest import REPOSITORY, raises, wait_for

SENTENCES = ["the cats sleep · déjà vu — “quoted” … 我们", "the cat them see."]


def command(*arguments, shell="", stdin="", **environment):
    """The command line in a process of its own, through a shell that closes or redirects; gives (code, out, err)."""
    kept = {name: text for name, text in os.environ.items() if name not in ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL")}
    env = {**kept, "PYTHONPATH": str(REPOSITORY / "src"), **environment}
    line = f'"$0" -m acceptor "$@" {shell}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, sys.executable, *map(str, arguments)],
        input=stdin.encode(),
        capture_output=True,
        env=env,
        timeout=120,
    )
    out, err = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    return done.returncode, out, err


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_characters_that_a_stream_lacks_are_replaced(environment, toy_onnx):
    code, out, err = command("judge", toy_onnx, *SENTENCES, **environment)
    assert code == 0, err
    assert "the cat them see." in out
    assert "\\u6211" in out


def test_json_loses_no_character(toy_onnx):
    code, out, _ = command("judge", toy_onnx, *SENTENCES, "--json", PYTHONIOENCODING="ascii")
    assert code == 0
    assert [row["sentence"] for row in json.loads(out)["verdicts"]] == SENTENCES


@pytest.mark.parametrize("shell", [">&- 2>&-", "2>&1 | head -c 1"])
def test_the_work_is_done_with_any_streams(shell, toy_onnx, tmp_path):
    file = tmp_path / "in.txt"
    file.write_text("\n".join(SENTENCES))
    code, _, err = command("predict", toy_onnx, file, "-o", tmp_path / "out.jsonl", shell=shell)
    assert (code, "rror" in err) == (0, False)
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("shell", [">&-", "2>&-", "<&-", "2>/dev/full", "| head -c 1"])
def test_commands_that_only_print_succeed_with_any_streams(shell):
    code, _, err = command("corpora", shell=shell)
    assert (code, err) == (0, "")


def test_output_that_cannot_be_written_is_an_error():
    for extra in ((), ("--json",)):
        code, _, err = command("corpora", *extra, shell=">/dev/full")
        assert code == 1
        assert "standard output" in err


def test_a_reader_that_leaves_ends_the_judging_quietly(toy_onnx):
    many = "the cats sleep.\n" * 5000
    code, out, err = command("judge", toy_onnx, "--json", shell="| head -n 1", stdin=many)
    assert code == 141
    assert out.count("\n") == 1
    assert "acceptor:" not in err


def test_descriptors_of_closed_streams_are_not_reused(monkeypatch):
    """Else the next file that is opened would be number 1, and what a library prints would land in it."""
    code = (
        "import os; os.close(1); os.close(0)\n"
        "from acceptor.cli.streams import set_up_streams\n"
        "set_up_streams(); print('lost'); a = os.open('/dev/null', os.O_RDONLY); os.write(2, str(a > 2).encode())"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"True")


def test_replaced_streams_are_left_alone(monkeypatch):
    own = io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    streams.set_up_streams()
    assert sys.stdout is own


def test_the_replacement_of_each_character():
    def plain(text, encoding="ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="acceptor", newline="")
        stream.write(text)
        stream.flush()
        return stream.buffer.getvalue().decode(encoding)

    streams.codecs.register_error("acceptor", streams.in_plain_characters)
    assert plain("a · b … c ≤ d") == "a - b ... c <= d"
    assert plain("é 我 \U0001f600 \udc80") == "\\xe9 \\u6211 \\U0001f600 \\udc80"
    assert plain("é · 我", "latin-1") == "é · \\u6211"
    assert plain("é 我 \udc80", "utf-8") == "é 我 \\udc80"
    assert json.loads(in_ascii(json.dumps("é 😀", ensure_ascii=False))) == "é 😀"


def test_only_the_first_failure_of_standard_output_is_raised(tmp_path):
    full = streams._Output(os.open("/dev/full", os.O_WRONLY), "w")
    with raises(ResourceError, "E-RESOURCE-WRITE", problem="standard output"):
        full.write(b"abc")
    assert full.write(b"abc") == 3
    notes = streams._ErrorStream(os.open("/dev/full", os.O_WRONLY), "w")
    assert notes.write(b"abc") == 3
    full.close()
    notes.close()


@contextlib.contextmanager
def waiting(*arguments, fed=""):
    """A command that has read what a pipe held and waits for more."""
    import fcntl
    import termios

    read_end, write_end = os.pipe()
    os.write(write_end, fed.encode())
    # `-c` as at a terminal: a shell ignores Ctrl-C in what it starts in the background
    code = "import signal; signal.signal(2, signal.default_int_handler)\nfrom acceptor.cli.app import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=read_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    left = bytearray(4)
    try:
        wait_for(lambda: fcntl.ioctl(read_end, termios.FIONREAD, left) == 0 and struct.unpack("i", left) == (0,))
        yield process
    finally:
        process.kill()
        process.communicate()
        os.close(read_end)
        os.close(write_end)


FED = {"judge": "the cats sleep.\n", "evaluate": "sentence\tlabel\nthe cats sleep.\t1\n"}
FED |= {"predict": FED["judge"], "audit": FED["evaluate"]}


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("command", FED)
def test_a_signal_ends_the_wait_for_input(command, signum, code, toy_onnx, tmp_path):
    """polars has system calls restarted after Ctrl-C; `predict` reads in a thread, which no signal reaches."""
    run, out = [toy_onnx] * (command != "audit"), ["-o", tmp_path / "out.jsonl"] * (command == "predict")
    rest = [] if command == "judge" else ["-"]
    with waiting(command, *run, *rest, *out, fed=FED[command]) as process:
        process.send_signal(signum)
        assert process.wait(300) == code
