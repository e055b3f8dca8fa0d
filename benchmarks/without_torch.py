"""Measures judging without torch, in a virtual environment with only `acceptor[onnx]`, installed by pip.

    python benchmarks/without_torch.py --run RUN [--precision int8 --verify FILE]

exports the run, installs the checkout with the extra `onnx` into an empty environment, judges one sentence in both, and
prints the size of the packages, seconds from the shell's prompt to the verdict (the median of five) and the peak of
memory. It needs a package index. A table, then one JSON object on the last line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

from acceptor import export, load
from acceptor.cli import render as terminal
from acceptor.data.load import load_split

REPOSITORY = Path(__file__).resolve().parent.parent
SENTENCE = "The book was wrote by John."


def megabytes(folder: Path) -> float:
    """The size of all files below a folder, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1e6


PROGRAM = """
import atexit, pathlib, sys
from acceptor.cli.app import main
atexit.register(lambda: print(pathlib.Path("/proc/self/status").read_text(), file=sys.stderr))
main()
"""


def judged(python: Path, judge: Path) -> dict[str, Any]:
    """Seconds, peak of memory and verdict of `acceptor judge` in a new process."""
    seconds, peak, verdict = [], 0, {}
    for _ in range(5):
        command = [str(python), "-c", PROGRAM, "judge", str(judge), SENTENCE, "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - began)
        verdict = json.loads(done.stdout)["verdicts"][0]
        peak = int(next(line.split()[1] for line in done.stderr.splitlines() if line.startswith("VmHWM")))
    return {
        "seconds": round(statistics.median(seconds), 2),
        "peak_mb": round(peak * 1024 / 1e6),
        "verdict": verdict["verdict"],
        "probability": verdict["probability"],
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--verify", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        place, file = Path(scratch) / "venv", Path(scratch) / "judge.onnx"
        judge = load(options.run, device="cpu", precision="fp32")
        split = load_split(options.verify, judge.labels) if options.verify else None
        size = export(judge, file, precision=options.precision, verify=split).bytes
        venv.create(place, with_pip=True)
        python = place / "bin" / "python"
        before = megabytes(place)
        install = [python, "-m", "pip", "install", "--quiet", "--constraint", REPOSITORY / "constraints.txt"]
        subprocess.run([*map(str, install), f"{REPOSITORY}[onnx]"], check=True, cwd=scratch)
        listed = subprocess.run([str(python), "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
        names = {package["name"] for package in json.loads(listed.stdout)}
        assert not {"torch", "transformers"} & names, names
        packages = Path(sysconfig.get_paths()["purelib"])
        result = {
            "acceptor[onnx]": {
                "packages_mb": round(megabytes(place) - before),
                "judge_mb": round(size / 1e6, 1),
                **judged(python, file),
            },
            "acceptor[train]": {
                "packages_mb": round(sum(megabytes(packages / name) for name in ("torch", "transformers"))),
                "judge_mb": round(megabytes(options.run), 1),
                **judged(Path(sys.executable), options.run),
            },
        }
    columns = ("packages_mb", "judge_mb", "seconds", "peak_mb", "verdict", "probability")
    rows = [(name, *(f"{row[column]}" for column in columns)) for name, row in result.items()]
    terminal.show(terminal.table(("", *columns), rows))
    terminal.show("packages_mb: all that pip installed; of acceptor[train] torch and Transformers alone")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
