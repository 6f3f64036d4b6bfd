"use strict";
/* The pictures: input, prediction, loss, a map and a curve of every gate, of cell and output. */

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
  const view = { steps, marked: state.step, cell: widthOfStep(sequence, room) };
  inputPictures(stack, view, sequence);
  predictionPicture(stack, view, sequence, now, plain, touched);
  const high = Math.max(0.02, ...[...now.losses, ...plain.losses].filter((loss) => loss !== null && Number.isFinite(loss)));
  picture(stack, "loss per step", touched ? "bars: now; thin line: the untouched net" : "", `loss of every step, at most ${short(high)}`,
    (canvas) => chart(canvas, view, now.losses, { height: 52, low: 0, high, bars: true, thin: touched ? plain.losses : null }));
  const order = byTimeConstant();
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

/** The pixels of a step: room for a letter, and what is beyond is scrolled to. Where the first step at which something is
    due would not be in sight, all steps are. */
function widthOfStep(sequence, room) {
  const steps = sequence.inputs.length;
  const usual = Math.max(10, Math.min(24, Math.floor(room / steps)));
  const [first = sequence.counts.indexOf(true)] = recorded().events.due || [];
  return (first + 1) * usual <= room ? usual : Math.max(1, room / steps);
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
  const shares = now.outputs.map((output) => (yesOrNo(loss) ? output.map(sigmoid) : softmax(output)));
  const rows = shares[0].map((_, j) => shares.map((share) => share[j]));
  const boxed = sequence.targets.map((target, t) => {
    if (!sequence.counts[t]) return null;
    return yesOrNo(loss) ? target.flatMap((on, j) => (on ? [j] : [])) : target;
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

