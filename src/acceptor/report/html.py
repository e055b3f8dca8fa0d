"""`write_report`: one self-contained HTML page about one or several runs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from acceptor.errors import RunError, UsageError, checked_types
from acceptor.report.folder import RunFolder, read_run
from acceptor.report.run_figures import Dot, losses_figure, metric_figure
from acceptor.report.run_section import FigureWriter, Words, file_name, headline, run_section
from acceptor.report.seeds_section import median_run, seeds_section
from acceptor.report.word_weights import explain_errors
from acceptor.runs.history import EpochLine
from acceptor.runs.report_file import REPORT_PAGE
from acceptor.runs.set_file import SEEDS_FILE, SeedsFile, finished_seeds
from acceptor.runtime.device import versions
from acceptor.storage.files import explain_full_disk, explain_write_errors, replace_text, user_path
from acceptor.storage.manifest import MANIFEST
from acceptor.text import content_source, plain

TEMPLATE = Path(__file__).parent / "template"
FIGURES = "figures"
GENERATOR = b'<meta name="generator" content="acceptor '  # near the start of every report
FIRST_BYTES = 4096
_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


@checked_types
def write_report(runs: Sequence[str | Path], out: str | Path, *, why: int = 0, figures: bool = True) -> Path:
    """Writes one self-contained HTML page about one or several runs; several are shown side by side.

    The page loads nothing: styles, script and figures are in it, and its Content-Security-Policy allows nothing else.
    The files of a training are not changed. For a folder of seeds (``seeds.json``), the scores of all runs are shown,
    and the run with the median validation score is shown in full.

    Args:
        runs: Finished run folders, or folders of seeds.
        out: The page to write, ``.html``; an older report is replaced, any other file is not.
        why: Show word weights for this many of the most confident errors of each run. If above 0, the judges are
            loaded.
        figures: Also write every figure as SVG and PNG beside the page: to ``figures`` in the folder of a run that it
            shows, elsewhere to ``NAME-figures`` for a page NAME.html.

    Raises:
        UsageError: ``runs`` is empty; or ``out`` does not end in ``.html``, is in the folder of another run, or is a
            file that is no report.
        RunError: A folder is not a finished run, or one of its files was changed.
        ResourceError: ``out`` cannot be written, or the disk is full.
    """
    out = user_path(out)
    if not runs:
        raise UsageError("there is no run to report", expected='["runs/cola"]', found=repr(runs), code="E-USAGE-OPTION")
    if out.suffix != ".html":
        raise UsageError(
            "the report is a page", expected="a name that ends in .html", found=str(out), code="E-USAGE-OUTPUT"
        )
    found, seeds = _read([user_path(run) for run in runs])
    shown = [user_path(run).resolve() for run in runs]
    _refuse_another_run(out, shown)
    with explain_write_errors(out):
        _refuse_another_file(out)
    words = [explain_errors(run, why) for run in found]
    with explain_write_errors(out), explain_full_disk(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            page = _page(found, seeds, words, _figures_of(out, shown) if figures else None)
        except jinja2.UndefinedError as error:  # the records themselves were checked when they were read
            raise RunError(
                "the files of a run lack a field that the report needs",
                where=", ".join(map(str, runs)),
                cause=f"{type(error).__name__}: {error}",
                next="train it again: acceptor train DATA --out RUN",
                code="E-RUN-FILE",
            ) from error
        replace_text(out, page)
    return out


def write_own_report(folder: Path) -> Path:
    """`write_report` about one run, or one set of runs, into its own folder."""
    return write_report([folder], folder / REPORT_PAGE)


def _refuse_another_run(out: Path, shown: Sequence[Path]) -> None:
    place = out.parent.resolve()
    if any((place / name).is_file() for name in (MANIFEST, SEEDS_FILE)) and place not in shown:
        raise UsageError(
            "the page and its figures would change the folder of another run",
            where=str(out.parent),
            next="write it elsewhere: -o PAGE.html",
            code="E-USAGE-OUTPUT",
        )


def _refuse_another_file(out: Path) -> None:
    if out.is_dir():
        raise UsageError(f"{out} is a folder", expected="a file", next="-o PAGE.html", code="E-USAGE-OUTPUT")
    if out.is_file() and out.stat().st_size:
        with out.open("rb") as page:
            if GENERATOR not in page.read(FIRST_BYTES):
                raise UsageError(
                    f"{out} exists, and is no report",
                    expected="a path that does not exist, or an older report",
                    next="write it elsewhere: -o PAGE.html",
                    code="E-USAGE-OUTPUT",
                )


def _figures_of(out: Path, folders: Sequence[Path]) -> Path:
    """The folder of a page's figures: one of its own, unless the page is in one of the folders that it shows."""
    own = out.parent.resolve() in folders
    return out.with_name(FIGURES if own else f"{out.stem}-{FIGURES}")


class _Seeds(NamedTuple):
    name: str
    record: SeedsFile
    runs: list[RunFolder]


def _read(folders: Sequence[Path]) -> tuple[list[RunFolder], list[_Seeds]]:
    """The runs to show in full, and the sets of seeds."""
    runs, seeds = [], []
    for folder, name in zip(folders, _names(folders), strict=True):
        record = finished_seeds(folder)
        if record is None:
            runs.append(read_run(folder, name))
            continue
        done = [entry for entry in record.runs if entry.status == "finished"]
        median, among = median_run(record)
        seeds.append(_Seeds(name, record, [read_run(folder / one.folder, f"seed {one.seed}") for one in done]))
        runs.append(read_run(folder / median.folder, f"{name}, seed {median.seed} (median of {among})"))
    return runs, seeds


