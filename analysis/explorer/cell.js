"use strict";
/* The step equation of lstm_variants/cell.py, once, driven by a spec (the knobs of conf/variant/lstm.yaml):

     a_k  = W_k x[t] + U_k h[t-1] + p_k * c + b_k        only the terms that the gate's feeds name
     c[t] = f * c[t-1] + i * z
     h[t] = o * squash(c[t])

   Numbers are doubles. A vector is an array of numbers, one per unit; a matrix has its rows one after the other. */

const sigmoid = (a) => 1 / (1 + Math.exp(-a));
const logSigmoid = (a) => Math.min(a, 0) - Math.log1p(Math.exp(-Math.abs(a)));
const clip = (a) => Math.min(Math.max(a, 0), 1);

const ACTIVATIONS = {
  sigmoid,
  tanh: Math.tanh,
  identity: (a) => a,
  relu: (a) => Math.max(a, 0),
  hard_sigmoid: (a) => clip(a / 6 + 0.5),
  clipped_linear: (a) => clip(a / 4 + 0.5),
  elliott: (a) => 0.5 + a / (2 * (1 + Math.abs(a))),
  double_sigmoid: (a) => 2 * sigmoid(a),
  exp: Math.exp,
  binary: (a) => (a > 0 ? 1 : 0),
  gumbel: sigmoid, // its noise belongs to training
};

/** The matrix-vector product; `matrix` is {shape: [rows, columns], values}. */
function product(matrix, vector) {
  const [rows, columns] = matrix.shape;
  const result = new Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) sum += matrix.values[row * columns + column] * vector[column];
    result[row] = sum;
  }
  return result;
}

/** Element by element; a vector of one number, what a shared gate has, counts for every unit. */
function combine(f, ...vectors) {
  const length = Math.max(...vectors.map((vector) => vector.length));
  const at = (vector, j) => vector[vector.length === 1 ? 0 : j];
  return Array.from({ length }, (_, j) => f(...vectors.map((vector) => at(vector, j))));
}

/** The values of a gate's blocks of units, one for each unit; of one block of all units, and of a gate per unit, as they are. */
function perUnit(block, values) {
  return block > 1 ? values.flatMap((value) => new Array(block).fill(value)) : values;
}

const add = (a, b) => a + b;
const times = (a, b) => a * b;

/** What leaves every term and every gate as it is. */
const UNTOUCHED = { term: (slot, source, value, units) => value, gate: (slot, value) => value };

/** One step of the cell.

    weights: slot -> {x, h, b, c, bh, gates: {slot: ...}}, only what is there. state: {h, c, seen: {slot: vector}}.
    touch.term(slot, source, vector, units) and touch.gate(slot, vector) see every term of a sum and every gate, and return
    the one to use. Returns {state, values: slot -> vector}. */
function step(spec, weights, x, state, touch = UNTOUCHED) {
  const { h, c } = state;
  const values = {};
  const tap = (slot, value) => (values[slot] = touch.gate(slot, combine((v) => v, value, h.map(() => 0))));
  const phi = (name, a) => combine(ACTIVATIONS[name], a);
  const term = (slot, source, value) => touch.term(slot, source, perUnit(spec[slot].block, value), h.length);
  const sum = (terms) => combine((...parts) => parts.reduce(add), ...terms);

  function preactivation(slot, cell) {
    const w = weights[slot];
    const terms = [];
    if (w.x) terms.push(term(slot, "x", product(w.x, x)));
    if (w.h) terms.push(term(slot, "h", product(w.h, h)));
    if (w.b) terms.push(term(slot, "b", w.b.values));
    if (w.c) terms.push(term(slot, "c", combine(times, w.c.values, cell)));
    for (const [source, R] of Object.entries(w.gates || {}))
      terms.push(term(slot, "gates", product(R, state.seen[source])));
    return sum(terms);
  }
  const learned = (slot, cell = c) => phi(spec[slot].activation, preactivation(slot, cell));

  function gate(slot) {
    if (spec[slot].kind === "constant") return tap(slot, [spec[slot].value]);
    let value = learned(slot);
    if (slot === "forget" && spec.refine.kind === "learned")
      value = combine((f, v) => 2 * v * f + (1 - 2 * v) * f * f, value, tap("refine", learned("refine")));
    return tap(slot, value);
  }
  function complement(slot, partner, value) {
    const offset = spec[slot].offset;
    if (offset) value = phi(spec[partner].activation, combine((a) => a - offset, preactivation(partner, c)));
    return tap(slot, combine((v) => 1 - v, value));
  }
  function inputAndForget() {
    if (spec.normalise) { // f / (f + i) = sigmoid(log f - log i)
      const ratio = combine((f, i) => logSigmoid(f) - logSigmoid(i), preactivation("forget", c), preactivation("input", c));
      const f = tap("forget", combine(sigmoid, ratio));
      return [tap("input", combine((a) => sigmoid(-a), ratio)), f];
    }
    if (spec.input.kind === "complement") {
      const f = gate("forget");
      return [complement("input", "forget", f), f];
    }
    const i = gate("input");
    return [i, spec.forget.kind === "complement" ? complement("forget", "input", i) : gate("forget")];
  }
  function candidate(r) {
    const w = weights.candidate;
    const terms = [];
    if (w.x) terms.push(term("candidate", "x", product(w.x, x)));
    if (w.b) terms.push(term("candidate", "b", w.b.values));
    if (w.h && !r) terms.push(term("candidate", "h", product(w.h, h)));
    if (w.h && r && spec.reset.position === "before")
      terms.push(term("candidate", "h", product(w.h, combine(times, r, h))));
    if (w.h && r && spec.reset.position === "after") {
      const recurrent = [term("candidate", "h", product(w.h, h))];
      if (w.bh) recurrent.push(term("candidate", "b", w.bh.values));
      terms.push(combine(times, r, sum(recurrent)));
    }
    return phi(spec.candidate.activation, sum(terms));
  }

  const [i, f] = inputAndForget();
  let r = null;
  if (spec.reset.kind === "same") r = tap("reset", { input: i, forget: f }[spec.reset.of]);
  if (spec.reset.kind === "learned") r = tap("reset", learned("reset"));
  const z = tap("candidate", candidate(r));
  const cell = combine((kept, old, written, fresh) => kept * old + written * fresh, f, c, i, z);
  const o = tap("output", spec.output.kind === "constant" ? [spec.output.value] : learned("output", cell));
  const hidden = combine(times, o, phi(spec.squash, cell));
  return {
    state: { h: hidden, c: cell, seen: { input: i, forget: f, output: o } },
    values: { ...values, cell, hidden },
  };
}
