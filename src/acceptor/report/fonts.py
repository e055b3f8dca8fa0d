"""Fonts for the scripts that matplotlib's own font lacks, such as Chinese, found among the machine's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN = "DejaVu Sans"  # comes with matplotlib


def use_fonts(figure: Figure) -> None:
    """Gives texts with characters that matplotlib's own font lacks another one beside it, if the machine has one."""
    from matplotlib.text import Text

    for axes in figure.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # makes their texts, which drawing would do later
    lacking = [(text, missing) for text in figure.findobj(Text) if (missing := _missing(text.get_text()))]
    if not lacking:
        return
    font = _font_with(frozenset().union(*(missing for _, missing in lacking)))
    for text, _ in lacking if font else ():
        text.set_fontfamily([OWN, font])


@functools.cache
def _missing(text: str) -> frozenset[str]:
    if text.isascii():
        return frozenset()
    from matplotlib import font_manager, ft2font

    own = ft2font.FT2Font(font_manager.findfont(OWN))
    return frozenset(char for char in text if char.isprintable() and not own.get_char_index(ord(char)))


@functools.cache
def _font_with(characters: frozenset[str]) -> str:
    """The name of the machine's font that has most of the characters; empty if none has any."""
    from matplotlib import font_manager, ft2font

    most, found = 0, ""
    paths = font_manager.findSystemFonts()
    plain_first = sorted(paths, key=lambda path: ("Sans" not in path, "Regular" not in path, path))
    for path in plain_first:
        try:
            font = ft2font.FT2Font(path)
        except (OSError, RuntimeError):  # a damaged file, or a format that matplotlib does not read
            continue
        count = sum(bool(font.get_char_index(ord(char))) for char in characters)
        if count > most:
            most, found = count, path
        if count == len(characters):
            break
    if not found:
        return ""
    font_manager.fontManager.addfont(found)  # its list may be older than the font
    return str(ft2font.FT2Font(found).family_name)
