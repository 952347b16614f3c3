// The page: sliders, pictures, and what they say.

const WHERE = {
  graph: "Agents and their moves",
  grid: "Where the agents are",
  bars: "Share of the agents in each state",
};
const ABOUT = {
  graph: "Area of a node: share of the agents. Width of an arrow: share that moves along it.",
  grid: "Share of the agents in each cell.",
  bars: "",
};

function picturesOf(scene) {
  const at = (view) => (scene.over_time ? `, t\u00a0=\u00a0${view.nameOf(view.time)}` : "");
  const { kind, ends } = scene.layout;
  const others = (view) => {
    const { symbol, ...slider } = scene.sliders[view.along];
    const here = `${symbol} = ${textOf(slider, view.place[view.along])}`;
    const rings = [`The path has no equilibrium at ${here}.`, `Ring: the equilibrium on the path at ${here}.`];
    const onPath = view.path ? ` ${rings[view.others] || `Rings: the ${view.others} equilibria on the path at ${here}.`}` : "";
    const failed = [...view.points.values()].some((point) => !point.found) ? " Crosses: no equilibrium was found." : "";
    return `The full dot is the point shown.${onPath}${failed}`;
  };
  const pictures = [
    { name: "flow", draw: drawFlow, title: () => "Mean field over time", about: () => "Share of the agents in each state.", when: scene.over_time },
    {
      name: "places", draw: drawPlaces, title: (view) => WHERE[kind] + at(view), when: true,
      about: (view) => (view.movesAfter || kind !== "graph" ? ABOUT[kind] + (kind === "grid" && ends ? " Nobody can enter a grey one." : "") : "After the last time nobody moves."),
    },
    {
      name: "policy", draw: drawPolicy, title: (view) => `Policy${at(view)}`, when: scene.actions.length > 0,
      about: () => (kind === "grid" && ends ? "The mean move from each cell; faint where nobody is." : "Probability of each action in each state."),
    },
    {
      name: "quantity", draw: drawQuantity, about: others, when: true,
      title: (view) => `${scene.quantity} against ${scene.sliders[view.along].symbol}`,
    },
  ];
  return pictures.filter((picture) => picture.when);
}

function verdictText(answer) {
  const { verdict } = answer;
  if (!verdict.found) return `No equilibrium found: ${verdict.name.replace(/_/g, " ")}. ${verdict.text}`;
  const gain = answer.exploitability === null ? "" : `; one agent gains at most ${digits(Math.max(answer.exploitability, 0))} by deviating`;
  return `Equilibrium found: residual ${digits(answer.residual)}${gain}.`;
}

class Page {
  constructor(host, source) {
    const { scene } = source;
    this.root = make(host, "div", { className: "mfgjax-explorer" });
    Object.assign(this, { source, scene, place: [...scene.place], along: 0, time: null, answer: null });
    Object.assign(this, { isBusy: false, isStale: false, began: 0, curves: new Map(), paths: new Map() });
    for (const path of source.paths) this.paths.set(this.keyOf(path.along, path.others), path);
    const stopTheme = followTheme(host, this.root);
    if (scene.title) make(this.root, "h2", {}, scene.title);
    for (const note of scene.notes) make(this.root, "p", { className: "notice" }, note);
    this.controls = make(this.root, "form", { className: "controls", onsubmit: () => false });
    this.verdict = make(this.root, "p", { className: "verdict" }, "Computing the first point …");
    this.verdict.setAttribute("role", "status");
    const board = make(this.root, "div", { className: "panels" });
    this.panels = picturesOf(scene).map((picture) => addPanel(board, picture));
    this.addControls();
    const resized = new ResizeObserver(() => this.resize());
    resized.observe(this.root);
    this.stop = () => {
      clearInterval(this.timer);
      resized.disconnect();
      stopTheme();
      if (source.stop) source.stop();
      this.root.remove();
    };
    this.resize();
    this.moved();
  }

  // Which curve or path: along which slider, and where the others are
  keyOf(along, labels) {
    const told = (label, i) => (typeof label === "number" ? digits(label, this.scene.sliders[i].digits) : label);
    return `${along}: ${labels.map((one, i) => (i === along ? "*" : told(one, i))).join(" | ")}`;
  }

  get key() {
    return this.keyOf(this.along, this.place.map((step, i) => textOf(this.scene.sliders[i], step)));
  }

  addControls() {
    const { scene } = this;
    scene.sliders.forEach((slider, i) => {
      const last = (slider.numbers || slider.texts).length - 1;
      const shown = (step) => textOf(slider, step);
      addSlider(this.controls, slider.name, slider.label, last, this.place[i], shown, (step) => {
        this.place[i] = step;
        this.moved();
      });
    });
    if (scene.over_time) this.addClock();
    const tools = make(this.panels[this.panels.length - 1].figure, "div", { className: "tools" });
    if (scene.sliders.length > 1) {
      const choice = make(make(tools, "label", {}, "against "), "select");
      scene.sliders.forEach((slider, i) => make(choice, "option", { value: i }, slider.symbol));
      choice.addEventListener("change", () => {
        this.along = Number(choice.value);
        this.draw();
        this.fill();
      });
    }
    this.follower = make(tools, "button", { type: "button" }, "");
    this.follower.addEventListener("click", () => this.follow());
  }

