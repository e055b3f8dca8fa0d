"""What notebooks show, and the notebooks themselves."""

from __future__ import annotations

import json
import os
import re

import pytest

import acceptor
from acceptor.evaluation.notebook import scores_html, words_html
from conftest import REPOSITORY, needs_minilm

NOTEBOOKS = REPOSITORY / "notebooks"
SMALLER = "import acceptor.data.starter as s; s.SQUARES.update(train=2, validation=1, test=1)"


def test_a_report_is_a_table_and_an_explanation_coloured_words(toy_run):
    shown = toy_run.report._repr_html_()
    assert repr(toy_run.report).split(" · ")[0] in shown
    assert shown.count("<tr>") == 1 + len(toy_run.report.measures)
    assert f"{toy_run.report.scores.accuracy:.3f}" in shown
    (found,) = acceptor.explain(toy_run.judge, ["the cats sleep."])
    words = found._repr_html_()
    assert [word for word in found.words if f">{word}</span>" in words] == list(found.words)
    assert all(f"title='{weight:+.3f}'" in words for weight in found.weights)


def test_text_is_shown_as_text():
    for shown in (scores_html("<b>a</b>", [("<i>", 0.5, "x", float("nan"))]), words_html("<b>a</b>", ["<i>"], [0.0])):
        assert "&lt;b&gt;a&lt;/b&gt;" in shown
        assert "<i>" not in shown
    assert "not defined" in scores_html("", [("a", float("nan"), "", 0.0)])


def cells(name: str, kind: str) -> list[str]:
    content = json.loads((NOTEBOOKS / name).read_text("utf-8"))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


def test_both_notebooks_have_the_same_code_and_headings():
    english, chinese = "finetune_cola.ipynb", "finetune_cola.zh.ipynb"
    assert [re.sub(r"\s*#.*", "", one) for one in cells(english, "code")] == [
        re.sub(r"\s*#.*", "", one) for one in cells(chinese, "code")
    ]
    levels = [[re.findall(r"^#+", one, re.MULTILINE) for one in cells(name, "markdown")] for name in (english, chinese)]
    assert levels[0] == levels[1]
    for name in (english, chinese):
        content = json.loads((NOTEBOOKS / name).read_text("utf-8"))
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in content["cells"])


@pytest.mark.real
@needs_minilm
@pytest.mark.enable_socket
def test_the_notebook_runs(tmp_path, monkeypatch):
    """Every cell in a real kernel, with one epoch of a small part of the starter corpus."""
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setitem(os.environ, "PYTHONPATH", str(REPOSITORY / "src"))
    monkeypatch.setitem(os.environ, "IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOKS / "finetune_cola.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("EPOCHS = None", f"EPOCHS = 1; {SMALLER}")
        cell.source = cell.source.replace("%pip", "# %pip")  # it is installed here, and `..` is another folder
    kernel = {"name": "python3", "display_name": "", "language": "python"}
    notebook.metadata["kernelspec"] = kernel
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("text/html" in data for data in shown) >= 4
    assert sum("image/svg+xml" in data for data in shown) == 1


@pytest.mark.enable_socket
def test_progress_is_a_bar_in_a_notebook():
    nbformat, client = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipywidgets")
    lines = "from acceptor.progress import meter\nwith meter('judging', 2, 'rows') as bar:\n    bar.advance(2)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(lines)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    client.NotebookClient(notebook, timeout=300).execute()
    (cell,) = notebook.cells
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in cell.outputs)
