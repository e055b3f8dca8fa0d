"""Search in Chinese without a dictionary: single Han characters and pairs of neighbours are the words.

Sphinx 9.0's own Chinese search stops in the browser (`ChineseStemmer is not defined`, sphinx-doc/sphinx#14229). Words
of a segmenter at build time would also have to be those that a reader types; pairs are the same on both sides.
"""

from __future__ import annotations

import itertools
import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
RUN = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")


class ChineseSearch(SearchEnglish):
    """Runs of Han characters are indexed as characters and pairs, and asked for as pairs; other words as in English."""

    lang = "zh"
    js_splitter_code = r"""
function splitQuery(query) {
  const han = /[\u3400-\u4dbf\u4e00-\u9fff]/, words = [];
  const runs = /[\u3400-\u4dbf\u4e00-\u9fff]+|(?:(?![\u3400-\u4dbf\u4e00-\u9fff])[\p{L}\p{N}_])+/gu;
  for (const [run] of query.matchAll(runs))
    if (!han.test(run) || run.length === 1) words.push(run);
    else for (let start = 0; start + 1 < run.length; start++) words.push(run.slice(start, start + 2));
  return words;
}
"""

    def split(self, input: str) -> list[str]:
        """The words of a page."""
        words: list[str] = []
        for run in RUN.findall(input):
            words += [*run, *map("".join, itertools.pairwise(run))] if re.match(f"[{HAN}]", run) else [run]
        return words


def setup(app: Sphinx) -> dict[str, bool]:
    """Replaces Sphinx's Chinese search."""
    app.add_search_language(ChineseSearch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
