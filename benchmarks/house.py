"""Measures the structure of the source: packages, imports between them, sizes, names. `make house`.

    python benchmarks/house.py [TREE] [--before TREE] [--record]

TREE is a checkout of this repository, of today or older; without one, the checkout of this file. ``--record``
writes the table into ``records/house.md``.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
RECORD = REPOSITORY / "records" / "house.md"
START, END = "<!-- make house -->", "<!-- end -->"
POSIX = ("fcntl", "resource", "pwd", "grp", "termios")
RUN_FILES = (
    "judge.json", "run.json", "history.jsonl", "report.json", "predictions.parquet", "seeds.json", "cv.json",
    "search.json", "state.json",
)  # fmt: skip
OTHERS_FILES = {("data/corpus_folder.py", "state.json")}  # the `datasets` library has a file of that name
DIALECT = frozenset((
    "told", "tell", "tells", "heed", "heeds", "heeded", "begun", "hear", "hears", "heard", "hearing", "papers", "odd",
    "strangers", "vouch", "vouches", "said", "says", "children", "learner", "noise", "shrink",
))  # fmt: skip
"""Words that names must not use, because the field has others."""


def sources(tree: Path) -> list[Path]:
    """All modules of the package, without temporary files of editors and compilers."""
    return sorted((tree / "src" / "acceptor").rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text("utf-8"))


def words_of(name: str) -> list[str]:
    """The words of a name: ``check_output`` and ``CheckOutput`` have the same two."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def names_in(tree: ast.AST) -> Iterator[str]:
    """Every name in a module: functions, classes, arguments, variables, attributes, keywords of calls."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name():
                if isinstance(node.ctx, ast.Store):
                    yield node.id
            case ast.Attribute():
                if isinstance(node.ctx, ast.Store):
                    yield node.attr


def dialect(tree: Path) -> dict[str, list[str]]:
    """Names with a word of `DIALECT`, by module; modules' own names, too."""
    found = {}
    for path in sources(tree):
        names = {path.stem, *names_in(parsed(path))}
        if hits := sorted(name for name in names if DIALECT & set(words_of(name))):
            found[path.relative_to(tree / "src" / "acceptor").as_posix()] = hits
    return found


def posix_at_the_top(tree: Path) -> list[str]:
    """Modules that import POSIX-only modules at the top."""
    found = []
    for path in sources(tree):
        for node in parsed(path).body:
            imported = (
                {one.name for one in node.names} if isinstance(node, ast.Import)
                else {node.module} if isinstance(node, ast.ImportFrom) else set()
            )  # fmt: skip
            if imported & set(POSIX):
                found.append(path.relative_to(tree / "src" / "acceptor").as_posix())
    return found


def untyped_dicts(tree: Path) -> int:
    """The lines of the source with ``dict[str, Any]``."""
    return sum("dict[str, Any]" in line for path in sources(tree) for line in path.read_text("utf-8").splitlines())


def other_parsers(tree: Path) -> dict[str, list[str]]:
    """For each file of a run, the modules outside ``runs/`` that name it in code: 0 if it has one owner."""
    found: dict[str, list[str]] = {name: [] for name in RUN_FILES}
    for path in sources(tree):
        place = path.relative_to(tree / "src" / "acceptor").as_posix()
        if place.startswith("runs/"):
            continue
        module = parsed(path)
        prose = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}  # docstrings
        texts = {
            node.value
            for node in ast.walk(module)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
        }
        for name in RUN_FILES:
            if name in texts and (place, name) not in OTHERS_FILES:
                found[name].append(place)
    return found


def packages(tree: Path) -> dict[str, Any]:
    """Packages and files at the root, imports between them, and the longest chain of imports."""
    import grimp

    sys.path.insert(0, str(tree / "src"))
    graph = grimp.build_graph("acceptor", cache_dir=None)
    names = {module.split(".")[1] for module in graph.modules if "." in module}
    imports = set()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            if "." in module and "." in imported and module.split(".")[1] != imported.split(".")[1]:
                imports.add((module.split(".")[1], imported.split(".")[1]))

    @cache
    def chain(package: str) -> tuple[str, ...]:
        below = [chain(other) for one, other in sorted(imports) if one == package]
        return (package, *max(below, key=len, default=()))

    longest = max((chain(package) for package in sorted(names)), key=len)
    return {"packages": len(names), "imports": len(imports), "chain": list(longest)}


def sizes(tree: Path) -> dict[str, Any]:
    """The longest file and function, and the size of the tests."""
    files = {path: path.read_text("utf-8") for path in sources(tree)}
    lines = {path: text.count("\n") for path, text in files.items()}
    functions = {
        f"{node.name} in {path.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, text in files.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    tests = {path: path.read_text("utf-8") for path in sorted((tree / "tests").glob("*.py"))}
    file, function = max(lines, key=lines.__getitem__), max(functions, key=functions.__getitem__)
    count = Counter(
        node.name.startswith("test_")
        for text in tests.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    )
    source = sum(lines.values())
    return {
        "lines of source": source,
        "longest file": f"{lines[file]} ({file.name})",
        "longest function": f"{functions[function]} ({function})",
        "test functions": count[True],
        "lines of tests / of source": f"{sum(text.count(chr(10)) for text in tests.values()) / source:.2f}",
    }


def measure(tree: Path) -> dict[str, Any]:
    """All numbers of one tree, by their names in the table."""
    root = [path.name for path in (tree / "src" / "acceptor").glob("*.py")]
    built = packages(tree)
    parsers = other_parsers(tree)
    words = dialect(tree)
    return {
        "files at the root beside the packages": len(root),
        "packages and files at the root": built["packages"],
        "imports between them": built["imports"],
        "longest chain of imports": len(built["chain"]),
        "lines with `dict[str, Any]`": untyped_dicts(tree),
        "modules that import a POSIX module at the top": len(posix_at_the_top(tree)),
        "names in words of the dialect": sum(map(len, words.values())),
        **{f"modules outside `runs/` that name `{name}`": len(places) for name, places in parsers.items()},
        **sizes(tree),
        "the longest chain": " → ".join(built["chain"]),
    }


def in_own_process(tree: Path) -> dict[str, Any]:
    """`measure` in a new process, because two versions of one package cannot be imported into one."""
    command = [sys.executable, str(Path(__file__).resolve()), str(tree), "--json"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    """Measures, prints and, with --record, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, nargs="?", default=REPOSITORY)
    parser.add_argument("--before", type=Path, help="an older checkout, for a second column")
    parser.add_argument("--record", action="store_true", help="write the table into records/house.md")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--names", action="store_true", help="list what is counted: names, parsers, imports")
    given = parser.parse_args()
    if given.names:
        print(json.dumps([dialect(given.tree), other_parsers(given.tree), posix_at_the_top(given.tree)], indent=1))
        return
    if given.json:
        print(json.dumps(measure(given.tree)))
        return
    columns = {"before": in_own_process(given.before)} if given.before else {}
    columns["now"] = in_own_process(given.tree)
    lines = [f"| number | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(str(one[name]) for one in columns.values()) + " |" for name in columns["now"]]
    print("\n".join(lines))
    if given.record:
        text = RECORD.read_text("utf-8")
        before, _, rest = text.partition(START)
        after = rest.partition(END)[2]
        RECORD.write_text(f"{before}{START}\n" + "\n".join(lines) + f"\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
