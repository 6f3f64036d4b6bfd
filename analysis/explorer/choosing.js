"use strict";
/* Tasks, variants, seeds and sequences as buttons, the tour, and what every change does. */

/** A row of buttons; `chosen` is pressed. */
function choices(id, title, options, chosen, onChoose) {
  const row = find(id);
  const focused = row.contains(document.activeElement) ? document.activeElement.textContent : null;
  row.replaceChildren(element("span", { class: "label" }, title));
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
  const layers = net.weights.length > 1 ? net.weights.map((_, layer) => [String(layer + 1), layer]) : [];
  find("#layers").hidden = !layers.length;
  choices("#layers", "layer", layers, state.layer, (layer) => change({ layer }));
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
  state.layer = Math.min(state.layer, state.net.weights.length - 1);
  state.unit = Math.max(0, Math.min(state.unit, keeps().length - 1));
}

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
  change({ edited: null, surgery: {}, layer: 0, ...found, tour: { at, text } });
}
