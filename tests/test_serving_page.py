"""The reference page of the server: its lines of curl are answered; every path, limit, code and counter is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import get_args

import pytest

from acceptor.error_codes import CODES
from acceptor.serve import decisions, limits, metrics, workers
from acceptor.serve.app import OPERATIONS
from conftest import REPOSITORY
from served import serving

PAGE = (REPOSITORY / "docs" / "en" / "reference" / "serving.md").read_text("utf-8")
TWIN = (REPOSITORY / "docs" / "zh" / "reference" / "serving.md").read_text("utf-8")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_every_line_of_curl_gets_an_answer(toy_onnx):
    lines = re.findall(r"^curl .*", PAGE, re.MULTILINE)
    assert lines == re.findall(r"^curl .*", TWIN, re.MULTILINE)
    with serving(f"cola={toy_onnx}") as server:
        for line in lines:
            done = subprocess.run(
                shlex.split(line.replace("http://127.0.0.1:8000", server.url)), capture_output=True, text=True
            )
            assert (done.returncode, done.stderr) == (0, ""), line
            assert done.stdout, line
            if "decisions" in line:
                assert "probability" in done.stdout  # it is the judge's own question
    asked = {re.search(r"http://127.0.0.1:8000(\S+)", line)[1] for line in lines}
    named = {re.sub(r"\{model\}", "cola", one.path) for one in OPERATIONS if "{version}" not in one.path}
    assert named - asked == {"/admin/reload", "/docs", "/page/{file}"}  # it needs a key; pages


@pytest.mark.parametrize("page", [PAGE, TWIN], ids=["en", "zh"])
def test_every_path_limit_code_and_counter_is_on_the_page(page):
    for one in OPERATIONS:
        assert one.path.split("/versions")[0] in page
    numbers = (limits.BODY_BYTES, limits.SENTENCES, limits.CHARACTERS, limits.EXPLAINED, limits.MESSAGES)
    for number in (*numbers, limits.HEADER_SECONDS, limits.BODY_SECONDS, decisions.QUESTIONS, workers.CONNECTIONS):
        assert re.search(rf"(?<![\d,]){number:,}(?![\d,])", page), number
    ours = {code for code in CODES if code.startswith("E-REQUEST-")} - {"E-REQUEST-ANSWER", "E-REQUEST-CONNECTION"}
    assert ours == set(re.findall(r"`(E-REQUEST-\w+)`", page))  # all but those of the client
    for outcome in get_args(metrics.Outcome):
        assert f"`{outcome}`" in page
    counters = (metrics.REQUESTS, metrics.SENTENCES, metrics.TOKENS)
    others = (metrics.DURATION, metrics.QUEUED, metrics.WAITING, metrics.OPEN)
    named = {one.describe()[0].name + "_total" for one in counters} | {one.describe()[0].name for one in others}
    assert named == set(re.findall(r"`(acceptor_\w+)`", page))
