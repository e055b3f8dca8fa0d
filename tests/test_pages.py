"""The pages of the documentation: every command and every block of Python runs, both languages show the same code."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from acceptor.data import raw_text
from acceptor.data.starter import SQUARES
from acceptor.experiments import warmup
from acceptor.training import collapse, defaults
from browser import chromium, needs_browser
from conftest import REPOSITORY, needs_minilm, options_of

DOCS = REPOSITORY / "docs"
FOLDERS = ("tutorial", "howto", "explanation", "reference")
PAGES = [
    REPOSITORY / "README.md",
    DOCS / "en" / "index.md",
    *(page for folder in FOLDERS for page in sorted((DOCS / "en" / folder).glob("*.md"))),
]
GENERATED = ("api", "cli", "errors", "licences")
"""Pages of which the Chinese one includes the English one."""
SHORTER = {
    "seeds=5, config=config, processes=2": "seeds=2, config=config",
    "trials=20": "trials=2, seeds=1",
    '"epochs": (2, 4)': '"epochs": (1, 2)',
    "[::40]": "[::3]",
    "[::10]": "[::2]",
}
"""What the test changes in Python, so that it takes a minute and has enough rows."""
SHOWN = ("index", "search", "tutorial/chapter", "howto/own-data", "reference/corpus", "reference/cli", "reference/api")
"""The pages that a browser opens."""
NODE_MODULES = REPOSITORY / "node_modules"  # made by `make page`
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


def twin(page: Path) -> Path:
    """The same page in Chinese."""
    return page.with_suffix(".zh-CN.md") if page.parent == REPOSITORY else DOCS / "zh" / page.relative_to(DOCS / "en")


@pytest.mark.parametrize("page", [one for one in PAGES if one.stem not in GENERATED], ids=lambda page: page.stem)
def test_both_languages_show_the_same_files_commands_and_python(page):
    """Python without its comments, which are translated."""
    ours, theirs = blocks(page), blocks(twin(page))
    assert [one[:2] for one in ours] == [one[:2] for one in theirs]
    for (_, language, our), (_, _, their) in zip(ours, theirs, strict=True):
        if language == "python":
            assert ast.unparse(ast.parse(our)) == ast.unparse(ast.parse(their))
        else:
            assert our == their


@pytest.mark.parametrize("page", [one for one in PAGES if one.stem not in GENERATED], ids=lambda page: page.stem)
def test_both_languages_have_the_same_scores(page):
    """As many of each, such as .577: words differ, measured numbers do not."""
    ours, theirs = (sorted(re.findall(r"(?<![\w.])-?\.\d\d+", one.read_text("utf-8"))) for one in (page, twin(page)))
    assert ours == theirs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_only_known_options(page):
    for words in commands(page):
        options = options_of(words[1])
        for word in words[2:]:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in options, f"{word} in {' '.join(words)}"


class Shell:
    """Lines of `sh` that need a server: one that ends in ``&`` starts it, at a port of its own; ``%1`` is the last."""

    def __init__(self, port: int) -> None:
        self.port, self.jobs = port, []

    def here(self, text: str) -> str:
        """The text with the server's port."""
        return text.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{self.port}")

    def run(self, line: str) -> None:
        words = shlex.split(self.here(line))
        if words[-1] == "&":
            command = [sys.executable, "-m", *words[:-1], "--port", str(self.port)]
            environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
            self.jobs.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        elif words[0] == "kill":
            assert words[-1] == "%1"
            self.jobs[-1].send_signal(signal.SIGHUP if "-HUP" in words else signal.SIGTERM)
            if "-HUP" not in words:
                assert self.jobs[-1].wait(600) == 0  # the next one has the same port
        else:
            assert words[0] == "curl"
            done = subprocess.run(words, capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stderr}"

    def close(self) -> None:
        """All servers have ended."""
        assert [job.poll() for job in self.jobs] == [0] * len(self.jobs)


@pytest.fixture
def shell():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    found = Shell(port)
    yield found
    for job in found.jobs:
        job.kill()


