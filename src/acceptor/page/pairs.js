// The tab for minimal pairs: is the good sentence of each pair better than the bad one?

import { copying, examples, h, quote, reason } from "./show.js";
import { logOdds } from "./decision.js";
import { pairsOf, signed, wilson } from "./texts.js";
import { t } from "./strings.js";

const PAIRS = 500; // more are judged, but not shown

export function minimalPairs(app) {
  const form = document.getElementById("pairs-form");
  const field = document.getElementById("pairs");
  const place = document.getElementById("pairs-results");
  let rows = [];

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!app.judge && !(await app.ready("about.loading"))) return;
    const { pairs, bad } = pairsOf(field.value);
    if (bad.length) return app.note("pairs.line", bad[0].number, bad[0].line);
    if (!pairs.length) return app.note("pairs.nothing");
    const sentences = [...new Set(pairs.flatMap(({ first, second }) => [first, second]))]; // equal sentences get equal margins
    const found = await app.run(place, (options) => app.ask("judge", { sentences, all_scores: true }, options));
    if (!found) return;
    const verdicts = new Map(sentences.map((sentence, at) => [sentence, found.verdicts[at]]));
    rows = pairs.map(({ number, first, second }) => ({ number, good: first, bad: second, ...compared(verdicts.get(first), verdicts.get(second)) }));
    draw();
    app.say(score());
  });

  // By how much the first of two is better, or why that is not known. An error is the first one's or the second one's.
  function compared(first, second) {
    if (first.error || second.error) return { errors: [first.error, second.error] };
    const label = app.judge.labels.indexOf(app.judge.positive);
    return { difference: logOdds(first.logits, label) - logOdds(second.logits, label) };
  }

  function score() {
    const judged = rows.filter((row) => !row.errors);
    const failed = rows.length - judged.length;
    return t("pairs.score", judged.filter((row) => row.difference > 0).length, judged.length) + (failed ? t("pairs.failed", failed) : "");
  }

  function draw() {
    if (!rows.length) {
      const text = t("try.pairs").map((pair) => pair.join("\t")).join("\n");
      const [first] = t("try.pairs");
      place.replaceChildren(examples("pairs.empty", [[`${first.join(" / ")} …`, text]], (value) => { field.value = value; form.requestSubmit(); }));
      return;
    }
    place.replaceChildren(h("p", { class: "headline" }, score()), ...share(), copying(...table()), grid(),
      rows.length > PAIRS ? h("p", { class: "hint" }, t("pairs.first", PAIRS)) : "");
  }

  // The share of pairs in the right order, of those that could be judged.
  function share() {
    const judged = rows.filter((row) => !row.errors);
    if (!judged.length) return [];
    const ties = judged.filter((row) => row.difference === 0).length;
    const percent = (number) => `${(100 * number).toFixed(0)} %`;
    const count = judged.filter((row) => row.difference > 0).length + ties / 2;
    const bar = h("div", { class: "share", "aria-hidden": "true" }, h("span", { class: "fill" }), h("span", { class: "chance" }));
    bar.style.setProperty("--p", count / judged.length);
    const interval = wilson(count, judged.length).map(percent);
    return [bar, h("p", { class: "hint" }, t("pairs.interval", percent(count / judged.length), ...interval, judged.length), ties ? `; ${t("pairs.ties", ties)}` : "")];
  }

  // The columns and rows that are copied; with a column of errors if there is one.
  function table() {
    const columns = ["sentence_good", "sentence_bad", "difference", ...(rows.some((row) => row.errors) ? ["error"] : [])];
    return [columns, rows.map((row) => [row.good, row.bad, row.difference, row.errors?.find(Boolean)])];
  }

  function grid() {
    const heads = ["pairs.order", "pairs.good", "pairs.bad", "pairs.difference"];
    return h("table", { class: "pairs" },
      h("thead", {}, h("tr", {}, heads.map((name, at) => h("th", { scope: "col", class: at === 3 ? "number" : null }, t(name))))),
      h("tbody", {}, rows.slice(0, PAIRS).map((row) => {
        const order = row.errors ? "failed" : row.difference > 0 ? "right" : row.difference < 0 ? "wrong" : "tie";
        const sign = { right: "✓", wrong: "✕", tie: "=", failed: "–" }[order];
        const name = order === "failed" ? "file.errors" : `pairs.${order}`;
        return h("tr", {}, h("td", {}, h("span", { class: `order ${order}` }, h("span", { "aria-hidden": "true" }, sign), ` ${t(name)}`)),
          side(row, 0, row.good), side(row, 1, row.bad), h("td", { class: "number" }, row.errors ? "" : signed(row.difference)));
      })));
  }

  // One of a pair's sentences; with its line, and why, if it could not be judged.
  function side(row, at, text) {
    const error = row.errors?.[at];
    return h("td", { class: at ? "bad" : null }, quote("span", text), error ? h("p", { class: "refusal" }, t("pairs.refused", row.number, reason(error))) : "");
  }

  return { draw, clear() { rows = []; draw(); } };
}
