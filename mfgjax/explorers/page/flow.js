// The mean field over time: lines of a few states, a map of many, several times of a grid.

const MOST_LINES = 7;

function drawFlow(panel, view) {
  if (view.scene.layout.kind === "grid") return drawSeveralMaps(panel, view);
  return view.scene.states.length <= MOST_LINES ? drawLines(panel, view) : drawFlowMap(panel, view);
}

function timeTicks(view, room) {
  return ticksOf(0, view.times - 1, Math.max(2, Math.min(10, Math.floor(room / 34))), true).map((at) => ({ at, text: view.nameOf(at) }));
}

function drawLines(panel, view) {
  const { states } = view.scene;
  const names = states.map((name) => short(name, 12));
  const room = Math.max(...names.map((name) => name.length)) * LETTER + 22;
  const area = canvasOf(panel, { left: 40, right: room, top: 10, bottom: 40 });
  const x = scale(0, Math.max(view.times - 1, 1), area.left, area.right);
  const y = scale(0, 1, area.bottom, area.top);
  publish(area, x, y);
  yAxis(area, y, numbered([0, 0.25, 0.5, 0.75, 1]));
  xAxis(area, x, timeTicks(view, area.right - area.left), "time");
  add(area.svg, "line", { x1: x(view.time), x2: x(view.time), y1: area.top, y2: area.bottom, class: "now" });
  const last = view.times - 1;
  const heights = states.map((_, s) => y(view.law(last, s) || 0));
  const places = spreadLabels(heights, 14, area.top + 4, area.bottom - 2);
  states.forEach((name, s) => {
    if (Number.isNaN(view.law(0, s))) return; // a state of other points of a sweep
    const points = Array.from({ length: view.times }, (_, t) => [x(t), y(view.law(t, s))]);
    const style = { stroke: BRIGHT[s], "stroke-dasharray": DASHES[s], class: "curve", "data-state": name };
    const line = add(area.svg, "polyline", { points: points.map((p) => p.join(",")).join(" "), ...style });
    tip(line, `${name}: ${digits(view.law(view.time, s))} at time ${view.nameOf(view.time)}`);
    add(area.svg, "circle", { cx: x(view.time), cy: y(view.law(view.time, s)), r: 3.5, fill: BRIGHT[s], class: "ringed" });
    const lead = [area.right + 2, heights[s], area.right + 12, places[s]];
    add(area.svg, "line", { x1: lead[0], y1: lead[1], x2: lead[2], y2: lead[3], stroke: BRIGHT[s], class: "lead" });
    tip(label(area.svg, area.right + 15, places[s] + 4, names[s], { class: "state" }), name);
  });
}

function drawFlowMap(panel, view) {
  const { states } = view.scene;
  const names = states.map((name) => short(name, 10));
  const left = Math.max(...names.map((name) => name.length)) * LETTER + 16;
  const area = canvasOf(panel, { left, right: 62, top: 10, bottom: 40 });
  const most = niceAbove(view.largestShare());
  const last = states.length - 1;
  const cell = { x: (area.right - area.left) / view.times, y: (area.bottom - area.top) / states.length };
  const x = scale(0, 1, area.left + cell.x / 2, area.left + 1.5 * cell.x);
  const y = scale(0, 1, area.bottom - cell.y / 2, area.bottom - 1.5 * cell.y);
  publish(area, x, y);
  cells(area.svg, area, view.times, states.length, (t, row) => view.law(t, last - row) / most);
  const shown = everyFew(states.length, Math.floor((area.bottom - area.top) / 18));
  yAxis(area, y, shown.map((at) => ({ at, text: names[at] })), false);
  xAxis(area, x, timeTicks(view, area.right - area.left), "time");
  const column = { x: x(view.time) - cell.x / 2, y: area.top, width: cell.x, height: area.bottom - area.top };
  add(area.svg, "rect", { ...column, class: "now" });
  colourBar(area, most);
}

// Six times, the chosen one among them, which is marked
function drawSeveralMaps(panel, view) {
  const { rows, columns } = view.scene.layout;
  const area = canvasOf(panel, { left: 4, right: 56, top: 18, bottom: 4 });
  const count = Math.min(6, view.times);
  const room = (across) => [(area.right - area.left) / across, (area.bottom - area.top + 14) / Math.ceil(count / across)];
  const sizeOf = (across) => Math.min((room(across)[0] - 10) / columns, (room(across)[1] - 22) / rows);
  const across = [1, 2, 3, 4, 5, 6].reduce((best, n) => (sizeOf(n) > sizeOf(best) ? n : best));
  const times = Array.from({ length: count }, (_, i) => Math.round((i * (view.times - 1)) / Math.max(count - 1, 1)));
  const distances = times.map((t) => Math.abs(t - view.time));
  times[distances.indexOf(Math.min(...distances))] = view.time;
  const size = sizeOf(across);
  const step = { x: room(across)[0], y: size * rows + 26 };
  const most = niceAbove(view.largestShare());
  times.forEach((t, i) => {
    const left = area.left + (i % across) * step.x;
    const top = area.top + Math.floor(i / across) * step.y;
    const box = { left, top, right: left + size * columns, bottom: top + size * rows };
    const isNow = t === view.time;
    drawMap(area.svg, box, view, t, most);
    label(area.svg, left, top - 5, `t = ${view.nameOf(t)}`, { class: isNow ? "tick strong" : "tick" });
    const outline = { x: left, y: top, width: box.right - left, height: box.bottom - top };
    if (isNow) add(area.svg, "rect", { ...outline, class: "now" });
  });
  colourBar({ ...area, bottom: area.top + Math.min(160, area.bottom - area.top) }, most);
}
