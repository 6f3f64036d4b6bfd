"use strict";
/* What the reader has chosen, the two runs that follow from it (untouched and touched), and its address. */

const CONTENT = JSON.parse(document.querySelector("#content").textContent);
const NETS = (CONTENT.nets || []).map(readNet);
const SEQUENCES = Object.fromEntries(
  Object.entries(CONTENT.sequences || {}).map(([key, recorded]) => [key, recorded.map(readSequence)]),
);
const RULE = Object.fromEntries(Object.entries(SEQUENCES).map(([key, sequences]) => [key, ruleOf(sequences)]));
const GATES = ["forget", "input", "output", "reset", "refine"];
const NAMES = {
  input: "input gate", forget: "forget gate", candidate: "candidate", output: "output gate", reset: "reset gate",
  refine: "refine gate", cell: "cell state", hidden: "output",
};
const MOST_BARS = 4; // inputs a step that have a picture of their own

/* Everything that the reader has chosen; `edited` is null while the sequence is as recorded. */
const state = { net: NETS[0], sequence: 0, step: 0, layer: 0, unit: 0, surgery: {}, edited: null, tour: null };

const find = (selector) => document.querySelector(selector);
const task = () => CONTENT.tasks[state.net.task];
const recorded = () => SEQUENCES[state.net.sequences][state.sequence];
const shownSequence = () => state.edited || recorded();
const rule = () => RULE[state.net.sequences];

/** How long each unit of the layer that is shown keeps what it holds. */
const keeps = () => state.net.keeps[state.layer];

/** The units of the layer that is shown, those that keep longest first. */
function byTimeConstant() {
  const steps = keeps().map((value) => (value === null ? Infinity : value));
  return steps.map((_, j) => j).sort((a, b) => (steps[a] === steps[b] ? a - b : steps[b] > steps[a] ? 1 : -1));
}

/** Both runs of the net on the sequence that is shown, with their losses; `values` are those of the layer that is. */
function computed() {
  const { net } = state;
  const sequence = shownSequence();
  const inputs = vectors(sequence.inputs, task().input_size);
  const result = (touchAt) => {
    const made = run(net, inputs, startOf(net, state.sequence), touchAt);
    const losses = lossByStep(task().loss, made.outputs, sequence);
    return { ...made, values: made.layers[state.layer], losses, loss: meanLoss(losses) };
  };
  const plain = result();
  const touched = Object.keys(state.surgery).some((slot) => isTouched(state.surgery, slot));
  return { sequence, plain, now: touched ? result(touching(state.surgery, state.unit, state.step)) : plain, touched };
}

/** What the reader has chosen as the part of the address after #. */
function address() {
  const words = new URLSearchParams({ net: state.net.run, sequence: state.sequence, step: state.step, unit: state.unit });
  if (state.layer) words.set("layer", state.layer);
  for (const slot of Object.keys(state.surgery)) if (isTouched(state.surgery, slot)) words.set(slot, surgeryWord(state.surgery[slot]));
  if (state.tour) words.set("tour", state.tour.at + 1);
  if (state.edited) {
    const { inputs, targets } = state.edited;
    if (areSymbols(inputs)) words.set("inputs", symbolText(inputs, task().alphabet));
    else words.set("inputs", differences(inputs, recorded().inputs));
    if (areSymbols(targets)) words.set("targets", symbolText(targets, task().target_alphabet, state.edited.counts));
    else words.set("targets", differences(targets, recorded().targets));
  }
  return words.toString();
}

/** The values that differ, `step:channel:value` with _ between. */
const differences = (values, before) => values.flatMap((row, t) =>
  row.map((value, j) => (value === before[t][j] ? "" : `${t}:${j}:${value}`))).filter(Boolean).join("_");

/** Values with some replaced, as `differences` writes it. */
function replaced(values, text) {
  const result = values.map((row) => row.slice());
  for (const [, t, j, value] of text.matchAll(/(\d+):(\d+):([^_]+)/g))
    if (result[t] && j < result[t].length && Number.isFinite(Number(value))) result[t][j] = Number(value);
  return result;
}

/** The state that an address says; what it cannot mean here is left at its start. */
function fromAddress(text) {
  const words = new URLSearchParams(text);
  const net = NETS.find((one) => one.run === words.get("net")) || NETS[0];
  const number = (name) => Math.max(0, Math.floor(Number(words.get(name)) || 0));
  Object.assign(state, { net, sequence: number("sequence"), edited: null, tour: null });
  settle();
  const surgery = {};
  const slots = [...GATES, "candidate"].flatMap((slot) => net.weights.map((_, layer) => keyOf(slot, layer)));
  for (const slot of slots) if (words.get(slot)) surgery[slot] = surgeryFromWord(words.get(slot));
  Object.assign(state, { surgery, edited: editsFrom(words), step: number("step"), layer: number("layer"), unit: number("unit") });
  settle();
}

function editsFrom(words) {
  if (words.get("inputs") === null) return null;
  const { alphabet, input_size, target_alphabet, output_size } = task();
  try {
    const symbols = areSymbols(recorded().inputs);
    const inputs = symbols ? symbolsOf(words.get("inputs"), alphabet, input_size) : replaced(recorded().inputs, words.get("inputs"));
    if (!inputs.length || inputs.includes(null)) return null;
    const sequence = copied(withInputs(recorded(), inputs, rule()));
    if (rule() || words.get("targets") === null) return sequence;
    if (!areSymbols(sequence.targets)) return { ...sequence, targets: replaced(sequence.targets, words.get("targets")) };
    const targets = symbolsOf(words.get("targets"), target_alphabet, output_size);
    return { ...sequence, targets: targets.map((s) => s || 0), counts: targets.map((s) => s !== null) };
  } catch {
    return null;
  }
}
