"""The wheel and the source archive: what is in them, equal bytes from equal files, and a wheel that works installed.

Nothing is downloaded: hatchling runs in this environment, and the installed wheel uses this environment's packages.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import acceptor
from acceptor.model.pretrained import EMBEDDED
from conftest import REPOSITORY, toy_rows

needs_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling is not installed: make setup"
)
SUFFIXES = {".py", ".c", ".h", ".html", ".css", ".js", ".tsv", ".typed"}
MUST_HAVE = {
    "acceptor/py.typed",
    "acceptor/native/kernels.c",
    "acceptor/native/vector.h",
    "acceptor/page/index.html",
    "acceptor/page/page.css",
    "acceptor/page/local.js",
    "acceptor/report/template/report.html",
    "acceptor/report/template/style.css",
    "acceptor/report/template/script.js",
    "acceptor/data/starter/words.py",
}


def build(tree: Path, out: Path, time: str) -> list[Path]:
    """The wheel and the source archive of a tree, built with a fixed time."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": time}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(out.iterdir(), key=lambda path: path.suffix, reverse=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The wheel and the source archive of this checkout."""
    wheel, archive = build(REPOSITORY, tmp_path_factory.mktemp("dist"), "1700000000")
    return wheel, archive


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


@needs_hatchling
def test_the_wheel_holds_the_package_and_nothing_else(built):
    names = names_in(built[0])
    about = f"acceptor-{acceptor.__version__}.dist-info"
    ours = {name for name in names if name.startswith("acceptor/")}
    source = REPOSITORY / "src"
    files = [path for path in (source / "acceptor").rglob("*") if path.suffix in SUFFIXES]
    assert ours == {path.relative_to(source).as_posix() for path in files}
    assert ours >= MUST_HAVE
    others = {f"{about}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names - ours == {*others, about.replace("dist-info", "data/data/share/man/man1/acceptor.1")}


@needs_hatchling
def test_the_same_files_make_the_same_bytes(built, tmp_path):
    """In another folder, with other file times and permissions; and the wheel also from the source archive."""
    wheel, archive = built
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    [tree] = tmp_path.iterdir()
    for path in tree.rglob("*"):
        os.utime(path, (10**9, 10**9))
        path.chmod(path.stat().st_mode & 0o700)
    (tree / "PKG-INFO").unlink()  # made by the build
    again = build(tree, tmp_path / "dist", "1700000000")
    assert {path.name: sha256(path) for path in again} == {path.name: sha256(path) for path in built}
    later = build(tree, tmp_path / "later", "1800000000")
    assert sha256(later[0]) != sha256(wheel)  # the time is used, so the comparison above means something


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Runs a command of an environment in which only the wheel was installed, beside this environment's packages."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place / "venv", symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", str(place / "venv"), "install", "--quiet", "--no-index"]
    done = subprocess.run([*command, "--no-deps", str(built[0])], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    packages = next((place / "venv").glob("[Ll]ib/**/site-packages"))
    here = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "packages_of_the_tests.pth").write_text("".join(f"{path}\n" for path in here))
    scripts = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(name, *arguments, **changes):
        program = [shutil.which(name, path=str(scripts)), *map(str, arguments)]
        there = environment | changes
        done = subprocess.run(program, capture_output=True, text=True, env=there, cwd=place, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@needs_hatchling
def test_the_installed_wheel_trains_judges_and_reports(installed, tiny_bert, tmp_path):
    program = "import acceptor, importlib.metadata as m; print(acceptor.__file__, m.version('acceptor'), sep='\\n')"
    home, version = installed("python", "-c", program).splitlines()
    assert REPOSITORY not in Path(home).parents
    assert version == acceptor.__version__
    assert acceptor.__version__ in installed("acceptor", "--version")
    corpus, run = tmp_path / "toy.tsv", tmp_path / "run"
    corpus.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in toy_rows(120)))
    settings = ("--encoder", tiny_bert, "--learning-rate", "1e-2", "--epochs", "8", "--out", run)
    installed("acceptor", "train", corpus, *settings)
    verdicts = json.loads(installed("acceptor", "judge", run, "the cats sleep.", "the cat them sleep.", "--json"))
    assert [one["verdict"] for one in verdicts["verdicts"]] == ["acceptable", "unacceptable"]
    assert (run / "report.html").stat().st_size > 10_000  # its template is in the wheel
    audit = json.loads(installed("acceptor", "audit", "starter", "--json"))
    assert audit


@needs_hatchling
@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="no C compiler for the kernels")
def test_the_installed_wheel_compiles_its_kernels(installed, tmp_path):
    program = "from acceptor.native import library; print(library()[1])"
    assert "compiled by" in installed("python", "-c", program, ACCEPTOR_CACHE=str(tmp_path))


# ── pages about the packages ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def installation():
    """The script behind `make installation`."""
    spec = importlib.util.spec_from_file_location("installation", REPOSITORY / "benchmarks" / "installation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commands_whose_start_is_measured_run(installation):
    for option, shown in {"--version": acceptor.__version__, "--help": "train"}.items():
        code = installation.COMMANDS[f"`acceptor {option}`"]
        assert shown in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def test_the_page_of_licences_names_every_package(installation):
    """All that pyproject.toml names, and what that needs here. Versions may differ."""
    page = (REPOSITORY / "docs" / "en" / "reference" / "licences.md").read_text("utf-8")
    listed = {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [name for name in project["optional-dependencies"] if name not in installation.TOOLS]
    needed = [one for extra in ["", *extras] for one in installation.requirements_of(extra)]
    assert len(needed) > 50
    names = {installation.canonicalize_name(one.name) for one in needed}
    if sys.platform == "linux":
        names |= installation.installed_with(needed).keys()
    of_gpus = {name for name in names if name.startswith(("nvidia-", "cuda-")) or name == "triton"}
    assert names - of_gpus <= listed


def test_an_extra_of_ours_stands_for_what_it_names(installation):
    def names(extra):
        return {one.name for one in installation.requirements_of(extra)}

    assert "torch" not in names("")
    assert names("bench") >= names("train") | names("onnx") | {"accelerate"}
    assert names("") < names("excel")


def test_a_licence_is_an_expression_else_classifiers_else_text(installation):
    class Package:
        def __init__(self, *headers):
            self.metadata = importlib.import_module("email.message").Message()
            for name, value in headers:
                self.metadata[name] = value

    class_of_mit = ("Classifier", "License :: OSI Approved :: MIT License")
    text = ("License", "BSD\nlong text")
    assert installation.licence_of(Package(("License-Expression", "MIT"), class_of_mit, text)) == "MIT"
    assert installation.licence_of(Package(class_of_mit, text)) == "MIT License"
    assert installation.licence_of(Package(text)) == "BSD"
    assert "its files" in installation.licence_of(Package())


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert {project["version"], citation["version"]} == {acceptor.__version__}
    assert citation["license"] == project["license"]


def test_the_packages_of_embedded_encoders_are_those_of_their_extras():
    """Errors name them, so that damaged weights can be installed again without anything else."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for about in EMBEDDED.values():
        assert about["packages"].split() == extras[about["extra"]][1:]


@pytest.mark.parametrize("form", ["bug", "question", "idea"])
def test_an_issue_form_is_complete(form):
    """GitHub shows no form, and no message, if a key is missing or an id is there twice."""
    content = yaml.safe_load((REPOSITORY / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text("utf-8"))
    assert {"name", "description", "body"} <= content.keys()
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields) >= 2


@pytest.mark.parametrize("folder", ["notebooks", "deploy", "examples"])
def test_a_new_environment_gets_acceptor_from_the_checkout(folder):
    """Acceptor is not on a package index: by its name, pip would install another project's package."""
    for file in (REPOSITORY / folder).iterdir():
        assert not (file.is_file() and re.search(r"pip install .*\bacceptor\[", file.read_text("utf-8"))), file
