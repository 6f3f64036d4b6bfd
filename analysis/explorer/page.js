"use strict";
/* The page as a whole: what is shown, and its beginning. */

function show() {
  const made = computed();
  showChoices();
  find("#about").textContent = task().about ? `The task: ${task().about}` : "";
  showEditing(made.sequence);
  showSurgery();
  find("#equations").replaceChildren(...equationLines(state.net, ofLayer(state.surgery, state.layer)));
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
    const said = Math.abs(more) < 5e-4 * Math.max(plain.loss, 0.01) ? "nothing lost" : more > 0 ? `${short3(more)} lost by what you changed` : `${short3(-more)} won by what you changed`;
    parts.push("; untouched ", element("b", {}, short3(plain.loss)), ": ", element("span", { class: said.includes("lost by") ? "worse" : "" }, said));
  }
  const due = dueRight(sequence, now);
  if (due) parts.push(`. Right where it had to remember: ${due}`);
  find("#loss").replaceChildren(...parts, state.edited ? " (of the sequence as you edited it)" : "");
}

/** A loss with three digits behind the point, more where it is small. */
function short3(value) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞");
  return Math.abs(value) < 0.01 && value !== 0 ? value.toPrecision(2) : value.toFixed(3);
}

/** The steps whose answer had to be remembered, as far as the task says. */
const dueSteps = (sequence) => (sequence.events.due || []).filter((t) => sequence.counts[t]);

/** "4 of 5", of these steps. */
function dueRight(sequence, made) {
  const due = dueSteps(sequence);
  if (!due.length || task().loss !== "cross_entropy") return "";
  return `${due.filter((t) => extreme(made.outputs[t], 1) === sequence.targets[t]).length} of ${due.length}`;
}

/** The picked step and the picked unit in words and numbers. */
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
  const steps = keeps()[unit];
  const kept = steps === null ? "loses nothing" : `keeps ${short(steps)} steps`;
  find("#reading").replaceChildren(`${parts.join("; ")}.`, element("br", {}), `Unit ${unit + 1} (${kept}): ${gates.join(", ")}.`);
  for (const [id, value, most] of [["#step", t, sequence.inputs.length - 1], ["#unit", byTimeConstant().indexOf(unit), keeps().length - 1]]) {
    find(id).max = most;
    find(id).value = value;
    find(id).setAttribute("aria-valuetext", id === "#step" ? `step ${t + 1}` : `unit ${unit + 1}`);
  }
}

function begin() {
  TOUR.forEach((stop, at) => {
    const button = element("button", { type: "button", "aria-pressed": "false" }, `${at + 1} ${stop.title}`);
    button.addEventListener("click", () => takeTour(at));
    find("#tour").append(button);
  });
  find("#step").addEventListener("input", () => change({ step: find("#step").valueAsNumber, tour: state.tour }));
  find("#unit").addEventListener("input", () => change({ unit: byTimeConstant()[find("#unit").valueAsNumber], tour: state.tour }));
  find("#undo").addEventListener("click", () => {
    leaveBox();
    change({ surgery: {}, edited: null });
  });
  find("#scroll").addEventListener("keydown", (event) => {
    const order = byTimeConstant();
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
  const words = new URLSearchParams(location.hash.slice(1));
  const at = Number(words.get("tour")) - 1;
  if (!location.hash || (TOUR[at] && !words.has("net"))) return takeTour(TOUR[at] ? at : 0);
  if (TOUR[at]) state.tour = { at, text: tourStop(at).text };
  return show();
}

if (NETS.length) begin();
