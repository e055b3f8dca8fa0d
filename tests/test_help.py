"""The help: the first steps, options and commands under headings, examples, completion, the generated pages."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from acceptor import progress
from acceptor.cli import app as cli
from acceptor.cli.help import GROUPS
from acceptor.progress import console
from conftest import REPOSITORY, options_of, toy_rows

COMMANDS = [name for names in GROUPS.values() for name in names]
HEADINGS = ("Data", "Training", "Network", "Machine", "Output")


def parse(line):
    """Parses a line as the command line does: an unknown option or a missing argument is an error."""
    name, *words = shlex.split(line.split(" < ")[0])
    assert name == "acceptor"
    group = cli.command_line()
    if words[0] != "--help" and "--help" not in words:
        group.commands[words[0]].make_context(words[0], words[1:])
    return words[0]


def lines_of(text, indent):
    """The lines of a help that show a command."""
    return [line.strip() for line in text.splitlines() if line.startswith(" " * indent + "acceptor ")]


def headings_of(text):
    return [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] != " "]


def test_without_arguments_it_shows_the_first_steps(run_cli):
    code, stdout, stderr = run_cli()
    assert (code, stderr) == (0, "")
    assert len(stdout.splitlines()) <= 22
    assert [parse(line) for line in lines_of(stdout, 4)] == ["demo", "train", "judge", "evaluate", "predict", "serve"]
    assert "acceptor demo" in stdout
    assert "acceptor --help" in stdout


def test_every_command_is_in_a_group_of_the_main_help(run_cli):
    _, stdout, _ = run_cli("--help")
    assert headings_of(stdout) == ["Train", "Judge", "Data", "Other", "Options"]
    assert sorted(COMMANDS) == sorted(cli.command_line().commands)
    shown = [line.split()[0] for line in stdout.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert [name for name in shown if name in COMMANDS] == COMMANDS
    assert "..." not in stdout.partition("\n")[2]  # no sentence is cut


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_under_a_heading(run_cli, name):
    code, stdout, _ = run_cli(name, "--help")
    assert code == 0
    assert {one.rich_help_panel for key, one in options_of(name).items() if key not in ("--help", "-h")} <= {*HEADINGS}
    shown = [heading for heading in headings_of(stdout) if heading in HEADINGS]
    assert shown == [heading for heading in HEADINGS if heading in shown]  # in this order
    assert set(headings_of(stdout)) <= {"Arguments", *HEADINGS}
    assert "Output" in shown


@pytest.mark.parametrize(
    ("option", "heading"),
    [("--columns", "Data"), ("--max-length", "Data"), ("--seed", "Training"), ("--compile", "Machine")],
)
def test_a_setting_is_under_its_heading(run_cli, option, heading):
    _, stdout, _ = run_cli("train", "--help")
    above = headings_of(stdout.split(f"\n  {option} ")[0])
    assert above[-1] == heading


def test_a_setting_of_named_values_begins_with_them(run_cli):
    stdout = " ".join(run_cli("train", "--help")[1].split())
    assert "--class-weights <str> balanced: " in stdout  # one value
    assert "--metric <str> mcc, accuracy or f1: " in stdout


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_help_fits_the_terminal_and_ends_with_examples(run_cli, monkeypatch, name, columns):
    monkeypatch.setenv("COLUMNS", columns)
    _, stdout, _ = run_cli(name, "--help")
    assert max(map(len, stdout.splitlines())) <= min(int(columns), 100)
    examples = lines_of(stdout.split("  Examples:\n")[1], 4)
    assert 2 <= len(examples) <= 3
    assert stdout.splitlines()[-1].strip() == examples[-1]
    for line in examples:
        assert parse(line) == name


# ---------------------------------------------------------------------- start-up and completion

HEAVY = {"torch", "numpy", "polars", "pydantic", "acceptor.cli.render"}


def modules_of(*arguments, **environment):
    """The command line in a new process; gives its stdout, and which of `HEAVY` it has imported."""
    code = "import sys\nsys.argv[0] = 'acceptor'\nfrom acceptor.cli.app import main\ntry: main()\nexcept SystemExit: "
    done = subprocess.run(
        [sys.executable, "-c", code + f"print(sorted({HEAVY!r} & sys.modules.keys()), file=sys.stderr)", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), **environment},
    )
    return done.stdout, done.stderr.strip()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("train", "--help"), ("judge", "--help"), ("--version",)])
def test_help_of_any_kind_is_light(arguments):
    stdout, imported = modules_of(*arguments)
    assert "acceptor" in stdout
    assert imported == "[]"


def test_shells_are_given_the_commands_and_the_options():
    bash = {"_ACCEPTOR_COMPLETE": "complete_bash"}
    stdout, imported = modules_of(**bash, COMP_WORDS="acceptor ", COMP_CWORD="1")
    assert (stdout.split(), imported) == (COMMANDS, "[]")
    zsh = {"_ACCEPTOR_COMPLETE": "complete_zsh"}
    stdout, imported = modules_of(**zsh, _TYPER_COMPLETE_ARGS="acceptor ")
    assert (re.findall(r'"(\w+)":"', stdout), imported) == (COMMANDS, "[]")
    options = modules_of(**bash, COMP_WORDS="acceptor train --max", COMP_CWORD="2")[0].split()
    assert options == ["--max-grad-norm", "--max-length"]
    stdout, _ = modules_of(**zsh, _TYPER_COMPLETE_ARGS="acceptor train --max")
    assert re.findall(r'"(--[\w-]+)":"', stdout) == options


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_with_what_show_completion_prints(tmp_path):
    """The script is sourced by a real bash, and its function is called as bash calls it."""
    command = tmp_path / "acceptor"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m acceptor "$@"\n')
    command.chmod(0o755)
    script = (
        'script=$(acceptor --show-completion); eval "$script"\n'
        "COMP_WORDS=(acceptor co) COMP_CWORD=1; _acceptor_completion acceptor; echo ${COMPREPLY[@]}"
    )
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={**os.environ, **path})
    assert (done.stdout, done.stderr) == ("compare corpora\n", "")


# ---------------------------------------------------------------------- progress and --quiet


def test_every_command_that_logs_can_be_quiet():
    silent = {"corpora", "encoders", "doctor"}  # they only print
    assert {name for name in COMMANDS if "--quiet" not in options_of(name)} == silent


def test_quiet_leaves_stderr_to_warnings(run_cli, toy_run, toy_config, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY", 0)  # a line of progress for each step
    (tmp_path / "in.txt").write_text("the cats sleep.\nthe cat them see.\n")
    (tmp_path / "train.tsv").write_text("".join(f"{label}\t{text}\n" for text, label in toy_rows(96)))
    predict = ("predict", toy_run.folder, tmp_path / "in.txt")
    seeds = ("seeds", tmp_path / "train.tsv", "--encoder", toy_config.encoder, "--epochs", "2", "--seeds", "1")
    assert run_cli(*predict, "-o", "-")[2] != ""
    for command in (predict, (*predict, "-o", "-"), ("audit", tmp_path / "train.tsv")):
        code, stdout, stderr = run_cli(*command, "--quiet")
        assert (code, stderr) == (0, "")
        assert stdout == run_cli(*command)[1] != ""
    loud = run_cli(*seeds, "--out", tmp_path / "loud", "--on-collapse", "go-on")
    code, stdout, stderr = run_cli(*seeds, "--out", tmp_path / "quiet", "--on-collapse", "go-on", "-q")
    assert code == 0
    assert "learning_rate" in loud[2]
    assert "training: " in loud[2]
    assert "learning_rate" not in stderr
    assert "training: " not in stderr
    assert "only one seed" in stderr  # a warning
    assert "no-such.tsv" in run_cli("audit", "no-such.tsv", "-q")[2]  # an error


def test_quiet_workers_relay_their_warnings_only(run_cli, toy_config, tmp_path):
    """Each training of a set is a process of its own, whose lines the command shows."""
    (tmp_path / "train.tsv").write_text("".join(f"{label}\t{text}\n" for text, label in toy_rows(96)))
    command = ("seeds", tmp_path / "train.tsv", "--encoder", toy_config.encoder, "--seeds", "2", "--processes", "2")
    unlearned = ("--learning-rate", "1e-9", "--epochs", "1", "--on-collapse", "go-on")  # hence a warning
    _, _, stderr = run_cli(*command, *unlearned, "--out", tmp_path / "runs", "--quiet")
    assert re.fullmatch(r"(seed-20(18|19): no better than chance on validation.*\n){2}", stderr)


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_shows_amount_rate_and_time_left(monkeypatch, width):
    out = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=out, force_terminal=True, color_system=None, width=width))
    with progress.meter("training", 4000, "steps") as bar:
        for done in (0.0, 1.0, 2.0, 3.0):
            monkeypatch.setattr(bar._progress, "get_time", lambda now=done: now)
            bar.advance(10, "epoch 1/3 · loss 0.533 · 123 sentences/s")
        bar._progress.refresh()
        line = out.getvalue().split("\r")[-1]
    assert "\n" not in line.rstrip()  # on one line
    for words in ("training", "40 of 4,000 steps", "10 steps/s, 6 min 36 s left", "epoch 1/3"):
        assert words in line
    with progress.without_progress(), progress.meter("training", 4000, "steps") as bar:
        start = len(out.getvalue())
        bar.advance(10)
    assert out.getvalue()[start:] == ""


# ---------------------------------------------------------------------- the page of the command line, and the manual


def test_the_generated_pages_match_the_help():
    """The page and the manual are up to date: `make reference`. Both have every command and option."""
    script = REPOSITORY / "docs" / "make_cli.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (REPOSITORY / "docs" / "en" / "reference" / "cli.md").read_text("utf-8")
    manual = (REPOSITORY / "docs" / "acceptor.1").read_text("ascii").replace("\\-", "-")
    sections = dict(re.findall(r"^## acceptor (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    entries = dict(re.findall(r"^\.SS (\w+)\n(.*?)(?=^\.S[SH] |\Z)", manual, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(entries) == COMMANDS
    for name in COMMANDS:
        for option in options_of(name):
            assert re.search(rf"^\| `[^`]*{option}\b", sections[name], re.MULTILINE), (name, option)
            assert re.search(rf"^\.B .*{option}\b", entries[name], re.MULTILINE), (name, option)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_the_man_page_renders_without_warnings():
    page = REPOSITORY / "docs" / "acceptor.1"
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == ""
    shown = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)  # bold, in either way
    assert "--columns <str>\n" in shown
    assert "role=column,…: sentence=text" in shown
    for example in ("acceptor train starter --encoder minilm", 'acceptor judge runs/starter-minilm "The cats sleep."'):
        assert example in shown


def test_names_between_colons_are_no_pictures():
    """rich draws `:train:` as a tram unless it is told not to."""
    with console.capture() as shown:
        console.print("starter:train: 4,400 rows", markup=False)
    assert shown.get() == "starter:train: 4,400 rows\n"
