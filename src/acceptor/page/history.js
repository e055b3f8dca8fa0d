// What was judged in this tab, the latest first. It is kept in memory only.

import { h, mark, quote } from "./show.js";
import { share } from "./texts.js";
import { t } from "./strings.js";

const MOST = 200;

export function history(app, again) {
  const list = document.getElementById("history");
  const forget = document.getElementById("forget");
  let entries = [];
  forget.addEventListener("click", () => { entries = []; draw(); document.getElementById("history-title").focus(); });

  function draw() {
    document.getElementById("history-empty").hidden = entries.length > 0;
    forget.hidden = entries.length === 0;
    list.replaceChildren(...entries.map((entry) => h("li", {},
      h("button", { type: "button", title: t("history.again"), onclick: () => again(entry) },
        mark(entry.judge, entry.label),
        h("span", {}, quote("span", entry.text, { class: "past" }), app.models.length > 1 ? quote("span", entry.judge.name, { class: "by" }) : ""),
        h("span", { class: "heard" }, `${entry.label} `), h("span", { class: "number" }, share(entry.probability))))));
  }

  // Adds judged rows; one that is judged again moves to the top.
  function add(rows) {
    const fresh = rows.filter((row) => !row.verdict.error).map(({ sentence, second, verdict }) => ({
      ...verdict, text: second === null ? sentence : `${sentence} ⇥ ${second}`, line: second === null ? sentence : `${sentence}\t${second}`, judge: app.judge,
    }));
    const seen = new Set();
    const same = (entry) => `${entry.judge.name}\n${entry.line}`; // two judges may differ on one sentence
    entries = [...fresh, ...entries].filter((entry) => !seen.has(same(entry)) && seen.add(same(entry))).slice(0, MOST);
    draw();
  }

  return { add, draw };
}
