"use strict";
/* Five steps through what the gates do, each with a state that is found by trying on the reader's own nets. A step
   returns {net, surgery, step, unit, text}; text is what the reader should look at, and why. */

/** The first net with a learned forget gate, preferably with gates and weights of the full LSTM. */
function teacher(nets, net) {
  const keeps = (one) => one.task === net.task && one.spec.forget.kind !== "constant";
  return keeps(net) ? net : nets.find(keeps) || nets.find((one) => one.spec.forget.kind !== "constant") || net;
}

/** The loss of a net under some surgery at each step of a sequence, and over all of them. */
function lossesUnder(net, sequence, start, surgery, marked = 0) {
  const task = CONTENT.tasks[net.task];
  const made = run(net, vectors(sequence.inputs, task.input_size), start, touching(surgery, 0, marked));
  return lossByStep(task.loss, made.outputs, sequence);
}
const lossUnder = (...under) => meanLoss(lossesUnder(...under));

/** The steps whose answer had to be remembered, where the task says which; else all that count. */
function remembered(sequence) {
  const due = dueSteps(sequence);
  return due.length ? due : sequence.counts.flatMap((counts, t) => (counts ? [t] : []));
}

/** The places of the largest (sign 1) or smallest (sign -1) number. */
const extreme = (numbers, sign) => numbers.reduce((best, value, j) => (sign * value > sign * numbers[best] ? j : best), 0);
const mean = (numbers) => numbers.reduce(add, 0) / numbers.length;
const fixedAt = (value, more = {}) => ({ ...OWN, value, ...more });

/** What a net says at a step, in words. */
function answer(task, output) {
  if (task.loss === "mse") return output.slice(0, 4).map(short).join(", ");
  const letter = (j) => (task.target_alphabet ? task.target_alphabet[j] : String(j));
  if (task.loss === "cross_entropy") return letter(extreme(output, 1));
  return output.flatMap((value, j) => (value > 0 ? [letter(j)] : [])).join(" ") || "nothing";
}

/** The later step to be remembered at which the loss rises most under some surgery, and what the net says there. */
function whereItHurts(net, sequence, start, surgery, marked) {
  const task = CONTENT.tasks[net.task];
  const made = [() => UNTOUCHED, touching(surgery, 0, marked)].map((touchAt) => run(net, vectors(sequence.inputs, task.input_size), start, touchAt));
  const places = new Set(remembered(sequence));
  const [before, now] = made.map(({ outputs }) => lossByStep(task.loss, outputs, sequence));
  const at = extreme(now.map((loss, t) => (places.has(t) && t >= marked ? loss - before[t] : -Infinity)), 1);
  if (now[at] === null || !(now[at] > before[at])) return "";
  const [said, says] = made.map(({ outputs }) => answer(task, outputs[at]));
  const due = task.loss === "mse" ? answer(task, sequence.targets[at]) : task.loss === "bce" ? "" : answer(task, oneHot(sequence.targets[at], task.output_size));
  const what = said === says ? `it says ${says} as before, but is less sure` : `it says ${says} now, and said ${said} before`;
  return `It hurts most at step ${at + 1}${due && `, where ${due} is due`}: ${what}. What it says there `
    + `rested on what c held from before step ${marked + 1}, and that is wiped.`;
}

