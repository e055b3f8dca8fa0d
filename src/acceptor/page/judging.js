// The tabs for sentences and for two sentences.

import { axis, button, call, cells, composes, copying, examples, flags, h, hints, mark, quote, refusal, scale, type, verdictColumns, words } from "./show.js";
import { difference, lines, pairsOf } from "./texts.js";
import { t } from "./strings.js";

const ROWS = 500; // more are judged, but not shown

export function judging(app) {
  const form = document.getElementById("judge-form");
  const field = document.getElementById("sentences");
  const place = document.getElementById("verdicts");
  let rows = [];
  let unjudged = 0; // sentences that were stopped before they were judged
  let header = false; // whether the first line was left out

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!app.judge && !(await app.ready("about.loading"))) return;
    const given = inputs();
    if (!given) return;
    const { asked } = given;
    const verdicts = []; // what is done is kept, also where the work is stopped or the server is lost
    let signal = null;
    await app.run(place, (options) => {
      signal = options.signal;
      return app.ask("judge", {
        sentences: asked.map((row) => row.sentence),
        ...(app.pairs ? { seconds: asked.map((row) => row.second) } : {}),
      }, { ...options, onPart: (some, found) => some.forEach((one, at) => (verdicts[one] = found[at])) });
    });
    if (!verdicts.some(Boolean) || signal?.reason === "replaced") return; // by other work, or by another judge
    rows = asked.map((row, at) => ({ ...row, verdict: verdicts[at], words: null, open: false })).filter((row) => row.verdict);
    unjudged = asked.length - rows.length;
    header = given.header;
    app.history.add(rows);
    draw();
    app.say(counted());
  });

  function inputs() {
    if (!app.pairs) {
      const found = lines(field.value);
      return found.length ? { asked: found.map((sentence) => ({ sentence, second: null })), header: false } : app.note("judge.nothing");
    }
    const { pairs, bad, header: named } = pairsOf(field.value);
    if (bad.length) return app.note("pairs.line", bad[0].number, bad[0].line);
    return pairs.length ? { asked: pairs.map(({ first, second }) => ({ sentence: first, second })), header: named } : app.note("pairs.nothing");
  }

  function draw() {
    field.labels[0].textContent = t(app.pairs ? "judge.label.pairs" : "judge.label");
    document.getElementById("judge-hint").textContent = t("judge.hint", app.shortcut);
    if (!rows.length) {
      const offered = app.pairs ? [] : t("try.judge").map((text) => [text, text]);
      place.replaceChildren(offered.length ? examples("judge.empty", offered, fill) : "");
      return;
    }
    const tabbed = app.pairs ? 0 : rows.filter((row) => row.sentence.trim().includes("\t")).length; // pasted from a table
    place.replaceChildren(summary(), ...hints(header && t("pairs.header"), unjudged && t("judge.rest", unjudged), tabbed && t("judge.tabs", tabbed)), h("div", { class: "verdict-grid" }, axis(app.judge), h("ol", { class: "verdicts", role: "list" }, rows.slice(0, ROWS).map(item))),
      rows.length > ROWS ? h("p", { class: "hint" }, t("judge.first", ROWS)) : "");
  }

  function fill(text) {
    type(field, text);
    form.requestSubmit();
  }

  function counted() {
    const kinds = [...app.judge.labels.map((label) => [label, (verdict) => verdict.label === label]), [t("file.errors"), (verdict) => verdict.error]];
    const counts = kinds.map(([name, is]) => [rows.filter((row) => is(row.verdict)).length, name])
      .filter(([count]) => count).map(([count, name]) => `${count} ${name}`).join(", ");
    return t("judge.count", rows.length, counts);
  }

  function summary() {
    const names = app.pairs ? ["sentence", "second"] : ["sentence"];
    const texts = (row) => (app.pairs ? [row.sentence, row.second] : [row.sentence]);
    return h("div", { class: "summary" }, quote("p", counted()),
      copying([...names, ...verdictColumns(rows.map((row) => row.verdict))], rows.map((row) => [...texts(row), ...cells(row.verdict)])));
  }

  function item(row) {
    const text = quote("p", row.second === null ? row.sentence : `${row.sentence} ⇥ ${row.second}`, { class: "sentence" });
    if (row.verdict.error) return h("li", { class: "verdict" }, h("span", { class: "mark", "aria-hidden": "true" }, "–"), text, refusal(row.verdict.error));
    return h("li", { class: "verdict" }, mark(app.judge, row.verdict.label), text, call(app.judge, row.verdict), scale(app.judge, row.verdict),
      app.pairs ? null : whyButton(row), h("div", { class: "more" }, flags(row.verdict)), row.open && row.words ? words(row.words) : null);
  }

  function whyButton(row) {
    return button(row.open ? "why.hide" : "why", async () => {
      const number = rows.indexOf(row);
      if (!row.words) {
        const found = await app.run(place, (options) => app.ask("explain", { sentences: [row.sentence] }, options), "why.working");
        if (!found) return;
        [row.words] = found.explanations;
      }
      row.open = !row.open;
      const shown = item(row);
      place.querySelectorAll(".verdict")[number]?.replaceWith(shown); // and nothing else is drawn, or read out, again
      shown.querySelector(".why").focus();
    }, { class: "quiet why", "aria-expanded": String(row.open) });
  }

  // Judges a line of the history again.
  function again({ line, judge }) {
    if (judge.name !== app.judge.name) app.choose(app.models.find(({ name }) => name === judge.name) ?? judge); // the one that judged it, as it is now
    app.show("judge");
    type(field, line);
    form.requestSubmit();
  }

  return { draw, again, clear() { rows = []; draw(); } };
}

