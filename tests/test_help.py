"""The help: the first steps, options and commands under headings, examples, completion, the generated pages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import typer

from acceptor.cli import app as cli
from acceptor.cli.help import GROUPS
from conftest import REPOSITORY, options_of

COMMANDS = [name for names in GROUPS.values() for name in names]
HEADINGS = ["Data", "Training", "Machine", "Output"]


def parse(line):
    """Parses a line as the command line does: an unknown option or a missing argument is an error."""
    name, *words = shlex.split(line.split(" < ")[0])
    assert name == "acceptor"
    group = typer.main.get_command(cli.app)
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
    assert len(stdout.splitlines()) <= 20
    assert [parse(line) for line in lines_of(stdout, 4)] == ["train", "train", "judge", "evaluate", "predict"]
    assert "acceptor train starter --encoder minilm" in stdout
    assert "acceptor --help" in stdout


def test_every_command_is_in_a_group_of_the_main_help(run_cli):
    _, stdout, _ = run_cli("--help")
    assert headings_of(stdout) == ["Train", "Judge", "Data", "Other", "Options"]
    assert sorted(COMMANDS) == sorted(typer.main.get_command(cli.app).commands)
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
