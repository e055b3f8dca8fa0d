"""The documentation site, in one language: `make docs` builds both.

sphinx-build -c docs/site -t zh docs/zh site/zh
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

CHINESE = tags.has("zh")  # type: ignore[name-defined]  # noqa: F821 - Sphinx defines it before it runs this file

project = "Acceptor"
author = "the Acceptor authors"
project_copyright = "作者" if CHINESE else author
language = "zh_CN" if CHINESE else "en"
extensions = ["myst_parser", "chinese_search"]
locale_dirs = [str(HERE / "locale")]  # the theme's own words in Chinese; Sphinx compiles them
nitpicky = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_title = "Acceptor"
html_theme = "furo"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["acceptor.css"]
html_js_files = [("acceptor.js", {"defer": "defer"})]
html_favicon = str(HERE / "_static" / "icon.svg")
html_copy_source = False
html_use_index = False
html_context = {
    "other": {"folder": "en", "lang": "en", "name": "English"}
    if CHINESE
    else {"folder": "zh", "lang": "zh-CN", "name": "中文"},
    "words": {"pages": "全部页面", "language": "语言", "theme": "浅色、深色或自动"}
    if CHINESE
    else {"pages": "All pages", "language": "Language", "theme": "Light, dark or automatic colours"},
}

# The report's colours, and the fonts of the reader's system. For code no Chinese font is named: its small Latin letters
# would be used too. The browser finds one for the characters that the others lack.
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif'
html_theme_options = {
    "top_of_page_buttons": ["view"],  # the template of this button is replaced by the link to the other language
    "light_css_variables": {
        "font-stack": FONTS,
        "font-stack--monospace": 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
        "color-brand-primary": "#1d5fa8",
        "color-brand-content": "#1d5fa8",
        "color-brand-visited": "#8a4a9c",
    },
    "dark_css_variables": {
        "color-brand-primary": "#74b3f2",
        "color-brand-content": "#74b3f2",
        "color-brand-visited": "#cf9be0",
    },
}
