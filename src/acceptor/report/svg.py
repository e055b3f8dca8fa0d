"""Embeds a figure's SVG in the page: CSS variables for colours, no ``style`` attributes, unique ids."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from markupsafe import Markup

from acceptor.report.figures import GRID, INK, MUTED, PAPER, SERIES
from acceptor.text import plain

COLOURS = {INK: "ink", MUTED: "muted", GRID: "line", PAPER: "paper"} | {
    colour: f"c{index}" for index, colour in enumerate(SERIES)
}
_FONT = re.compile(r"(?:(\d{3}|bold) )?([\d.]+)px")
_LONG = re.compile(r"-?\d+\.\d{2,}")
_REFERENCE = re.compile(r"#(\w+)")


def inline(svg: str, label: str, name: str) -> Markup:
    """Returns the ``<svg>`` element of a figure, ready to be embedded.

    The page's Content-Security-Policy forbids ``style`` attributes, so each property becomes an SVG attribute. Colours
    become CSS variables, so that they follow the page's theme.

    Args:
        svg: The SVG text from matplotlib.
        label: A description of the figure for screen readers.
        name: The prefix of every id, unique on the page.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - what matplotlib has just written
    _without(root, {"metadata", "style"})
    used = {match for element in root.iter() for text in element.attrib.values() for match in _REFERENCE.findall(text)}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        for item in attributes.pop("style", "").split(";"):
            key, _, value = (part.strip() for part in item.partition(":"))
            attributes |= _font(value) if key == "font" else {key: value} if key else {}
        if attributes.get("id") not in used:
            attributes.pop("id", None)
        element.attrib = {key: _value(key, value, name) for key, value in attributes.items()}
        element.tail = None
    for unwanted in ("width", "height", "version"):
        root.attrib.pop(unwanted, None)
    root.attrib |= {"role": "img", "aria-label": plain(label)}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, so escaped


def _without(element: ElementTree.Element, tags: set[str]) -> None:
    for child in list(element):
        if child.tag.rpartition("}")[2] in tags:
            element.remove(child)
        else:
            _without(child, tags)


def _font(value: str) -> dict[str, str]:
    """Font weight and size; the font family is the page's."""
    found = _FONT.search(value)
    if not found:
        return {}
    weight = {"font-weight": found[1]} if found[1] else {}
    return {"font-size": found[2], **weight}


def _value(key: str, value: str, name: str) -> str:
    if key in ("fill", "stroke") and value in COLOURS:
        return f"var(--{COLOURS[value]})"
    if value == "#ffffff":  # the background; the page has its own
        return "none"
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", "clip-path"):
        return _REFERENCE.sub(rf"#{name}-\1", value)
    if key in ("d", "x", "y", "transform", "width", "height"):
        return _LONG.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value).replace("\n", "")
    return value
