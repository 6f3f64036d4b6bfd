"use strict";
/* A recorded net over a whole sequence: its weights as they stand in the page, the read-out, the loss. */

/** {shape, type, data} as Python packs an array -> {shape, values}. */
function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (letter) => letter.charCodeAt(0));
  const Type = packed.type === "float64" ? Float64Array : Float32Array;
  return { shape: packed.shape, values: Array.from(new Type(bytes.buffer)) };
}

/** Every packed array in a nest of objects, unpacked. */
function unpackedTree(tree) {
  if (typeof tree.data === "string") return unpacked(tree);
  return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, unpackedTree(part)]));
}

/** A net as the page keeps it, ready to run; weights and start have an entry a layer. */
const readNet = (recorded) => ({
  ...recorded,
  weights: recorded.weights.map(unpackedTree),
  readout: unpackedTree(recorded.readout),
  start: recorded.start && recorded.start.map(unpackedTree),
});

/** What each layer of a net begins a sequence with: zeros, or what training left its streams with. */
function startOf(net, sequence) {
  const units = net.readout.weight.shape[1];
  return net.weights.map((_, layer) => {
    const known = net.start && net.start[layer];
    const field = (name) => (known && known[name] ? rowsOf(known[name])[sequence] : oneHot(-1, units));
    const seen = { input: field("input"), forget: field("forget"), output: field("output") };
    return { h: field("h"), c: field("c"), seen };
  });
}

/** The rows of an array of two or more axes, each an array of numbers. */
function rowsOf({ shape, values }) {
  const width = shape.slice(1).reduce(times, 1);
  return Array.from({ length: shape[0] }, (_, row) => values.slice(row * width, (row + 1) * width));
}

const oneHot = (symbol, size) => Array.from({ length: size }, (_, j) => (j === symbol ? 1 : 0));

/** Run a net over the inputs of a sequence (one vector a step).

    start: of each layer {h, c, seen} before the first step. touchAt(t, layer): the touch of step t, see step() in cell.js.
    Returns {layers: of each slot -> one vector a step, outputs: one vector a step}. A layer reads the one below. */
function run(net, inputs, start, touchAt = () => UNTOUCHED) {
  const layers = net.weights.map(() => ({}));
  const outputs = [];
  const states = start.slice();
  inputs.forEach((x, t) => {
    let below = x;
    layers.forEach((values, layer) => {
      const made = step(net.spec, net.weights[layer], below, states[layer], touchAt(t, layer));
      states[layer] = made.state;
      below = made.state.h;
      for (const [slot, value] of Object.entries(made.values)) (values[slot] = values[slot] || []).push(value);
    });
    outputs.push(combine(add, product(net.readout.weight, below), net.readout.bias.values));
  });
  return { layers, outputs };
}

/** Probabilities of one step's outputs. */
function softmax(outputs) {
  const most = Math.max(...outputs);
  const weights = outputs.map((value) => Math.exp(value - most));
  const total = weights.reduce(add);
  return weights.map((weight) => weight / total);
}

const yesOrNo = (loss) => loss === "bce" || loss === "sigmoid_mse";

const LOSSES = {
  cross_entropy: (outputs, target) => {
    const most = Math.max(...outputs);
    return most + Math.log(outputs.map((value) => Math.exp(value - most)).reduce(add)) - outputs[target];
  },
  mse: (outputs, target) => outputs.map((value, j) => (value - target[j]) ** 2).reduce(add) / outputs.length,
  sigmoid_mse: (outputs, target) => LOSSES.mse(outputs.map(sigmoid), target),
  bce: (outputs, target) => outputs.map((value, j) => -logSigmoid(value) + (1 - target[j]) * value).reduce(add),
};

/** The loss of every step, null where a step does not count. */
const lossByStep = (kind, outputs, sequence) =>
  outputs.map((output, t) => (sequence.counts[t] ? LOSSES[kind](output, sequence.targets[t]) : null));

/** The mean over the steps that count. */
function meanLoss(losses) {
  const counted = losses.filter((loss) => loss !== null);
  return counted.length ? counted.reduce(add) / counted.length : NaN;
}
