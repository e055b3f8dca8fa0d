"""The prompt of `acceptor judge`, through a pseudo-terminal as a person uses it, and the same lines in a pipe."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import REPOSITORY

pty = pytest.importorskip("pty")

COLOUR = re.compile(r"\x1b\[[\d;]*3[12][\d;]*m")  # red, green
KEYS = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]|\x1b[=>]|[\r\x07]")  # what a terminal would not show as text


class Terminal:
    """`acceptor judge RUN` on a pseudo-terminal."""

    def __init__(self, *arguments, stdout=None, **environment):
        self._terminal, inner = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "acceptor", "judge", *map(str, arguments)],
            stdin=inner,
            stdout=stdout or inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=_own_terminal,
            env={**kept, "TERM": "xterm", "PYTHONPATH": str(REPOSITORY / "src"), **environment},
        )
        os.close(inner)
        self.shown = ""
        self.start = self.answer()

    def answer(self):
        """What is shown up to the next prompt, or to the end."""
        found, until = b"", time.monotonic() + 300
        while not found.endswith(b"> "):
            assert time.monotonic() < until, found[-500:]
            if select.select([self._terminal], [], [], 0.1)[0]:
                try:
                    found += os.read(self._terminal, 65536)
                except OSError:  # the process has ended
                    break
        self.shown += found.decode("utf-8", "replace")
        return KEYS.sub("", found.decode("utf-8", "replace"))

    def type(self, line, end="\r"):
        """Types a line; gives the answer, which begins with the line's echo."""
        data = line if isinstance(line, bytes) else line.encode()
        for at in range(0, len(data), 1024):
            os.write(self._terminal, data[at : at + 1024])
        os.write(self._terminal, end.encode())
        return self.answer()

    def interrupt(self, typed=""):
        """Types part of a line, then Ctrl-C; gives what is shown up to the end.

        Ctrl-C comes after the echo: it also empties the terminal's queue, and Python's readline, told by then that a
        key is there, would wait for one that is gone and look at no signal. It is repeated, as a person would, because
        Python misses one that comes just before it waits for a key.
        """
        os.write(self._terminal, typed.encode())
        found, until = b"", time.monotonic() + 120
        while typed.encode() not in found:
            assert time.monotonic() < until, found
            if select.select([self._terminal], [], [], 0.1)[0]:
                found += os.read(self._terminal, 65536)
        self.shown += found.decode("utf-8", "replace")
        with contextlib.suppress(OSError):  # the process has ended
            while self._process.poll() is None:
                assert time.monotonic() < until, "Ctrl-C does not end the prompt"
                os.write(self._terminal, b"\x03")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(1)
        return self.answer()

    def code(self):
        """The exit code, when the process has ended by itself."""
        code = self._process.wait(timeout=120)
        os.close(self._terminal)
        assert "Traceback" not in self.shown
        return code


def _own_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal


@pytest.fixture
def history():
    """The file of the history, which is removed again."""
    place = Path(os.environ["ACCEPTOR_CACHE"]) / "judge-history"
    yield place
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


def test_a_session(toy_onnx, history):
    terminal = Terminal(toy_onnx)
    assert "Judge(unacceptable / acceptable" in terminal.start
    assert "there is no sentence yet" in terminal.type(":why")
    assert re.search(r"\n(un)?acceptable 0\.\d{3}\n", terminal.type("the cats sleep."))
    assert terminal.type("  ").split() == [">"]
    for line, sentence in ((":why", "the cats sleep."), (":why the cat them see.", "the cat them see.")):
        shown = terminal.type(line)
        assert f": {sentence}" in shown
        assert re.search(r"cats? +[+-]\d\.\d{3}", shown)
    assert COLOUR.search(terminal.shown)
    for pair in ("the cats sleep. | the cat them sleep.", "the cat them sleep. | the cats sleep."):
        assert re.search(r"better by \d\.\d{3} nats: the cats sleep\.", terminal.type(f":compare {pair}"))
    assert "equally good" in terminal.type(":compare the cats. | the cats.")
    for wrong, words in ((":compare a", ":compare takes two"), (":compare a | ", "E-USAGE"), (":wy a", "no command")):
        assert words in terminal.type(wrong)
    shown = terminal.type(":help")
    assert all(name in shown for name in (":why", ":compare", ":quit", "Ctrl-D"))
    assert terminal.type("", end="\x04").strip() == ""
    assert terminal.code() == 0
    assert history.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("word", ["quit", "Exit"])
