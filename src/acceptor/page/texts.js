// Reads the texts that a user types, and writes verdicts as text.

import { arePairNames } from "./headers.js";

// The lines that are not blank.
export function lines(text) {
  return text.split(/\r\n|\n|\r/).filter((line) => line.trim());
}

// The pairs of a text with a tab in each line, each with the number of its line; the lines without two sentences; and
// whether the first line has the names of the columns, as a spreadsheet gives them.
export function pairsOf(text) {
  const all = text.split(/\r\n|\n|\r/).map((line, at) => ({ line, number: at + 1, cells: line.split("\t").map((cell) => cell.trim()).filter(Boolean) }));
  const filled = all.filter((row) => row.line.trim());
  const header = filled.length > 1 && filled[0].cells.length === 2 && arePairNames(filled[0].cells);
  const rows = header ? filled.slice(1) : filled;
  const pairs = rows.filter((row) => row.cells.length === 2).map(({ number, cells: [first, second] }) => ({ number, first, second }));
  return { pairs, bad: rows.filter((row) => row.cells.length !== 2), header };
}

// Rows of values as TSV, without quoting: a tab or a line break in a text becomes a blank. An error has its code first.
export function tsv(columns, rows) {
  const text = (value) => (value?.code ? `${value.code}: ${value.message}` : String(value ?? ""));
  const cell = (value) => text(value).replace(/[\t\r\n]+/g, " ");
  return [columns, ...rows].map((row) => columns.map((_, at) => cell(row[at])).join("\t") + "\n").join("");
}

// A probability for people: never 0 or 1, which no judge means.
export function share(probability) {
  if (probability > 0.995) return "> 0.99";
  return probability < 0.005 ? "< 0.01" : probability.toFixed(2);
}

// A weight or a difference with its sign.
export function signed(number, digits = 2) {
  const text = Math.abs(number).toFixed(digits);
  return Number(text) === 0 ? text : `${number < 0 ? "\u2212" : "+"}${text}`;
}

// A difference between two sentences with its sign, which is shown however small it is.
export function difference(number) {
  if (number === 0 || Math.abs(number) >= 0.005) return signed(number);
  return `${number < 0 ? "\u2212" : "+"}${Math.abs(number).toPrecision(1)}`;
}

// Wilson's 95 % interval of a share.
export function wilson(count, n) {
  const z = 1.959963984540054;
  const middle = (count + (z * z) / 2) / (n + z * z);
  const half = (z / (n + z * z)) * Math.sqrt((count * (n - count)) / n + (z * z) / 4);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
