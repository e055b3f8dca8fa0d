"""Measures what an installation takes, and lists the licences of what it brings. `make installation`.

    python benchmarks/installation.py [--write]

Reads the metadata of the packages in this environment; nothing is downloaded. For every extra: the packages that pip
installs with it, directly and through others, and the size of their files. Times are of the processor, medians of seven
new processes: unlike the clock's they hardly change if the machine has other work.
``--write`` writes the tables into ``docs/en/reference/install.md`` and ``docs/en/reference/licences.md``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
TOOLS = ("dev", "docs", "all")  # extras of developers
START, END = "<!-- make installation -->", "<!-- end -->"
COMMANDS = {
    "`python -c pass`": "pass",
    "`python -c 'import acceptor'`": "import acceptor",
    "`acceptor --version`": "import sys; sys.argv.append('--version'); from acceptor.__main__ import main; main()",
    "`acceptor --help`": "import sys; sys.argv.append('--help'); from acceptor.__main__ import main; main()",
    "`from acceptor import load`, for an exported judge": "from acceptor import load",
    "`from acceptor import train`, torch and Transformers": "from acceptor import train; import torch, transformers",
}
"""What the table of times shows, and the program that is measured."""


def requirements_of(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for with an extra, and always; extras of our own are replaced by what they name."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for text in PROJECT["optional-dependencies"][extra] if extra else ():
        requirement = Requirement(text)
        own = requirement.name == PROJECT["name"]
        found += [one for name in sorted(requirement.extras) for one in requirements_of(name)] if own else [requirement]
    return found


def installed_with(requirements: list[Requirement]) -> dict[str, metadata.Distribution]:
    """All packages that pip installs for these requirements, by name, as they are installed in this environment."""
    waiting = [(one, "") for one in requirements]
    seen: set[tuple[str, str]] = set()
    found = {}
    while waiting:
        requirement, parent_extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": parent_extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            print(f"not installed here, so not in the tables: {name}", file=sys.stderr)
            continue
        found[name] = package
        for extra in {"", *requirement.extras}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(Requirement(text), extra) for text in package.requires or ()]
    return dict(sorted(found.items()))


def megabytes(package: metadata.Distribution) -> float:
    """The size of a package's files on disk, without compiled Python."""
    files = [Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def licence_of(package: metadata.Distribution) -> str:
    """A package's licence as its metadata name it: an SPDX expression, else its classifiers, else a line of text."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [text for text in about.get_all("Classifier", ()) if text.startswith("License ::")]
    names = [text.rpartition(" :: ")[2] for text in classifiers if text != "License :: OSI Approved"]
    first_line = (about.get("License") or "").strip().partition("\n")[0][:60]
    return ", ".join(names) or first_line or "not in its metadata: see its files"


def size_table(packages: dict[str, dict[str, metadata.Distribution]]) -> str:
    """How many packages an extra installs, their size, and the largest of them."""
    lines = ["| installed | packages | MB | the largest |", "|---|---|---|---|"]
    for extra, found in packages.items():
        sizes = sorted(((megabytes(package), name) for name, package in found.items()), reverse=True)
        largest = ", ".join(f"{name} {size:,.0f}" for size, name in sizes[:3])
        name = f"acceptor[{extra}]" if extra else "acceptor"
        lines.append(f"| `{name}` | {len(found)} | {sum(size for size, _ in sizes):,.0f} | {largest} |")
    return "\n".join(lines)


def licence_table(packages: dict[str, dict[str, metadata.Distribution]]) -> str:
    """Every package once: its version here, its licence, and what installs it."""
    lines = ["| package | version | licence | installed with |", "|---|---|---|---|"]
    for name, package in sorted({name: one for found in packages.values() for name, one in found.items()}.items()):
        having = {extra: found for extra, found in packages.items() if name in found}
        # `train` stands for all extras that contain it.
        least = [extra for extra in having if not any(one.keys() < having[extra].keys() for one in having.values())]
        origin = ", ".join(f"`{extra}`" if extra else "always" for extra in least)
        lines.append(f"| {name} | {package.version} | {licence_of(package)} | {origin} |")
    return "\n".join(lines)


def seconds(code: str, runs: int = 7) -> float:
    """Median processor time of a new Python process that runs ``code``; without the first, which may compile Python."""
    times = []
    for _ in range(runs + 1):
        before = os.times()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        times.append(used)
    return statistics.median(times[1:])


def time_table() -> str:
    """Seconds of each of `COMMANDS`; the start of Python, in the first line, is part of all of them."""
    head = ["| a new process | seconds of the processor |", "|---|---|"]
    return "\n".join([*head, *(f"| {name} | {seconds(code):.2f} |" for name, code in COMMANDS.items())])


def write_between_marks(page: Path, text: str) -> None:
    """Replaces what stands between `START` and `END` in a page."""
    before, _, rest = page.read_text("utf-8").partition(START)
    page.write_text(f"{before}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}", "utf-8")


def main() -> None:
    """Measures and prints, or writes the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--write", action="store_true", help="write docs/en/reference/install.md and docs/en/reference/licences.md"
    )
    extras = ["", *(extra for extra in PROJECT["optional-dependencies"] if extra not in TOOLS)]
    write = parser.parse_args().write
    packages = {extra: installed_with(requirements_of(extra)) for extra in extras}
    licences, sizes = licence_table(packages), f"{size_table(packages)}\n\n{time_table()}"
    print(licences, sizes, sep="\n\n")
    if write:
        write_between_marks(REPOSITORY / "docs" / "en" / "reference" / "licences.md", licences)
        write_between_marks(REPOSITORY / "docs" / "en" / "reference" / "install.md", sizes)


if __name__ == "__main__":
    main()
