// Where the numbers of a page come from: the page itself, or Python.

// Points that a file holds: everything is known at once
async function storedSource(data) {
  const { scene } = data;
  const read = async (text, kind) => (text === null ? null : new kind(await inflated(text)));
  const arrays = {
    law: await read(data.law, Uint16Array),
    policy: await read(data.policy, Uint16Array),
    quantity: await read(data.quantity, Float64Array),
    residual: await read(data.residual, Float64Array),
    exploitability: await read(data.exploitability, Float64Array),
    verdict: await read(data.verdict, Uint16Array),
  };
  const lengths = scene.sliders.map((slider) => (slider.numbers || slider.texts).length);
  const count = arrays.verdict.length;
  const rowOf = (place) => place.reduce((row, step, i) => row * lengths[i] + step, 0);
  const partOf = (array, row) => array && array.subarray((row * array.length) / count, ((row + 1) * array.length) / count);
  const verdictAt = (row) => data.verdicts[arrays.verdict[row]];
  const numberOf = (array, row) => (array && Number.isFinite(array[row]) ? array[row] : null);
  const ask = async (request) => {
    if (request.kind === "quantities") {
      const rows = request.places.map(rowOf);
      return { points: rows.map((row) => ({ quantity: numberOf(arrays.quantity, row), found: verdictAt(row).found })) };
    }
    const row = rowOf(request.place);
    const policy = partOf(arrays.policy, row);
    return {
      law: probabilities(partOf(arrays.law, row)),
      policy: policy && probabilities(policy),
      quantity: numberOf(arrays.quantity, row),
      residual: numberOf(arrays.residual, row),
      exploitability: numberOf(arrays.exploitability, row),
      verdict: verdictAt(row),
    };
  };
  return { scene, ask, paths: data.paths, batch: Infinity, most: 201 };
}

// Points that Python computes when they are asked for
function liveSource(model) {
  const waiting = new Map();
  const own = Math.random().toString(36).slice(2);
  let asked = 0;
  const answered = () => {
    const answer = model.get("answer");
    const resolve = waiting.get(answer.number);
    waiting.delete(answer.number);
    if (resolve) resolve(answer);
  };
  model.on("change:answer", answered);
  const ask = (request) =>
    new Promise((resolve) => {
      const number = `${own}-${(asked += 1)}`;
      waiting.set(number, resolve);
      model.set("request", { ...request, number });
      model.save_changes();
    });
  return { scene: model.get("scene"), ask, paths: [], batch: 6, most: 41, stop: () => model.off("change:answer", answered) };
}

// A dataset may have some of the times
function timeName(scene, t) {
  return scene.times ? scene.times[t] : String(t);
}

// What the pictures read: the numbers of a frame by time, state and action
function viewOf(scene, answer, place, time, along) {
  const [S, A] = [scene.states.length, scene.actions.length];
  const read = (numbers) => (typeof numbers === "string" ? unpacked(numbers) : numbers);
  const law = read(answer.law);
  const policy = answer.policy ? read(answer.policy) : null;
  let times = law.length / S;
  while (times > 1 && law.subarray((times - 1) * S, times * S).every(Number.isNaN)) times -= 1;
  const now = Math.min(time ?? Math.floor((times - 1) / 2), times - 1);
  const largest = (part) => part.reduce((most, x) => (x > most ? x : most), 0);
  return {
    scene, place, along, times, time: now,
    nameOf: (t) => timeName(scene, t),
    law: (t, s) => law[t * S + s],
    policy: (t, s, a) => policy[(t * S + s) * A + a],
    hasPolicy: Boolean(policy) && A > 0,
    movesAfter: !scene.over_time || now < times - 1,
    isEmpty: law.every(Number.isNaN), // not computed yet
    largestShare: () => largest(law),
    largestShareAt: (t) => largest(law.subarray(t * S, (t + 1) * S)),
    point: { quantity: answer.quantity, found: answer.verdict.found },
    points: new Map(),
    path: null,
  };
}
