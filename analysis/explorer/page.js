"use strict";
/* The page: what the reader has chosen, the two runs that follow from it (untouched and touched), and what is shown. */

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
const state = { net: NETS[0], sequence: 0, step: 0, unit: 0, surgery: {}, edited: null, tour: null };

const find = (selector) => document.querySelector(selector);
const task = () => CONTENT.tasks[state.net.task];
const recorded = () => SEQUENCES[state.net.sequences][state.sequence];
const shownSequence = () => state.edited || recorded();
const rule = () => RULE[state.net.sequences];

/** The units, those that keep longest first. */
function byTimeConstant(net) {
  const steps = net.keeps.map((value) => (value === null ? Infinity : value));
  return steps.map((_, j) => j).sort((a, b) => (steps[a] === steps[b] ? a - b : steps[b] > steps[a] ? 1 : -1));
}

/** Both runs of the net on the sequence that is shown, with their losses. */
function computed() {
  const { net } = state;
  const sequence = shownSequence();
  const inputs = vectors(sequence.inputs, task().input_size);
  const result = (touchAt) => {
    const made = run(net, inputs, startOf(net, state.sequence), touchAt);
    const losses = lossByStep(task().loss, made.outputs, sequence);
    return { ...made, losses, loss: meanLoss(losses) };
  };
  const plain = result();
  const touched = Object.keys(state.surgery).some((slot) => isTouched(state.surgery, slot));
  return { sequence, plain, now: touched ? result(touching(state.surgery, state.unit, state.step)) : plain, touched };
}

/* ---- choosing ---- */

/** A row of buttons; `chosen` is pressed. */
function choices(id, title, options, chosen, onChoose) {
  const row = find(id);
  const focused = row.contains(document.activeElement) ? document.activeElement.textContent : null;
  row.replaceChildren(element("span", { class: "label" }, title));
  row.hidden = options.length < 2;
  for (const [text, value] of options) {
    const button = element("button", { type: "button", "aria-pressed": String(value === chosen) }, text);
    button.addEventListener("click", () => onChoose(value));
    row.append(button);
    if (text === focused) button.focus();
  }
}

const distinct = (values) => [...new Set(values)];

function showChoices() {
  const { net } = state;
  const ofTask = NETS.filter((one) => one.task === net.task);
  const tasks = distinct(NETS.map((one) => one.task));
  choices("#tasks", "task", tasks.map((name) => [name, name]), net.task, (name) =>
    choose(NETS.find((one) => one.task === name && one.label === net.label) || NETS.find((one) => one.task === name)));
  const labels = distinct(ofTask.map((one) => one.label));
  choices("#variants", "variant", labels.map((label) => [label, label]), net.label, (label) =>
    choose(ofTask.find((one) => one.label === label && one.seed === net.seed) || ofTask.find((one) => one.label === label)));
  const seeds = ofTask.filter((one) => one.label === net.label);
  choices("#seeds", "seed", seeds.map((one) => [String(one.seed), one]), net, choose);
  const count = SEQUENCES[net.sequences].length;
  const numbers = Array.from({ length: count }, (_, j) => [String(j + 1), j]);
  choices("#sequences", "sequence", numbers, state.sequence, (j) => {
    leaveBox();
    change({ sequence: j, edited: null });
  });
}

/** End typing in a box, which would else stay as it is. */
function leaveBox() {
  if (find("#edit").contains(document.activeElement)) document.activeElement.blur();
}

/** Another net: what was changed stays as far as it fits. */
function choose(net) {
  leaveBox();
  const same = net.sequences === state.net.sequences;
  change({ net, edited: same ? state.edited : null, sequence: same ? state.sequence : 0 });
}

/** Change the state and show it; the tour's text goes unless it is given. */
function change(changes) {
  const before = state.net;
  Object.assign(state, { tour: null }, changes);
  settle();
  if (before !== state.net) buildSurgery();
  show();
  history.replaceState(null, "", `#${address()}`);
}

