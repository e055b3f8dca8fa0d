"""The pages of the documentation: every command and every block of Python runs, both languages show the same code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY, needs_minilm, options_of

DOCS = REPOSITORY / "docs"
FOLDERS = ("tutorial", "howto", "explanation")
PAGES = [
    DOCS / "en" / "index.md",
    *(page for folder in FOLDERS for page in sorted((DOCS / "en" / folder).glob("*.md"))),
]
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>[\w.]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks(page: Path) -> list[tuple[str | None, str, str]]:
    """The blocks of a page: the name of the file that it shows, if it is one; its language; its text."""
    return [(one["file"], one["language"], one["text"]) for one in BLOCK.finditer(page.read_text("utf-8"))]


def commands(page: Path) -> list[list[str]]:
    """All of a page's calls of `acceptor`: those that run here, and those that need what is not here."""
    lines = [line for _, language, text in blocks(page) if language in ("sh", "text") for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("acceptor ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_both_languages_show_the_same_files_and_commands(page):
    twin = DOCS / "zh" / page.relative_to(DOCS / "en")
    ours, theirs = ([one for one in blocks(path) if one[1] != "python"] for path in (page, twin))
    assert ours == theirs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_only_known_options(page):
    for words in commands(page):
        options = options_of(words[1])
        for word in words[2:]:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in options, f"{word} in {' '.join(words)}"


@pytest.mark.real
@needs_minilm
def test_the_pages_run(tmp_path, monkeypatch, run_cli):
    """In one folder, page by page, as a reader would. Trainings without --epochs have three; none is done twice."""
    monkeypatch.chdir(tmp_path)
    done = set()
    for page in PAGES:
        names = {"__name__": page.stem}
        for file, language, text in blocks(page):
            if file:
                Path(file).write_text(text, "utf-8")
            elif language == "python":
                exec(
                    compile(text.replace('encoder="minilm")', 'encoder="minilm", epochs=3)'), str(page), "exec"), names
                )
            elif language == "sh":
                for line in text.splitlines():
                    if line in done:
                        continue
                    done.add(line)
                    words = shlex.split(line, comments=True)
                    assert words[0] == "acceptor"
                    short = ["--epochs", "3"] if words[1] == "train" and "--epochs" not in words else []
                    code, _, stderr = run_cli(*words[1:], *short)
                    assert code == 0, f"{page}: {line}\n{stderr}"
    assert len(done) > 15


def test_the_site_is_built_without_a_warning(tmp_path):
    """Also: no broken link, nothing from another host, the same pages and headings in both languages."""
    built = subprocess.run([sys.executable, DOCS / "make_site.py", tmp_path / "site"], capture_output=True, text=True)
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
