// Reads a file as a table, as strictly as the command line: what does not fit is refused with its line, and nothing is lost.

import { hasHeader, otherSeparator } from "./headers.js";

const FIRST = 40; // characters of a text that a refusal shows

// A refusal: `problem`, and perhaps `where`, `expected`, `found`, `cause` and `next`, each a list of a name and values for `t`.
function refused(code, parts) {
  return Object.assign(new Error(parts.problem.join(" ")), { refusal: { code, ...parts } });
}

const line = (number) => ["at.line", number];
const short = (text) => ["as.is", JSON.stringify(text.length > FIRST ? `${text.slice(0, FIRST)}…` : text)];

// What a file holds. Delimited text: `rows` of cells, their `lines`, and its `separator`; whether a header is among them
// is for `named`. JSON: also `columns` and, for each row, `members`: its keys with their values as written; and `texts`: its
// cells, of which those that are no text are empty.
export async function table(file) {
  const text = decoded(new Uint8Array(await file.arrayBuffer()));
  const kind = file.name.toLowerCase().match(/\.(\w+)$/)?.[1];
  if (["json", "jsonl", "ndjson"].includes(kind)) return records(text, kind);
  if (kind === "csv" || kind === "tsv") return rectangular(separated(text, kind === "csv" ? "," : "\t"));
  const found = cutAt(text, "\t");
  return found.rows.some((row) => row.length !== found.rows[0].length) ? lineByLine(text) : found; // a stray tab is text
}

// The table with the names of its columns; without a header they are null.
export function named(read, header = read.columns === undefined && read.rows.length > 0 && hasHeader(read.rows)) {
  if (read.columns) return { ...read, header: null };
  if (!header) return { ...read, columns: null, header };
  const [columns, ...rows] = read.rows;
  const again = rows.findIndex((row) => row.every((cell, at) => (at ? cell : cell.replace(/^\ufeff/, "")) === columns[at]));
  if (again >= 0) {
    throw refused("E-DATA-ROW", { problem: ["row.again"], where: line(read.lines[again + 1]), expected: ["row.cells"], found: short(rows[again].join(" | ")), cause: ["row.joined"], next: ["row.remove"] });
  }
  const names = columns.map((name, at) => name || `column${at + 1}`);
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) {
    throw refused("E-DATA-COLUMN", { problem: ["columns.twice", twice], where: line(read.lines[0]), found: ["as.is", names.join(", ")], next: ["columns.rename"] });
  }
  return { ...read, columns: names, rows, lines: read.lines.slice(1), header };
}

// ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

// The text of bytes in UTF-8.
function decoded(bytes) {
  const problem = (name, number, more) => refused("E-DATA-ENCODING", { problem: [name], where: line(number), expected: ["text.expected"], ...more });
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) throw problem("text.utf16", 1, { next: ["text.save"] });
  if (String.fromCharCode(...bytes.subarray(0, 4)) === "PK\x03\x04") throw problem("text.archive", 1, { next: ["text.save"] });
  const lineOf = (offset) => bytes.subarray(0, offset).reduce((count, byte) => count + (byte === 10), 1);
  const first = bytes.subarray(0, 16);
  const isZero = (odd) => first.length > 1 && first.every((byte, at) => at % 2 !== odd || byte === 0);
  if (first.some(Boolean) && (isZero(0) || isZero(1))) throw problem("text.binary", 1, { cause: ["text.unmarked"], next: ["text.save"] });
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw problem("text.binary", lineOf(nul), { next: ["text.save"] });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    for (let start = 0, end; start < bytes.length; start = end) { // the line that is not
      end = bytes.indexOf(10, start) + 1 || bytes.length;
      try {
        decoder.decode(bytes.subarray(start, end));
      } catch {
        throw problem("text.other", lineOf(start), { cause: ["text.older"], next: ["text.save"] });
      }
    }
    throw problem("text.other", 1, { next: ["text.save"] });
  }
}

// The lines of a text that hold something, and their numbers.
function numbered(text, holds = (content) => content.trim()) {
  const found = text.split(/\r\n|\n|\r/).map((content, at) => ({ content, number: at + 1 })).filter(({ content }) => holds(content));
  return { lines: found.map(({ content }) => content), numbers: found.map(({ number }) => number) };
}

function lineByLine(text) {
  const { lines, numbers } = numbered(text);
  return { rows: lines.map((content) => [content]), lines: numbers, separator: null };
}