/** Keep everything inside what the net and the sequence have. */
function settle() {
  state.sequence = Math.min(state.sequence, SEQUENCES[state.net.sequences].length - 1);
  state.step = Math.max(0, Math.min(state.step, shownSequence().inputs.length - 1));
  state.unit = Math.max(0, Math.min(state.unit, state.net.keeps.length - 1));
}

/* ---- the address ---- */

/** What the reader has chosen as the part of the address after #. */
function address() {
  const words = new URLSearchParams({ net: state.net.run, sequence: state.sequence, step: state.step, unit: state.unit });
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
  for (const slot of [...GATES, "candidate"]) if (words.get(slot)) surgery[slot] = surgeryFromWord(words.get(slot));
  Object.assign(state, { surgery, edited: editsFrom(words), step: number("step"), unit: number("unit") });
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

/* ---- editing ---- */

/** Take other inputs; back to "as recorded" if nothing differs. */
function edit(sequence) {
  const before = recorded();
  const same = (part) => JSON.stringify(sequence[part]) === JSON.stringify(before[part]);
  const unchanged = same("inputs") && same("targets");
  change({ edited: unchanged ? null : sequence });
}

function setValue(part, t, j, value) {
  const sequence = copied(shownSequence());
  sequence[part][t][j] = value;
  edit(part === "inputs" ? withInputs(sequence, sequence.inputs, rule()) : sequence);
}

/** How many letters of a text one step takes: one where there is an alphabet, else a number and its space. */
const lettersAStep = (text) => (text.includes(" ") ? 2 : 1);

/** A box for text that is taken over at every letter; what cannot be read is said and not used. */
function textBox(label, text, onText) {
  const box = element("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off" });
  box.value = text;
  const problem = find("#problem") || element("p", { id: "problem", role: "alert" });
  box.addEventListener("input", () => {
    try {
      onText(box.value);
      box.removeAttribute("aria-invalid");
      problem.textContent = "";
    } catch (error) {
      box.setAttribute("aria-invalid", "true");
      problem.textContent = error.message;
    }
  });
  const follow = () => change({ step: Math.max(0, Math.ceil(box.selectionStart / lettersAStep(box.value)) - 1), tour: state.tour });
  for (const event of ["keyup", "click"]) box.addEventListener(event, follow);
  return [element("label", {}, element("span", {}, label), box), problem];
}

function showEditing(sequence) {
  const place = find("#edit");
  if (place.contains(document.activeElement)) return; // do not take the box away that is being typed in
  const { alphabet, target_alphabet, input_size, output_size } = task();
  const rows = [];
  if (areSymbols(sequence.inputs))
    rows.push(...textBox("input", symbolText(sequence.inputs, alphabet), (text) => {
      const inputs = symbolsOf(text, alphabet, input_size);
      if (!inputs.length || inputs.includes(null)) throw new Error("A symbol for every step is needed.");
      edit(withInputs(recorded(), inputs, rule()));
    }));
  if (areSymbols(sequence.targets) && !rule())
    rows.push(...textBox("target", symbolText(sequence.targets, target_alphabet, sequence.counts), (text) => {
      const targets = symbolsOf(text, target_alphabet, output_size);
      if (targets.length !== sequence.inputs.length) throw new Error(`${sequence.inputs.length} targets are needed, “.” where none counts.`);
      edit({ ...copied(shownSequence()), targets: targets.map((s) => s || 0), counts: targets.map((s) => s !== null) });
    }));
  const numbers = element("div", { class: "numbers" }, ...numberBoxes(sequence));
  const follows = rule() ? `The target is ${rule()}, and follows.` : "The target stays as it was recorded: edit it too.";
  place.replaceChildren(...distinct(rows), numbers, element("span", { class: "faint" }, follows));
}

