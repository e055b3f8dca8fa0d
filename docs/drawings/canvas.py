"""An SVG drawing in the look of the report: its colours by class, a light and a dark theme, text as text.

A drawing is 520 units wide, with letters of 14 units and more, so that it can be read on a telephone (360 pixels) and
needs no second layout. It has its own background, because a page may force the theme that the reader's system does not
have. Colours are CSS classes rather than variables, which some viewers of SVG do not know.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from acceptor.report.figures import GRID, INK, MUTED, SERIES

WIDTH, MARGIN = 520.0, 24.0
RIGHT = WIDTH - MARGIN
TITLE, TEXT, SMALL = 17.0, 15.0, 14.0

# As in the report's style sheet (report/template/style.css), which also has the values of the dark theme.
_LIGHT = {"ink": INK, "muted": MUTED, "line": GRID, "card": "#f6f7f8", "box": "#ffffff"}
_LIGHT |= {f"c{index}": colour for index, colour in enumerate(SERIES)}
_DARK = {"ink": "#e7e9eb", "muted": "#9aa5b0", "line": "#3a4148", "card": "#1d2125", "box": "#15181b"}
_DARK |= {"c0": "#74b3f2", "c1": "#f2a56b", "c2": "#54c7ab", "c3": "#cf9be0", "c4": "#d8b64e", "c5": "#f191b1"}
_SANS = (
    'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","PingFang SC","Microsoft YaHei",'
    '"Noto Sans CJK SC",Arial,sans-serif'
)
_MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'


class Words:
    """The words of one figure in one language.

    Args:
        table: English and Chinese of each key; ``{name}`` in them is replaced.
        language: ``en`` or ``zh``.
    """

    def __init__(self, table: Mapping[str, tuple[str, str]], language: str) -> None:
        self.language, self._table = language, table

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with these values in their places."""
        return self._table[key][("en", "zh").index(self.language)].format(**values)


def width_of(text: str, size: float, *, mono: bool = False) -> float:
    """About how wide a text is at most: with DejaVu Sans, which is wider than other system fonts."""
    total = 0.0
    for letter in text:
        if unicodedata.east_asian_width(letter) in "WF":
            total += 1.0
        elif mono:
            total += 0.602
        else:
            total += 0.34 if letter in " ijlI.,:;'|!()[]" else 0.93 if letter in "mwMW%@" else 0.6
    return total * size


def lines_of(text: str, width: float, size: float) -> list[str]:
    """A text in lines of at most ``width``: broken at blanks, and between Chinese characters."""
    pieces: list[str] = []
    for letter in text:
        wide = unicodedata.east_asian_width(letter) in "WF"
        after_wide = bool(pieces) and unicodedata.east_asian_width(pieces[-1][-1]) in "WF"
        opens = bool(pieces) and pieces[-1][-1] in "（“" and len(pieces[-1]) < 3
        joins = letter in "，。；：、）”" or opens or not (wide or after_wide)
        if not pieces or (not joins or pieces[-1].endswith(" ")):
            pieces.append(letter)
        else:
            pieces[-1] += letter
    lines = [""]
    for piece in pieces:
        if lines[-1] and width_of(lines[-1] + piece.rstrip(), size) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


