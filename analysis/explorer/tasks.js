"use strict";
/* Sequences as a reader sees and edits them: texts of symbols, numbers, and the targets that follow from the inputs. */

/** A recorded sequence as the page uses it: symbols as numbers, values as one vector a step. */
function readSequence(recorded) {
  const part = (value) => (Array.isArray(value) ? value.slice() : rowsOf(unpacked(value)));
  return {
    inputs: part(recorded.inputs),
    targets: part(recorded.targets),
    counts: recorded.counts.map(Boolean),
    events: recorded.events,
  };
}

const copied = (sequence) => ({
  inputs: sequence.inputs.map((x) => (Array.isArray(x) ? x.slice() : x)),
  targets: sequence.targets.map((x) => (Array.isArray(x) ? x.slice() : x)),
  counts: sequence.counts.slice(),
  events: sequence.events,
});

const areSymbols = (steps) => !Array.isArray(steps[0]);

/** The inputs as the net reads them: symbols one-hot. */
const vectors = (inputs, size) => (areSymbols(inputs) ? inputs.map((symbol) => oneHot(symbol, size)) : inputs);

/** Symbols as text: a letter each where the task has an alphabet, else numbers with spaces; "." where none counts. */
function symbolText(symbols, alphabet, counts) {
  const written = symbols.map((symbol, t) => (counts && !counts[t] ? "." : alphabet ? alphabet[symbol] : String(symbol)));
  return written.join(alphabet ? "" : " ");
}

/** The text as symbols, null where it has "."; throws an Error that says which is none. */
function symbolsOf(text, alphabet, size) {
  const words = alphabet ? Array.from(text.replace(/\s/g, alphabet.includes(" ") ? " " : "")) : text.trim().split(/\s+/);
  return words.map((word) => {
    const symbol = alphabet ? alphabet.indexOf(word) : Number(word);
    if (alphabet.includes(".") || word !== ".") {
      if (!Number.isInteger(symbol) || symbol < 0 || symbol >= size || word === "")
        throw new Error(`“${word}” is no symbol of this task: ${alphabet ? Array.from(alphabet).join(" ") : `0 to ${size - 1}`}`);
      return symbol;
    }
    return null;
  });
}

/* How targets may follow from inputs. A rule holds for a task if it gives every recorded target; the page has no
   names of tasks. Each gives the target of every step, undefined where it says nothing. */
const RULES = {
  "the next symbol": (inputs) => (areSymbols(inputs) ? inputs.map((_, t) => inputs[t + 1]) : null),
  "the sum of the marked values": (inputs, counts) => markedSums(inputs, counts, (sum) => sum),
  "a half and a quarter of the sum of the marked values": (inputs, counts) =>
    markedSums(inputs, counts, (sum) => 0.5 + sum / 4),
};

/** What is due at each step that counts: a function of the sum of the values marked (1) since the last one. */
function markedSums(inputs, counts, due) {
  if (areSymbols(inputs) || inputs[0].length < 2) return null;
  let sum = 0;
  return inputs.map(([value, mark], t) => {
    if (mark === 1) sum += value;
    if (!counts[t]) return undefined;
    const target = [due(sum)];
    sum = 0;
    return target;
  });
}

/** The name of the rule that holds for all of these sequences, or null. */
function ruleOf(sequences) {
  const same = (a, b) => [a].flat().every((value, j) => Math.abs(value - [b].flat()[j]) < 1e-5);
  const holds = (rule) => sequences.every(({ inputs, targets, counts }) => {
    const given = rule(inputs, counts);
    return given && targets.every((target, t) => !counts[t] || given[t] === undefined || same(given[t], target));
  });
  return Object.keys(RULES).find((name) => holds(RULES[name])) || null;
}

/** A sequence with other inputs: the targets follow where a rule holds, else they stay. */
function withInputs(sequence, inputs, rule) {
  const last = sequence.inputs.length - 1;
  const same = (t) => t <= last && inputs.length === sequence.inputs.length;
  const counts = inputs.map((_, t) => (same(t) ? sequence.counts[t] : rule === "the next symbol" && t < inputs.length - 1));
  const given = rule ? RULES[rule](inputs, counts) : [];
  const kept = (t) => (t <= last ? sequence.targets[t] : sequence.targets[last]);
  const targets = inputs.map((_, t) => (given[t] === undefined ? kept(t) : given[t]));
  return { inputs, targets, counts, events: {} }; // what happened at a step of the recorded ones is not known of others
}
