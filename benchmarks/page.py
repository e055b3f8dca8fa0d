"""Compares the verdicts of a judge's page, in Chromium, with those of its exported ONNX file in Python.

    python benchmarks/page.py judge.html judge.onnx FILE_OR_CORPUS [...]

For each file of sentences, or each corpus' test split: how many verdicts differ, by how much the probabilities do, and
the time for a sentence on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from acceptor import load
from acceptor.data.load import load_split

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from browser import CHROMIUM


def main() -> None:
    """Prints a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("onnx")
    parser.add_argument("data", nargs="+")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    judge = load(options.onnx)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_context(locale="en", permissions=["clipboard-read", "clipboard-write"]).new_page()
        tab.set_default_timeout(0)
        tab.goto(options.page.resolve().as_uri())
        tab.wait_for_selector("body.ready")
        for name in options.data:
            sentences = load_split(name, judge.labels, written=judge.written).table.frame["sentence"].to_list()
            started = time.perf_counter()
            tab.fill("#sentences", "\n".join(sentences))
            tab.click("#judge-form .primary")
            tab.wait_for_selector("#verdicts:not([aria-busy])")
            seconds = time.perf_counter() - started
            tab.click("#verdicts .copy button:has-text('JSON')")
            tab.wait_for_selector("#verdicts .said:has-text('Copied')")
            found = json.loads(tab.evaluate("navigator.clipboard.readText()"))
            ours = judge(sentences)
            same = [one.label == other["verdict"] for one, other in zip(ours, found, strict=True)]
            pairs = zip(ours, found, strict=True)
            apart = np.array([abs(one.probability - other["probability"]) for one, other in pairs])
            print(f"{name}: {len(sentences):,} sentences, {same.count(False)} other verdicts")
            print(
                f"  probabilities: {np.mean(apart <= 1e-5):.0%} within 1e-5, 99 % within {np.quantile(apart, 0.99):.2g}"
            )
            print(f"  of the equal verdicts: all within {apart[same].max():.2g}")
            print(f"  {1000 * seconds / len(sentences):.0f} ms for a sentence")
        browser.close()


if __name__ == "__main__":
    main()
