"use strict";
/* The sequence as text and numbers that can be edited. */

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

/** A box for each number of the picked step. */
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
