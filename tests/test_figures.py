"""The figures of the documentation: the checked-in files are what the script draws, complete and legible."""

from __future__ import annotations

import os
import re
import string
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from browser import CHROMIUM, chromium
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "docs"))

from drawings.canvas import SMALL, lines_of, width_of
from drawings.figure import LANGUAGES
from drawings.sources import missing
from make_figures import FIGURES, FOLDER

FILES = [f"{name}.{language}.svg" for name in FIGURES for language in LANGUAGES]
SVG = "{http://www.w3.org/2000/svg}"

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("ACCEPTOR_TEST_BROWSER") != "required",
    reason="no Chromium is installed to open the figures with",
)
# Texts that touch each other, leave the card, or leave the box that their middle is in.
FAULTS = """(() => {
  const texts = [...document.querySelectorAll("text")].map(one => [one.textContent, one.getBBox()]);
  const boxes = [...document.querySelectorAll("rect")].map(one => one.getBBox()).filter(one => one.width > 60);
  const card = document.documentElement.viewBox.baseVal, found = [];
  const right = one => one.x + one.width, low = one => one.y + one.height;
  texts.forEach(([text, one], index) => {
    if (one.x < 12 || right(one) > card.width - 10 || low(one) > card.height - 3) found.push(`outside: ${text}`);
    for (const [other, next] of texts.slice(index + 1))
      if (Math.min(right(one), right(next)) > Math.max(one.x, next.x) - 3
          && Math.min(low(one), low(next)) - Math.max(one.y, next.y) > 3) found.push(`${text} touches ${other}`);
    const x = one.x + one.width / 2, y = one.y + one.height / 2;
    for (const box of boxes)
      if (x > box.x && x < right(box) && y > box.y && y < low(box)
          && (one.x < box.x + 3 || right(one) > right(box) - 3)) found.push(`wider than its box: ${text}`);
  });
  return found;
})()"""


@pytest.mark.real
@pytest.mark.parametrize("name", FIGURES)
def test_the_checked_in_figures_are_what_the_script_draws(name):
    """Its numbers are computed anew: `python docs/make_figures.py` draws what has changed."""
    if reasons := [reason for need in FIGURES[name].needs if (reason := missing(need))]:
        pytest.skip(", ".join(reasons))
    for language in LANGUAGES:
        assert FIGURES[name].svg(language) == (FOLDER / f"{name}.{language}.svg").read_text("utf-8")


def test_every_figure_is_there_in_both_languages_and_no_other():
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(FILES)
    for name, figure in FIGURES.items():
        for key, (english, chinese) in figure.words.items():
            fields = [{part[1] for part in string.Formatter().parse(text)} - {None} for text in (english, chinese)]
            assert fields[0] == fields[1], f"{name}: {key} has other numbers in Chinese"
            assert english.isascii() or not re.search(r"[\u4e00-\u9fff]", english), f"{name}: {key}"
        assert re.search(r"[\u4e00-\u9fff]", figure.words["title"][1])


@pytest.mark.parametrize("file", FILES)
def test_a_figure_stands_alone_and_says_what_it_shows(file):
    text = (FOLDER / file).read_text("utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title.text
    assert len(description.text) > 60
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"href|url\(|@import|@font-face|<script|<image", text)
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert min(float(one.get("font-size")) for one in root.iter(f"{SVG}text")) >= SMALL
    assert next(root.iter(f"{SVG}rect")).get("class") == "f-card s-line"  # its own background, under everything else


@pytest.mark.parametrize(
    "page", sorted((REPOSITORY / "docs").glob("[ez][nh]/**/*.md")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_page_shows_figures_of_its_language_with_their_captions(page):
    text = page.read_text("utf-8")
    shown = re.findall(r"\(((?:\.\./)+figures/([\w-]+)\.(\w+)\.svg)\)\n\n> (.*)", text)
    assert len(shown) == text.count("../figures/")
    for place, name, language, caption in shown:
        assert language == page.relative_to(REPOSITORY / "docs").parts[0]
        assert (page.parent / place).resolve() == FOLDER / f"{name}.{language}.svg"
        assert caption == ElementTree.parse(FOLDER / f"{name}.{language}.svg").getroot().find(f"{SVG}desc").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_is_on_a_page(language):
    shown = "".join(page.read_text("utf-8") for page in (REPOSITORY / "docs" / language).rglob("*.md"))
    assert [name for name in FIGURES if f"/{name}.{language}.svg)" not in shown] == []


def test_lines_are_broken_at_blanks_and_between_chinese_characters():
    assert lines_of("one two three", width_of("one two", 14), 14) == ["one two", "three"]
    assert lines_of("句子，长度", width_of("句子，", 14), 14) == ["句子，", "长度"]
    assert lines_of("句子，长度", width_of("句子", 14), 14)[0] == "句"  # no line begins with a comma


@needs_browser
def test_no_text_touches_another_or_leaves_its_box():
    with chromium() as page:
        faults = {}
        for file in FILES:
            page.open(FOLDER / file)
            if found := page.evaluate(FAULTS):
                faults[file] = found
            assert page.messages == []
        assert faults == {}
