// The policy at one time: a table of a few states and actions, a map of many, arrows on a grid.

function drawPolicy(panel, view) {
  const { layout, states } = view.scene;
  if (layout.kind === "grid" && layout.ends) return drawArrows(panel, view);
  return Math.max(states.length, columnsOf(view).names.length) <= 12 ? drawTable(panel, view) : drawPolicyMap(panel, view);
}

// The columns: actions, or where these lead if they have no names of their own
function columnsOf(view) {
  const { actions, states, layout, available } = view.scene;
  const there = (s, a) => !available || available[s][a];
  if (layout.ends && actions.every((name) => name.startsWith("edge "))) {
    const to = (s, column) => layout.ends[s].reduce((sum, end, a) => (end === column ? sum + view.policy(view.time, s, a) : sum), 0);
    const leads = (s, column) => layout.ends[s].includes(column);
    return { names: states, of: (s, c) => (leads(s, c) ? to(s, c) : null), title: "to" };
  }
  return { names: actions, of: (s, a) => (there(s, a) ? view.policy(view.time, s, a) : null), title: "action" };
}

function drawTable(panel, view) {
  const { states } = view.scene;
  const columns = columnsOf(view);
  const left = Math.max(5, ...states.map((name) => Math.min(name.length, 12))) * LETTER + 12;
  const area = canvasOf(panel, { left, right: 10, top: 38, bottom: 8 });
  const cell = { x: (area.right - area.left) / columns.names.length, y: Math.min(60, (area.bottom - area.top) / states.length) };
  label(area.svg, left - 7, 28, columns.title === "to" ? "from" : "state", { "text-anchor": "end", class: "name" });
  label(area.svg, (area.left + area.right) / 2, 12, columns.title, { "text-anchor": "middle", class: "name" });
  const letters = Math.floor(cell.x / LETTER);
  columns.names.forEach((name, c) => {
    const text = label(area.svg, area.left + (c + 0.5) * cell.x, 28, short(name, letters), { "text-anchor": "middle", class: "tick" });
    tip(text, name);
  });
  states.forEach((name, s) => {
    label(area.svg, left - 7, area.top + (s + 0.5) * cell.y + 4, short(name, 12), { "text-anchor": "end", class: "tick" });
    columns.names.forEach((column, c) => {
      const share = columns.of(s, c);
      const place = { x: area.left + c * cell.x + 1, y: area.top + s * cell.y + 1, width: cell.x - 2, height: cell.y - 2 };
      if (share === null || Number.isNaN(share)) return add(area.svg, "rect", { ...place, class: "missing" });
      const rect = add(area.svg, "rect", { ...place, fill: cssColour(share), "data-cell": `${s} ${c}` });
      tip(rect, `${name}, ${columns.title} ${column}: ${digits(share)}`);
      const middle = { x: place.x + place.width / 2, y: place.y + place.height / 2 + 4 };
      if (cell.x > 34 && cell.y > 15) {
        const text = share > 0 && share < 5e-4 ? "0.000" : share.toFixed(3);
        label(area.svg, middle.x, middle.y, text, { "text-anchor": "middle", fill: inkOn(share), class: "number" });
      }
    });
  });
}

function drawPolicyMap(panel, view) {
  const { states } = view.scene;
  const columns = columnsOf(view);
  const names = states.map((name) => short(name, 10));
  const left = Math.max(...names.map((name) => name.length)) * LETTER + 16;
  const area = canvasOf(panel, { left, right: 56, top: 10, bottom: 40 });
  const last = states.length - 1;
  const cell = { x: (area.right - area.left) / columns.names.length, y: (area.bottom - area.top) / states.length };
  const x = scale(0, 1, area.left + cell.x / 2, area.left + 1.5 * cell.x);
  const y = scale(0, 1, area.bottom - cell.y / 2, area.bottom - 1.5 * cell.y);
  cells(area.svg, area, columns.names.length, states.length, (c, row) => columns.of(last - row, c));
  const shown = everyFew(states.length, Math.floor((area.bottom - area.top) / 18));
  yAxis(area, y, shown.map((at) => ({ at, text: names[at] })), false);
  const room = Math.max(...columns.names.map((name) => Math.min(name.length, 10))) * LETTER + 10;
  const kept = everyFew(columns.names.length, Math.max(1, Math.floor((area.right - area.left) / room)));
  xAxis(area, x, kept.map((at) => ({ at, text: short(columns.names[at], 10) })), columns.title);
  colourBar(area, 1);
}

// The mean move in each cell; where nobody is they are faint
function drawArrows(panel, view) {
  const { layout } = view.scene;
  const area = canvasOf(panel, { left: 8, right: 62, top: 8, bottom: 8 });
  const box = gridBox(area, layout);
  add(area.svg, "rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top, class: "frame" });
  const ways = { strong: "", faint: "" };
  layout.cells.forEach(([row, column], s) => {
    const move = [0, 0];
    layout.ends[s].forEach((end, a) => {
      if (end < 0) return;
      const share = view.policy(view.time, s, a) || 0;
      move[0] += share * (layout.cells[end][1] - column);
      move[1] += share * (layout.cells[end][0] - row);
    });
    const length = Math.hypot(...move);
    if (length < 0.03) return;
    const middle = [box.left + (column + 0.5) * box.size, box.top + (row + 0.5) * box.size];
    const half = move.map((m) => m * 0.42 * box.size);
    const point = [middle[0] + half[0], middle[1] + half[1]];
    const side = (turn) => {
      const angle = Math.atan2(half[1], half[0]) + turn;
      const size = Math.min(0.3 * box.size, 0.6 * length * box.size);
      return [point[0] - size * Math.cos(angle), point[1] - size * Math.sin(angle)];
    };
    const way = `M${middle[0] - half[0]},${middle[1] - half[1]}L${point}M${side(0.5)}L${point}L${side(-0.5)}`;
    ways[view.law(view.time, s) > 1e-4 ? "strong" : "faint"] += way;
  });
  add(area.svg, "path", { d: ways.faint, class: "arrows faint" });
  add(area.svg, "path", { d: ways.strong, class: "arrows" });
}
