// A number of the equilibrium against a slider, with the path of equilibria where it is known.

function extentOf(numbers) {
  const finite = numbers.filter((x) => x !== null && Number.isFinite(x));
  if (!finite.length) return [0, 1];
  let [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (high - low < 1e-9 * Math.max(1, Math.abs(high))) [low, high] = [low - 0.5 * (Math.abs(low) || 1), high + 0.5 * (Math.abs(high) || 1)];
  const step = niceAbove((high - low) / 5);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

// What the path has at a value of the slider: one number where it passes that value
function crossings(path, number, log) {
  const f = log ? Math.log : (x) => x;
  const found = [];
  for (let i = 1; i < path.numbers.length; i++) {
    const [a, b] = [f(path.numbers[i - 1]), f(path.numbers[i])];
    const [low, high] = [path.quantities[i - 1], path.quantities[i]];
    const share = (f(number) - a) / (b - a);
    const isLast = i === path.numbers.length - 1;
    if (b !== a && share >= 0 && (share < 1 || (isLast && share <= 1)) && low !== null && high !== null) found.push(low + share * (high - low));
  }
  return found;
}

function drawQuantity(panel, view) {
  const slider = view.scene.sliders[view.along];
  const { points, path } = view;
  const area = canvasOf(panel, { left: 52, right: 16, top: 12, bottom: 42 });
  const numbers = slider.numbers || slider.texts.map((_, i) => i);
  const isLog = slider.log;
  const margin = slider.texts ? 0.5 : 0; // words stand apart from the ends
  const low = Math.min(...numbers) - margin;
  const high = Math.max(...numbers) + margin;
  const x = scale(low, high > low ? high : low + 1, area.left, area.right, isLog);
  const present = view.point && view.point.found ? view.point.quantity : null;
  const good = [...points.values()].filter((p) => p.found).map((p) => p.quantity);
  const [least, most] = extentOf([...good, ...(path ? path.quantities : []), present]);
  const y = scale(least, most, area.bottom, area.top);
  publish(area, x, y);
  yAxis(area, y, numbered(ticksOf(least, most, 5)));
  const room = Math.max(2, Math.floor((area.right - area.left) / 70));
  const named = everyFew(numbers.length, room).map((at) => ({ at, text: slider.texts ? short(slider.texts[at], 10) : "" }));
  const marks = isLog ? logTicksOf(low, high) : ticksOf(low, high, room, numbers.every(Number.isInteger));
  xAxis(area, x, slider.texts ? named : numbered(marks), slider.label);
  if (path) {
    const slack = 1e-6 * (high - low);
    const isInside = ([n, q]) => q !== null && n >= low - slack && n <= high + slack;
    const inside = path.numbers.map((n, i) => [n, path.quantities[i]]).filter(isInside);
    const way = inside.map(([n, q]) => `${x(n)},${y(q)}`).join(" ");
    tip(add(area.svg, "polyline", { points: way, class: "path" }), path.text);
  }
  drawPoints(area, x, y, numbers, points, Boolean(path), Boolean(slider.texts));
  const here = numbers[view.place[view.along]];
  add(area.svg, "line", { x1: x(here), x2: x(here), y1: area.top, y2: area.bottom, class: "now" });
  const others = path ? crossings(path, here, isLog) : [];
  for (const q of others) add(area.svg, "circle", { cx: x(here), cy: y(q), r: 6, class: "other" });
  if (present !== null) {
    const mark = add(area.svg, "circle", { cx: x(here), cy: y(present), r: 4.5, class: "present" });
    tip(mark, `${view.scene.quantity}: ${digits(present)}`);
  } else if (view.point && !view.point.found) cross(area.svg, x(here), area.bottom - 8, 5, "failed present");
  return others.length;
}

function cross(parent, x, y, size, kind) {
  add(parent, "path", { d: `M${x - size},${y - size}l${2 * size},${2 * size}m0,${-2 * size}l${-2 * size},${2 * size}`, class: kind });
}

// A line through neighbouring equilibria, broken where there is none
function drawPoints(area, x, y, numbers, points, hasPath, isWords) {
  const steps = [...points.keys()].sort((a, b) => numbers[a] - numbers[b]);
  const jump = 0.25 * (y.high - y.low); // between neighbours that are close: another equilibrium
  let way = "";
  let last = null;
  for (const step of steps) {
    const point = points.get(step);
    if (!point.found || point.quantity === null) {
      last = null; // the quantity of an equilibrium may be no number
      if (!point.found) cross(area.svg, x(numbers[step]), area.bottom - 8, 3, "failed");
      continue;
    }
    const isNear = last !== null && (steps.length < 20 || Math.abs(point.quantity - last) < jump);
    way += `${isNear ? "L" : "M"}${x(numbers[step])},${y(point.quantity)}`;
    last = point.quantity;
  }
  if (!hasPath && !isWords) add(area.svg, "path", { d: way, class: "curve own" });
  const size = steps.length > 60 ? 1.6 : 2.6;
  for (const step of steps)
    if (points.get(step).found && points.get(step).quantity !== null)
      add(area.svg, "circle", { cx: x(numbers[step]), cy: y(points.get(step).quantity), r: size, class: "dot" });
}