/** A box for each number of the marked step. */
function numberBoxes(sequence) {
  const box = (part, j, name) => {
    const input = element("input", { type: "number", step: "any", value: String(short5(sequence[part][state.step][j])) });
    input.addEventListener("change", () => {
      if (input.value !== "" && Number.isFinite(input.valueAsNumber)) setValue(part, state.step, j, input.valueAsNumber);
    });
    return element("label", {}, element("span", {}, name), input);
  };
  const boxes = [];
  const { inputs, targets, counts } = sequence;
  if (!areSymbols(inputs) && inputs[0].length <= 8)
    inputs[0].forEach((_, j) => boxes.push(box("inputs", j, inputName(j))));
  if (!areSymbols(targets) && !rule() && counts[state.step] && targets[0].length <= 8)
    targets[0].forEach((_, j) => boxes.push(box("targets", j, targets[0].length > 1 ? `target ${j + 1}` : "target")));
  return boxes.length ? [element("span", { class: "label" }, `at step ${state.step + 1}:`), ...boxes] : [];
}

const short5 = (value) => Number(value.toPrecision(5));
const inputName = (j) => task().input_names[j] || (shownSequence().inputs[0].length > 1 ? `value ${j + 1}` : "value");

/* ---- surgery ---- */

/** The controls of every gate of the net, made anew when the net changes. */
function buildSurgery() {
  const { net } = state;
  const slots = GATES.filter((slot) => SYMBOLS[slot] && net.spec[slot] && net.spec[slot].kind !== "absent");
  find("#surgery").replaceChildren(...[...slots, "candidate"].map((slot) => surgeryControls(net, slot)));
}

