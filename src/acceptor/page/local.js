// The judge inside the page: the answers of the HTTP API, without a server. ONNX Runtime Web computes the logits.

import { decide, logOdds, probabilities } from "./decision.js";
import { Tokenizer } from "./tokenizer.js";

const TOKENS = 512; // of a batch, about: the page can react between two batches

export function localBackend() {
  let opened = null;
  const judge = () => (opened ??= open());
  return {
    local: true,
    async models() {
      return { models: [(await judge()).about] };
    },
    async judge({ sentences, seconds = null, all_scores: all = false }, options = {}) {
      const { about, ...parts } = await judge();
      const verdicts = [];
      const done = (rows, found) => {
        rows.forEach((row, at) => (verdicts[row] = found[at]));
        options.onPart?.(rows, found);
      };
      const inputs = sentences.map((sentence, row) => read(parts.tokenizer, sentence, seconds?.[row] ?? null));
      const numbers = inputs.map((_, row) => row);
      const [refused, fine] = [numbers.filter((row) => inputs[row].error), numbers.filter((row) => !inputs[row].error)];
      done(refused, refused.map((row) => inputs[row]));
      await scores(parts, fine.map((row) => inputs[row]), options, (batch, logits) => {
        const rows = batch.map((at) => fine[at]);
        done(rows, rows.map((row, at) => verdict(about, inputs[row], logits[at], all)));
      });
      return { model: about.name, labels: about.labels, verdicts };
    },
    async explain({ sentences }, options = {}) {
      const found = await judge();
      const explanations = [];
      for (const sentence of sentences) explanations.push(await explain(found, sentence, options));
      return { model: found.about.name, explanations };
    },
    async compare({ first, second }, options = {}) {
      const { about } = await judge();
      const { verdicts } = await this.judge({ sentences: [first, second], all_scores: true }, options);
      const bad = verdicts.find((one) => one.error);
      if (bad) throw Object.assign(new Error(bad.error.message), bad.error);
      const label = about.labels.indexOf(about.positive);
      const difference = logOdds(verdicts[0].logits, label) - logOdds(verdicts[1].logits, label);
      const better = difference > 0 ? "first" : difference < 0 ? "second" : "equal";
      return { model: about.name, label: about.positive, better, difference, first: verdicts[0], second: verdicts[1] };
    },
  };
}

async function open() {
  const about = JSON.parse(document.getElementById("judge").textContent);
  const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(await unpack("tokenizer"))));
  const address = URL.createObjectURL(new Blob([await unpack("runtime")], { type: "text/javascript" }));
  const ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.wasm.numThreads = 1; // more need headers that only a server can send
  ort.env.wasm.wasmBinary = await unpack("wasm");
  const session = await ort.InferenceSession.create(new Uint8Array(await unpack("network")));
  return { about, tokenizer, ort, session };
}

// The bytes of one of the page's blocks: base64 of gzip.
async function unpack(name) {
  const block = document.getElementById(name);
  const packed = Uint8Array.fromBase64?.(block.textContent) ?? Uint8Array.from(atob(block.textContent), (one) => one.charCodeAt(0));
  block.remove();
  await turn();
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// Lets the browser draw and react.
const turn = () => new Promise((done) => setTimeout(done));

function read(tokenizer, sentence, second) {
  const texts = second === null ? [sentence] : [sentence, second];
  const refuse = (code, message) => ({ error: { code, message } });
  if (texts.some((text) => !text.trim())) return refuse("E-DATA-TEXT", "not a sentence: the text is blank");
  if (texts.some((text) => !text.isWellFormed())) return refuse("E-DATA-TEXT", "a sentence holds half of a surrogate pair");
  const input = tokenizer.encode(sentence, second);
  return input.allUnknown ? refuse("E-DATA-VOCABULARY", "no token of a text is in the encoder's vocabulary") : input;
}

// The logits of every input. Only inputs of one length share a batch, so that none is padded.
async function scores({ ort, session }, inputs, { signal, onProgress }, onBatch) {
  const logits = [];
  const rows = inputs.map((_, row) => row).sort((one, other) => inputs[one].ids.length - inputs[other].ids.length);
  for (let start = 0, end; start < rows.length; start = end) {
    const { length } = inputs[rows[start]].ids;
    const most = Math.max(1, Math.floor(TOKENS / length));
    for (end = start + 1; end < rows.length && end - start < most && inputs[rows[end]].ids.length === length; end++);
    const batch = rows.slice(start, end);
    await turn();
    signal?.throwIfAborted();
    const given = { input_ids: (row) => inputs[row].ids, attention_mask: (row) => inputs[row].ids.map(() => 1), token_type_ids: (row) => inputs[row].types };
    const feeds = Object.fromEntries(session.inputNames.map((name) => [
      name, new ort.Tensor("int64", BigInt64Array.from(batch.flatMap(given[name]), BigInt), [batch.length, length]),
    ]));
    const { logits: found } = await session.run(feeds);
    const width = found.dims[1];
    batch.forEach((row, at) => (logits[row] = [...found.data.slice(at * width, (at + 1) * width)]));
    onBatch?.(batch, batch.map((row) => logits[row]));
    onProgress?.(end, rows.length);
  }
  return logits;
}

function verdict(about, input, logits, all) {
  const { id, margin } = decide(logits, about);
  const shares = probabilities(logits, about.temperature);
  const found = { label: about.labels[id], probability: shares[id], margin, truncated: input.truncated, unknown: input.unknown };
  return all ? { ...found, probabilities: shares, logits } : found;
}

// By how much the verdict's margin falls if the mask token replaces a word: `acceptor.evaluation.words`.
async function explain(parts, sentence, options) {
  const { about, tokenizer } = parts;
  const input = read(tokenizer, sentence, null);
  if (input.error) throw Object.assign(new Error(input.error.message), input.error);
  const words = new Map();
  for (const { word, start, end } of input.tokens.filter((token) => token.word >= 0)) {
    const span = words.get(word) ?? [start, end];
    words.set(word, [Math.min(start, span[0]), Math.max(end, span[1])]);
  }
  const without = [...words.keys()].map((word) => {
    const at = input.tokens.findIndex((token) => token.word === word);
    const ids = input.tokens.filter((token) => token.word !== word).map((token) => token.id);
    if (tokenizer.about.mask !== null) ids.splice(at, 0, tokenizer.about.mask);
    return { ids, types: ids.map(() => 0) };
  });
  const [logits, ...others] = await scores(parts, [input, ...without], options);
  const found = verdict(about, input, logits, false);
  const id = about.labels.indexOf(found.label);
  const margin = logOdds(logits, id);
  return {
    sentence,
    words: [...words.values()].map(([start, end]) => sentence.slice(start, end).trim()),
    weights: others.map((one) => margin - logOdds(one, id)),
    label: found.label,
    probability: found.probability,
    margin,
  };
}
