"use strict";
/* What the reader has changed in a net: slot -> {value, units, steps, off}; of a layer above the first `slot@layer`.

     value   null (the gate's own), or the number that it is fixed at
     units   "all" or "picked"
     steps   "every" or "marked"
     off     the terms taken out of the gate's sum, some of x h b c gates */

const OWN = { value: null, units: "all", steps: "every", off: [] };
const keyOf = (slot, layer) => (layer ? `${slot}@${layer}` : slot);
/** What was changed in one layer, slot -> {...}. */
const ofLayer = (surgery, layer) => Object.fromEntries(Object.entries(surgery).flatMap(([key, own]) => {
  const [slot, at = "0"] = key.split("@");
  return Number(at) === layer ? [[slot, own]] : [];
}));
const isTouched = (surgery, slot) => !!surgery[slot] && (surgery[slot].value !== null || surgery[slot].off.length > 0);

/** touchAt for run(): the surgery with a picked unit and a marked step. */
function touching(surgery, unit, marked) {
  const layers = new Map();
  return (t, layer) => {
    if (!layers.has(layer)) layers.set(layer, touchingLayer(ofLayer(surgery, layer), unit, marked));
    return layers.get(layer)(t);
  };
}

function touchingLayer(surgery, unit, marked) {
  const changed = Object.keys(surgery).filter((slot) => isTouched(surgery, slot));
  if (!changed.length) return () => UNTOUCHED;
  const within = (own, value, replacement) =>
    own.units === "all" ? value.map(() => replacement) : value.map((v, j) => (j === unit ? replacement : v));
  return (t) => {
    const acts = (slot) => changed.includes(slot) && (surgery[slot].steps === "every" || t === marked);
    return {
      gate: (slot, value) => {
        if (!acts(slot) || surgery[slot].value === null) return value;
        return within(surgery[slot], value, surgery[slot].value);
      },
      term: (slot, source, value, units) => {
        if (!acts(slot) || !surgery[slot].off.includes(source)) return value;
        const each = value.length === 1 ? Array.from({ length: units }, () => value[0]) : value;
        return within(surgery[slot], each, 0);
      },
    };
  };
}

/** The terms of a gate's sum that a net has, in the order of the equation; all of its layers have the same. */
function termsOf(net, slot) {
  const parts = net.weights[0][slot] || {};
  return ["x", "h", "b", "c", "gates"].filter((part) => parts[part]);
}

/** The surgery on one gate as a word of the address, `0.3_picked_marked_x-h`, and back. */
function surgeryWord(own) {
  return [own.value === null ? "own" : own.value, own.units, own.steps, own.off.join("-")].join("_");
}

function surgeryFromWord(word) {
  const [value, units, steps, off = ""] = word.split("_");
  return {
    value: value !== "" && Number.isFinite(Number(value)) ? clip(Number(value)) : null,
    units: units === "picked" ? "picked" : "all",
    steps: steps === "marked" ? "marked" : "every",
    off: off.split("-").filter((source) => ["x", "h", "b", "c", "gates"].includes(source)),
  };
}
