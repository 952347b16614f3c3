// Where the agents are at one time, and how they move: a graph, a map of a grid, or bars.

function drawPlaces(panel, view) {
  const { kind } = view.scene.layout;
  if (kind === "graph") return drawGraph(panel, view);
  return kind === "grid" ? drawOneMap(panel, view) : drawBars(panel, view);
}

// The share that moves along each edge, after the last time none
function movesOf(view) {
  const { ends } = view.scene.layout;
  const moved = new Map();
  if (!ends) return moved;
  ends.forEach((row, s) =>
    row.forEach((end, a) => {
      if (end < 0) return;
      const key = `${s} ${end}`;
      const mass = view.hasPolicy && view.movesAfter ? view.law(view.time, s) * view.policy(view.time, s, a) : 0;
      moved.set(key, (moved.get(key) || 0) + (mass || 0));
    })
  );
  return moved;
}

function nodePlaces(view, area) {
  const { states, layout } = view.scene;
  // clockwise from the top; two states side by side
  const turn = (s) => (states.length === 2 ? Math.PI : Math.PI / 2) - (2 * Math.PI * s) / states.length;
  const raw = layout.places || states.map((_, s) => [Math.cos(turn(s)), Math.sin(turn(s))]);
  const [xs, ys] = [raw.map((p) => p[0]), raw.map((p) => p[1])];
  const middle = [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
  const span = [Math.max(...xs) - Math.min(...xs) || 1e-9, Math.max(...ys) - Math.min(...ys) || 1e-9];
  const room = [(area.right - area.left) / span[0], (area.bottom - area.top) / span[1]];
  const equal = Math.min(...room);
  // positions keep their proportions; a circle may become an ellipse
  const units = room.map((unit) => (layout.places ? equal : Math.min(unit, 1.5 * equal)));
  const centre = [(area.left + area.right) / 2, (area.top + area.bottom) / 2];
  return raw.map(([x, y]) => [centre[0] + (x - middle[0]) * units[0], centre[1] - (y - middle[1]) * units[1]]);
}

function drawGraph(panel, view) {
  const { states } = view.scene;
  const side = Math.min(84, 0.16 * panel.width);
  const area = canvasOf(panel, { left: side, right: side, top: 0.15 * panel.height, bottom: 0.16 * panel.height });
  const places = nodePlaces(view, area);
  let near = 90;
  places.forEach((p, i) => places.slice(0, i).forEach((q) => (near = Math.min(near, Math.hypot(p[0] - q[0], p[1] - q[1])))));
  const most = Math.max(6, Math.min(0.4 * near, 28));
  const radius = states.map((_, s) => Math.max(2.5, most * Math.sqrt(view.law(view.time, s) || 0)));
  area.svg.dataset.radius = most;
  const moved = movesOf(view);
  const loops = new Map();
  const heads = add(area.svg, "g", { class: "edges" });
  for (const [key, mass] of moved) {
    const [s, end] = key.split(" ").map(Number);
    const name = `${states[s]} to ${states[end]}: ${digits(mass)}`;
    if (s !== end) drawEdge(heads, places, radius, s, end, mass, most, moved.has(`${end} ${s}`), name);
    else if (mass > 5e-4) loops.set(s, drawLoop(heads, places, radius, s, mass, most, `stay at ${states[s]}: ${digits(mass)}`));
  }
  places.forEach(([x, top], s) => {
    const share = view.law(view.time, s);
    const node = add(area.svg, "circle", { cx: x, cy: top, r: radius[s], class: "node", "data-state": states[s] });
    node.style.fill = states.length <= MOST_LINES ? BRIGHT[s] : "var(--accent)";
    tip(node, `${states[s]}: ${digits(share)}`);
  });
  nameNodes(area, view, places, radius, loops);
}

// Names beside the nodes: outwards where there is room, else on another side, shorter where there is none
function nameNodes(area, view, places, radius, loops) {
  const { states } = view.scene;
  const taken = places.map(([x, y], s) => [x - radius[s], x + radius[s], y - radius[s], y + radius[s]]);
  const isFree = ([l, r, t, b]) =>
    l >= 0 && r <= area.width && t >= 0 && b <= area.height && taken.every((q) => l >= q[1] || r <= q[0] || t >= q[3] || b <= q[2]);
  const boxOf = ([x, y], anchor, letters) => {
    const width = letters * LETTER;
    const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
    return [left, left + width, y - 11, y + 3];
  };
  places.forEach(([x, y], s) => {
    const share = states.length <= 12 ? `: ${digits(Math.round(view.law(view.time, s) * 1e3) / 1e3)}` : "";
    const out = outwards(places, s);
    const sides = [out, [0, -1], [0, 1], [1, 0], [-1, 0]];
    const texts = [14, 9, 6].map((most) => short(states[s], most) + share);
    const options = texts.flatMap((text) =>
      sides.map((side, i) => {
        const gap = loops.has(s) && i === 0 ? 0.78 * loops.get(s) + 6 : radius[s] + 10;
        const at = [x + side[0] * gap, Math.min(Math.max(y + side[1] * (gap + 2) + 4, 12), area.height - 4)];
        const anchor = side[0] > 0.35 ? "start" : side[0] < -0.35 ? "end" : "middle";
        return { text, at, anchor, box: boxOf(at, anchor, text.length) };
      })
    );
    const best = options.find(({ box }) => isFree(box)) || options[options.length - sides.length];
    taken.push(best.box);
    tip(label(area.svg, ...best.at, best.text, { "text-anchor": best.anchor, class: "state halo" }), states[s]);
  });
}

function drawEdge(parent, places, radius, s, end, mass, most, both, name) {
  const [from, to] = [places[s], places[end]];
  const across = [to[0] - from[0], to[1] - from[1]];
  const bend = both ? 0.14 : 0;
  const control = [(from[0] + to[0]) / 2 - bend * across[1], (from[1] + to[1]) / 2 + bend * across[0]];
  const unit = (p, q) => {
    const length = Math.hypot(q[0] - p[0], q[1] - p[1]) || 1;
    return [(q[0] - p[0]) / length, (q[1] - p[1]) / length];
  };
  const [away, back] = [unit(from, control), unit(to, control)];
  const width = mass > 5e-4 ? Math.max(1.2, 0.55 * most * mass) : 0.7;
  const head = mass > 5e-4 ? 5 + 0.9 * width : 4;
  const begin = [from[0] + away[0] * radius[s], from[1] + away[1] * radius[s]];
  const point = [to[0] + back[0] * (radius[end] + 1.5), to[1] + back[1] * (radius[end] + 1.5)];
  const neck = [point[0] + back[0] * head, point[1] + back[1] * head];
  const side = [-back[1] * head * 0.5, back[0] * head * 0.5];
  const group = add(parent, "g", { class: mass > 5e-4 ? "edge" : "edge faint", "data-edge": `${s} ${end}` });
  add(group, "path", { d: `M${begin}Q${control} ${neck}`, "stroke-width": width, fill: "none" });
  add(group, "path", { d: `M${point}L${neck[0] + side[0]},${neck[1] + side[1]}L${neck[0] - side[0]},${neck[1] - side[1]}Z`, class: "head" });
  tip(group, name);
}

// On the side that looks away from the other nodes
function drawLoop(parent, places, radius, s, mass, most, name) {
  const [x, y] = places[s];
  const angle = Math.atan2(...outwards(places, s).reverse());
  const on = (turn, far) => [x + Math.cos(angle + turn) * far, y + Math.sin(angle + turn) * far];
  const width = Math.max(1.2, Math.min(0.55 * most * mass, 9));
  const head = 5 + 0.9 * width;
  const r = radius[s];
  const far = Math.hypot(r, r) + 18 + 1.5 * width;
  const spread = Math.max(0.5, Math.min(0.9, 12 / r));
  const [neck, point] = [on(spread, r + head), on(spread, r + 1.5)];
  const side = [(neck[1] - point[1]) / 2, (point[0] - neck[0]) / 2];
  const group = add(parent, "g", { class: "edge", "data-edge": `${s} ${s}` });
  add(group, "path", { d: `M${on(-spread, r)}C${on(-spread, far)} ${on(spread, far)} ${neck}`, "stroke-width": width, fill: "none" });
  add(group, "path", { d: `M${point}L${neck[0] + side[0]},${neck[1] + side[1]}L${neck[0] - side[0]},${neck[1] - side[1]}Z`, class: "head" });
  tip(group, name);
  return far;
}

// The direction from the middle of all nodes to one of them; up for one in the middle
function outwards(places, s) {
  const away = [0, 1].map((k) => places[s][k] - places.reduce((sum, p) => sum + p[k], 0) / places.length);
  const far = Math.hypot(...away);
  return far < 1 ? [0, -1] : away.map((c) => c / far);
}

// Cells of a grid, those that nobody can enter in grey
function drawMap(parent, box, view, time, most) {
  const { rows, columns, cells: places, ends } = view.scene.layout;
  const shares = new Float64Array(rows * columns).fill(NaN);
  places.forEach(([row, column], s) => (shares[row * columns + column] = view.law(time, s)));
  const open = new Set();
  if (ends) ends.forEach((row, s) => row.forEach((end) => end >= 0 && end !== s && open.add(s).add(end)));
  const blocked = new Set();
  places.forEach(([row, column], s) => ends && !open.has(s) && blocked.add(row * columns + column));
  const outline = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  add(parent, "rect", { ...outline, class: "blocked" });
  cells(parent, box, columns, rows, (column, row) => {
    const cell = row * columns + column;
    return blocked.has(cell) ? null : shares[cell] / most;
  });
}

function gridBox(area, layout) {
  const size = Math.min((area.right - area.left) / layout.columns, (area.bottom - area.top) / layout.rows);
  const left = (area.left + area.right - size * layout.columns) / 2;
  return { size, left, top: area.top, right: left + size * layout.columns, bottom: area.top + size * layout.rows };
}

function drawOneMap(panel, view) {
  const area = canvasOf(panel, { left: 8, right: 62, top: 8, bottom: 8 });
  const box = gridBox(area, view.scene.layout);
  const most = niceAbove(view.largestShareAt(view.time));
  drawMap(area.svg, box, view, view.time, most);
  colourBar({ ...box, svg: area.svg }, most);
}

function drawBars(panel, view) {
  const { states } = view.scene;
  const area = canvasOf(panel, { left: 44, right: 10, top: 10, bottom: 40 });
  const most = niceAbove(view.largestShareAt(view.time));
  const x = scale(-0.5, states.length - 0.5, area.left, area.right);
  const y = scale(0, most, area.bottom, area.top);
  publish(area, x, y);
  yAxis(area, y, numbered(ticksOf(0, most, 5)));
  const width = Math.max(1, 0.8 * (x(1) - x(0)));
  states.forEach((name, s) => {
    const share = view.law(view.time, s) || 0;
    const bar = { x: x(s) - width / 2, y: y(share), width, height: area.bottom - y(share), "data-state": name };
    const rect = add(area.svg, "rect", { ...bar, class: "bar" });
    rect.style.fill = states.length <= MOST_LINES ? BRIGHT[s] : "var(--accent)";
    tip(rect, `${name}: ${digits(share)}`);
  });
  const room = Math.max(...states.map((name) => Math.min(name.length, 10))) * LETTER + 10;
  const shown = everyFew(states.length, Math.max(1, Math.floor((area.right - area.left) / room)));
  xAxis(area, x, shown.map((at) => ({ at, text: short(states[at], 10) })), "state");
}
