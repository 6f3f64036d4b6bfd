"use strict";
/* The equations of a variant, as the record has them, with every term that was touched marked. */

const SYMBOLS = { input: "i", forget: "f", candidate: "z", output: "o", reset: "r", refine: "v", cell: "c", hidden: "h" };
const SLOT_OF = Object.fromEntries(Object.entries(SYMBOLS).map(([slot, symbol]) => [symbol, slot]));

/* A term of a sum in the text of an equation, and the source that it is. */
const TERMS = [
  [/^W_(\w) x/, "x"],
  [/^U_(\w) (?:h'|\(r \* h'\))/, "h"],
  [/^R_(\w)\w \w'/, "gates"],
  [/^p_(\w) \* c'?/, "c"],
  [/^b_h?(\w)/, "b"],
];

/** The text as pieces [text, slot, source]; slot is null for what is no term. */
function pieces(text) {
  const found = [];
  while (text) {
    const term = TERMS.map(([pattern, source]) => [pattern.exec(text), source]).find(([match]) => match);
    const [piece, slot, source] = term ? [term[0][0], SLOT_OF[term[0][1]], term[1]] : [text[0], null, null];
    if (!term && found.length && found[found.length - 1][1] === null) found[found.length - 1][0] += piece;
    else found.push([piece, slot, source]);
    text = text.slice(piece.length);
  }
  return found;
}

/** Text with subscripts: W_f is W with f below, h' is h of the step before. */
function typeset(text, into) {
  for (const [, name, below, prime, rest] of text.matchAll(/([WURpb])_(\w+)|([hcifo])'|([^])/g)) {
    if (name) into.append(name, element("sub", {}, below));
    else if (prime) into.append(prime, element("sub", {}, "t−1"));
    else into.append({ "*": "·", "-": "−" }[rest] || rest);
  }
  return into;
}

/** The equations as a list of elements. */
function equationLines(net, surgery) {
  return net.equations.map(({ symbol, text, remark }) => {
    const slot = SLOT_OF[symbol[0]];
    const own = surgery[slot] || OWN;
    const fixed = own.value !== null && !symbol.endsWith("~");
    const right = element("span", { class: fixed && own.units === "all" && own.steps === "every" ? "out" : "" });
    for (const [piece, of, source] of pieces(text)) {
      const out = of && (surgery[of] || OWN).off.includes(source);
      right.append(typeset(piece, element(out ? "del" : "span", { class: out ? "touched" : "" })));
    }
    const line = element("li", {}, element("i", {}, symbol.replace("~", "̃")), " = ", right);
    if (remark) line.append(element("span", { class: "faint" }, `  (${remark})`));
    if (fixed) line.append(" ", element("mark", { class: "touched" }, `fixed: ${own.value}${where(own)}`));
    else if (own.off.length && where(own)) line.append(" ", element("mark", { class: "touched" }, where(own).trim()));
    return line;
  });
}

/** Which units and steps a surgery is about, where not all. */
function where(own) {
  return (own.units === "picked" ? " for the picked unit" : "") + (own.steps === "marked" ? " at the picked step" : "");
}

/** An element with attributes and content. */
function element(name, attributes, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== "") made.setAttribute(key, value);
  made.append(...content);
  return made;
}