export function comparing(app) {
  const form = document.getElementById("compare-form");
  const fields = [document.getElementById("first"), document.getElementById("second")];
  const place = document.getElementById("comparison");
  let shown = null;

  for (const field of fields) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || composes(event)) return;
      event.preventDefault();
      form.requestSubmit();
    });
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!app.judge && !(await app.ready("about.loading"))) return;
    const [first, second] = fields.map((field) => field.value.replace(/\s+/g, " ").trim());
    if (!first || !second) return app.note("compare.nothing");
    const found = await app.run(place, (options) => app.ask("compare", { first, second }, options));
    if (!found) return;
    shown = { texts: { first, second }, ...found };
    app.history.add(["first", "second"].map((side) => ({ sentence: shown.texts[side], second: null, verdict: shown[side] })));
    draw();
    app.say(t(`better.${shown.better}`));
  });

  function draw() {
    if (!shown) {
      place.replaceChildren(examples("compare.empty", [[t("try.compare").join(" / "), t("try.compare")]], fill));
      return;
    }
    place.replaceChildren(h("p", { class: "headline" }, t(`better.${shown.better}`)),
      h("p", { class: "hint" }, t("compare.difference", shown.label, difference(shown.difference))),
      h("div", { class: "two" }, ["first", "second"].map(card)),
      copying(["sentence", ...verdictColumns([shown.first, shown.second])], ["first", "second"].map((side) => [shown.texts[side], ...cells(shown[side])]),
        ([first, second]) => ({ better: shown.better, difference: shown.difference, label: shown.label, first, second })));
  }

  function card(side) {
    const better = shown.better === side;
    return h("div", { class: `card${better ? " better" : ""}` },
      h("p", { class: "card-head" }, t(`compare.${side}`), better ? h("span", { class: "badge" }, t("better.mark")) : null),
      quote("p", shown.texts[side], { class: "sentence" }),
      h("div", { class: "card-call" }, mark(app.judge, shown[side].label), call(app.judge, shown[side])),
      scale(app.judge, shown[side]), h("div", { class: "more" }, flags(shown[side])));
  }

  function fill(texts) {
    fields.forEach((field, at) => type(field, texts[at]));
    form.requestSubmit();
  }

  return { draw, clear() { shown = null; draw(); } };
}
