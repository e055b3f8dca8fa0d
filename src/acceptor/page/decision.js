// From logits to verdicts, as `acceptor.judging.decision` does it; float32 where Python has float32.

const { fround } = Math;

export function probabilities(logits, temperature) {
  const highest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp((logit - highest) / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

// The number of the verdict's label, and its margin in logits.
export function decide(logits, { temperature, threshold }) {
  if (threshold === null) {
    const id = logits.indexOf(Math.max(...logits));
    return { id, margin: fround(logits[id] - Math.max(...logits.filter((_, at) => at !== id))) };
  }
  const boundary = fround(temperature * Math.log(threshold / (1 - threshold)));
  const above = fround(fround(logits[1] - logits[0]) - boundary);
  return { id: above >= 0 ? 1 : 0, margin: Math.abs(above) };
}

// A label's log-odds, in nats.
export function logOdds(logits, id) {
  const others = logits.filter((_, at) => at !== id);
  const highest = Math.max(...others);
  return logits[id] - highest - Math.log(others.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
}
