// Reads the texts that a user types or drops, and writes verdicts as text.

const SENTENCES = ["sentence", "text", "sentence1", "texta", "premise", "question1", "text1", "sentences", "texts", "content", "sentencegood", "句子", "文本"];
const SECONDS = ["sentence2", "second", "textb", "hypothesis", "question2", "text2"];

// The lines that are not blank.
export function lines(text) {
  return text.split(/\r\n|\n|\r/).filter((line) => line.trim());
}

// The pairs of a text with a tab in each line, and the numbers of the lines without two sentences.
export function pairsOf(text) {
  const pairs = [];
  const bad = [];
  text.split(/\r\n|\n|\r/).forEach((line, number) => {
    if (!line.trim()) return;
    const cells = line.split("\t").map((cell) => cell.trim()).filter(Boolean);
    if (cells.length === 2) pairs.push(cells);
    else bad.push(number + 1);
  });
  return { pairs, bad };
}

// A file as a table: `columns` are their names, null without a header. An error if it is not one of the known formats.
export async function table(file) {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  const kind = file.name.toLowerCase().match(/\.(\w+)$/)?.[1];
  if (["json", "jsonl", "ndjson"].includes(kind)) return records(text);
  if (kind === "tsv" || kind === "csv") return withHeader(kind === "tsv" ? lines(text).map((line) => line.split("\t")) : csv(text));
  return { columns: null, rows: lines(text).map((line) => [line]) };
}

// The columns that hold the sentences and the second sentences: by their names; else the one with the longest text, and
// the first of the others, -1 if there is none.
export function roles({ columns, rows }) {
  const place = (names) => names.map((name) => columns?.findIndex((column) => key(column) === name) ?? -1).find((at) => at >= 0) ?? -1;
  const width = Math.max(0, ...rows.slice(0, 100).map((row) => row.length));
  const named = { sentence: place(SENTENCES), second: place(SECONDS) };
  const lengths = Array.from({ length: width }, (_, at) => at === named.second ? -1 : rows.slice(0, 100).reduce((sum, row) => sum + (row[at]?.length ?? 0), 0));
  const sentence = named.sentence >= 0 ? named.sentence : lengths.indexOf(Math.max(...lengths));
  const second = named.second >= 0 ? named.second : lengths.findIndex((_, at) => at !== sentence);
  return { width, sentence, second };
}

// A column's name as names are compared: `acceptor.data.reading.column_names`.
const key = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

function withHeader(rows) {
  const known = [...SENTENCES, ...SECONDS];
  const header = rows[0]?.some((cell) => known.includes(key(cell)));
  return header ? { columns: rows[0].map((cell) => cell.trim()), rows: rows.slice(1) } : { columns: null, rows };
}

function records(text) {
  const found = text.trimStart().startsWith("[") ? JSON.parse(text) : lines(text).map((line) => JSON.parse(line));
  const objects = found.map((one) => (typeof one === "string" ? { sentence: one } : one));
  const columns = [...new Set(objects.flatMap(Object.keys))];
  const cell = (value) => (typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value));
  return { columns, rows: objects.map((one) => columns.map((column) => cell(one[column]))) };
}

// Comma-separated text by RFC 4180. An error, as in `quoted_rows` of Python, if a quote is not at both ends of its cell.
function csv(text) {
  const whole = text + "\n"; // the last line may lack its end
  const cell = /(?:"([^"]*(?:""[^"]*)*)"|([^,"\r\n]*))(,|\r\n|\n|\r)/y;
  const rows = [[]];
  while (cell.lastIndex < whole.length) {
    const found = cell.exec(whole);
    if (!found) throw new Error("a quote within a cell, or one that is not closed");
    const [, quoted, plain, end] = found;
    rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") rows.push([]);
  }
  return rows.filter((cells) => cells.some((cell) => cell.trim()));
}

// Rows of values as TSV, without quoting: a tab or a line break in a text becomes a blank.
export function tsv(columns, rows) {
  const cell = (value) => String(value ?? "").replace(/[\t\r\n]+/g, " ");
  return [columns, ...rows].map((row) => row.map(cell).join("\t") + "\n").join("");
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

// Wilson's 95 % interval of a share.
export function wilson(count, n) {
  const z = 1.959963984540054;
  const middle = (count + (z * z) / 2) / (n + z * z);
  const half = (z / (n + z * z)) * Math.sqrt((count * (n - count)) / n + (z * z) / 4);
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