  addClock() {
    this.clock = addSlider(this.controls, "time", "time", 0, 0, (t) => timeName(this.scene, t), (time) => {
      this.time = time;
      this.draw();
    });
    const button = make(this.clock.row, "button", { type: "button", className: "play" }, "▶");
    button.setAttribute("aria-label", "play over time");
    button.addEventListener("click", () => {
      const isOn = button.textContent === "▶";
      button.textContent = isOn ? "❚❚" : "▶";
      button.setAttribute("aria-label", isOn ? "pause" : "play over time");
      clearInterval(this.timer);
      if (!isOn) return;
      this.timer = setInterval(() => {
        this.time = this.time >= Number(this.clock.input.max) ? 0 : this.time + 1;
        this.draw();
      }, 500);
    });
  }

  // Asks for the point where the sliders are; while an answer is awaited only the last move counts
  async moved() {
    this.began = this.began || performance.now();
    this.isStale = true;
    if (this.isBusy) return;
    this.isBusy = true;
    while (this.isStale) {
      const { began } = this;
      Object.assign(this, { isStale: false, began: 0 });
      const place = [...this.place];
      this.show(await this.source.ask({ kind: "frame", place }), place);
      this.root.dataset.milliseconds = (performance.now() - began).toFixed(1);
      this.root.dataset.place = place.join(" ");
    }
    this.isBusy = false;
    this.fill();
  }

  show(answer, place) {
    if (answer.error) {
      // said in place of pictures, which would be those of another point
      this.verdict.textContent = answer.error;
      this.verdict.className = "verdict failed";
      this.answer = null;
      for (const panel of this.panels) panel.svg.replaceChildren();
      return;
    }
    this.answer = answer;
    this.shownPlace = place;
    this.verdict.textContent = verdictText(answer);
    this.verdict.className = `verdict ${answer.verdict.found ? "found" : "failed"}`;
    this.draw();
  }

  draw() {
    if (!this.answer) return;
    const { scene } = this;
    const view = viewOf(scene, this.answer, this.shownPlace, this.time, this.along);
    this.time = view.time;
    if (this.clock) {
      this.clock.input.max = view.times - 1;
      this.clock.input.value = view.time;
      this.clock.tell();
    }
    view.points = this.curves.get(this.key) || new Map();
    view.path = this.paths.get(this.key) || null;
    this.follower.hidden = !scene.pathable.includes(scene.sliders[this.along].name) || Boolean(view.path);
    this.follower.textContent = `follow the equilibria along ${scene.sliders[this.along].symbol}`;
    for (const panel of this.panels) {
      if (view.isEmpty && panel.name !== "quantity") canvasOf(panel, { left: 0, right: 0, top: 0, bottom: 0 });
      else view.others = panel.draw(panel, view);
      const title = panel.title(view);
      // words begin with a capital letter, symbols such as q stay
      panel.caption.textContent = /^[a-z]{2}/.test(title) ? title.charAt(0).toUpperCase() + title.slice(1) : title;
      panel.note.textContent = panel.about(view);
      panel.svg.setAttribute("aria-label", panel.caption.textContent);
      const isFaint = !this.answer.verdict.found && panel.name !== "quantity";
      panel.svg.classList.toggle("failed", isFaint);
      const stamp = view.isEmpty ? "not computed" : "not an equilibrium";
      if (isFaint) label(panel.svg, panel.width / 2, panel.height / 2, stamp, { class: "stamp", "text-anchor": "middle" });
    }
  }

  // The curve against the slider: some points at a time, from coarse to fine, while nothing moves
  async fill() {
    if (!this.answer) return;
    const own = this.key;
    const slider = this.scene.sliders[this.along];
    const count = (slider.numbers || slider.texts).length;
    if (!this.curves.has(own)) this.curves.set(own, new Map());
    const points = this.curves.get(own);
    const shown = [...everyFew(count, this.source.most), count - 1];
    const order = new Set([8, 4, 2, 1].flatMap((step) => shown.filter((_, i) => i % step === 0)));
    const missing = [...order].filter((step) => !points.has(step));
    while (missing.length && !this.isBusy && this.key === own) {
      const steps = missing.splice(0, this.source.batch);
      const places = steps.map((step) => this.place.map((other, i) => (i === this.along ? step : other)));
      this.isBusy = true;
      const answer = await this.source.ask({ kind: "quantities", places });
      this.isBusy = false;
      if (answer.error) return;
      steps.forEach((step, i) => points.set(step, answer.points[i]));
      if (this.isStale) return void this.moved();
      if (this.key === own) this.draw();
    }
  }

  async follow() {
    const own = this.key;
    this.follower.textContent = "following …";
    this.follower.disabled = true;
    const answer = await this.source.ask({ kind: "path", along: this.along, place: [...this.place] });
    this.follower.disabled = false;
    if (!answer.error) this.paths.set(own, answer);
    this.draw();
    if (answer.error) this.panels[this.panels.length - 1].note.textContent = answer.error;
  }

  resize() {
    for (const panel of this.panels) {
      const width = Math.round(panel.figure.clientWidth) || 460;
      Object.assign(panel, { width, height: Math.round(Math.min(330, Math.max(240, 0.62 * width))) });
    }
    this.draw();
  }
}

function addPanel(parent, picture) {
  const figure = make(parent, "figure", { className: `panel ${picture.name}` });
  const caption = make(figure, "figcaption");
  const svg = add(figure, "svg", { role: "img", "data-picture": picture.name });
  const note = make(figure, "p", { className: "note" });
  return { ...picture, figure, caption, svg, note, width: 460, height: 285 };
}

function mount(host, source) {
  const page = new Page(host, source);
  return () => page.stop();
}

export { mount, storedSource, liveSource };
export default { render: ({ model, el }) => mount(el, liveSource(model)) };
