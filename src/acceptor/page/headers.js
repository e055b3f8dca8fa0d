// Whether the first row of a table is a header, and what its columns hold: the rules of `acceptor.data.reading`.

const SENTENCES = [
  "sentence", "text", "sent", "utterance", "review", "sentence1", "texta", "premise", "question1", "question", "1string", "string1", "text1",
  "sent1", "sentencea", "query", "claim", "sentences", "texts", "content", "comment", "commenttext", "tweet", "message", "document", "satz",
  "phrase", "frase", "oración", "oracion", "texto", "texte", "testo", "zin", "tekst", "mening", "lause", "zdanie", "cümle", "metin",
  "предложение", "текст", "句子", "文本", "文", "文章", "テキスト", "문장", "텍스트",
];
const SECONDS = ["sentence2", "second", "textb", "hypothesis", "question2", "2string", "string2", "text2", "sent2", "sentenceb", "textpair"];
const LABELS = [
  "label", "labels", "acceptable", "acceptability", "grammatical", "isacceptable", "class", "target", "gold", "goldlabel", "judgement",
  "judgment", "y",
];
const COMPANIONS = [
  "question", "premise", "hypothesis", "context", "passage", "paragraph", "answer", "query", "claim", "evidence", "second", "textpair",
  "sentence1", "sentence2", "texta", "textb", "question1", "question2", "1string", "2string", "string1", "string2", "text1", "text2", "sent1",
  "sent2", "sentencea", "sentenceb", "choice1", "choice2", "option1", "option2", "choicea", "choiceb", "ending1", "ending2",
];
const MINIMAL_PAIRS = [
  "sentencegood", "good", "acceptable", "grammatical", "correct", "goodsentence", "sentencebad", "bad", "unacceptable", "ungrammatical",
  "incorrect", "wrong", "badsentence",
];
const LABEL_WORDS = [
  "acceptable", "unacceptable", "grammatical", "ungrammatical", "correct", "incorrect", "good", "bad", "ok", "yes", "no", "maybe", "y", "n",
  "true", "false", "t", "f", "positive", "negative", "neutral", "pos", "neg", "entailment", "contradiction", "not_entailment",
];
const SAMPLE = 1000; // cells of a column that are looked at
const SEPARATORS = ["\t", ";", ",", "|"];

// A column's name as names are compared: letters and digits alone.
const key = (name) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

// The columns that hold the sentences and the second sentences: by their names; else the one with the longest text, and
// the first of the others that holds text, -1 if there is none.
export function roles({ columns, rows }) {
  const place = (names) => names.map((name) => columns?.findIndex((column) => key(column) === name) ?? -1).find((at) => at >= 0) ?? -1;
  const named = { sentence: place([...SENTENCES, "sentencegood"]), second: place(SECONDS) };
  const lengths = (rows[0] ?? []).map((_, at) => at === named.second ? -1 : rows.slice(0, 100).reduce((sum, row) => sum + row[at].length, 0));
  const sentence = named.sentence >= 0 ? named.sentence : lengths.indexOf(Math.max(...lengths));
  const others = lengths.map((_, at) => at).filter((at) => at !== sentence);
  const second = named.second >= 0 ? named.second : others.find((at) => lengths[at] > 0) ?? others[0] ?? -1;
  return { sentence, second };
}

// Whether the two texts of a line are the names of two columns, and no sentences.
export function arePairNames(texts) {
  const known = [...SENTENCES, ...SECONDS, ...COMPANIONS, ...MINIMAL_PAIRS];
  return texts.every((text) => known.includes(key(text)));
}

// Whether the first of some rows of equal width is a header.
export function hasHeader(rows) {
  const [first] = rows;
  if (first.length === 1) return SENTENCES.includes(key(first[0])) && (!COMPANIONS.includes(key(first[0])) || first[0] === key(first[0]));
  const again = (row) => row !== first && row[0].replace(/^\ufeff/, "") === first[0] && row.slice(1).every((cell, at) => cell === first[at + 1]);
  const columns = turned(rows.filter((row) => !again(row))); // joined files repeat their header
  if (first.every((cell, at) => cell === String(at)) && columns.some(([, ...rest]) => isText(rest))) return true; // written by pandas
  if (columns.some((column) => column.includes(column[0], 1) && looksLikeLabels(column))) return false; // the first row has a label, too
  return first.some((cell) => [...SENTENCES, ...COMPANIONS].includes(key(cell))) || looksLikeNames(columns);
}

