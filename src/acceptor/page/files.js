// The tab for files: a file is read, judged, filtered and saved.

import { button, cells, h, mark, quote, record, save, TAKEN, VERDICT } from "./show.js";
import { roles, share, table, tsv } from "./texts.js";
import { t } from "./strings.js";

const SHOWN = 100;

export function files(app) {
  const input = document.getElementById("file");
  const drop = document.getElementById("drop");
  const place = document.getElementById("file-results");
  let state = null;
  let latest = 0; // the number of the file that was taken last

  input.addEventListener("change", () => { if (input.files.length) take(input.files[0]); input.value = ""; });
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
    take(event.dataTransfer.files[0]);
  });

  async function take(file) {
    if (!app.judge) return app.note("about.loading.file", file.name);
    const number = ++latest;
    state = null;
    draw();
    try {
      const read = await table(file);
      if (number !== latest) return null; // another file was dropped meanwhile
      const found = roles(read);
      if (!read.rows.length) return app.note("file.none", file.name);
      if (app.pairs && found.second < 0) return app.note("file.pairs", file.name);
      state = { name: file.name, ...read, ...found, verdicts: null, verdict: "", from: 0, to: 1 };
    } catch {
      if (number !== latest) return null;
      return app.note("file.bad", file.name);
    }
    await judge();
  }

  async function judge() {
    const now = state;
    now.verdicts = null;
    draw();
    // Blank cells are not sent: a server refuses a request with a blank sentence.
    const places = now.rows.map((_, row) => row).filter((row) => texts(now, row).every((text) => text.trim()));
    const found = await app.run(place, (options) => app.ask("judge", {
      sentences: places.map((row) => texts(now, row)[0]),
      ...(app.pairs ? { seconds: places.map((row) => texts(now, row)[1]) } : {}),
    }, options));
    if (!found || now !== state) return;
    now.verdicts = now.rows.map(() => ({ error: { code: "E-DATA-TEXT", message: "" } }));
    places.forEach((row, at) => (now.verdicts[row] = found.verdicts[at]));
    draw();
  }

  const texts = (from, row) => [from.sentence, ...(app.pairs ? [from.second] : [])].map((at) => from.rows[row][at] ?? "");

  // The numbers of the rows that the filter keeps.
  function kept() {
    return state.verdicts.map((_, row) => row).filter((row) => {
      const { error, label, probability } = state.verdicts[row];
      if (error) return state.verdict === "error" || (state.verdict === "" && state.from <= 0 && state.to >= 1);
      return ["", label].includes(state.verdict === "" ? "" : state.verdict.slice(1)) && probability >= state.from && probability <= state.to;
    });
  }

  function draw() {
    if (!state) return place.replaceChildren();
    place.replaceChildren(h("p", { class: "headline" }, quote("span", t("file.judging", state.rows.length, state.name))), columns());
    if (state.verdicts) {
      const rows = h("div", { role: "region", "aria-live": "polite", "aria-label": t("results") });
      place.append(filter(() => drawRows(rows)), rows);
      drawRows(rows);
    }
  }

  function columns() {
    if (state.width < 2) return "";
    const choose = (name, role) => h("label", {}, t(name), " ", h("select", {
      onchange: (event) => { state[role] = Number(event.target.value); judge(); },
    }, Array.from({ length: state.width }, (_, at) =>
      h("option", { value: at, selected: at === state[role] }, state.columns?.[at] || t("file.number", at + 1)))));
    return h("div", { class: "filter" }, choose("file.column", "sentence"), app.pairs ? choose("file.second", "second") : "");
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
      h("div", { class: "summary" }, h("p", {}, t("file.shown", rows.length, state.rows.length)),
        h("div", { class: "copy" },
          button("file.save.tsv", () => save(`${stem}.verdicts.tsv`, tsv([...names(), ...VERDICT], rows.map((row) => [...padded(row), ...cells(state.verdicts[row])])), "text/tab-separated-values"), { disabled: !rows.length }),
          button("file.save.json", () => save(`${stem}.verdicts.jsonl`, rows.map((row) => JSON.stringify(asRecord(row)) + "\n").join(""), "application/jsonl"), { disabled: !rows.length }))),
      rows.length ? grid(rows.slice(0, SHOWN)) : h("p", { class: "hint" }, t("file.nothing")),
      rows.length > SHOWN ? h("p", { class: "hint" }, t("file.first", SHOWN)) : "");
  }

  // The names of the file's columns. One of a verdict's columns becomes input.NAME, as in `acceptor predict`.
  const names = () => (state.columns ?? (state.width === 1 ? ["sentence"] : Array.from({ length: state.width }, (_, at) => `column${at + 1}`)))
    .map((name) => (TAKEN.includes(name) ? `input.${name}` : name));
  const padded = (row) => names().map((_, at) => state.rows[row][at] ?? "");
  const asRecord = (row) => ({ ...Object.fromEntries(names().map((name, at) => [name, padded(row)[at]])), ...record(state.verdicts[row]) });

  function grid(rows) {
    const heads = ["table.verdict", "table.probability", "table.sentence", ...(app.pairs ? ["table.second"] : [])];
    return h("table", { class: "rows" },
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
      h("tbody", {}, rows.map((row) => {
        const verdict = state.verdicts[row];
        const call = verdict.error ? [h("td", { colspan: 2, class: "refusal" }, t(verdict.error.code) ?? verdict.error.message)]
          : [h("td", { class: "called" }, mark(app.judge, verdict.label), " ", quote("span", verdict.label)), h("td", { class: "number" }, share(verdict.probability))];
        return h("tr", {}, call, texts(state, row).map((text) => quote("td", text)));
      })));
  }

  return { draw, clear() { latest++; state = null; draw(); } };
}
