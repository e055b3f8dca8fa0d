// The tab for minimal pairs: is the good sentence of each pair better than the bad one?

import { copying, examples, h, quote } from "./show.js";
import { logOdds } from "./decision.js";
import { pairsOf, signed, wilson } from "./texts.js";
import { t } from "./strings.js";

export function minimalPairs(app) {
  const form = document.getElementById("pairs-form");
  const field = document.getElementById("pairs");
  const place = document.getElementById("pairs-results");
  let rows = [];

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { pairs, bad } = pairsOf(field.value);
    if (bad.length) return app.note("pairs.line", bad[0]);
    if (!pairs.length) return app.note("pairs.nothing");
    const sentences = [...new Set(pairs.flat())]; // equal sentences get equal margins
    const found = await app.run(place, (options) => app.ask("judge", { sentences, all_scores: true }, options));
    if (!found) return;
    const refused = found.verdicts.find((verdict) => verdict.error);
    if (refused) return app.fail(refused.error);
    const label = app.judge.labels.indexOf(app.judge.positive);
    const margins = new Map(sentences.map((sentence, at) => [sentence, logOdds(found.verdicts[at].logits, label)]));
    rows = pairs.map(([good, bad_]) => ({ good, bad: bad_, difference: margins.get(good) - margins.get(bad_) }));
    draw();
  });

  function draw() {
    if (!rows.length) {
      const text = t("try.pairs").map((pair) => pair.join("\t")).join("\n");
      const [first] = t("try.pairs");
      place.replaceChildren(examples("pairs.empty", [[`${first.join(" / ")} …`, text]], (value) => { field.value = value; form.requestSubmit(); }));
      return;
    }
    const right = rows.filter((row) => row.difference > 0).length;
    const ties = rows.filter((row) => row.difference === 0).length;
    const percent = (number) => `${(100 * number).toFixed(0)} %`;
    const count = right + ties / 2;
    const bar = h("div", { class: "share", "aria-hidden": "true" }, h("span", { class: "fill" }), h("span", { class: "chance" }));
    bar.style.setProperty("--p", count / rows.length);
    place.replaceChildren(h("p", { class: "headline" }, t("pairs.score", right, rows.length)), bar,
      h("p", { class: "hint" }, t("pairs.interval", percent(count / rows.length), ...wilson(count, rows.length).map(percent), rows.length),
        ties ? `; ${t("pairs.ties", ties)}` : ""),
      copying(["sentence_good", "sentence_bad", "difference"], rows.map((row) => [row.good, row.bad, row.difference])),
      grid());
  }

  function grid() {
    const heads = ["pairs.order", "pairs.good", "pairs.bad", "pairs.difference"];
    return h("table", { class: "pairs" },
      h("thead", {}, h("tr", {}, heads.map((name, at) => h("th", { scope: "col", class: at === 3 ? "number" : null }, t(name))))),
      h("tbody", {}, rows.map((row) => {
        const order = row.difference > 0 ? "right" : row.difference < 0 ? "wrong" : "tie";
        const sign = { right: "✓", wrong: "✕", tie: "＝" }[order];
        return h("tr", {}, h("td", {}, h("span", { class: `order ${order}` }, h("span", { "aria-hidden": "true" }, sign), ` ${t(`pairs.${order}`)}`)),
          quote("td", row.good), quote("td", row.bad, { class: "bad" }), h("td", { class: "number" }, signed(row.difference)));
      })));
  }

  return { draw, clear() { rows = []; draw(); } };
}
