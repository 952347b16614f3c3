// Numbers and colours: how they are read from a frame, and how they are shown.

// Paul Tol's "bright" palette, and dashes that tell lines apart in grey
const BRIGHT = ["#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB"];
const DASHES = ["", "8 3", "2 3", "9 3 2 3", "14 4", "4 4", "1 5"];
// viridis, at even steps
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];

function colourOf(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[below].map((low, i) => Math.round(low + (place - below) * (VIRIDIS[below + 1][i] - low)));
}

function cssColour(share) {
  return `rgb(${colourOf(share).join(",")})`;
}

// Black or white, whichever is read more easily on a colour of viridis
function inkOn(share) {
  const [r, g, b] = colourOf(share);
  return 0.3 * r + 0.59 * g + 0.11 * b > 125 ? "#111" : "#fff";
}

// Three digits, or more; a minus sign, not a hyphen
function digits(number, most = 3) {
  if (number === null || Number.isNaN(number)) return "–";
  const size = Math.abs(number);
  // whole numbers such as seeds, where more digits are asked for to tell them apart
  if (most > 3 && size < 1e15 && Number.isInteger(number)) return String(number).replace("-", "−");
  if (size === 0 || (size >= 1e-3 && size < 1e5)) return String(Number(number.toPrecision(most))).replace("-", "−");
  const [factor, power] = number.toExponential(most > 3 ? most - 1 : 1).split("e");
  const raised = [...String(Number(power))].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
  return `${factor.replace("-", "−")}·10${raised}`;
}

// The beginning and the end: names often differ only in their last letters
function short(label, most) {
  const end = Math.floor(most / 3);
  return label.length <= most ? label : `${label.slice(0, Math.max(most - 1 - end, 1))}…${label.slice(label.length - end)}`;
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// Probabilities are whole numbers up to 65534; 65535 stands for none
function probabilities(words) {
  return Float64Array.from(words, (word) => (word === 65535 ? NaN : word / 65534));
}

function unpacked(text) {
  return probabilities(new Uint16Array(bytesOf(text).buffer));
}

// The smallest of 1, 2, 5, 10, ... times a power of ten that is not below a number
function niceAbove(number) {
  const power = 10 ** Math.floor(Math.log10(number || 1));
  return [1, 2, 5, 10].map((step) => step * power).find((nice) => nice >= number * (1 - 1e-9));
}

// Round numbers from low to high, about so many; whole ones if asked for
function ticksOf(low, high, about, whole) {
  if (!(high > low)) return [low];
  let step = niceAbove((high - low) / about);
  if (whole) step = Math.max(1, Math.round(step));
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// Powers of ten, with 2 and 5 times them where there are few
function logTicksOf(low, high) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) powers.push(10 ** k);
  const inside = (list) => list.filter((x) => x >= low * (1 - 1e-9) && x <= high * (1 + 1e-9));
  const few = inside(powers);
  return few.length >= 3 ? few : inside(powers.flatMap((p) => [p, 2 * p, 5 * p]));
}

// At most so many of 0, ..., count - 1, at even steps
function everyFew(count, most) {
  const step = Math.max(1, Math.ceil(count / most));
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step);
}