def test_the_words_of_other_prompts_leave_it(word, toy_onnx, history):
    terminal = Terminal(toy_onnx)
    shown = terminal.type(f" {word} ")
    assert f"acceptor judge {toy_onnx} {word.lower()}" in shown
    assert "acceptable" not in shown
    assert terminal.code() == 0


def test_nothing_that_is_typed_ends_the_prompt(toy_onnx, history):
    terminal = Terminal(toy_onnx)
    pasted = "\x1b[200~" + "the cats sleep " * 6667 + "\x1b[201~"
    assert re.search(r"acceptable 0\.\d{3}  \(too long", terminal.type(pasted))
    hostile = [
        b"\xff\xfe",
        "\ud800 the cats".encode("utf-8", "surrogatepass"),
        "the \x16\x07 \x16\x1b[31mcats",
        "我",
        ":",
    ]
    hostile += [":why \x16\x00", ":compare " + "|" * 500, ":compare \udcff | 我".encode("utf-8", "surrogatepass"), "\t"]
    for line in hostile:
        terminal.type(line)
        assert re.search(r"acceptable 0\.\d{3}\n", terminal.type("the cats sleep."))
    assert "better by" in terminal.type(":compare the cats sleep. | " + "the cat them " * 50)
    assert terminal.type(":quit").count("\n") <= 1
    assert terminal.code() == 0
    assert "\x16" not in history.read_text("utf-8")


def test_a_later_session_knows_the_lines_of_the_earlier_one(toy_onnx, history):
    history.write_text("\0\x1b[31m\udcff\n".encode("utf-8", "surrogateescape").decode("latin-1") * 2500)
    history.chmod(0o600)
    first = Terminal(toy_onnx, "--quiet")
    assert "Judge(" not in first.start
    first.type("the cats sleep.")
    assert "\n" in first.interrupt("half a li")
    assert first.code() == 0
    assert len(history.read_text("utf-8").splitlines()) == 1001
    assert history.stat().st_mode & 0o777 == 0o600
    second = Terminal(toy_onnx)
    assert re.search(r"the cats sleep\.\n(un)?acceptable", second.type("\x1b[A"))
    second.type(":quit")
    assert second.code() == 0


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_and_without_a_history(toy_onnx, history, environment):
    history.mkdir()  # it cannot be read or written
    terminal = Terminal(toy_onnx, **environment)
    assert "0.25 nats a mark" in terminal.type(":why the cats sleep.")
    assert not COLOUR.search(terminal.shown)
    terminal.type("", end="\x04")
    assert terminal.code() == 0


def test_answers_in_a_file_are_without_prompt_and_colour(toy_onnx, history, tmp_path):
    with open(tmp_path / "out", "w") as file:
        terminal = Terminal(toy_onnx, stdout=file)
        terminal.type("the cats sleep.")
        terminal.type(":why")
        terminal.type("", end="\x04")
        assert terminal.code() == 0
    out = (tmp_path / "out").read_text("utf-8")
    assert re.match(r"acceptable 0\.\d{3}\n", out)
    assert "\x1b" not in out
    assert "> " not in out


def test_ctrl_c_ends_a_prompt_whose_answers_go_to_a_file(toy_onnx, history, tmp_path):
    with open(tmp_path / "out", "w") as file:
        terminal = Terminal(toy_onnx, stdout=file)
        terminal.type("the cats sleep.")
        terminal.interrupt()
        assert terminal.code() == 0
    assert len((tmp_path / "out").read_text("utf-8").splitlines()) == 1


def test_in_a_pipe_every_line_is_a_sentence(run_cli, toy_onnx):
    code, stdout, stderr = run_cli("judge", toy_onnx, "-q", stdin=":help the cats\n\nthe cats sleep.\n")
    assert (code, stderr) == (0, "1 blank line skipped\n")
    assert [line.split()[0] for line in stdout.splitlines()] == ["acceptable", "acceptable"]


def test_in_a_pipe_an_error_names_its_line(run_cli, toy_onnx):
    code, stdout, stderr = run_cli("judge", toy_onnx, stdin="the cats sleep.\n\n\x00\n")
    assert (code, len(stdout.splitlines())) == (1, 1)
    assert "standard input, line 3" in stderr