// ── cells ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// The rows of delimited text, cut at `usual`, at what the first line declares (`sep=;`), or at another separator that
// makes a table where the usual one makes none.
function separated(text, usual) {
  const declared = text.match(/^sep=(.)\r?\n/)?.[1];
  const body = declared ? text.replace(/^.*/, "") : text; // the line itself stays, so that the others keep their numbers
  if (declared) return cutAt(body, declared);
  const other = () => otherSeparator(numbered(body).lines, usual);
  try {
    const found = cutAt(body, usual);
    const even = found.rows.every((row) => row.length > 1 && row.length === found.rows[0].length);
    const by = even ? null : other();
    return by ? cutAt(body, by) : found;
  } catch (error) {
    const by = other(); // a quote may be out of place only because cells end elsewhere
    if (!by) throw error;
    return cutAt(body, by);
  }
}

// TSV has no quotes; with any other separator a cell may be quoted, as in RFC 4180.
function cutAt(text, separator) {
  if (separator !== "\t") return quoted(text, separator);
  const { lines, numbers } = numbered(text, (content) => content.trim() || content.includes(separator)); // blank cells are a row
  return { rows: lines.map((content) => content.split(separator)), lines: numbers, separator };
}

function quoted(text, separator) {
  const whole = /[\r\n]$/.test(text) ? text : text + "\n"; // the last line may lack its end
  const own = `\\x${separator.charCodeAt(0).toString(16).padStart(2, "0")}`;
  const cell = new RegExp(`(?:"([^"]*(?:""[^"]*)*)"|([^"${own}\\r\\n]*))(${own}|\\r\\n|\\n|\\r)`, "y");
  const found = { rows: [], lines: [], separator };
  let row = [];
  let [number, started] = [1, 1];
  while (cell.lastIndex < whole.length) {
    const start = cell.lastIndex;
    const one = cell.exec(whole);
    if (!one) throw badQuote(whole, start, number);
    const [, inside, plain, end] = one;
    row.push(inside === undefined ? plain : inside.replaceAll('""', '"'));
    number += one[0].match(/\r\n|\n|\r/g)?.length ?? 0;
    if (end === separator) continue;
    if (row.length > 1 || row[0].trim()) {
      found.rows.push(row);
      found.lines.push(started);
    }
    [row, started] = [[], number];
  }
  return found;
}

// The refusal of the cell at `start`, whose quotes are out of place.
function badQuote(text, start, number) {
  const rest = text.slice(start, start + 4 * FIRST).split(/[\r\n]/)[0];
  const refuse = (problem, found, next, at = number) => refused("E-DATA-QUOTES", { problem: [problem], where: line(at), found: short(found), next: [next] });
  if (text[start] !== '"') return refuse("quote.inside", rest, "quote.double");
  const closed = text.slice(start).match(/^"[^"]*(?:""[^"]*)*"/)?.[0];
  if (!closed) return refuse("quote.open", rest, "quote.close");
  const after = text.slice(start + closed.length, start + closed.length + FIRST).split(/[\r\n]/)[0];
  return refuse("quote.after", after, "quote.double", number + (closed.match(/\r\n|\n|\r/g)?.length ?? 0));
}

// The same rows, all of which have as many cells as most have.
function rectangular(found) {
  const counts = new Map();
  for (const { length } of found.rows) counts.set(length, (counts.get(length) ?? 0) + 1);
  const width = [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), [0, 0])[0];
  const wrong = found.rows.findIndex((row) => row.length !== width);
  if (wrong < 0) return found;
  const [row, isTab] = [found.rows[wrong], found.separator === "\t"];
  throw refused("E-DATA-ROW", {
    problem: ["row.width"], where: line(found.lines[wrong]), expected: ["row.columns", width],
    found: ["as.is", `${row.length}: ${row.slice(0, 8).map((cell) => short(cell)[1]).join(" | ")}`],
    cause: isTab ? ["row.tab"] : ["row.unquoted", found.separator], next: [isTab ? "row.correct" : "quote.double"],
  });
}

// ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+|"/g;