@dataclass(frozen=True)
class Scale:
    """Maps values from ``low`` to ``high`` to positions from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The position of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


class Drawing:
    """One figure, drawn from top to bottom; `y` is the place below what has been drawn by `heading` and `note`.

    Args:
        title: The title, which is also shown.
        description: What the figure shows, for readers who cannot see it.
        language: ``en`` or ``zh``.
    """

    def __init__(self, title: str, description: str, language: str) -> None:
        self.title, self.description, self.language = title, description, language
        self.y = MARGIN + TITLE - 3
        self._parts: list[str] = []
        for line in lines_of(title, RIGHT - MARGIN, TITLE * 1.05):
            self.text(MARGIN, self.y, line, size=TITLE, bold=True)
            self.y += 23
        self.y += 6

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = TEXT,
        colour: str = "ink",
        anchor: str = "start",
        bold: bool = False,
        mono: bool = False,
    ) -> None:
        """One line of text with its base line at ``y``."""
        classes = " ".join([colour, *(["bold"] if bold else []), *(["mono"] if mono else [])])
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(
            f'<text class="{classes}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{where}>{escape(text)}</text>'
        )

    def paragraph(
        self, x: float, y: float, text: str, width: float, *, size: float = SMALL, colour: str = "muted"
    ) -> float:
        """Text in as many lines as it needs; returns the base line after the last."""
        for line in lines_of(text, width, size):
            self.text(x, y, line, size=size, colour=colour)
            y += round(size * 1.4)
        return y

    def note(self, text: str, *, colour: str = "muted") -> None:
        """A paragraph over the whole width at `y`, which moves on."""
        self.y = self.paragraph(MARGIN, self.y, text, RIGHT - MARGIN, colour=colour)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str | None = "box",
        stroke: str | None = "line",
        tint: bool = False,
        radius: float = 6,
    ) -> None:
        """A rectangle; ``tint`` fills it with a light form of the colour."""
        classes = [f"f-{fill}" if fill else "empty", f"s-{stroke}" if stroke else "", "tint" if tint else ""]
        self._parts.append(
            f'<rect class="{" ".join(filter(None, classes))}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="{_n(radius)}"/>'
        )

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = "muted", *, dash: str = "", width: float = 1.5
    ) -> None:
        """A line through points."""
        places = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline class="empty s-{colour}" points="{places}" stroke-width="{_n(width)}"{dashes}/>')

    def arrow(
        self, points: Sequence[tuple[float, float]], colour: str = "muted", *, dash: str = "", width: float = 1.5
    ) -> None:
        """A line through points with a head at the last, for lines along an axis."""
        (x0, y0), (x1, y1) = points[-2:]
        dx, dy = _sign(x1 - x0), _sign(y1 - y0)
        self.line([*points[:-1], (x1 - 6 * dx, y1 - 6 * dy)], colour, dash=dash, width=width)
        head = [(x1, y1), (x1 - 8 * dx - 4 * dy, y1 - 8 * dy - 4 * dx), (x1 - 8 * dx + 4 * dy, y1 - 8 * dy + 4 * dx)]
        places = " ".join(f"{_n(x)},{_n(y)}" for x, y in head)
        self._parts.append(f'<polygon class="f-{colour}" points="{places}"/>')

    def dot(self, x: float, y: float, colour: str, *, radius: float = 5, hollow: bool = False) -> None:
        """A filled circle, or with ``hollow`` a ring."""
        classes = f"f-card s-{colour} thick" if hollow else f"f-{colour}"
        self._parts.append(f'<circle class="{classes}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def cross(self, x: float, y: float, colour: str = "c5", *, radius: float = 6) -> None:
        """A cross of two strokes."""
        self.line([(x - radius, y - radius), (x + radius, y + radius)], colour, width=2.5)
        self.line([(x - radius, y + radius), (x + radius, y - radius)], colour, width=2.5)

    def columns(self, bars: Sequence[tuple[float, float]], width: float, base: float, colour: str) -> None:
        """Bars of a histogram, as one shape: the left end and the top of each."""
        shape = "".join(f"M{_n(x)} {_n(base)}V{_n(top)}h{_n(width)}V{_n(base)}z" for x, top in bars)
        self._parts.append(f'<path class="f-{colour}" d="{shape}"/>')

    def ticks_below(self, scale: Scale, y: float, ticks: Sequence[tuple[float, str]]) -> None:
        """A horizontal axis at ``y`` with its numbers."""
        self.line([(scale.start, y), (scale.end, y)], width=1)
        for value, label in ticks:
            self.line([(scale(value), y), (scale(value), y + 4)], width=1)
            self.text(scale(value), y + 19, label, size=SMALL, colour="muted", anchor="middle")

    def ticks_left(self, scale: Scale, left: float, right: float, ticks: Sequence[tuple[float, str]]) -> None:
        """Horizontal grid lines with their numbers to the left."""
        for value, label in ticks:
            self.line([(left, scale(value)), (right, scale(value))], "line", width=1)
            self.text(left - 7, scale(value) + 5, label, size=SMALL, colour="muted", anchor="end")

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
        """Marks with their names, below each other: (kind of mark, colour, name)."""
        for kind, colour, name in entries:
            if kind == "dot":
                self.dot(x + 9, y - 5, colour)
            elif kind == "ring":
                self.dot(x + 9, y - 5, colour, hollow=True)
            elif kind == "bar":
                self.box(x + 1, y - 12, 16, 13, fill=colour, stroke=None, radius=3)
            elif kind == "band":
                self.box(x + 1, y - 12, 16, 13, fill=colour, stroke=None, radius=3, tint=True)
            else:
                self.line([(x, y - 5), (x + 18, y - 5)], colour, width=2, dash="5 3" if kind == "dashes" else "")
            self.text(x + 26, y, name, size=SMALL)
            y += 22

    def svg(self) -> str:
        """The drawing as SVG text; it ends below `y`."""
        height = _n(round(self.y + MARGIN - 16))
        used = {name for part in self._parts for name in part.split('class="')[1].split('"')[0].split()}
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(WIDTH)}" height="{height}" '
            f'viewBox="0 0 {_n(WIDTH)} {height}" role="img" xml:lang="{self.language}">\n'
            f"<title>{escape(self.title)}</title>\n<desc>{escape(self.description)}</desc>\n"
            f"<style>\n{_style(used)}</style>\n"
            f'<rect class="f-card s-line" x=".5" y=".5" width="{_n(WIDTH - 1)}" height="{_n(float(height) - 1)}" '
            f'rx="10"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )


def _style(used: set[str]) -> str:
    used = used | {"f-card", "s-line"}
    rules = [
        f"text{{font-family:{_SANS};font-variant-numeric:tabular-nums}}\n",
        f".mono{{font-family:{_MONO}}}\n" if "mono" in used else "",
        ".bold{font-weight:650}\n",
        ".empty{fill:none}\n" if "empty" in used else "",
        ".tint{fill-opacity:.18}\n" if "tint" in used else "",
        ".thick{stroke-width:2}\n" if "thick" in used else "",
        "polyline{stroke-linejoin:round;stroke-linecap:round}\n",
    ]
    dark = _colours(_DARK, used) + (".tint{fill-opacity:.28}\n" if "tint" in used else "")
    return "".join(rules) + _colours(_LIGHT, used) + f"@media (prefers-color-scheme:dark){{\n{dark}}}\n"


def _colours(theme: Mapping[str, str], used: set[str]) -> str:
    rules = []
    for name, value in theme.items():
        fills = ",".join(f".{one}" for one in (name, f"f-{name}") if one in used)
        rules += [f"{fills}{{fill:{value}}}\n"] if fills else []
        rules += [f".s-{name}{{stroke:{value}}}\n"] if f"s-{name}" in used else []
    return "".join(rules)


def _n(value: float) -> str:
    """A number without what the eye cannot see, so that the same figure has the same bytes on any machine."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")  # + 0.0 turns -0.0 into 0.0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
