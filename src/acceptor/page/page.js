// The page: its tabs, its language, the judge, and what happens when something fails.

import { comparing, judging } from "./judging.js";
import { files } from "./files.js";
import { button, composes, details, h } from "./show.js";
import { history } from "./history.js";
import { language, otherLanguage, t, translate } from "./strings.js";
import { minimalPairs } from "./pairs.js";
import { share } from "./texts.js";

const $ = (id) => document.getElementById(id);
const TABS = ["judge", "compare", "pairs", "file"];

export async function start(backend) {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  const app = {
    judge: null, // what the server says of the judge
    shortcut: mac ? "⌘ Enter" : "Ctrl + Enter",
    get pairs() { return app.judge?.inputs === "pairs"; },
    ask: (name, body, options) => backend[name]({ ...body, ...(backend.local ? {} : { model: app.judge.name }) }, options),
    show, note, fail, refuse, run, stop, say, choose, ready,
  };
  let loading = null; // the loading in progress
  let running = null; // the work in progress, which new work replaces
  let alerted = null; // what the alert says, in whatever language the page has
  const lines = new Map(); // the lines of progress, each with what puts it into the page's language
  const busy = new Map(); // the latest work of each place
  const judgingTab = judging(app);
  app.history = history(app, judgingTab.again);
  const parts = [judgingTab, comparing(app), minimalPairs(app), files(app)];

  $("language").addEventListener("click", () => { otherLanguage(); draw(); });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || composes(event)) return;
    const form = event.target.form;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form?.requestSubmit(form.querySelector(".primary"));
  });
  for (const name of TABS) {
    $(`tab-${name}`).addEventListener("click", () => show(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => moveTab(event));
  }
  $("models").querySelector("select").addEventListener("change", (event) => choose(app.models[event.target.value]));
  draw();
  await load();

  function load() {
    return (loading ??= loaded().finally(() => { loading = null; }));
  }

  async function loaded() {
    about(backend.local ? "about.loading.local" : "about.loading");
    await new Promise((done) => setTimeout(done, 30)); // the line above is drawn first
    const found = await attempt((options) => backend.models({}, options));
    if (!found) return app.judge ? draw() : about(null);
    app.models = found.models;
    const select = $("models").querySelector("select");
    select.replaceChildren(...app.models.map((model, at) => h("option", { value: at }, model.name)));
    $("models").hidden = app.models.length < 2;
    choose(app.models.find(({ name }) => name === app.judge?.name) ?? app.models[0]);
  }

  // Whether there is a judge to work with. Where it could not be loaded, that is tried again; while it is loading, a note says so.
  async function ready(...unready) {
    if (app.judge) return true;
    if (loading) return note(...unready);
    alert(null);
    await load();
    return app.judge !== null;
  }

  function choose(judge) {
    const same = (app.judge ?? judge).name === judge.name; // what is to be judged may wait in another tab
    stop();
    alert(null);
    say("");
    app.judge = judge;
    $("models").querySelector("select").value = app.models.indexOf(judge);
    for (const part of parts) part.clear();
    for (const name of ["compare", "pairs"]) $(`tab-${name}`).hidden = app.pairs || !judge.acceptable; // nothing is better to others
    document.body.classList.add("ready");
    const stays = same || !$("panel-file").hidden; // a file is kept, for the other judge
    if (!stays || TABS.some((name) => !$(`panel-${name}`).hidden && $(`tab-${name}`).hidden)) show("judge");
    draw();
  }

  function draw() {
    translate();
    $("language").textContent = t("language");
    $("language").lang = language() === "en" ? "zh-CN" : "en";
    $("footer").replaceChildren(t(backend.local ? "footer.local" : "footer.server"), ...(backend.local ? [] : [" ", h("a", { href: "docs" }, t("footer.docs"))]));
    drawAlert();
    for (const translated of lines.values()) translated();
    document.title = app.judge ? `${app.judge.name} · Acceptor` : "Acceptor";
    if (!app.judge) return;
    const facts = [t("about", app.judge), `${app.judge.encoder}, ${app.judge.precision}`];
    if (app.judge.threshold !== null) facts.splice(1, 0, t("about.threshold", app.judge.labels[1], share(app.judge.threshold)));
    $("about").textContent = facts.join(" · ");
    for (const part of [...parts, app.history]) part.draw();
  }

  function about(name) {
    $("about").replaceChildren(...(name ? [h("span", { class: "spinner", "aria-hidden": "true" }), t(name)] : []));
  }

  function show(name) {
    for (const one of TABS) {
      $(`tab-${one}`).setAttribute("aria-selected", String(one === name));
      $(`tab-${one}`).tabIndex = one === name ? 0 : -1;
      $(`panel-${one}`).hidden = one !== name;
    }
  }

  function moveTab(event) {
    const shown = TABS.filter((name) => !$(`tab-${name}`).hidden);
    const at = shown.findIndex((name) => event.target.id === `tab-${name}`);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1 + shown.length, Home: 0, End: shown.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    show(shown[next % shown.length]);
    $(`tab-${shown[next % shown.length]}`).focus();
  }

  // Shows a line about what the user should do. Returns null, so that a caller can end with it.
  function note(name, ...values) {
    return alert({ text: () => t(name, ...values) });
  }

  function fail(error, again = null) {
    const detail = [error.message, error.next, error.code].filter(Boolean).join(" · ");
    return alert({ text: () => t(error.code ?? "") ?? t(`error.${error.status}`) ?? t("error.other"), detail: () => (detail ? h("p", { class: "hint" }, detail) : ""), again });
  }

  // Says what is wrong with a file, as the command line does: where, what was expected, what was found, what to do.
  function refuse(name, { problem, code, ...parts }) {
    return alert({ text: () => t("file.refused", name, t(...problem)), detail: () => details({ ...parts, code }) });
  }

  // What the alert shows: its text and more about it, as functions that speak the page's language; what is tried again.
  function alert(shown) {
    alerted = shown;
    drawAlert();
    return null;
  }

  function drawAlert() {
    if (!alerted) return $("alert").replaceChildren();
    const { text, detail = () => "", again } = alerted;
    const close = (then) => () => { alert(null); home(); then?.(); };
    return $("alert").replaceChildren(h("p", {}, text()), detail(), again ? button("error.try", close(again)) : "", button("error.close", close()));
  }

  // Says a line to screen readers alone. The results themselves are too long to be read out at every change.
  function say(text) {
    $("said").textContent = text;
  }

  // The focus goes to the first field of the tab that is shown: the button that had it is gone.
  function home() {
    (document.querySelector(".work > section:not([hidden])").querySelector("textarea, input") ?? $("main")).focus();
  }

  // Ends the work in progress, if there is any, without a word.
  function stop() {
    running?.abort("replaced");
    running = null;
  }

  // Runs work that takes a while, with its progress above `place`; null if it was stopped or failed.
  async function run(place, work, name = "working") {
    stop();
    const mine = (running = new AbortController());
    let said = () => t(name);
    const [bar, text, ends] = [h("progress"), h("span", { role: "status" }), button("stop", () => mine.abort("stopped"))];
    const line = h("div", { class: "working" }, bar, text, ends);
    const tell = (now) => { said = now; text.textContent = said(); };
    lines.set(line, () => { bar.setAttribute("aria-label", t(name)); ends.textContent = t("stop"); tell(said); });
    lines.get(line)();
    place.before(line);
    place.setAttribute("aria-busy", "true");
    busy.set(place, mine);
    alert(null);
    const onProgress = (done, all) => { bar.max = all; bar.value = done; tell(() => `${t(name)} ${t("progress", done, all)}`); };
    const onWait = (seconds) => tell(() => t("waiting", seconds));
    try {
      return await attempt((options) => work({ ...options, onProgress, onWait }), mine.signal);
    } finally {
      const focused = line.contains(document.activeElement); // on Stop, which goes
      line.remove();
      lines.delete(line);
      if (focused) (place.parentElement.querySelector(".primary") ?? $("alert").querySelector("button") ?? $("main")).focus();
      if (busy.get(place) === mine) place.removeAttribute("aria-busy");
      if (running === mine) running = null;
    }
  }

  // The result of work; null if it was stopped or failed. A server that wants a key gets one.
  async function attempt(work, signal) {
    for (let asked = false; ; asked = true) {
      try {
        const found = await work({ signal });
        signal?.throwIfAborted(); // the end of the work may have come with the stop
        return found;
      } catch (error) {
        if (signal?.aborted) return signal.reason === "stopped" ? note("stopped") : null;
        if (error.status === 401 && (await askKey(asked))) continue;
        return fail(error, (app.judge && error.status !== 404) || backend.local ? null : load);
      }
    }
  }

  // Asks for the API key, perhaps once more; false if the user gives none.
  function askKey(again) {
    const dialog = $("key-dialog");
    dialog.returnValue = "";
    $("key-text").textContent = t(again ? "error.401" : "key.text");
    $("key").value = "";
    dialog.showModal();
    return new Promise((done) => dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok"; // and not Escape
      if (given) backend.setKey($("key").value.trim());
      $("key").value = "";
      done(given);
    }, { once: true }));
  }
}