def _page(runs: Sequence[RunFolder], seeds: Sequence[_Seeds], words: Sequence[Words], figures: Path | None) -> str:
    several = len(runs) > 1

    def writer(number: int, name: str) -> FigureWriter:
        # The number tells apart names that are equal as file names, and a run that is given twice.
        return FigureWriter(figures, f"{number}-{file_name(name)}-" if several else "")

    style, script = ((TEMPLATE / name).read_text("utf-8") for name in ("style.css", "script.js"))
    policy = (
        f"default-src 'none'; style-src {content_source(style)}; script-src {content_source(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {"score": _score, "count": "{:,}".format, "bound": _bound, "groupby_order": _grouped}
    environment.globals |= {
        "at_of": _at,
        "defined": lambda value: not math.isnan(value),
        "file_of": lambda origin: Path(origin).name,
        "flat": _flat,
        "span": _span,
        "start_of": _start,
    }
    return environment.get_template("report.html").render(
        policy=policy,
        style=Markup(style),  # noqa: S704 - ours, as the script is
        script=Markup(script),  # noqa: S704
        title=" · ".join(run.name for run in runs),
        runs=[run_section(run, writer(at, run.name), words[at - 1]) for at, run in enumerate(runs, 1)],
        seeds=[seeds_section(*one, writer(at, one.name)) for at, one in enumerate(seeds, 1)],
        overview=_overview(runs) if several else {},
        pictures=_side_by_side(runs, FigureWriter(figures, "")) if several else [],
        version=versions()["acceptor"],
    )


def _overview(runs: Sequence[RunFolder]) -> dict[str, list[dict[str, object]]]:
    """The main scores of every run, by split."""
    names = dict.fromkeys(name for run in runs for name in run.splits)
    return {
        name: [
            {"run": run, "anchor": f"run{index}", **headline(run, run.splits[name])}
            for index, run in enumerate(runs, 1)
            if name in run.splits
        ]
        for name in names
    }


def _side_by_side(runs: Sequence[RunFolder], writer: FigureWriter) -> list[Any]:
    runs = [run for run in runs if run.lines(EpochLine)]  # an ensemble has no epochs
    if len(runs) < 2:
        return []
    loss = "Loss on each run's validation split after every epoch; lower is better."
    metric = "The main metric on each run's validation split after every epoch; a cross means that it is not defined."
    return [
        writer.picture(metric_figure(runs), "runs-metric", metric),
        writer.picture(losses_figure(runs), "runs-loss", loss),
    ]


def _names(folders: Sequence[Path]) -> list[str]:
    """The names of the folders, with as many of their parents' names as tell equal ones apart."""
    places = [folder.resolve() for folder in folders]
    names = [place.name for place in places]
    for depth in range(2, max(len(place.parts) for place in places)):
        counts = Counter(names)
        names = [
            name if counts[name] == 1 else "/".join(place.parts[-depth:])
            for name, place in zip(names, places, strict=True)
        ]
    return names


def _printable(value: Any) -> Any:
    """Escapes unprintable characters in everything that the template shows; jinja escapes markup."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain(value)


def _score(value: float | Dot) -> str:
    """Three decimals, with the interval if there is one; ``not defined`` for NaN."""
    if isinstance(value, Dot):
        if math.isnan(value.value):
            return "not defined"
        interval = "" if math.isnan(value.low) else f" [{value.low:.3f}, {value.high:.3f}]"
        return f"{value.value:.3f}{interval}".replace("-", "\N{MINUS SIGN}")
    return "not defined" if math.isnan(value) else f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _bound(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}") if value else "0"


def _grouped(rows: Iterable[dict[str, object]], key: str) -> list[tuple[object, list[dict[str, object]]]]:
    """Rows with the same value of ``key`` together, in the order of first appearance."""
    groups: dict[object, list[dict[str, object]]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return list(groups.items())


def _span(dot: Dot, start: float) -> dict[str, str]:
    """Positions of a score, its interval and 0 on an axis from ``start`` to 1, in percent."""
    low, high = (dot.value, dot.value) if math.isnan(dot.low) else (dot.low, dot.high)
    places = {"zero": 0.0, "low": low, "high": high, "value": dot.value}
    return {name: _at(value, start) for name, value in places.items()}


def _at(value: float, start: float) -> str:
    return f"{100 * min(1.0, max(0.0, (value - start) / (1 - start))):.1f}%"


def _start(dots: Iterable[Dot]) -> float:
    """The start of an axis that contains all intervals: 0 or below, a multiple of 0.1."""
    lows = [dot.value if math.isnan(dot.low) else dot.low for dot in dots if not math.isnan(dot.value)]
    return max(-1.0, math.floor(10 * min([0.0, *lows])) / 10)


def _flat(record: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """A record's keys and values as text; a nested value has the path of its keys as its name."""
    for key, value in record.items():
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or "none"
        elif isinstance(value, bool) or value is None:
            yield name, {True: "yes", False: "no", None: "not given"}[value]
        elif isinstance(value, float):
            yield name, f"{value:.6g}"
        else:
            yield name, _HASH.sub(r"\1…", str(value))
