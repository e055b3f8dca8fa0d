// Elements of the page. Every text is set as text, never as markup.

import { share, signed, tsv } from "./texts.js";
import { t } from "./strings.js";

// An element with attributes, listeners (`onclick`) and children.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

// A text in whatever language it is: its direction is its own, and no translator changes it.
export const quote = (tag, text, attributes = {}) => h(tag, { dir: "auto", translate: "no", ...attributes }, text);

// Whether a key belongs to an input method: Safari sends the Enter that ends a composition after its end, as key 229.
export const composes = (event) => event.isComposing || event.keyCode === 229;

// Puts a text into a field as a person would type it, so that undo brings back what was there.
export function type(field, text) {
  field.focus();
  field.select();
  if (!document.execCommand("insertText", false, text)) field.value = text;
}

export function button(name, onclick, attributes = {}) {
  return h("button", { type: "button", class: "quiet", onclick, ...attributes }, t(name));
}

// What a verdict is: good, bad, or a label that is neither. The first two colours mean good and bad, so others start behind them.
function kind(judge, label) {
  if (!judge.acceptable) return `label${(judge.labels.indexOf(label) + 2) % 6}`;
  return label === judge.positive ? "positive" : "negative";
}

export function mark(judge, label) {
  const sign = { positive: "✓", negative: "✕" }[kind(judge, label)] ?? "●";
  return h("span", { class: `mark ${kind(judge, label)}`, "aria-hidden": "true" }, sign);
}

export function call(judge, { label, probability }) {
  return h("p", { class: `call ${kind(judge, label)}` }, quote("b", label), " ", h("span", { class: "number" }, share(probability)));
}

// From where on the positive one of two labels is the verdict; the judge's threshold is that of its second label.
function thresholdOf(judge) {
  const threshold = judge.threshold ?? 0.5;
  return judge.positive === judge.labels[1] ? threshold : 1 - threshold;
}

// The probability on a line from 0 to 1: of the positive label with its threshold, or of the verdict among several.
export function scale(judge, { label, probability }) {
  const two = judge.labels.length === 2;
  const shown = !two || label === judge.positive ? probability : 1 - probability;
  const threshold = two ? thresholdOf(judge) : 0;
  const name = t("scale.label", two ? judge.positive : label, share(shown));
  const line = h("div", { class: `scale ${kind(judge, label)}`, role: "img", "aria-label": two ? `${name}, ${t("threshold", share(threshold))}` : name },
    h("span", { class: "fill" }), two ? h("span", { class: "tick" }) : null, h("span", { class: "dot" }));
  line.style.setProperty("--p", shown);
  line.style.setProperty("--t", threshold);
  line.style.setProperty("--low", Math.min(shown, threshold));
  line.style.setProperty("--high", Math.max(shown, threshold));
  return line;
}

// What the two ends of the lines and their ticks mean. The lines tell it to a screen reader themselves.
export function axis(judge) {
  if (judge.labels.length > 2) return "";
  const other = judge.labels.find((label) => label !== judge.positive);
  const threshold = thresholdOf(judge);
  const line = h("div", { class: "axis", "aria-hidden": "true" }, quote("span", `← ${other}`), h("span", { class: "at" }, t("threshold", share(threshold))), quote("span", `${judge.positive} →`));
  line.style.setProperty("--t", threshold);
  return line;
}

export function flags({ truncated, unknown }) {
  const names = [truncated ? "flag.truncated" : null, unknown ? "flag.unknown" : null].filter(Boolean);
  return names.map((name) => h("span", { class: "flag" }, t(name)));
}

// Why a sentence has no verdict.
export const reason = (error) => t(error.code) ?? error.message;
export const refusal = (error) => h("p", { class: "refusal" }, reason(error));

// What is known of a refusal, under the headings of the command line. Each part is a name and values for `t`.
export function details({ code, ...parts }) {
  const rows = Object.entries(parts).map(([name, words]) => [h("dt", {}, t(`part.${name}`)), quote("dd", t(...words))]);
  return h("dl", { class: "details" }, rows.flat(), h("dt", {}, t("part.code")), h("dd", {}, code));
}

// The words of a sentence, each with its weight below it and a line whose kind and width show it.
export function words({ words: texts, weights }) {
  const largest = Math.max(...weights.map(Math.abs), 0.1);
  const items = texts.map((text, at) => {
    const size = Math.abs(weights[at]) / largest;
    const supports = weights[at] >= 0;
    const number = Math.abs(weights[at]).toFixed(2);
    const word = h("li", { class: supports ? "supports" : "opposes" }, quote("span", text, { class: "word" }),
      h("span", { class: "weight", "aria-hidden": "true" }, signed(weights[at])),
      h("span", { class: "heard" }, t(supports ? "supports" : "opposes", number)));
    word.style.setProperty("--size", size.toFixed(3));
    return word;
  });
  return h("div", { class: "words" }, h("ul", {}, items), h("p", { class: "hint" }, t("why.legend")));
}

// Lines about what is shown, those of them that there are.
export const hints = (...texts) => texts.filter(Boolean).map((text) => h("p", { class: "hint" }, text));

export function examples(name, items, choose) {
  return h("div", { class: "empty" }, h("p", {}, t(name)),
    h("ul", {}, items.map(([text, value]) => h("li", {}, h("button", { type: "button", class: "example", translate: "no", onclick: () => choose(value) }, text)))));
}

// The buttons that copy rows, as TSV and as JSON. `shaped` makes of the records what the JSON holds.
export function copying(columns, rows, shaped = (records) => records) {
  const records = () => rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
  const said = h("span", { class: "said", role: "status" });
  const copies = (text) => async () => { said.textContent = t((await copy(text())) ? "copy.done" : "copy.failed"); };
  return h("div", { class: "copy" }, said,
    button("copy.tsv", copies(() => tsv(columns, rows))),
    button("copy.json", copies(() => JSON.stringify(shaped(records()), null, 2))));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { class: "heard", readonly: true }); // pages over plain HTTP have no clipboard
    field.value = text;
    document.body.append(field);
    const before = document.activeElement;
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus();
    return done;
  }
}

export function save(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

// A verdict as a row of a file: the columns of `acceptor predict`, and why there is none.
export const VERDICT = ["verdict", "probability", "margin", "error"];
export const cells = (verdict) => [verdict.label, verdict.probability, verdict.margin, verdict.error];
// The columns that some verdicts need: that of errors only if there is one.
export const verdictColumns = (verdicts) => (verdicts.some((verdict) => verdict.error) ? VERDICT : VERDICT.slice(0, -1));
