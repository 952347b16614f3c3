// Sliders with labels, for the mouse, the keyboard and screen readers.

// Each widget of a notebook has a copy of this module: names of elements must differ between them, too
const copy = Math.random().toString(36).slice(2);
let controlsMade = 0;

function make(parent, name, properties = {}, text = null) {
  const element = document.createElement(name);
  Object.assign(element, properties);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

// A slider over whole steps; `shown` says what stands for a step
function addSlider(parent, name, text, last, start, shown, moved) {
  const row = make(parent, "div", { className: "slider" });
  const id = `mfgjax-${copy}-${(controlsMade += 1)}`;
  make(row, "label", { htmlFor: id }, text);
  const input = make(row, "input", { type: "range", id, min: 0, max: last, step: 1, value: start });
  const output = make(row, "output", { htmlFor: id });
  input.dataset.name = name;
  const tell = () => {
    output.textContent = shown(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    tell();
    moved(Number(input.value));
  });
  tell();
  return { input, row, tell };
}

function textOf(slider, step) {
  return slider.texts ? slider.texts[step] : digits(slider.numbers[step], slider.digits);
}

// Dark or light, as what lies behind the element is: every notebook has its own name for its themes
function isDark(element) {
  for (let node = element; node; node = node.parentElement || (node.getRootNode && node.getRootNode().host)) {
    const [red, green, blue, opacity] = pixelOf(getComputedStyle(node).backgroundColor);
    if (opacity < 128) continue;
    return 0.3 * red + 0.59 * green + 0.11 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

// A browser writes a colour as its style sheet does, as in `oklch(1 0 0)`: a pixel has red, green, blue and opacity
function pixelOf(color) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pencil = canvas.getContext("2d");
  pencil.fillStyle = color;
  pencil.fillRect(0, 0, 1, 1);
  return pencil.getImageData(0, 0, 1, 1).data;
}

// Keeps `data-theme` up to date; returns a function that stops it
function followTheme(host, root) {
  const update = () => (root.dataset.theme = isDark(host) ? "dark" : "light");
  update();
  const watcher = new MutationObserver(update);
  for (const element of [document.documentElement, document.body])
    watcher.observe(element, { attributes: true, attributeFilter: ["class", "data-theme", "data-jp-theme-light", "style"] });
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", update);
  return () => {
    watcher.disconnect();
    query.removeEventListener("change", update);
  };
}