const turned = (rows) => rows[0].map((_, at) => rows.map((row) => row[at]));

// Whether all cells of the first row could be names, and one of them differs in kind from the cells below it.
function looksLikeNames(columns) {
  const named = columns.filter(([first]) => first.trim());
  return named.length >= 2 && named.every(([first]) => couldBeName(first)) && columns.some(([first, ...rest]) => differs(first, rest));
}

function couldBeName(cell) {
  return cell.trim() !== "" && cell.trim().split(/\s+/).length <= 3 && !/[.?!。？！]$/.test(cell.trimEnd());
}

// Whether a cell differs from the other cells of its column: labels, numbers, or few values that repeat.
function differs(first, rest) {
  if (!first.trim() || looksLikeLabel(first) || rest.includes(first)) return false;
  if (looksLikeLabels(rest)) return true;
  const isNumber = (cell) => /^[0-9.,:/+TZ -]*[0-9][0-9.,:/+TZ -]*$/.test(cell); // also a date or a time
  if (rest.length >= 2 && rest.slice(0, 100).every(isNumber) && !isNumber(first)) return true;
  const kinds = new Set(rest).size;
  return rest.length >= 4 && kinds > 1 && kinds <= rest.length >> 1 && !isText(rest);
}

const looksLikeLabel = (cell) => LABEL_WORDS.includes(cell.toLowerCase()) || /^-?[0-9]+(\.0+)?$/.test(cell);

// Whether a column holds labels: few different ones, not increasing numbers.
function looksLikeLabels(cells) {
  const kinds = new Set(cells);
  return cells.length >= 4 && kinds.size <= 20 && [...kinds].every(looksLikeLabel) && !countsUp(cells.slice(0, SAMPLE));
}

// Whether every cell is a whole number greater than the one before it, as the numbers of rows are.
function countsUp(cells) {
  return cells.every((cell) => /^[0-9]+$/.test(cell)) && cells.every((cell, at) => at === 0 || BigInt(cells[at - 1]) < BigInt(cell));
}

// Whether a column holds texts, as opposed to numbers, label words, or few words that repeat.
function isText(cells) {
  const found = cells.slice(0, SAMPLE).filter((cell) => cell.trim());
  const kinds = [...new Set(found)];
  if (kinds.every((cell) => /^[+-]?[0-9]+([.,][0-9]+)?$/.test(cell) || looksLikeLabel(cell))) return false;
  return kinds.some((cell) => cell.includes(" ") || cell.length > 20) || 4 * kinds.length > found.length;
}

// Another separator that makes a table of some lines, or null. Prose has commas, too, so an equal number in every line is
// not enough: a column has a known name or holds labels, or the separator is a tab or never followed by a blank.
export function otherSeparator(lines, separator) {
  const some = lines.slice(0, SAMPLE);
  const known = [...SENTENCES, ...SECONDS, ...LABELS];
  const fits = (by) => {
    const rows = some.map((line) => cut(line, by));
    if (rows[0].length < 2 || rows.some((row) => row.length !== rows[0].length)) return false;
    const holdsLabels = (column) => new Set(column).size > 1 && looksLikeLabels(column.map((cell) => cell.trim()));
    if (rows[0].some((cell) => known.includes(key(cell))) || turned(rows).some(holdsLabels)) return true;
    return by === "\t" || (some.length > 2 && !some.some((line) => line.includes(`${by} `)));
  };
  return SEPARATORS.find((by) => by !== separator && fits(by)) ?? null;
}

// The cells of one line, roughly: a separator within double quotes is text.
function cut(line, by) {
  if (!line.includes('"')) return line.split(by);
  const own = `\\x${by.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return [...line.matchAll(new RegExp(`(?:^|${own})("(?:[^"]|"")*"|[^${own}]*)`, "g"))].map((found) => found[1]);
}