def shortened(text: str) -> str:
    """Python that takes less time."""
    for words, instead in SHORTER.items():
        text = text.replace(words, instead)
    return text


def needs_more(line: str) -> bool:
    """True for a command that needs what is not here; to verify int8 takes a judge that has learned something."""
    return "path/to" in line or "--verify" in line or ("judge.html" in line and not NODE_MODULES.is_dir())


def run_line(line: str, page: Path, run_cli, shell: Shell) -> None:
    words = shlex.split(line, comments=True)
    if words[0] != "acceptor" or words[-1] == "&":
        shell.run(line)
        return
    code, _, stderr = run_cli(*words[1:])
    assert code == 0, f"{page}: {line}\n{stderr}"


@pytest.mark.real
@pytest.mark.allow_hosts(["127.0.0.1"])
@needs_minilm
def test_the_pages_run(tmp_path, monkeypatch, run_cli, shell):
    """Every block of `sh` and `python`, in one folder, page by page, as a reader would; no `acceptor` is run twice.

    The starter corpus has a sixtieth of its training sentences, and one epoch is derived. `text` is what needs other
    files or a network, and what is printed; `py` is a signature, or resumes what was stopped. `path/to` is not here.
    """
    monkeypatch.chdir(tmp_path)
    if NODE_MODULES.is_dir():
        (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    for split, squares in {"train": 1, "validation": 1, "test": 1}.items():
        monkeypatch.setitem(SQUARES, split, squares)
    monkeypatch.setattr(raw_text, "FEWEST", 50)
    monkeypatch.setattr(warmup, "FEWEST", 50)
    monkeypatch.setattr(defaults, "FEWEST_EPOCHS", 1)
    monkeypatch.setattr(defaults, "MOST_EPOCHS", 1)
    monkeypatch.setattr(collapse, "FEWEST_STEPS", 10**9)  # so short a training may look like a collapse
    Path("sentences.txt").write_text("The book was written.\nThe book was wrote.\n")
    done, shorter = set(), set()
    for page in PAGES:
        names = {"__name__": page.stem}
        for file, language, text in blocks(page):
            if file:
                Path(file).write_text(text, "utf-8")
            elif language == "python":
                shorter |= {words for words in SHORTER if words in text}
                exec(compile(shell.here(shortened(text)), str(page), "exec"), names)
            elif language == "sh":
                for line in text.splitlines():
                    command = " ".join(shlex.split(line, comments=True))
                    if needs_more(line) or (command in done and line.startswith("acceptor ")):
                        continue
                    done.add(command)
                    run_line(line, page, run_cli, shell)
    shell.close()
    assert (len(done) > 25, shorter) == (True, SHORTER.keys())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, and what building it printed."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    return folder, subprocess.run([sys.executable, DOCS / "make_site.py", folder], capture_output=True, text=True)


def test_the_site_is_built_without_a_warning(site):
    """Also: no broken link, nothing from another host, the same pages and headings in both languages."""
    _, built = site
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")


@needs_browser
def test_the_site_passes_axe_core(site):
    """In light and dark, both languages, without a message on the console, and nothing wider than the window."""
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    names = [("en", name) for name in SHOWN] + [("zh", name) for name in SHOWN if Path(name).name not in GENERATED]
    pages = [site[0] / language / f"{name}.html" for language, name in names]
    with chromium() as browser:
        for page, dark in itertools.product(pages, (False, True)):
            browser.dark(dark)
            for width in (390, 1440):
                browser.resize(width)
                browser.open(page)
                assert browser.messages == []
                assert browser.evaluate("document.documentElement.scrollWidth") == width, page
            browser.evaluate(f"{axe}; 0")
            rules = {"color-contrast": {"enabled": page.stem != "api"}}  # ten thousand words in the others' colours
            # `preload` reads style sheets anew; for files a browser refuses it, and may say so on the next page.
            options = {"resultTypes": ["violations"], "preload": False, "rules": rules}
            found = browser.evaluate(f"axe.run({json.dumps(options)})")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == [], page
            assert {"region", "page-has-heading-one"} <= {one["id"] for one in found["passes"]}