const TOUR = [
  {
    title: "The memory is a list of numbers",
    state: ({ net, sequence, start, task }) => {
      const [values] = run(net, vectors(sequence.inputs, task.input_size), start).layers;
      const settled = values.forget.slice(1).map(mean);
      const marked = 1 + extreme(settled, -1);
      const low = values.forget[marked].filter((f) => f < 0.5).length;
      return {
        step: marked,
        unit: extreme(values.forget[marked], -1),
        text: `The memory is c, the cell state: in its picture below, each row is one number (a unit), each column a step. At `
          + `every step the forget gate f multiplies it row by row, and what is dark in the picture of f is let go. At the `
          + `picked step f is darkest: ${low} of ${net.keeps[0].length} numbers keep less than half of what they held, the `
          + `others keep more.`,
      };
    },
  },
  {
    title: "Forget at the wrong place",
    state: ({ net, sequence, start, loss }) => {
      const surgery = { forget: fixedAt(0, { steps: "marked" }) };
      const every = Math.max(1, Math.ceil(sequence.inputs.length / 100));
      const costAt = (losses) => mean(remembered(sequence).map((place) => losses[place]));
      const wiped = (t) => lossesUnder(net, sequence, start, surgery, t);
      const costs = sequence.inputs.map((_, t) => (t % every ? -1 : costAt(wiped(t))));
      const marked = extreme(costs, 1);
      return {
        step: marked,
        surgery,
        text: `f is fixed at 0 for all units, at the picked step only: there the whole memory is wiped. At step ${marked + 1} that `
          + `costs most${dueSteps(sequence).length ? " of what had to be remembered" : ""}: the loss goes from ${short3(loss)} to `
          + `${short3(meanLoss(wiped(marked)))}. ${whereItHurts(net, sequence, start, surgery, marked)} `
          + `Move the picked step with the slider or the arrow keys: where does forgetting cost nothing?`,
      };
    },
  },
  {
    title: "A vector, or one number",
    state: ({ net, sequence, start, loss }) => {
      const tried = Array.from({ length: 21 }, (_, j) => j / 20);
      const losses = tried.map((value) => lossUnder(net, sequence, start, { forget: fixedAt(value) }));
      const best = extreme(losses, -1);
      return {
        surgery: { forget: fixedAt(tried[best]) },
        text: `One number, ${short(tried[best])}, stands in for f at all steps and for all units; it is the best of 21 tried, `
          + `and the loss is ${short3(losses[best])}, with its own f ${short3(loss)}. A sigmoid gives each unit its own share `
          + `between 0 (let go) and 1 (keep), anew at every step: try the slider at both ends.`,
      };
    },
  },
  {
    title: "What tells it to forget",
    state: ({ net, sequence, start, loss }) => {
      const slot = net.weights[0].forget ? "forget" : "input";
      const terms = termsOf(net, slot);
      const losses = terms.map((source) => lossUnder(net, sequence, start, { [slot]: { ...OWN, off: [source] } }));
      const worst = extreme(losses, 1);
      const signed = (change) => `${change < 0 ? "−" : "+"}${short3(Math.abs(change))}`;
      const costs = terms.map((source, j) => `${TERM_NAMES[source]} ${signed(losses[j] - loss)}`).join(", ");
      return {
        surgery: { [slot]: { ...OWN, off: [terms[worst]] } },
        text: `The ${slot} gate adds up its terms and squashes the sum. Taken out of this trained net, one at a time, they `
          + `change the loss by: ${costs}. Taken out now: ${TERM_NAMES[terms[worst]]}; a net trained without it might have found another way.`,
      };
    },
  },
  {
    title: "Without a forget gate",
    state: ({ net, nets, sequence, loss }) => {
      const without = nets.find((one) => one.task === net.task && one.sequences === net.sequences
        && one.spec.forget.kind === "constant" && one.spec.forget.value === 1);
      if (!without)
        return {
          surgery: { forget: fixedAt(1) },
          text: `f is fixed at 1: nothing is ever let go, as in the LSTM of 1997, and c can only be added to. Look at how `
            + `far c goes, and whether the loss minds: a task that ends by itself needs no forgetting.`,
        };
      const alone = lossUnder(without, sequence, startOf(without, state.sequence), {});
      const costs = alone > 1.1 * loss
        ? "The loss is larger here; on a task that ends by itself, or where the other gates do the work, it need not be."
        : "Here that costs nothing: the task ends by itself, or the other gates do the work.";
      return {
        net: without,
        text: `This net was trained without a forget gate (f = 1): nothing is ever let go, and c can only be added to. Its `
          + `loss here is ${short3(alone)}, that of the net with one ${short3(loss)}. ${costs}`,
      };
    },
  },
];
const TERM_NAMES = { x: "input x", h: "last output h", b: "bias b", c: "cell c", gates: "last gates" };
