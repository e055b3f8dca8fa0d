// BERT's WordPiece, with the ids that Python's `tokenizers` gives.
//
// What a character becomes is in a table that the exporter made with the judge's own tokenizer: "" if it is dropped,
// " " if it separates words, " , " if it is a word by itself. So no browser's version of Unicode has a say in it.

export class Tokenizer {
  constructor(about) {
    this.about = about;
    this.ids = new Map(about.vocabulary.map((piece, id) => [piece, id]).filter(([piece]) => piece !== null));
    this.characters = new Map(Object.entries(about.characters.other));
    for (const [kind, become] of [["dropped", () => ""], ["blank", () => " "], ["apart", (one) => ` ${one} `]]) {
      for (const [first, last] of about.characters[kind]) {
        for (let code = first; code <= last; code++) {
          const one = String.fromCodePoint(code);
          this.characters.set(one, become(one));
        }
      }
    }
  }

  // The ids of a sentence or a pair, truncated as `acceptor.model.encode` does it.
  encode(sentence, second = null) {
    const { about } = this;
    const sides = [this.tokens(sentence), second === null ? [] : this.tokens(second)];
    const [template, types] = second === null ? [about.single, null] : [about.pair, about.pair_types];
    const added = template.filter((entry) => typeof entry === "number").length;
    const whole = added + sides[0].length + sides[1].length;
    const [first, other] = kept(sides[0].length, sides[1].length, Math.max(0, about.max_length - added));
    const parts = { A: sides[0].slice(0, first), B: sides[1].slice(0, other) };
    const tokens = template.flatMap((entry, at) =>
      (typeof entry === "number" ? [{ id: entry, word: -1 }] : parts[entry]).map((token) => ({ ...token, type: types?.[at] ?? 0 })));
    const text = [...parts.A, ...parts.B].filter((token) => token.id !== about.word_start);
    return {
      ids: tokens.map((token) => token.id),
      types: tokens.map((token) => token.type),
      tokens,
      truncated: tokens.length < whole,
      // Counted among all ids, as in Python, where a vocabulary may use its unknown token for another role.
      unknown: tokens.some((token) => token.id === about.unknown),
      allUnknown: text.length <= tokens.filter((token) => token.id === about.unknown).length,
    };
  }

  // The pieces of a text, each with its word's number and its place in the text.
  tokens(text) {
    return this.words(text).flatMap((word, number) => this.pieces(word).map((piece) => ({ ...piece, word: number })));
  }

  // The words of a text, normalised; `places` says where each of their code units comes from.
  words(text) {
    const words = [];
    let word = null;
    let at = 0;
    for (const character of text) {
      const end = at + character.length;
      for (const one of this.characters.get(character) ?? character) {
        if (one === " ") {
          word = null;
        } else {
          if (!word) words.push((word = { text: "", places: [] }));
          word.text += one;
          for (let unit = 0; unit < one.length; unit++) word.places.push([at, end]);
        }
      }
      at = end;
    }
    return words;
  }

  // The longest known piece first; a word with an unknown part is unknown.
  pieces({ text, places }) {
    const { prefix, unknown, longest } = this.about;
    const whole = [{ id: unknown, start: places[0][0], end: places.at(-1)[1] }];
    if ([...text].length > longest) return whole;
    const pieces = [];
    for (let start = 0, end; start < text.length; start = end) {
      const before = start ? prefix : "";
      for (end = text.length; end > start && !this.ids.has(before + text.slice(start, end)); end--);
      if (end === start) return whole;
      const id = this.ids.get(before + text.slice(start, end));
      pieces.push({ id, start: places[start][0], end: places[end - 1][1] });
    }
    return pieces;
  }
}

// How many tokens of each text fit: of two, the longer one is cut first; if both are too long, each keeps half.
function kept(first, second, room) {
  if (first + second <= room) return [first, second];
  if (!second) return [room, 0];
  let short = Math.min(first, second);
  let long = short > room ? short : Math.max(short, room - short);
  if (short + long > room) {
    short = Math.floor(room / 2);
    long = room - short;
  }
  return first <= second ? [short, long] : [long, short];
}
