// The tab for files: a file is read, judged, filtered and saved.

import { button, cells, h, mark, quote, reason, save, VERDICT, verdictColumns } from "./show.js";
import { named, onlyTexts, table } from "./tables.js";
import { roles } from "./headers.js";
import { share, tsv } from "./texts.js";
import { t } from "./strings.js";

const SHOWN = 100;
const BLANK = { error: { code: "E-DATA-TEXT", message: "not a sentence: the text is blank" } };
const UNJUDGED = { error: { code: "unjudged", message: "not judged" } };

export function files(app) {
  const input = document.getElementById("file");
  const drop = document.getElementById("drop");
  const place = document.getElementById("file-results");
  const results = h("div");
  let state = null;
  let latest = 0; // the number of the file that was taken last

  input.addEventListener("change", () => { take([...input.files]); input.value = ""; });
  // A file may be dropped anywhere.
  const over = (on) => { document.body.classList.toggle("over", on); drop.querySelector(".drop-title").textContent = t(on ? "file.over" : "file.title"); };
  window.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    app.show("file");
    over(true);
  });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); });
  window.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    over(false);
    app.show("file");
    take([...event.dataTransfer.files]);
  });

  // Reads the first of some files, and judges it.
  async function take([file, ...others]) {
    if (!file) return null; // none was chosen
    if (!app.judge && !(await app.ready("about.loading.file", file.name))) return null;
    const number = ++latest;
    let next = null;
    try {
      const read = await table(file);
      if (number !== latest) return null; // another file was dropped meanwhile
      if (!read.rows.length) return app.note("file.none", file.name);
      const found = laidOut(read);
      if (!found.rows.length) return app.note("file.none", file.name);
      if (app.pairs && found.second < 0) return app.note("file.pairs", file.name);
      onlyTexts(found, places(found));
      next = { name: file.name, others: others.length, read, pairs: app.pairs, verdict: "", from: 0, to: 1, ...found };
    } catch (error) {
      if (number !== latest) return null;
      return error.refusal ? app.refuse(file.name, error.refusal) : app.note("file.bad", file.name);
    }
    app.stop(); // the file before has been shown until this one could be read
    state = next;
    draw();
    return judge();
  }

  // A file's table with the roles of its columns, the names under which they are saved, and no verdict yet.
  function laidOut(read, header) {
    const found = named(read, header);
    const width = found.rows[0]?.length ?? 0;
    const names = found.columns ?? (width === 1 ? ["sentence"] : Array.from({ length: width }, (_, at) => `column${at + 1}`));
    return { ...found, ...roles({ ...found, rows: found.texts ?? found.rows }), names: saved(names), verdicts: [] };
  }

  // One of a verdict's columns becomes input.NAME, as in `acceptor predict`.
  function saved(names) {
    const free = (name) => (names.includes(name) ? free(`input.${name}`) : name);
    return names.map((name) => (VERDICT.includes(name) ? free(`input.${name}`) : name));
  }

  // Judges the rows without a verdict. What is done is kept, also where the work is stopped or the server is lost.
  async function judge() {
    const now = state;
    const { verdicts } = now; // another list once other columns are judged
    now.busy = true;
    drawResults();
    let signal = null;
    await app.run(place, (options) => {
      signal = options.signal;
      now.rows.forEach((_, row) => { if (texts(now, row).some((text) => !text.trim())) verdicts[row] = BLANK; }); // a server refuses them
      const asked = now.rows.map((_, row) => row).filter((row) => !verdicts[row]);
      return app.ask("judge", {
        sentences: asked.map((row) => texts(now, row)[0]),
        ...(app.pairs ? { seconds: asked.map((row) => texts(now, row)[1]) } : {}),
      }, { ...options, onPart: (some, found) => some.forEach((one, at) => (verdicts[asked[one]] = found[at])) });
    });
    if (now !== state || verdicts !== now.verdicts) return;
    now.busy = false;
    drawResults();
    app.say(counted());
    const rest = left();
    if (rest && signal?.reason === "replaced") app.note("file.stopped", now.name, rest); // by work in another tab
  }

  // Judges again, with other columns or another header.
  function change(found) {
    Object.assign(state, { verdicts: [] }, found);
    judge();
  }

  const places = (from) => [from.sentence, ...(app.pairs ? [from.second] : [])];
  const texts = (from, row) => places(from).map((at) => from.rows[row][at]);
  const left = () => state.rows.filter((_, row) => !state.verdicts[row]).length;
  const verdictOf = (row) => state.verdicts[row] ?? UNJUDGED;

  // The numbers of the rows that the filter keeps.
  function kept() {
    return state.rows.map((_, row) => row).filter((row) => {
      const { error, label, probability } = verdictOf(row);
      if (error) return state.verdict === "error" || (state.verdict === "" && state.from <= 0 && state.to >= 1);
      return ["", label].includes(state.verdict === "" ? "" : state.verdict.slice(1)) && probability >= state.from && probability <= state.to;
    });
  }

  const counted = () => t("file.shown", kept().length, state.rows.length);

  function draw() {
    if (!state) return place.replaceChildren();
    place.replaceChildren(h("p", { class: "headline" }, quote("span", t("file.judging", state.rows.length, state.name))),
      state.others ? h("p", { class: "hint" }, t("file.others", state.others)) : "", columns(), results);
    drawResults();
  }

  // How the file was read, and what can be read in another way.
  function columns() {
    const choose = (name, role) => h("label", {}, t(name), " ", h("select", { onchange: (event) => rechosen(event.target, role) },
      state.names.map((_, at) => h("option", { value: at, selected: at === state[role] }, state.columns?.[at] ?? t("file.number", at + 1)))));
    const header = h("label", {}, h("input", { type: "checkbox", id: "header", checked: state.header, onchange: relaid }), " ", t("file.header"));
    return h("div", { class: "filter" },
      state.names.length > 1 ? [choose("file.column", "sentence"), app.pairs ? choose("file.second", "second") : ""] : "",
      state.header === null ? "" : header,
      state.names.length > 1 && state.separator ? h("span", {}, t("file.separator", state.separator === "\t" ? t("file.tab") : state.separator)) : "");
  }

  // Judges another column, if it holds texts.
  function rechosen(select, role) {
    const found = { [role]: Number(select.value) };
    try {
      onlyTexts(state, places({ ...state, ...found }));
    } catch (error) {
      select.value = state[role];
      if (!error.refusal) throw error;
      return app.refuse(state.name, error.refusal);
    }
    return change(found);
  }

  // Takes the first line as a header, or no longer.
  function relaid(event) {
    try {
      const found = laidOut(state.read, event.target.checked);
      if (!found.rows.length) throw Object.assign(new Error("no rows"), { empty: true });
      change({ ...found, sentence: state.sentence, second: state.second });
      draw();
    } catch (error) {
      event.target.checked = !event.target.checked;
      if (!error.refusal && !error.empty) throw error;
      return error.refusal ? app.refuse(state.name, error.refusal) : app.note("file.none", state.name);
    }
    return document.getElementById("header").focus();
  }

  function drawResults() {
    if (state.busy && !state.verdicts.some(Boolean)) return results.replaceChildren();
    const rows = h("div");
    const rest = left();
    results.replaceChildren(
      rest && !state.busy ? h("div", { class: "rest" }, h("p", {}, t("file.rest", rest)), button("file.rest.judge", judgeRest)) : "",
      filter(() => { drawRows(rows); app.say(counted()); }), rows);
    return drawRows(rows);
  }

  async function judgeRest() {
    await judge();
    const next = results.querySelector(".rest button") ?? results.querySelector(".copy button");
    if (document.activeElement === document.body) next?.focus(); // the button that had the focus is gone
  }

  function filter(changed) {
    const kinds = [["", t("file.all")], ...app.judge.labels.map((label) => [`=${label}`, label]), ["error", t("file.errors")]];
    const number = (name, role) => h("label", {}, t(name), " ", h("input", {
      type: "number", min: 0, max: 1, step: "any", value: state[role], inputmode: "decimal",
      oninput: (event) => { if (event.target.value !== "" && event.target.validity.valid) { state[role] = Number(event.target.value); changed(); } },
    }));
    return h("div", { class: "filter" },
      h("label", {}, t("file.verdict"), " ", h("select", { onchange: (event) => { state.verdict = event.target.value; changed(); } },
        kinds.map(([value, text]) => h("option", { value, selected: value === state.verdict }, text)))),
      number("file.from", "from"), number("file.to", "to"));
  }

  function drawRows(region) {
    const rows = kept();
    const stem = state.name.replace(/\.[^.]*$/, "");
    region.replaceChildren(
      h("div", { class: "summary" }, h("p", {}, counted()),
        h("div", { class: "copy" },
          button("file.save.tsv", () => save(`${stem}.verdicts.tsv`, asTsv(rows), "text/tab-separated-values"), { disabled: !rows.length }),
          button("file.save.json", () => save(`${stem}.verdicts.jsonl`, rows.map(asJson).join(""), "application/jsonl"), { disabled: !rows.length }))),
      rows.length ? grid(rows.slice(0, SHOWN)) : h("p", { class: "hint" }, t("file.nothing")),
      rows.length > SHOWN ? h("p", { class: "hint" }, t("file.first", SHOWN)) : "");
  }

  const asTsv = (rows) => tsv([...state.names, ...verdictColumns(rows.map(verdictOf))], rows.map((row) => [...state.rows[row], ...cells(verdictOf(row))]));

  // A row as a line of JSON. The values of JSON stay as they are in the file, to the last digit.
  function asJson(row) {
    const own = state.members?.[row].map(([name, source]) => [state.names[state.columns.indexOf(name)], source.replace(/\s*[\r\n]+\s*/g, " ")])
      ?? state.names.map((name, at) => [name, JSON.stringify(state.rows[row][at])]);
    const found = cells(verdictOf(row)).map((value, at) => [VERDICT[at], JSON.stringify(value)]).filter(([, source]) => source !== undefined);
    return `{${[...own, ...found].map(([name, source]) => `${JSON.stringify(name)}:${source}`).join(",")}}\n`;
  }

  function grid(rows) {
    const heads = ["table.verdict", "table.probability", "table.sentence", ...(app.pairs ? ["table.second"] : [])];
    return h("table", { class: "rows" },
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
      h("tbody", {}, rows.map((row) => {
        const verdict = verdictOf(row);
        const call = verdict.error ? [h("td", { colspan: 2, class: "refusal" }, reason(verdict.error))]
          : [h("td", { class: "called" }, mark(app.judge, verdict.label), " ", quote("span", verdict.label)), h("td", { class: "number" }, share(verdict.probability))];
        return h("tr", {}, call, texts(state, row).map((text) => quote("td", text)));
      })));
  }

  // Another judge judges the same file when it is asked to, if it reads as many texts of a row.
  function clear() {
    latest++;
    state = state && state.pairs === app.pairs ? { ...state, verdicts: [], busy: false, verdict: "", from: 0, to: 1 } : null;
    draw();
  }

  return { draw, clear };
}
