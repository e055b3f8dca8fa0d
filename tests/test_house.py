"""House rules that a machine can check: layers, sizes, public names, light imports, documents."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
import types

import pytest

import acceptor
from conftest import REPOSITORY

SOURCES = sorted((REPOSITORY / "src" / "acceptor").rglob("*.py"))


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_acceptor_is_light():
    """No torch, no polars, no pydantic: so that commands that need none of them start fast."""
    loaded = python("import sys, acceptor; print(*sorted({name.split('.')[0] for name in sys.modules}))").split()
    assert not {"torch", "transformers", "numpy", "polars", "pydantic", "typer", "rich"} & set(loaded)


def test_help_needs_no_torch():
    code = "import sys; sys.argv = ['acceptor', '--help']\nfrom acceptor.cli.app import main\n"
    code += "try: main()\nexcept SystemExit: "
    heavy = {"torch", "numpy", "polars", "pydantic", "acceptor.cli.render"}
    loaded = python(code + f"print(sorted({heavy!r} & sys.modules.keys()))")
    assert loaded.strip().endswith("[]")
    for command in ("train", "evaluate", "predict", "judge", "audit", "encoders", "corpora"):
        assert command in loaded


def test_the_installed_command_is_the_command_line():
    """`python -m acceptor` works without the line in pyproject.toml that `acceptor` needs."""
    home = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]["acceptor"]
    module, _, name = home.partition(":")
    assert getattr(importlib.import_module(module), name) is importlib.import_module("acceptor.__main__").main


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_files_and_functions_stay_small(path):
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            limit = 100 if node.name == "fit" else 60
            assert node.end_lineno - node.lineno < limit, f"{path.name}: {node.name}"


# ---------------------------------------------------------------------- the numbers of `make house`


@pytest.fixture(scope="module")
def house():
    """The script behind `make house`."""
    place = REPOSITORY / "benchmarks" / "house.py"
    spec = importlib.util.spec_from_file_location("house_numbers", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_few_files_at_the_root_and_short_chains_of_imports(house):
    assert len(list((REPOSITORY / "src" / "acceptor").glob("*.py"))) <= 8
    assert house.in_own_process(REPOSITORY)["longest chain of imports"] <= 13


def test_nothing_imports_a_posix_module_at_the_top(house):
    assert house.posix_at_the_top(REPOSITORY) == []


def test_names_use_common_words(house):
    assert house.dialect(REPOSITORY) == {}


def test_few_dicts_of_anything(house):
    assert house.untyped_dicts(REPOSITORY) <= 40


def test_a_file_of_a_run_has_one_owner(house):
    assert not any(house.other_parsers(REPOSITORY).values())


def test_the_measures_of_the_house_are_correct(house, tmp_path):
    """Each of these numbers on sources with a known answer."""
    package = tmp_path / "src" / "acceptor"
    (package / "runs").mkdir(parents=True)
    (package / "runs" / "owner.py").write_text('NAME = "judge.json"\n')
    (package / "other.py").write_text(
        '"""judge.json"""\nimport fcntl\n\n\ndef f(heard_by: dict[str, Any]):\n'
        '    import pwd\n    """No judge.json."""\n    return self.oddity, "judge.json"\n'
    )
    assert house.other_parsers(tmp_path)["judge.json"] == ["other.py"]
    assert house.posix_at_the_top(tmp_path) == ["other.py"]
    assert house.dialect(tmp_path) == {"other.py": ["heard_by"]}
    assert house.untyped_dicts(tmp_path) == 1


def test_public_names_are_complete_sorted_and_documented():
    assert acceptor.__all__ == sorted(acceptor.__all__, key=lambda name: (not name.isupper(), name))
    assert set(acceptor.__all__) == set(acceptor._HOMES)
    for name in acceptor.__all__:
        member = getattr(acceptor, name)
        if name != "PRESETS":
            assert member.__doc__, name
    assert set(dir(acceptor)) >= set(acceptor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        acceptor.trian  # noqa: B018


def test_the_reference_matches_the_source():
    """The generated pages are up to date: `make reference`."""
    script = REPOSITORY / "docs" / "make_reference.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    page = (REPOSITORY / "docs" / "en" / "reference" / "api.md").read_text("utf-8")
    assert set(re.findall(r"^## `(\w+)`", page, re.MULTILINE)) == set(acceptor.__all__)


def test_links_between_our_pages_are_not_broken():
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "records").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_error_is_in_the_tree_at_the_top():
    from acceptor import errors

    tree = errors.__doc__
    classes = [
        value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert len(classes) >= 7
    for cls in classes:
        assert cls.__name__ in tree
        assert issubclass(cls, errors.AcceptorError)


def test_the_text_of_an_error_has_all_fields():
    error = acceptor.DataError(
        "it broke", where="a.tsv, line 3", expected="x", found="y", cause="z", next="do this\nor that"
    )
    assert str(error) == (
        "it broke\n  where:    a.tsv, line 3\n  expected: x\n  found:    y\n  cause:    z\n"
        "  next:     do this\n            or that\n  code:     E-DATA"
    )
    assert (error.to_dict()["error"], error.to_dict()["code"]) == ("DataError", "E-DATA")


def test_every_code_of_an_error_is_in_the_table_and_fits_its_class():
    """A code is a literal in the error's construction, so that a search finds all places of a kind."""
    from acceptor import errors
    from acceptor.error_codes import CODES

    assert list(CODES) == sorted(CODES)
    classes = errors.AcceptorError.__subclasses__()
    used = {cls.code for cls in classes if cls.__module__ == errors.__name__}
    for path in SOURCES:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            for given in call.keywords if isinstance(call, ast.Call) else ():
                if given.arg == "code" and isinstance(given.value, ast.Constant):
                    used.add(given.value.value)
                    name = call.func.id if isinstance(call.func, ast.Name) else ""
                    cls = getattr(errors, name, None)
                    assert cls is None or given.value.value.startswith(cls.code), (path, given.value.value)
    assert used == set(CODES)


