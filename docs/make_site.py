"""Builds the documentation site in English and Chinese, and checks it. `make docs`.

    python docs/make_site.py site

Errors are a page that only one language has, other headings in Chinese than in English, a link to nothing, and anything
that a page would load from another host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).resolve().parent
LANGUAGES = ("en", "zh")
TO_RECORDS, TO_DOCS = "](../../../records/", "](../docs/"
"""How pages refer to records, and records to pages, in the repository. In the site, records are pages too."""
ELSEWHERE = re.compile(r"\[([^\]]+)\]\(\.\./\.\./\.\./(?!records/)[^)]+\)")
"""A link from a page to another file of the repository, which is not in the site."""


def gather(language: str, sources: Path) -> None:
    """Copies the pages of a language, the records, figures and pictures to where Sphinx reads them."""
    pages = shutil.copytree(DOCS / language, sources / language)
    for pictures in ("figures", "pictures"):
        shutil.copytree(DOCS / pictures, sources / pictures, dirs_exist_ok=True)
    for page in pages.rglob("*.md"):
        text = ELSEWHERE.sub(r"\1", page.read_text("utf-8"))
        page.write_text(text.replace(TO_RECORDS, "](../records/"), "utf-8")
    (pages / "records").mkdir()
    for record in (DOCS.parent / "records").glob("*.md"):
        text = record.read_text("utf-8").replace(f"{TO_DOCS}en/", "](../").replace("README.md", "index.md")
        name = record.name.replace("README", "index")
        outside_navigation = "" if name == "index.md" else "---\norphan: true\n---\n"
        (pages / "records" / name).write_text(outside_navigation + text, "utf-8")


def build(language: str, sources: Path, site: Path) -> int:
    """Runs Sphinx; its warnings are errors."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--fresh-env"]
    command += [
        "-c",
        DOCS / "site",
        "-t",
        language,
        "-d",
        sources / f".{language}",
        sources / language,
        site / language,
    ]
    return subprocess.run(command, check=False).returncode


class Page(HTMLParser):
    """The ids of a page, and what it refers to: the tag and the address."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for every tag."""
        self.ids |= {value for name, value in attrs if name == "id" and value}
        self.links += [(tag, value) for name, value in attrs if name in ("href", "src") and value]


def broken(site: Path) -> Iterator[str]:
    """Links to nothing, and whatever a page loads from another host."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    for path, page in pages.items():
        for tag, link in page.links:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                if tag != "a" and url.scheme != "data":
                    yield f"{path}: loads {link}"
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file():
                yield f"{path}: no {link}"
            elif url.fragment and tag == "a" and target in pages and unquote(url.fragment) not in pages[target].ids:
                yield f"{path}: no anchor {link}"
    for path in site.rglob("*.css"):
        for link in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", path.read_text("utf-8")):
            yield f"{path}: loads {link}"


def headings(path: Path) -> list[str]:
    """The levels of a page's headings, such as `##`."""
    text = re.sub(r"^(`{3,}|:{3,}).*?^\1\s*$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#{1,6}(?= )", text, flags=re.MULTILINE)


def unequal() -> Iterator[str]:
    """Pages that only one language has, and pages with other headings. Generated pages are included in both."""
    english, chinese = (
        {page.relative_to(DOCS / one): page for page in (DOCS / one).rglob("*.md")} for one in LANGUAGES
    )
    for name in sorted(english.keys() ^ chinese.keys()):
        yield f"{name}: only in {'en' if name in english else 'zh'}"
    for name in sorted(english.keys() & chinese.keys()):
        if "{include}" not in chinese[name].read_text("utf-8") and headings(english[name]) != headings(chinese[name]):
            yield f"{name}: other headings in zh than in en"


def main() -> int:
    """Builds into the folder that is given, which is replaced. Prints what is wrong; exit code 1 if anything is."""
    site = Path(sys.argv[1])
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        for language in LANGUAGES:
            gather(language, Path(scratch))
        failed = [language for language in LANGUAGES if build(language, Path(scratch), site)]
    shutil.copy(DOCS / "site" / "index.html", site)
    wrong = [*(f"{language}: not built" for language in failed), *unequal(), *broken(site)]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
