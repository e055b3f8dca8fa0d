"""Draws the figures of the documentation, in English and Chinese, into docs/figures/.

    python docs/make_figures.py [--check] [--captions] [NAME …]

All numbers are computed: from CoLA, from tokenizers and optimizers, from the checked-in records. ``--check`` writes
nothing and says with its exit code whether the files are what would be written. ``--captions`` prints the captions.
A figure whose data are not here is skipped, with the reason.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]

from drawings import inputs, learning, network, paths, predicting, run_folder, scores  # noqa: E402
from drawings.figure import LANGUAGES  # noqa: E402
from drawings.sources import missing  # noqa: E402

FOLDER = HERE / "figures"
FIGURES = {
    figure.name: figure
    for module in (inputs, network, scores, learning, paths, run_folder, predicting)
    for figure in module.FIGURES
}


def main() -> int:
    """Writes, checks or describes the figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not up to date")
    parser.add_argument("--captions", action="store_true", help="print each figure's captions")
    asked = parser.parse_args()
    if unknown := set(asked.names) - FIGURES.keys():
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    stale = 0
    FOLDER.mkdir(exist_ok=True)
    for name in asked.names or FIGURES:
        figure = FIGURES[name]
        if reasons := [reason for need in figure.needs if (reason := missing(need))]:
            print(f"{name}: skipped: {', '.join(reasons)}", file=sys.stderr)
            continue
        for language in LANGUAGES:
            path, text = FOLDER / f"{name}.{language}.svg", figure.svg(language)
            if not path.exists() or path.read_text("utf-8") != text:
                stale += 1
                print(f"{path.name} is not up to date" if asked.check else f"{path.name} written")
                if not asked.check:
                    path.write_text(text, "utf-8", newline="\n")
            if asked.captions:
                print(f"{name}.{language}: {figure.caption(language)}")
    return int(asked.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