// The rows of JSON: an object on each line, or an array of objects. A text alone is a sentence.
function records(text, kind) {
  if (isObject(text) && (kind === "json" || /[\r\n]/.test(text.trim()))) {
    throw refused("E-DATA-FORMAT", { problem: ["json.one"], where: line(1), expected: ["json.expected"] });
  }
  const isArray = text.trimStart().startsWith("[");
  const { lines, numbers } = isArray ? items(text) : numbered(text);
  const members = lines.map((source, row) => membersOf(source, numbers[row], isArray));
  if (isArray) parsed(text, (cause) => refused("E-DATA-FORMAT", { problem: ["json.array"], cause: ["as.is", cause] }));
  const columns = [...new Set(members.flatMap((row) => row.map(([name]) => name)))];
  if (members.length && !columns.length) throw refused("E-DATA-COLUMN", { problem: ["columns.none"], where: line(numbers[0]), found: ["as.is", "{}"] });
  const cells = members.map((row) => new Map(row));
  const table = (cell) => cells.map((row) => columns.map((name) => cell(row.get(name))));
  return { columns, rows: table(cellOf), texts: table(textOf), lines: numbers, members, separator: null };
}

// Whether a text is one object of JSON.
function isObject(text) {
  try {
    return text.trimStart().startsWith("{") && Boolean(JSON.parse(text));
  } catch {
    return false;
  }
}

// The cell of a value as written: a text itself, and anything else as it is in the file, since numbers lose digits in JavaScript.
function cellOf(source = "null") {
  return source.startsWith('"') ? JSON.parse(source) : source === "null" ? "" : source;
}

// The cell where sentences are looked for: nothing but a text is one.
const textOf = (source) => (source?.startsWith('"') ? cellOf(source) : "");

// Refuses sentences that JSON has as a list, an object, a number, true or false. A missing one is an empty row.
export function onlyTexts({ rows, texts, lines }, columns) {
  for (const [row, cells] of (texts ?? []).entries()) {
    const wrong = columns.find((column) => rows[row][column] !== cells[column]);
    if (wrong === undefined) continue;
    const found = rows[row][wrong].replace(/\s+/g, " ");
    throw refused("E-DATA-TEXT", {
      problem: ["text.none"], where: line(lines[row]), expected: ["text.string"], found: ["as.is", found.length > FIRST ? `${found.slice(0, FIRST)}…` : found],
    });
  }
}

function parsed(source, refusal) {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw refusal(error.message);
  }
}

// The texts of an array's items, and the lines where they start.
function items(text) {
  const found = { lines: [], numbers: [] };
  let [depth, start, number, counted] = [0, -1, 1, 0];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const ends = (token === "," && depth === 1) || (token === "]" && depth === 1);
    if (ends && start >= 0) {
      number += text.slice(counted, start).split("\n").length - 1;
      counted = start;
      found.lines.push(text.slice(start, index).trimEnd());
      found.numbers.push(number);
    }
    if (ends) start = -1;
    else if (depth >= 1 && start < 0) start = index;
    if ("{[".includes(token)) depth++;
    else if ("}]".includes(token)) depth--;
  }
  return found;
}

// The keys of an object with their values as written. A key that is there twice is refused, at any depth.
function membersOf(source, number, isArray) {
  const broken = isArray ? ["E-DATA-FORMAT", "json.array"] : ["E-DATA-ROW", "json.row"];
  const refusal = (cause, [code, problem] = broken) =>
    refused(code, { problem: [problem], where: line(number), expected: ["json.expected"], found: short(source), cause });
  const value = parsed(source, (cause) => refusal(["as.is", cause]));
  if (typeof value === "string") return [["sentence", JSON.stringify(value)]];
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw refusal(["json.other"], ["E-DATA-ROW", "json.row"]);
  const members = [];
  const seen = []; // the keys of each object that is open; null for an array
  let before = "";
  for (const { 0: token, index } of source.matchAll(TOKEN)) {
    if (token === ":") {
      const name = JSON.parse(before);
      if (seen.at(-1).has(name)) throw refusal(["json.twice", name]);
      seen.at(-1).add(name);
      if (seen.length === 1) members.push({ name, start: index + 1, end: 0 });
    }
    if (seen.length === 1 && (token === "," || token === "}") && members.length) members.at(-1).end = index;
    if (token === "{") seen.push(new Set());
    else if (token === "[") seen.push(null);
    else if (token === "}" || token === "]") seen.pop();
    before = token;
  }
  return members.map(({ name, start, end }) => [name, source.slice(start, end).trim()]);
}
