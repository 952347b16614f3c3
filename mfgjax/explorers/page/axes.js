// What pictures are made of: elements, scales, axes, and areas of colour.

const SVG = "http://www.w3.org/2000/svg";
const LETTER = 6.4; // width of a letter of the labels, about

function add(parent, name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

function tip(element, text) {
  add(element, "title", {}, text);
  return element;
}

function label(parent, x, y, text, attributes = {}) {
  return add(parent, "text", { x, y, ...attributes }, text);
}

function scale(low, high, from, to, log = false) {
  const f = log ? Math.log : (x) => x;
  const span = f(high) - f(low) || 1;
  const at = (x) => from + ((f(x) - f(low)) / span) * (to - from);
  return Object.assign(at, { low, high, from, to, log });
}

// What a picture draws on: its element, emptied, and the area between the margins
function canvasOf(panel, margins) {
  const { svg, width, height } = panel;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const box = { left: margins.left, right: width - margins.right, top: margins.top, bottom: height - margins.bottom };
  return { svg, width, height, ...box };
}

// The scales are on the element, so that others can tell numbers from places
function publish(area, x, y) {
  for (const [name, s] of Object.entries({ x, y }))
    if (s) area.svg.dataset[name] = [s.low, s.high, s.from, s.to, s.log ? "log" : "linear"].join(" ");
}

function xAxis(area, x, ticks, name) {
  const group = add(area.svg, "g", { class: "axis" });
  add(group, "line", { x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom });
  for (const { at, text } of ticks) {
    add(group, "line", { x1: x(at), x2: x(at), y1: area.bottom, y2: area.bottom + 4 });
    const half = (text.length * LETTER) / 2;
    const middle = Math.max(half, Math.min(x(at), area.width - half)); // inside the picture
    label(group, middle, area.bottom + 16, text, { "text-anchor": "middle" });
  }
  if (name) label(group, (area.left + area.right) / 2, area.bottom + 33, name, { "text-anchor": "middle", class: "name" });
}

function yAxis(area, y, ticks, grid = true) {
  const group = add(area.svg, "g", { class: "axis" });
  for (const { at, text } of ticks) {
    if (grid) add(group, "line", { x1: area.left, x2: area.right, y1: y(at), y2: y(at), class: "grid" });
    label(group, area.left - 7, y(at) + 4, text, { "text-anchor": "end" });
  }
}

// With as many digits as tell the ticks apart
function numbered(ticks) {
  const texts = (most) => ticks.map((at) => digits(at, most));
  const most = [3, 4, 6, 8, 10, 12].find((n) => new Set(texts(n)).size === ticks.length);
  return texts(most).map((text, i) => ({ at: ticks[i], text }));
}

// A picture of width x height cells, each a colour of viridis or, where `value` is null, none
function cells(parent, box, width, height, value) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const share = value(column, row);
      const there = share !== null && !Number.isNaN(share);
      image.data.set(there ? [...colourOf(share), 255] : [0, 0, 0, 0], 4 * (row * width + column));
    }
  context.putImageData(image, 0, 0);
  const place = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  const options = { ...place, preserveAspectRatio: "none", class: "cells" };
  return add(parent, "image", { ...options, href: canvas.toDataURL() });
}

// A bar that says which colour is which share, from 0 to `most`
function colourBar(area, most) {
  const x = area.right + 12;
  cells(area.svg, { left: x, right: x + 10, top: area.top, bottom: area.bottom }, 1, 64, (_, row) => 1 - row / 63);
  const y = scale(0, most, area.bottom, area.top);
  for (const at of [0, most / 2, most]) label(area.svg, x + 15, y(at) + 4, digits(at), { class: "tick" });
}

// Places for labels at heights, at least `gap` apart and within low to high, in the order of the heights
function spreadLabels(heights, gap, low, high) {
  const order = heights.map((_, i) => i).sort((i, j) => heights[i] - heights[j]);
  const places = Array(heights.length);
  let last = -Infinity;
  for (const i of order) last = places[i] = Math.max(heights[i], last + gap, low);
  let next = high + gap;
  for (const i of order.reverse()) next = places[i] = Math.min(places[i], next - gap);
  return places;
}
