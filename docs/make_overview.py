"""Draws docs/pictures/overview.png, the picture on the first page: a run's report, and the demo on the terminal.

    python docs/make_overview.py RUN

RUN is a run of `acceptor demo`. It needs Chromium.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "src")]

import acceptor  # noqa: E402
from acceptor.cli.render import demo_text  # noqa: E402
from browser import chromium  # noqa: E402

PICTURE = HERE / "pictures" / "overview.png"
WIDTH, HEIGHT, REPORT_WIDTH = 1480, 900, 820
THEME = TerminalTheme((29, 33, 37), (231, 233, 235), [(84, 199, 171)] * 8)
PAIRS = 10  # of the twenty, as many as there is room for
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #e9edf1; display: flex; gap: 28px; padding: 28px; height: {height}px;
  box-sizing: border-box }}
img, pre {{ border-radius: 10px; box-shadow: 0 6px 24px #0003; margin: 0 }}
img {{ width: {report}px; height: 100%; object-fit: cover; object-position: top }}
pre {{ flex: 1; background: #1d2125; color: #e7e9eb; padding: 22px; overflow: hidden;
  font: 15px/1.5 ui-monospace, "DejaVu Sans Mono", monospace }}
</style><img src="data:image/png;base64,{image}"><pre>$ acceptor demo

{text}</pre>"""


def terminal(run: Path) -> str:
    """What the demo prints, as HTML."""
    judge = acceptor.load(run)
    found = acceptor.pairs(judge, "plain")
    good, bad = (found.frame[column].to_list()[:PAIRS] for column in ("sentence_good", "sentence_bad"))
    console = Console(file=io.StringIO(), record=True, width=66, force_terminal=True, color_system="truecolor")
    for part in demo_text(good, judge(good), bad, judge(bad), found):
        console.print(part, highlight=False)
    return console.export_html(theme=THEME, inline_styles=True, code_format="{code}")


def main() -> None:
    """Draws the picture."""
    run = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch, chromium() as page:
        report, composed = Path(scratch) / "report.png", Path(scratch) / "page.html"
        page.resize(REPORT_WIDTH, HEIGHT, scale=1.25)
        page.open(run / "report.html")
        page.screenshot(report, whole=False)
        image = base64.b64encode(report.read_bytes()).decode()
        html = PAGE.format(height=HEIGHT, report=REPORT_WIDTH, image=image, text=terminal(run))
        composed.write_text(html, "utf-8")
        page.resize(WIDTH, HEIGHT)
        page.open(composed)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(PICTURE, whole=False)


if __name__ == "__main__":
    main()
