// The tab for minimal pairs: is the good sentence of each pair better than the bad one?

import { copying, examples, h, hints, quote, reason, type } from "./show.js";
import { difference, pairsOf, wilson } from "./texts.js";
import { logOdds } from "./decision.js";
import { t } from "./strings.js";

const PAIRS = 500; // more are judged, but not shown

export function minimalPairs(app) {
  const form = document.getElementById("pairs-form");
  const field = document.getElementById("pairs");
  const place = document.getElementById("pairs-results");
  let rows = [];
  let unjudged = 0; // pairs that were stopped before they were judged
  let header = false; // whether the first line was left out

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!app.judge && !(await app.ready("about.loading"))) return;
    const { pairs, bad, header: named } = pairsOf(field.value);
    if (bad.length) return app.note("pairs.line", bad[0].number, bad[0].line);
    if (!pairs.length) return app.note("pairs.nothing");
    const sentences = [...new Set(pairs.flatMap(({ first, second }) => [first, second]))]; // equal sentences get equal margins
    const verdicts = new Map(); // what is done is kept, also where the work is stopped or the server is lost
    let signal = null;
    await app.run(place, (options) => {
      signal = options.signal;
      return app.ask("judge", { sentences, all_scores: true }, {
        ...options, onPart: (some, found) => some.forEach((one, at) => verdicts.set(sentences[one], found[at])),
      });
    });
    const judged = pairs.filter(({ first, second }) => verdicts.has(first) && verdicts.has(second));
    if (!judged.length || signal?.reason === "replaced") return; // by other work, or by another judge
    rows = judged.map(({ number, first, second }) => ({ number, good: first, bad: second, ...compared(verdicts.get(first), verdicts.get(second)) }));
    [unjudged, header] = [pairs.length - judged.length, named];
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
      place.replaceChildren(examples("pairs.empty", [[`${first.join(" / ")} …`, text]], (value) => { type(field, value); form.requestSubmit(); }));
      return;
    }
    place.replaceChildren(h("p", { class: "headline" }, score()), ...share(), ...hints(header && t("pairs.header"), unjudged && t("pairs.rest", unjudged)), copying(...table()), grid(),
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
          side(row, 0, row.good), side(row, 1, row.bad), h("td", { class: "number" }, row.errors ? "" : difference(row.difference)));
      })));
  }

  // One of a pair's sentences; with its line, and why, if it could not be judged.
  function side(row, at, text) {
    const error = row.errors?.[at];
    return h("td", { class: at ? "bad" : null }, quote("span", text), error ? h("p", { class: "refusal" }, t("pairs.refused", row.number, reason(error))) : "");
  }

  return { draw, clear() { rows = []; draw(); } };
}