function surgeryControls(net, slot) {
  const name = NAMES[slot];
  const set = (changes) => change({ surgery: { ...state.surgery, [slot]: { ...(state.surgery[slot] || OWN), ...changes } } });
  const box = element("fieldset", { "data-slot": slot },
    element("legend", {}, element("i", {}, SYMBOLS[slot]), ` ${name} `, element("span", {}, howItArises(net, slot))));
  if (slot !== "candidate") {
    const fixed = element("input", { type: "checkbox", class: "fixed" });
    const value = element("input", { type: "range", class: "value", min: "0", max: "1", step: "0.01", value: "1", "aria-label": `value of the ${name}` });
    fixed.addEventListener("change", () => set({ value: fixed.checked ? value.valueAsNumber : null }));
    value.addEventListener("input", () => set({ value: value.valueAsNumber }));
    box.append(element("div", { class: "row" }, element("label", {}, fixed, "fix at"), value, element("output", {}, "own")));
  }
  const choice = (key, title, options) => {
    const list = element("select", { class: key, "aria-label": `${title} of the ${name}` }, ...options.map(([value, text]) => element("option", { value }, text)));
    list.addEventListener("change", () => set({ [key]: list.value }));
    return list;
  };
  box.append(element("div", { class: "row" },
    choice("units", "units", [["all", "all units"], ["picked", "the picked unit"]]),
    choice("steps", "steps", [["every", "every step"], ["marked", "the marked step"]])));
  const terms = termsOf(net, slot).map((source) => {
    const on = element("input", { type: "checkbox", value: source, checked: "checked", class: "term" });
    on.addEventListener("change", () => {
      const off = (state.surgery[slot] || OWN).off.filter((one) => one !== source);
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
  return knobs.shared ? "one value for all units" : "";
}

/** The controls say what the state says. */
function showSurgery() {
  for (const box of document.querySelectorAll("#surgery fieldset")) {
    const own = state.surgery[box.dataset.slot] || OWN;
    box.classList.toggle("touched", isTouched(state.surgery, box.dataset.slot));
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

/* ---- what is shown ---- */

function show() {
  const made = computed();
  showChoices();
  showEditing(made.sequence);
  showSurgery();
  find("#equations").replaceChildren(...equationLines(state.net, state.surgery));
  showLoss(made);
  showPictures(made);
  showReading(made);
  showTour();
  find("#undo").disabled = !made.touched && !state.edited;
}

function showLoss({ plain, now, touched, sequence }) {
  const unit = task().unit;
  const parts = ["loss of this sequence: ", element("b", {}, short3(now.loss)), ` ${unit} a step`];
  if (touched) {
    const more = now.loss - plain.loss;
    const said = Math.abs(more) < 5e-4 ? "nothing lost" : more > 0 ? `${short3(more)} lost by what you changed` : `${short3(-more)} won by what you changed`;
    parts.push("; untouched ", element("b", {}, short3(plain.loss)), ": ", element("span", { class: more >= 5e-4 ? "worse" : "" }, said));
  }
  const due = dueRight(sequence, now);
  if (due) parts.push(`. Right where it had to remember: ${due}`);
  find("#loss").replaceChildren(...parts, state.edited ? " (of the sequence as you edited it)" : "");
}

const short3 = (value) => (Number.isFinite(value) ? value.toFixed(3) : String(value).replace("Infinity", "∞"));

/** "4 of 5", of the steps that the task calls due. */
function dueRight(sequence, made) {
  const due = (sequence.events.due || []).filter((t) => sequence.counts[t]);
  if (!due.length || task().loss !== "cross_entropy") return "";
  return `${due.filter((t) => extreme(made.outputs[t], 1) === sequence.targets[t]).length} of ${due.length}`;
}

/** A picture below the others, with its heading; `make` draws it. */
function picture(stack, title, note, alternative, make, onClick = pointAt) {
  const canvas = element("canvas", { role: "img", "aria-label": alternative });
  make(canvas);
  canvas.addEventListener("click", (event) => onClick(event, canvas));
  stack.push(element("h3", {}, title, " ", element("span", {}, note)), canvas);
  return canvas;
}

function showPictures({ sequence, plain, now, touched }) {
  const stack = [];
  const steps = sequence.inputs.length;
  const room = find("#scroll").clientWidth - GUTTER - 8;
  const view = { steps, marked: state.step, cell: Math.max(10, Math.min(24, Math.floor(room / steps))) };
  inputPictures(stack, view, sequence);
  predictionPicture(stack, view, sequence, now, plain, touched);
  const high = Math.max(0.02, ...[...now.losses, ...plain.losses].filter((loss) => loss !== null && Number.isFinite(loss)));
  picture(stack, "loss per step", touched ? "bars: now; thin line: the untouched net" : "", `loss of every step, at most ${short(high)}`,
    (canvas) => chart(canvas, view, now.losses, { height: 52, low: 0, high, bars: true, thin: touched ? plain.losses : null }));
  const order = byTimeConstant(state.net);
  for (const slot of ["forget", "input", "candidate", "reset", "refine", "output", "cell", "hidden"])
    if (now.values[slot]) unitMap(stack, view, slot, now.values[slot], order);
  for (const slot of ["forget", "input", "candidate", "reset", "refine", "output", "cell", "hidden"])
    if (now.values[slot]) unitCurve(stack, view, slot, now.values[slot], touched ? plain.values[slot] : null);
  const scrolled = find("#scroll").scrollLeft;
  find("#stack").replaceChildren(...stack);
  find("#scroll").scrollLeft = inSight(scrolled, left(view, state.step), view.cell, find("#scroll").clientWidth);
  const longest = "Rows are units, those that keep longest on top (their time constant, as the record has it)";
  find("#key").textContent = `${longest}. Gates: dark at 0, where they erase or are shut, light at 1. ${SIGNED_KEY} ${leftOutText()}`;
}

/** Where to scroll so that a step is in sight; where it was if it is. */
const inSight = (scrolled, start, width, room) =>
  (start - GUTTER < scrolled || start + width > scrolled + room ? Math.max(0, start - room / 2) : scrolled);

const SIGNED_KEY = "Candidate, cell and output: white at 0, orange above, purple with a dash below.";
const leftOutText = () => {
  const count = Object.keys(CONTENT.left_out || {}).length;
  return count ? `${count} runs of the study are not on this page.` : "";
};

/** A pointer marks its step. */
function pointAt(event, canvas, unitAt) {
  const { step, row } = placeOf(event, canvas);
  change({ step, ...(unitAt ? { unit: unitAt(row) } : {}) });
}

function placeOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const steps = shownSequence().inputs.length;
  const cell = (box.width - GUTTER - 2) / steps;
  const step = Math.max(0, Math.min(steps - 1, Math.floor((event.clientX - box.left - GUTTER) / cell)));
  return { step, row: (event.clientY - box.top - 1) / (box.height - 2) };
}

function inputPictures(stack, view, sequence) {
  const events = Object.entries(sequence.events).filter(([, steps]) => steps.length);
  const due = sequence.events.due || [];
  if (areSymbols(sequence.inputs)) {
    const { alphabet } = task();
    const texts = sequence.inputs.map((symbol) => (alphabet ? alphabet[symbol] : String(symbol)));
    const note = due.length ? "tick: what comes next had to be remembered" : "";
    picture(stack, "input", note, `the input symbols: ${texts.join(" ")}`, (canvas) => strip(canvas, view, texts, due));
    return;
  }
  const channels = sequence.inputs[0].map((_, j) => sequence.inputs.map((x) => x[j]));
  if (channels.length > MOST_BARS) {
    picture(stack, "input", "values, a row each", "the input values", (canvas) =>
      heatMap(canvas, view, channels, { rowHeight: Math.max(2, Math.min(8, Math.floor(160 / channels.length))), colours: CONTENT.colours.share, low: 0, high: 1 }));
    return;
  }
  channels.forEach((values, j) => {
    const look = { height: 44, low: Math.min(0, ...values), high: Math.max(1, ...values), bars: true };
    const canvas = picture(stack, `input: ${inputName(j)}`, j ? "" : "drag a bar to edit it", `input ${inputName(j)} of every step`,
      (made) => chart(made, view, values, look));
    canvas.classList.add("drag");
    canvas.addEventListener("pointerdown", (event) => drag(event, canvas, j, look));
  });
}

/** A bar under the pointer follows it until it is let go. */
function drag(event, canvas, j, look) {
  const { step } = placeOf(event, canvas);
  const box = canvas.getBoundingClientRect();
  const start = event.clientY;
  event.preventDefault();
  const move = (moved) => {
    if (Math.abs(moved.clientY - start) < 3) return;
    const share = 1 - clip((moved.clientY - box.top - 3) / (box.height - 6));
    const value = look.low + share * (look.high - look.low);
    setValue("inputs", step, j, Number(value.toFixed(2)));
  };
  const stop = () => ["pointermove", "pointerup", "pointercancel"].forEach((name) => removeEventListener(name, name === "pointermove" ? move : stop));
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

function predictionPicture(stack, view, sequence, now, plain, touched) {
  const { loss, target_alphabet } = task();
  if (loss === "mse") {
    now.outputs[0].forEach((_, j) => {
      const values = now.outputs.map((output) => output[j]);
      const thin = plain.outputs.map((output) => output[j]);
      const dots = sequence.targets.map((target, t) => (sequence.counts[t] ? target[j] : null));
      const all = [...values, ...thin, ...dots].filter((value) => value !== null && Number.isFinite(value));
      picture(stack, "prediction", `box: target${touched ? "; thin line: the untouched net" : ""}`, "the prediction of every step, and the targets", (canvas) =>
        chart(canvas, view, values, { height: 70, low: Math.min(0, ...all), high: Math.max(1, ...all), thin: touched ? thin : null, dots }));
    });
    return;
  }
  const shares = now.outputs.map((output) => (loss === "bce" ? output.map(sigmoid) : softmax(output)));
  const rows = shares[0].map((_, j) => shares.map((share) => share[j]));
  const boxed = sequence.targets.map((target, t) => {
    if (!sequence.counts[t]) return null;
    return loss === "bce" ? target.flatMap((on, j) => (on ? [j] : [])) : target;
  });
  const rowHeight = Math.max(4, Math.min(14, Math.floor(180 / rows.length)));
  const names = rowHeight < 9 ? [] : rows.map((_, j) => (target_alphabet ? target_alphabet[j] : String(j)));
  picture(stack, "prediction", "a row per symbol, the darker the likelier; box: what came", "probability of every output at every step", (canvas) =>
    heatMap(canvas, view, rows, { rowHeight, colours: CONTENT.colours.share, low: 0, high: 1, names, boxes: boxed }));
}

const isSigned = (slot) => ["candidate", "cell", "hidden"].includes(slot);

/** The range of a signed map: that of nine numbers in ten, 1 at least, so that one large unit does not pale the others. */
function widest(numbers) {
  const sizes = numbers.map(Math.abs).filter(Number.isFinite).sort((a, b) => a - b);
  return Math.max(1, sizes[Math.floor(0.9 * (sizes.length - 1))] || 1);
}

function unitMap(stack, view, slot, values, order) {
  const rows = order.map((unit) => values.map((row) => row[unit]));
  const most = isSigned(slot) ? widest(rows.flat()) : 1;
  const look = {
    rowHeight: Math.max(5, Math.min(9, Math.floor(130 / order.length))), signed: isSigned(slot),
    colours: isSigned(slot) ? CONTENT.colours.signed : CONTENT.colours.gate, low: isSigned(slot) ? -most : 0, high: most,
    picked: order.indexOf(state.unit),
  };
  look.names = order.map((unit, j) => (j === look.picked ? String(unit + 1) : ""));
  const beyond = rows.flat().some((value) => Math.abs(value) > most * 1.001) ? " and beyond" : "";
  const range = `${isSigned(slot) ? `−${short(most)}` : "0"} to ${short(most)}${beyond}`;
  picture(stack, `${SYMBOLS[slot]}  ${NAMES[slot]}`, range, `${NAMES[slot]} of every unit at every step, ${range}`,
    (canvas) => heatMap(canvas, view, rows, look),
    (event, canvas) => pointAt(event, canvas, (row) => order[Math.max(0, Math.min(order.length - 1, Math.floor(row * order.length)))]));
}

function unitCurve(stack, view, slot, values, before) {
  const own = values.map((row) => row[state.unit]);
  const thin = before && before.map((row) => row[state.unit]);
  const all = [...own, ...(thin || [])].filter(Number.isFinite);
  const look = { height: 44, low: Math.min(0, ...all), high: Math.max(1, ...all), thin };
  picture(stack, `${SYMBOLS[slot]} of unit ${state.unit + 1}`, before ? "thin line: the untouched net" : "", `${NAMES[slot]} of unit ${state.unit + 1} at every step`,
    (canvas) => chart(canvas, view, own, look));
}

/** The marked step and the picked unit in words and numbers. */
function showReading({ sequence, now }) {
  const { step: t, unit } = state;
  const { alphabet, target_alphabet, loss } = task();
  const symbol = (value, letters) => (letters ? letters[value] : String(value));
  const x = sequence.inputs[t];
  const reads = areSymbols(sequence.inputs) ? symbol(x, alphabet) : x.slice(0, 4).map((value, j) => `${inputName(j)} ${short(value)}`).join(", ");
  const parts = [`Step ${t + 1} of ${sequence.inputs.length}: reads ${reads}`];
  if (loss === "cross_entropy") {
    const shares = softmax(now.outputs[t]);
    const best = shares.map((_, j) => j).sort((a, b) => shares[b] - shares[a]).slice(0, 2);
    parts.push(`expects ${best.map((j) => `${symbol(j, target_alphabet)} ${short(shares[j])}`).join(", ")}`);
    if (sequence.counts[t]) parts.push(`target ${symbol(sequence.targets[t], target_alphabet)}`);
  } else if (loss === "mse") {
    parts.push(`predicts ${now.outputs[t].slice(0, 4).map(short).join(", ")}`);
    if (sequence.counts[t]) parts.push(`target ${sequence.targets[t].slice(0, 4).map(short).join(", ")}`);
  }
  if (sequence.counts[t]) parts.push(`loss ${short(now.losses[t])}`);
  const events = Object.entries(sequence.events).filter(([, steps]) => steps.includes(t)).map(([name]) => name);
  if (events.length) parts.push(events.join(", "));
  const gates = Object.keys(now.values).map((slot) => `${SYMBOLS[slot]} ${short(now.values[slot][t][unit])}`);
  const keeps = state.net.keeps[unit];
  const kept = keeps === null ? "loses nothing" : `keeps ${short(keeps)} steps`;
  find("#reading").replaceChildren(`${parts.join("; ")}.`, element("br", {}), `Unit ${unit + 1} (${kept}): ${gates.join(", ")}.`);
  for (const [id, value, most] of [["#step", t, sequence.inputs.length - 1], ["#unit", byTimeConstant(state.net).indexOf(unit), state.net.keeps.length - 1]]) {
    find(id).max = most;
    find(id).value = value;
    find(id).setAttribute("aria-valuetext", id === "#step" ? `step ${t + 1}` : `unit ${unit + 1}`);
  }
}

/* ---- the tour ---- */

function showTour() {
  TOUR.forEach((stop, j) => find("#tour").children[j].setAttribute("aria-pressed", String(state.tour && state.tour.at === j)));
  find("#tour-text").textContent = state.tour ? state.tour.text : "";
}

/** A step of the tour on the nets of this page: what to choose, and the text. */
function tourStop(at) {
  const net = teacher(NETS, state.net);
  const sequence = SEQUENCES[net.sequences][net.sequences === state.net.sequences ? state.sequence : 0];
  const start = startOf(net, net.sequences === state.net.sequences ? state.sequence : 0);
  const loss = lossUnder(net, sequence, start, {});
  return { net, ...TOUR[at].state({ net, nets: NETS, sequence, start, loss, task: CONTENT.tasks[net.task] }) };
}

function takeTour(at) {
  leaveBox();
  const { text, ...found } = tourStop(at);
  change({ edited: null, surgery: {}, ...found, tour: { at, text } });
}

/* ---- begin ---- */

function begin() {
  TOUR.forEach((stop, at) => {
    const button = element("button", { type: "button", "aria-pressed": "false" }, `${at + 1} ${stop.title}`);
    button.addEventListener("click", () => takeTour(at));
    find("#tour").append(button);
  });
  find("#step").addEventListener("input", () => change({ step: find("#step").valueAsNumber, tour: state.tour }));
  find("#unit").addEventListener("input", () => change({ unit: byTimeConstant(state.net)[find("#unit").valueAsNumber], tour: state.tour }));
  find("#undo").addEventListener("click", () => {
    leaveBox();
    change({ surgery: {}, edited: null });
  });
  find("#scroll").addEventListener("keydown", (event) => {
    const order = byTimeConstant(state.net);
    const place = order.indexOf(state.unit);
    const moves = {
      ArrowLeft: { step: state.step - 1 }, ArrowRight: { step: state.step + 1 },
      ArrowUp: { unit: order[Math.max(0, place - 1)] }, ArrowDown: { unit: order[Math.min(order.length - 1, place + 1)] },
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    change({ ...moves[event.key], tour: state.tour });
  });
  addEventListener("hashchange", () => readAddress());
  addEventListener("resize", () => show());
  readAddress();
}

/** Show what the address says; without one, the first step of the tour. */
function readAddress() {
  fromAddress(location.hash.slice(1));
  buildSurgery();
  if (!location.hash) return takeTour(0);
  const at = Number(new URLSearchParams(location.hash.slice(1)).get("tour")) - 1;
  if (TOUR[at]) state.tour = { at, text: tourStop(at).text };
  return show();
}

if (NETS.length) begin();
