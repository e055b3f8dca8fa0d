"""The page of a server: a real server, asked by a real browser."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import acceptor
from browser import CHROMIUM
from conftest import wait_for
from served import serving
from test_page import Tab, attacks, browser, needs_browser

pytestmark = [needs_browser, pytest.mark.allow_hosts(["127.0.0.1"])]
__all__ = ["browser"]  # the fixture

KEY = "a-key-of-some-length"
SENTENCES = ["the cats sleep.", "the cat them sleep.", "the cats see the garden."]


@pytest.fixture(scope="module")
def judge(toy_run):
    return acceptor.load(toy_run.folder, precision="fp32")


@pytest.fixture(scope="module")
def server(toy_onnx):
    with serving(f"toy={toy_onnx}", "--precision", "fp32") as running:
        yield running


def test_what_is_typed_is_judged_by_the_server(browser, server, judge):
    with Tab(browser, server.url) as tab:
        found = tab.judge(SENTENCES)
        assert [one["verdict"] for one in found] == [one.label for one in judge(SENTENCES)]
        tab.locator(".why").first.click()
        tab.wait_for_selector(".words")
        tab.click("#tab-compare")
        tab.fill("#first", SENTENCES[0])
        tab.fill("#second", SENTENCES[1])
        tab.press("#second", "Enter")
        tab.wait_for_selector(".card")
        assert all(url.startswith((server.url, "data:")) for url in tab.requests)
        assert tab.problems == []


def test_a_file_is_judged_in_several_requests(browser, server, judge):
    rows = [f"the cats see {'the garden ' * (row % 3)}{row}." for row in range(600)]
    with Tab(browser, server.url) as tab:
        tab.drop("rows.txt", "\n".join(rows))
        tab.settle("#file-results")
        assert sum(url.endswith("/v1/judge") for url in tab.requests) == 3
        assert tab.problems == []


def judged_in(tab):
    """How many requests for verdicts the page has sent."""
    return sum(url.endswith("/v1/judge") for url in tab.requests)


def test_sentences_that_cannot_be_judged_cost_few_requests(browser, server, tmp_path):
    with Tab(browser, server.url) as tab:
        tab.drop("none.txt", "\n".join(f"🦖{'🦖' * (row % 5)}" for row in range(600)))
        assert judged_in(tab) == 3  # one for each part, since each answer names all of its sentences
        rows = [json.loads(line) for line in tab.saved("JSON lines", tmp_path).splitlines()]
        assert {(one["error"]["code"], one["error"]["message"]) for one in rows} == {
            ("E-DATA-VOCABULARY", "no token of a text is in the encoder's vocabulary")
        }
        texts = {0: "x" * 10_001, 3: "\ud800", 7: "🦖", 11: "y" * 10_001, 13: "🦖", 255: "\udfff", 256: "🦖"}
        mixed = [texts.get(row, f"the cats see the garden {row}.") for row in range(300)]
        lines = "\n".join(json.dumps({"sentence": text}) for text in mixed)
        tab.drop("some.jsonl", lines, shows="text=300 of 300 rows")
        assert judged_in(tab) - 3 == 4 + 2  # for each part one, and one more for each reason in it
        rows = [json.loads(line) for line in tab.saved("JSON lines", tmp_path).splitlines()]
        codes = {row: one["error"]["code"] for row, one in enumerate(rows) if "error" in one}
        assert codes == {
            row: "E-REQUEST-SIZE" if len(text) > 10_000 else "E-DATA-VOCABULARY" if text == "🦖" else "E-DATA-TEXT"
            for row, text in texts.items()
        }
        assert tab.locator("#alert p").count() == 0


def test_a_refusal_of_all_sentences_is_told_once(browser, server):
    """Such as one by a judge that was replaced by one of pairs: halves of the request would be refused for it, too."""
    refusal = {"error": {"code": "E-DATA-PAIRS", "message": "this judge was trained on pairs of sentences"}}
    with Tab(browser, server.url) as tab:
        tab.route("**/v1/judge", lambda route: route.fulfill(status=422, json=refusal))
        tab.fill("#sentences", "\n".join(SENTENCES))
        tab.click("#judge-form .primary")
        tab.wait_for_selector("#alert:has-text('trained on pairs')")
        assert judged_in(tab) == 1


def test_a_judge_that_was_replaced_is_told_and_loaded_again(browser, toy_run, topic_run, tmp_path):
    """Else verdicts of the new one would be shown with the labels and the threshold of the old one."""
    place = tmp_path / "judge"
    place.symlink_to(toy_run.folder)
    with serving(f"one={place}") as server, Tab(browser, server.url) as tab:
        tab.judge(SENTENCES)
        workers = server.workers()
        place.unlink()
        place.symlink_to(topic_run)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.workers() and not set(workers) & set(server.workers()))
        tab.locator(".why").first.click()
        tab.wait_for_selector("#alert:has-text('has loaded another one')")
        tab.fill("#sentences", SENTENCES[1])
        tab.press("#sentences", "Control+Enter")
        tab.wait_for_selector("#alert:has-text('one is another judge now')")
        tab.click("#alert button:has-text('Try again')")
        tab.wait_for_selector("#about:has-text('sports')")
        assert tab.locator("#sentences").input_value() == SENTENCES[1]  # nothing typed is lost
        (found,) = tab.judge(SENTENCES[:1])
        assert found["verdict"] in ("sports", "politics")
        assert tab.locator("#alert p").count() == 0
        tab.locator("#history button").nth(1).click()  # what the old one judged is judged again by the new one
        tab.settle("#verdicts")
        assert "sports" in tab.text_content("#about")
        assert tab.locator(".verdict .mark.positive, .verdict .mark.negative").count() == 0


def test_where_a_judge_is_loaded_again_the_tab_stays(browser, server):
    with Tab(browser, server.url) as tab:
        tab.route("**/v1/compare", lambda route: route.fulfill(json={"model": "toy", "version": "another"}), times=1)
        tab.click("#tab-compare")
        tab.fill("#first", SENTENCES[0])
        tab.fill("#second", SENTENCES[1])
        tab.press("#second", "Enter")
        tab.click("#alert button:has-text('Try again')")
        tab.wait_for_selector("#about:not(:has(.spinner)):has-text('acceptable')")
        assert tab.locator("#tab-compare").get_attribute("aria-selected") == "true"
        tab.press("#second", "Enter")
        tab.wait_for_selector(".card")


def test_where_a_judge_cannot_be_loaded_again_what_is_known_of_it_stays(browser, server):
    with Tab(browser, server.url) as tab:
        known = tab.text_content("#about")
        tab.route("**/v1/judge", lambda route: route.fulfill(json={"model": "toy", "version": "another"}), times=1)
        tab.route("**/v1/models", lambda route: route.fulfill(status=500, json={"error": {"code": "E"}}), times=1)
        tab.fill("#sentences", SENTENCES[0])
        tab.press("#sentences", "Control+Enter")
        tab.click("#alert button:has-text('Try again')")
        tab.wait_for_selector("#alert p:has-text('Something went wrong')")
        tab.wait_for_selector("#about:not(:has(.spinner))")
        assert tab.text_content("#about") == known


def test_a_part_that_is_lost_on_the_way_is_sent_again(browser, server, judge):
    rows = [f"the cats see the garden {row}." for row in range(300)]
    lost = []

    def lose(route):
        lost.append(route.request.url)
        if len(lost) == 2:
            route.abort("connectionreset")
        elif len(lost) == 3:
            route.fulfill(status=502, body="<html>Bad Gateway")
        else:
            route.continue_()

    with Tab(browser, server.url) as tab:
        tab.route("**/v1/judge", lose)
        tab.drop("rows.txt", "\n".join(rows))
        tab.settle("#file-results")
        assert len(lost) == 4
        assert f"{len(rows)} of {len(rows)} rows" in tab.text_content("#file-results")


def test_a_server_that_is_lost_costs_only_the_parts_that_are_not_judged(browser, server):
    rows = [f"the cats see the garden {row}." for row in range(600)]
    asked = []

    def lose(route):
        asked.append(len(json.loads(route.request.post_data)["sentences"]))
        if len(asked) == 1:
            route.continue_()
        else:
            route.fulfill(
                status=403, body='{"error": {"code": "", "message": "gone"}}', content_type="application/json"
            )

    with Tab(browser, server.url) as tab:
        tab.route("**/v1/judge", lose)
        tab.drop("rows.txt", "\n".join(rows), shows=".rest")
        assert "gone" in tab.text_content("#alert")
        assert tab.text_content(".rest p") == "344 rows are not judged yet."
        tab.unroute("**/v1/judge")
        tab.route(
            "**/v1/judge",
            lambda route: (asked.append(len(json.loads(route.request.post_data)["sentences"])), route.continue_()),
        )
        tab.click("button:has-text('Judge the rest')")
        tab.settle("#file-results")
        assert tab.locator(".rest").count() == 0
        assert asked == [256, 256, 256, 88]
        assert tab.locator("#alert p").count() == 0


def test_two_judges(browser, toy_onnx, topic_run):
    """The history knows which judge gave a verdict; at the width of a phone nothing lies on anything else."""
    long = "a-judge-of-english-with-a-very-long-name-indeed"
    with (
        serving(f"{long}={toy_onnx}", f"{long}-too={topic_run}", "--precision", "fp32") as server,
        Tab(browser, server.url) as tab,
    ):
        assert tab.get_attribute("#footer a", "href") == "docs"
        tab.judge(SENTENCES[:1])
        tab.select_option("#models select", label=f"{long}-too")
        assert [one.is_visible() for one in tab.locator("[role=tab]").all()] == [True, False, False, True]
        (topic,) = tab.judge(SENTENCES[:1])
        assert topic["verdict"] in ("sports", "politics")
        assert tab.locator("#history .by").all_text_contents() == [f"{long}-too", long]
        tab.locator("#history button").nth(1).click()
        tab.settle("#verdicts")
        tab.wait_for_selector(".verdict .mark.positive, .verdict .mark.negative")
        assert tab.evaluate("document.querySelector('#models select').selectedOptions[0].text") == long
        assert tab.locator("#history li").count() == 2
        for width in (320, 390, 820):
            tab.set_viewport_size({"width": width, "height": 900})
            boxes = [tab.locator(one).bounding_box() for one in (".brand", "#models select", "#language")]
            assert all(one["x"] + one["width"] <= other["x"] for one, other in itertools.pairwise(boxes)), width
            assert boxes[2]["x"] + boxes[2]["width"] <= width
        assert tab.problems == []
        tab.click("#footer a")
        tab.wait_for_selector("body.docs")


def test_a_file_is_kept_for_another_judge(browser, toy_onnx, tmp_path):
    other = shutil.copy(toy_onnx, tmp_path / "other.onnx")
    with serving(f"one={toy_onnx}", f"two={other}") as server, Tab(browser, server.url) as tab:
        tab.drop("rows.txt", "\n".join(SENTENCES), shows=".summary")
        first = tab.saved("JSON lines", tmp_path)
        tab.select_option("#models select", label="two")
        assert tab.locator("#tab-file").get_attribute("aria-selected") == "true"
        assert f"{len(SENTENCES)} rows are not judged yet." in tab.text_content(".rest")
        tab.click("button:has-text('Judge the rest')")
        tab.wait_for_selector(".rest", state="detached")
        assert tab.saved("JSON lines", tmp_path) == first
        assert tab.problems == []


def test_the_page_works_where_nothing_may_be_stored(browser, toy_onnx):
    env = os.environ | {"ACCEPTOR_API_KEY": KEY}
    forbid = (
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError') } })"
    )
    with serving(toy_onnx, env=env) as server, Tab(browser, "about:blank", ready="body") as tab:
        tab.add_init_script(forbid)
        tab.goto(server.url)
        tab.wait_for_selector("dialog[open]")
        tab.fill("#key", KEY)
        tab.click("#key-form .primary")
        tab.wait_for_selector("body.ready")
        assert len(tab.judge(SENTENCES)) == 3


def test_markup_is_text_and_the_policy_is_kept(browser, server):
    with Tab(browser, server.url) as tab:
        tab.judge(attacks())
        assert tab.locator(".verdict .sentence").all_text_contents() == attacks()
        assert tab.evaluate("window.hit") is None
        assert tab.problems == []
        tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit = 1'}))")
        assert tab.evaluate("window.hit") is None
        assert any("Content Security Policy" in problem for problem in tab.problems)


def test_the_page_is_used_under_every_name_of_this_machine(browser, server):
    port = server.url.rpartition(":")[2]
    with Tab(browser, f"http://localhost:{port}") as tab:
        assert len(tab.judge(SENTENCES)) == 3
        assert tab.problems == []


def test_another_sites_page_neither_reads_nor_computes_anything(browser, server):
    """A page of another origin posts without a preflight; and a site's name is given this machine's address."""
    port = server.url.rpartition(":")[2]
    code = """async (url) => {
        const body = JSON.stringify({sentences: ["the cats sleep."]});
        await fetch(url + "/v1/judge", {method: "POST", mode: "no-cors", body});
    }"""
    with Tab(browser, f"http://localhost:{port}/health/live", ready="body") as tab:
        with tab.expect_response("**/v1/judge") as answer:
            tab.evaluate(code, server.url)
        assert answer.value.status == 403
    rebound = ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    other = browser.browser_type.launch(executable_path=CHROMIUM, args=rebound)
    with Tab(other, f"http://evil.example:{port}/health/live", ready="body") as tab:
        found = tab.evaluate("fetch('/v1/models').then(async (one) => [one.status, await one.json()])")
    other.close()
    assert (found[0], found[1]["error"]["code"]) == (421, "E-REQUEST-HOST")


def test_the_list_of_operations_has_a_policy_that_lets_it_work(browser, server):
    with Tab(browser, server.url + "/docs", ready="body.docs") as tab:
        assert tab.evaluate("[...document.styleSheets].flatMap((one) => [...one.cssRules]).length") > 10
        assert tab.problems == []
        tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.hit = 1'}))")
        assert tab.evaluate("window.hit") is None
        assert any("Content Security Policy" in problem for problem in tab.problems)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_page_and_on_the_list_of_operations(browser, server, scheme):
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
    for path, ready in (("/", "body.ready"), ("/docs", "body.docs")):
        with Tab(browser, server.url + path, ready=ready, color_scheme=scheme, reduced_motion="reduce") as tab:
            if path == "/":
                tab.judge(SENTENCES)
            found = tab.evaluate(f"(async () => {{ {axe}; return (await axe.run()).violations; }})()")
            assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == [], path
            for width in (390, 820, 1440):
                tab.set_viewport_size({"width": width, "height": 900})
                assert tab.evaluate("document.documentElement.scrollWidth") <= width, (path, width)


def test_a_key_is_asked_for_until_it_is_right_and_a_stopped_server_is_told(browser, toy_onnx):
    env = os.environ | {"ACCEPTOR_API_KEY": KEY}
    with serving(toy_onnx, env=env) as server, Tab(browser, server.url, ready="dialog[open]") as tab:
        for key in ("wrong-key", KEY):
            tab.wait_for_selector("dialog[open]")
            assert ("wrong" in tab.text_content("#key-text")) == (key == KEY)
            tab.fill("#key", "键")  # cannot be sent
            tab.click("#key-form .primary")
            assert tab.is_visible("dialog[open]")
            tab.fill("#key", key)
            with tab.expect_response("**/v1/models") as answer:
                tab.click("#key-form .primary")
            assert answer.value.status == (200 if key == KEY else 401)
        tab.wait_for_selector("body.ready")
        assert len(tab.judge(SENTENCES)) == 3
        tab.evaluate("sessionStorage.clear()")
        tab.reload()
        tab.wait_for_selector("dialog[open]")
        tab.fill("#key", KEY[:3])
        tab.press("#key", "Escape")  # nothing is sent
        tab.wait_for_selector("#alert p")
        tab.click("#alert button:has-text('Try again')")
        tab.fill("#key", KEY)
        tab.click("#key-form .primary")
        tab.wait_for_selector("body.ready")
        assert len(tab.judge(SENTENCES)) == 3
        assert server.stop() == 0
        wait_for(lambda: server.process.poll() is not None)
        tab.click("#judge-form .primary")
        tab.wait_for_selector("#alert p")
        assert tab.locator("#sentences").input_value() == "\n".join(SENTENCES)  # nothing typed is lost


def test_a_judge_that_could_not_be_loaded_is_loaded_when_it_is_needed(browser, toy_onnx):
    env = os.environ | {"ACCEPTOR_API_KEY": KEY}
    with serving(toy_onnx, env=env) as server, Tab(browser, server.url, ready="dialog[open]") as tab:
        tab.press("#key", "Escape")
        tab.wait_for_selector("#alert button:has-text('Try again')")
        tab.fill("#sentences", "\n".join(SENTENCES))
        tab.click("#judge-form .primary")  # asks for the key again
        tab.wait_for_selector("dialog[open]")
        tab.press("#key", "Escape")
        tab.wait_for_selector("#alert button:has-text('Try again')")
        tab.click("#judge-form .primary")
        tab.wait_for_selector("dialog[open]")
        tab.fill("#key", KEY)
        tab.click("#key-form .primary")
        tab.wait_for_selector(".verdict:nth-child(3)")


def test_a_file_that_is_dropped_after_a_failed_loading_is_judged(browser, server):
    with Tab(browser, "about:blank", ready="body") as tab:
        tab.route("**/v1/models", lambda route: route.fulfill(status=403, body="{}", content_type="application/json"))
        tab.goto(server.url)
        tab.wait_for_selector("#alert button:has-text('Try again')")
        tab.drop("rows.txt", "the cats sleep.", shows="#alert button:has-text('Try again')")
        assert "loading" not in tab.text_content("#alert")
        tab.unroute("**/v1/models")
        tab.drop("rows.txt", "the cats sleep.")
        assert tab.is_visible("#file-results table")  # the tab is the one that the file was dropped on
        assert tab.locator("#alert p").count() == 0
