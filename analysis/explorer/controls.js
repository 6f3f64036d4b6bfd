"use strict";
/* The controls of every gate. */

/** The controls of every gate of the net, made anew when the net changes. */
function buildSurgery() {
  const { net } = state;
  const slots = GATES.filter((slot) => SYMBOLS[slot] && net.spec[slot] && net.spec[slot].kind !== "absent");
  find("#surgery").replaceChildren(...[...slots, "candidate"].map((slot) => surgeryControls(net, slot)));
}

function surgeryControls(net, slot) {
  const name = NAMES[slot];
  const own = () => state.surgery[keyOf(slot, state.layer)] || OWN;
  const set = (changes) => change({ surgery: { ...state.surgery, [keyOf(slot, state.layer)]: { ...own(), ...changes } } });
  const box = element("fieldset", { "data-slot": slot },
    element("legend", {}, element("i", {}, SYMBOLS[slot]), ` ${name} `, element("span", {}, howItArises(net, slot))));
  if (slot !== "candidate") {
    const fixed = element("input", { type: "checkbox", class: "fixed" });
    const value = element("input", { type: "range", class: "value", min: "0", max: "1", step: "0.01", value: "1", "aria-label": `value of the ${name}` });
    fixed.addEventListener("change", () => set({ value: fixed.checked ? value.valueAsNumber : null }));
    for (const event of ["input", "click"]) // a click where the slider stands already moves nothing, and fixes the gate too
      value.addEventListener(event, () => set({ value: value.valueAsNumber }));
    box.append(element("div", { class: "row" }, element("label", {}, fixed, "fix at"), value, element("output", {}, "own")));
  }
  const choice = (key, title, options) => {
    const list = element("select", { class: key, "aria-label": `${title} of the ${name}` }, ...options.map(([value, text]) => element("option", { value }, text)));
    list.addEventListener("change", () => set({ [key]: list.value }));
    return list;
  };
  box.append(element("div", { class: "row" },
    choice("units", "units", [["all", "all units"], ["picked", "the picked unit"]]),
    choice("steps", "steps", [["every", "every step"], ["marked", "the picked step"]])));
  const terms = termsOf(net, slot).map((source) => {
    const on = element("input", { type: "checkbox", value: source, checked: "checked", class: "term" });
    on.addEventListener("change", () => {
      const off = own().off.filter((one) => one !== source);
      set({ off: on.checked ? off : [...off, source] });
    });
    return element("label", { title: `what ${TERM_NAMES[source]} adds to the ${name}'s sum` }, on, TERM_NAMES[source]);
  });
  if (terms.length) box.append(element("div", { class: "row", role: "group", "aria-label": `terms of the ${name}` }, ...terms));
  return box;
}

/** "1 − i", "always 1", nothing for a gate of its own. */
function howItArises(net, slot) {
  const knobs = net.spec[slot];
  if (knobs.kind === "constant") return `always ${knobs.value}`;
  if (knobs.kind === "complement") return slot === "input" ? "1 − f" : "1 − i";
  if (knobs.kind === "same") return `is ${SYMBOLS[knobs.of]}`;
  if (knobs.block === "all") return "one value for all units";
  return knobs.block > 1 ? `one value for ${knobs.block} neighbouring units` : "";
}

/** The controls say what the state says. */
function showSurgery() {
  for (const box of document.querySelectorAll("#surgery fieldset")) {
    const key = keyOf(box.dataset.slot, state.layer);
    const own = state.surgery[key] || OWN;
    box.classList.toggle("touched", isTouched(state.surgery, key));
    const fixed = box.querySelector(".fixed");
    if (fixed) {
      fixed.checked = own.value !== null;
      if (own.value !== null) box.querySelector(".value").value = own.value;
      box.querySelector("output").textContent = own.value === null ? "its own" : own.value.toFixed(2);
    }
    box.querySelector(".units").value = own.units;
    box.querySelector(".steps").value = own.steps;
    for (const term of box.querySelectorAll(".term")) term.checked = !own.off.includes(term.value);
  }
}