# Files that may end the process: the command line, and the main functions of processes that we start.
ENDS = {
    "__main__.py": {"sys.exit"},
    "cli/app.py": {"sys.exit", "typer.Exit"},
    "cli/predict.py": {"typer.Exit"},
    "cli/search.py": {"typer.Exit"},
    "cli/seeds.py": {"typer.Exit"},
    "cli/train.py": {"typer.Exit"},
    "experiments/workers.py": {"SystemExit"},
    "serve/service.py": {"os._exit"},  # a worker whose judge does not come back
}


SCRIPTS = [
    path for folder in ("benchmarks", "docs", "examples", "reliability") for path in (REPOSITORY / folder).rglob("*.py")
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_scripts_import_names_that_exist(path):
    """Most benchmarks run only when someone measures: a name that src/ no longer has would be missed until then."""
    modules = {}
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "acceptor":
            for one in node.names:
                found = importlib.import_module(node.module)
                if hasattr(found, one.name):
                    found = getattr(found, one.name)
                else:
                    found = importlib.import_module(f"{node.module}.{one.name}")
                if isinstance(found, types.ModuleType):
                    modules[one.asname or one.name] = found
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert hasattr(modules[node.value.id], node.attr), f"line {node.lineno}"


def test_library_code_neither_prints_nor_exits():
    """No ``print``; calls that end a process are used only in the files of `ENDS`."""
    found = {}
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & {"print", "breakpoint"}, path
        assert "input" not in calls or path.name == "prompt.py", path
        raised = {node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc}
        names = {ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in raised} | calls
        ends = names & {"sys.exit", "exit", "quit", "os._exit", "os.abort", "SystemExit", "typer.Exit", "typer.Abort"}
        if ends:
            found[path.relative_to(REPOSITORY / "src" / "acceptor").as_posix()] = ends
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("sys", "os", "builtins"):
                assert not {"exit", "_exit", "abort"} & {one.name for one in node.names}, path
    assert found == ENDS
