"use strict";
/* Pictures over the steps of a sequence, one below the other on the same steps. `view` says how: {steps, cell, marked}:
   the number of steps, the width of one in pixels, the picked step. */

const GUTTER = 30; // pixels for the names of rows
const INK = "#222222";
const FAINT = "#767676";
const FRAME = "#dcdcdc";

/** A canvas cleared and sized; its drawing is in CSS pixels. */
function surface(canvas, view, height) {
  const width = GUTTER + view.steps * view.cell + 2;
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const ink = canvas.getContext("2d");
  ink.scale(density, density);
  ink.font = "11px system-ui, sans-serif";
  ink.textBaseline = "middle";
  return ink;
}

const left = (view, t) => GUTTER + t * view.cell;

/** The line that marks a step. */
function mark(ink, view, height) {
  for (const [colour, width] of [["#ffffff", 3.5], [INK, 1.5]]) { // the white is seen on dark cells
    ink.strokeStyle = colour;
    ink.lineWidth = width;
    ink.strokeRect(left(view, view.marked) - 0.5, 0.75, view.cell + 1, height - 1.5);
  }
}

/** The colour of a value between low and high, from a list of colours. */
function shade(colours, value, low, high) {
  if (!Number.isFinite(value)) return value > 0 ? colours[colours.length - 1] : value < 0 ? colours[0] : "#ffffff";
  return colours[Math.round(clip((value - low) / (high - low)) * (colours.length - 1))];
}

/** Values as a map of rows (one array of steps each).

    look: {rowHeight, colours, low, high, names, picked, boxes: row of each step or null, signed}. */
function heatMap(canvas, view, rows, look) {
  const height = rows.length * look.rowHeight + 2;
  const ink = surface(canvas, view, height);
  rows.forEach((row, j) => row.forEach((value, t) => {
    ink.fillStyle = shade(look.colours, value, look.low, look.high);
    ink.fillRect(left(view, t), 1 + j * look.rowHeight, view.cell, look.rowHeight);
    const strong = look.signed && value < look.low / 4; // a dash says "below 0" where colours are not seen
    if (strong) {
      ink.fillStyle = value < look.low / 2 ? "#ffffff" : INK;
      ink.fillRect(left(view, t) + view.cell * 0.3, j * look.rowHeight + look.rowHeight / 2 + 0.5, view.cell * 0.4, 1);
    }
  }));
  ink.strokeStyle = FRAME;
  ink.strokeRect(GUTTER - 0.5, 0.5, view.steps * view.cell + 1, height - 1);
  (look.names || []).forEach((name, j) => {
    ink.fillStyle = j === look.picked ? INK : FAINT;
    ink.textAlign = "right";
    ink.fillText(name, GUTTER - 5, 1 + (j + 0.5) * look.rowHeight);
  });
  boxes(ink, view, look);
  if (look.picked !== undefined) {
    ink.strokeStyle = INK;
    ink.lineWidth = 1;
    ink.strokeRect(GUTTER - 0.5, 0.5 + look.picked * look.rowHeight, view.steps * view.cell + 1, look.rowHeight + 1);
  }
  mark(ink, view, height);
}

/** A box on the target's row of every step that has one. */
function boxes(ink, view, look) {
  (look.boxes || []).forEach((found, t) => [found].flat().forEach((row) => {
    if (row === null) return;
    ink.lineWidth = 1.5;
    ink.strokeStyle = "#c2410c";
    ink.strokeRect(left(view, t) + 1.25, 1.75 + row * look.rowHeight, Math.max(1.5, view.cell - 2.5), look.rowHeight - 1.5);
  }));
}

const LETTER = 8; // pixels that a letter needs

/** A row of texts, one a step, and a tick below each step of an event; where steps are narrow only the marked one's text. */
function strip(canvas, view, texts, ticks = []) {
  const ink = surface(canvas, view, 24);
  ink.textAlign = "center";
  ink.font = `${Math.min(13, Math.max(9, view.cell))}px ui-monospace, monospace`;
  texts.forEach((text, t) => {
    if (view.cell < LETTER && t !== view.marked) return;
    ink.fillStyle = t === view.marked ? INK : "#444444";
    ink.fillText(text, left(view, t) + view.cell / 2, 10);
  });
  ink.fillStyle = INK;
  ticks.forEach((t) => ink.fillRect(left(view, t) + view.cell / 2 - 1, 18, 2, 5));
  mark(ink, view, 24);
}

/** Values over steps. look: {height, low, high, thin: the untouched values, dots: targets or null, bars}. */
function chart(canvas, view, values, look) {
  const ink = surface(canvas, view, look.height);
  const span = look.high - look.low || 1;
  const top = (value) => 3 + (1 - clip((value - look.low) / span)) * (look.height - 6);
  const middle = (t) => left(view, t) + view.cell / 2;
  ink.fillStyle = FAINT;
  ink.textAlign = "right";
  ink.font = "10px system-ui, sans-serif";
  ink.fillText(short(look.high), GUTTER - 4, 8);
  ink.fillText(short(look.low), GUTTER - 4, look.height - 7);
  ink.fillStyle = FRAME;
  ink.fillRect(GUTTER, top(Math.max(look.low, 0)), view.steps * view.cell, 1);
  if (look.bars) {
    ink.fillStyle = "#8c7fb8";
    values.forEach((value, t) => {
      const gap = view.cell < 4 ? 0 : 1;
      if (value !== null) ink.fillRect(left(view, t) + gap, top(value), view.cell - 2 * gap, top(Math.max(look.low, 0)) - top(value));
    });
  } else line(ink, values, middle, top, INK, 1.8);
  if (look.thin) line(ink, look.thin, middle, top, "#555555", 0.9);
  (look.dots || []).forEach((value, t) => {
    if (value === null) return;
    ink.strokeStyle = "#c2410c";
    ink.lineWidth = 1.5;
    ink.strokeRect(middle(t) - 3, top(value) - 3, 6, 6);
  });
  mark(ink, view, look.height);
}

/** A line through the values of steps; a gap where there is none. */
function line(ink, values, middle, top, colour, width) {
  ink.strokeStyle = colour;
  ink.lineWidth = width;
  ink.beginPath();
  let on = false;
  values.forEach((value, t) => {
    if (value === null || !Number.isFinite(value)) return;
    const alone = !on && (t + 1 >= values.length || values[t + 1] === null);
    if (on && values[t - 1] !== null) ink.lineTo(middle(t), top(value));
    else ink.moveTo(middle(t), top(value));
    if (alone) ink.lineTo(middle(t) + 1, top(value));
    on = true;
  });
  ink.stroke();
}

/** A number in few letters. */
function short(value) {
  if (value === null || !Number.isFinite(value)) return value === null ? "–" : String(value).replace("Infinity", "∞");
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e4 || size < 0.005)) return value.toExponential(0).replace("e", "e");
  return String(Number(value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0)));
}
