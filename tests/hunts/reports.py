"""Attacks on what `certify` claims: random programs as rewards or kernels, and claims refuted by trying.

Bounds on d_M(Γ(μ),Γ(μ'))/d_M(μ,μ') are compared with the ratios of pairs of flows, many of them on both sides of
where a program has its trouble; uniqueness with where the iteration ends from many starts; monotone rewards with the
sum they are about; potentials with integrals round triangles; distances with the equilibrium; the local radius with
what the iteration does nearby.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tally
from programs import PROGRAMS, ByTime, MovingKernel, Program, Theta, draw_program, program_of

import mfgjax as mfg

S, A, HORIZON = 3, 2, 2
T = HORIZON + 1
JOINT = ("outside affine", "outside tent", "inside square", "inside root", "vector sort", "vector quadratic")
MOVING = ("affine", "abs", "tent", "jump", "root", "floor", "tanh", "sine", "power three halves", "stopped", "x log x")
SINGLE = ("outside affine", "theta tent", "outside tanh", "inside abs", "vector quadratic", "vector take fill")
KINDS = [
    *(f"certify/{name}" for name in PROGRAMS),
    *(f"certify joint/{name}" for name in JOINT),
    *(f"certify moving/{name}" for name in MOVING),
    *(f"certify boltzmann moving/{name}" for name in MOVING[:5]),
    *(f"certify boltzmann/{name}" for name in JOINT),
    *(f"certify single/{name}" for name in SINGLE),
    *(f"certify kink at the equilibrium/outside {name}" for name in ("abs", "relu", "tent", "max of three", "root")),
]
PAIRS, STARTS, STEPS, CHUNK = 48, 16, 60, 96
BOUNDS = ("paper_meant", "naive_chain", "span_sum", "path_span")


@eqx.filter_jit
def _rewards(reward, flows):
    """Return what a user's reward says at flows `[n, T, ...]`."""
    times = jnp.arange(T, dtype=jnp.int32)
    return jax.vmap(lambda flow: jax.vmap(reward)(times, flow))(flows)


@eqx.filter_jit
def _kernels(kernel, flows):
    times = jnp.arange(T, dtype=jnp.int32)
    return jax.vmap(lambda flow: jax.vmap(kernel)(times, flow))(flows)


class Loops:
    """Γ of many flows at once, by NumPy in double precision, from what the user's programs return."""

    def __init__(self, made, reward, kernel, beta, soft=True):
        self.made, self.reward, self.kernel, self.beta, self.soft = made, reward, kernel, float(beta), soft
        self.joint = made["joint"]
        self.shape = (T, S, A) if self.joint else (T, S)

    def rewards(self, flows):
        found = self._in_chunks(_rewards, self.reward, flows)
        return np.broadcast_to(found, (len(flows), T, S, A))

    def _in_chunks(self, function, program, flows):
        """Evaluate a program at any number of flows: one shape is compiled once."""
        missing = -len(flows) % CHUNK
        full = np.concatenate([flows, np.repeat(flows[-1:], missing, axis=0)]) if missing else flows
        full = np.asarray(full, self.made["dtype"]).reshape(len(full), *self.shape)
        found = [np.asarray(function(program, full[i : i + CHUNK]), float) for i in range(0, len(full), CHUNK)]
        return np.concatenate(found)[: len(flows)]

    def moves(self, flows):
        if isinstance(self.kernel, np.ndarray):
            return np.broadcast_to(self.kernel.astype(float), (len(flows), T, S, A, S))
        return self._in_chunks(_kernels, self.kernel, flows)

    def __call__(self, flows):
        """Return Γ of flows `[n, T, ...]`."""
        rewards, moves = self.rewards(flows), self.moves(flows)
        values, policies = np.zeros((len(flows), S)), []
        rho, mask = self.made["rho"].astype(float), self.made["mask"]
        for t in reversed(range(T)):
            q = rewards[:, t]
            if t < HORIZON:
                q = q + float(self.made["discount"]) * np.einsum("nsax,nx->nsa", moves[:, t], values)
            q = np.where(mask, q, -np.inf)
            top = q.max(axis=2, keepdims=True)
            weights = rho * np.exp(self.beta * (q - top))
            total = weights.sum(axis=2, keepdims=True)
            policies.append(weights / total)
            values = top[..., 0] + (np.log(total[..., 0]) / self.beta if self.soft else 0)
        policies = policies[::-1]
        law, seen = np.broadcast_to(self.made["initial"].astype(float), (len(flows), S)), []
        for t in range(T):
            mass = law[..., None] * policies[t]
            seen.append(mass if self.joint else law)
            if t < HORIZON:
                if not isinstance(self.kernel, np.ndarray):  # moves see the population's own flow
                    moves = self.moves(np.repeat(seen[t][:, None], T, axis=1))
                law = np.einsum("nsa,nsax->nx", mass, moves[:, t])
        return np.stack(seen, axis=1).reshape(len(flows), T, -1)


def far(first, second):
    """Return max_t of the total variation, `[n]`."""
    return np.abs(first - second).sum(axis=2).max(axis=1) / 2


def draw(kind, seed):
    """Return the game, what it is made of, its reward and kernel, of a kind and a seed."""
    rng = tally.generator(kind, seed)
    family, name = kind.split("/", 1)
    joint = "joint" in family
    dtype = np.float32 if "single" in family else np.float64
    n = S * A if joint else S
    kernel = rng.dirichlet(np.full(S, rng.choice([0.2, 1.0])), size=(S, A))
    if rng.random() < 0.4:
        kernel = np.eye(S)[rng.integers(0, S, size=(S, A))]
    mask = rng.random((S, A)) < rng.choice([0.6, 1.0])
    np.put_along_axis(mask, rng.integers(A, size=(S, 1)), True, axis=-1)
    rho = np.where(mask, rng.dirichlet(np.full(A, 2.0), size=S) + 0.02, 0)
    rho = rho / rho.sum(axis=-1, keepdims=True)
    initial = rng.dirichlet(np.ones(S))
    if rng.random() < 0.2:
        initial = np.eye(S)[rng.integers(S)]
    discount = 1.0 if rng.random() < 0.6 else rng.uniform(0.3, 0.99)
    moving = "moving" in family
    program = draw_program(rng, f"outside {name}" if moving else name, S, A, n, dtype)
    kernel, rho, initial, discount = (np.asarray(x, dtype) for x in (kernel, rho, initial, discount))
    made = {"rho": rho, "mask": mask, "initial": initial, "discount": discount, "joint": joint, "dtype": dtype}
    made["p"] = program["p"]
    moves = kernel
    if moving:
        other = np.asarray(rng.dirichlet(np.ones(S), size=(S, A)), dtype)
        v = rng.random(S)
        slope = jnp.asarray(rng.uniform(-2, 2), dtype)
        trouble = (jnp.asarray(x, dtype) for x in (v @ program["p"], program["w"], v))
        moves = MovingKernel(name, slope, *trouble, jnp.asarray(np.stack([kernel, other])))
        reward = program_of("outside affine", program | {"k": np.asarray(rng.uniform(-1, 1), dtype)})
        given = reward
    elif name.startswith("theta"):
        theta = Theta(name.split(" ", 1)[1], *(jnp.asarray(program[x]) for x in ("k", "c", "w")))
        if "rounded" in family:
            program["table"] = np.round(2 * program["table"])
        table = program["table"].reshape(S, A, *((S, A) if joint else (S,)))
        given = mfg.PairwiseReward(table, theta)
        flat = jnp.asarray(program["table"])
        reward = _Paired(flat, theta)
    elif "kink" in family:
        reward = given = _kinked(rng, name, program, made, kernel)
    else:
        reward = given = program_of(name, program)
    options = {"available": mask, "discount": discount, "observes": "state_actions" if joint else "states"}
    game = mfg.FiniteHorizonGame(moves, given, initial, HORIZON, **options)
    return rng, game, made, reward, moves


class _Paired(eqx.Module):
    """Θ(table m), as a user would write it."""

    table: jax.Array
    theta: Theta

    def __call__(self, t, m):
        return self.theta(t, self.table @ m.reshape(-1))


def _kinked(rng, name, program, made, kernel):
    """Return a reward whose trouble lies exactly at the equilibrium, which is that of its base alone."""
    made["beta"] = 10 ** rng.uniform(-1, 1)
    base = Program("outside affine", *(jnp.asarray(program[x]) for x in ("k", "c", "w", "p", "base", "table")))
    base = eqx.tree_at(lambda r: (r.k, r.table), base, (jnp.asarray(1.0), jnp.zeros_like(base.table)))
    flow = Loops(made, base, kernel, made["beta"])(np.full((1, T, S), 1 / S))[0]
    made["flow"] = flow
    c = jnp.asarray(np.einsum("san,tn->tsa", program["table"], flow))
    k = jnp.asarray(rng.choice([-1, 1]) * 10 ** rng.uniform(-1, 1.5))
    return ByTime(name, k, jnp.asarray(program["w"]), base.base, jnp.asarray(program["table"]), c)


def pairs_of(rng, made):
    """Return pairs of flows `[PAIRS, 2, T, n]`: random, corners, and both sides of the law p."""
    n = S * A if made["joint"] else S
    allowed = np.flatnonzero(made["mask"].ravel()) if made["joint"] else np.arange(n)
    found = np.zeros((PAIRS, 2, T, n))
    for i in range(PAIRS):
        first, other = rng.dirichlet(np.full(len(allowed), 0.5), size=(2, T))
        if i % 4 == 1:
            first, other = np.eye(len(allowed))[rng.integers(len(allowed), size=(2, T))]
        full = np.zeros((2, T, n))
        full[:, :, allowed] = first, other
        if i % 4 >= 2:
            centre = np.tile(made["p"], (T, 1)) if i % 4 == 2 or "flow" not in made else made["flow"]
            if made["joint"]:
                centre = centre * made["mask"].ravel()
                there = centre.sum(axis=1, keepdims=True)
                centre = np.where(there > 0, centre / np.where(there > 0, there, 1), full[0])
            step = 10 ** rng.uniform(-5, -0.5)
            back = centre - step * (full[0] - centre)
            inside = (back >= 0).all(axis=1, keepdims=True)
            full = np.stack([centre + step * (full[0] - centre), np.where(inside, back, centre)])
        found[i] = full
    if not made["joint"]:
        found[:, :, 0] = made["initial"]
        return found
    first = found[:, :, 0].reshape(PAIRS, 2, S, A)
    there = first.sum(axis=3, keepdims=True)
    policy = np.where(there > 0, first / np.where(there > 0, there, 1), made["rho"].astype(float))
    found[:, :, 0] = (made["initial"][:, None] * policy).reshape(PAIRS, 2, n)
    return found


def attack(kind, seed, table):
    """Certify one game at one β, and try all that is claimed of it."""
    rng, game, made, reward, kernel = draw(kind, seed)
    dtype = made["dtype"]
    soft = "boltzmann" not in kind
    make = (lambda b: mfg.EntropyRegularized(b, made["rho"])) if soft else (lambda b: mfg.Boltzmann(b, made["rho"]))
    pairs = pairs_of(rng, made)
    shape = (T, S, A) if made["joint"] else (T, S)
    start = np.asarray(pairs[0, 0].reshape(shape), dtype)
    row = kind.split("/")[0]

    def report(beta, flow):
        flow = np.asarray(flow, dtype).reshape(shape)
        flow = flow / flow.reshape(T, -1).sum(axis=1).reshape(T, *(1,) * (len(shape) - 1))
        return mfg.certify(game, make(np.asarray(beta, dtype)), flow, critical=False)

    beta = made.get("beta")
    if beta is None:
        first = report(1.0, start)
        known = [float(x) for x in (first["unique"].threshold, first.certified_beta) if 0 < float(x) < 1e30]
        beta = 10 ** rng.uniform(-1, 1.5)
        if known and rng.random() < 0.8:
            beta = rng.choice(known) * rng.uniform(0.6, 0.9999)
    beta = float(np.asarray(np.clip(beta, 1e-30, 1e30), dtype))
    gamma = Loops(made, reward, kernel, beta, soft)
    with np.errstate(all="ignore"):
        ends, step = settle(gamma, rng, made, pairs)
        flow = made.get("flow", ends[0] if np.isfinite(ends[0]).all() else pairs[0, 0])
        found = report(beta, flow)
        wrong = refuted(found, gamma, rng, made, pairs, ends, step, flow, kernel)
    for claim, why in wrong.items():
        table.count(row, "attacks")
        table.count(row, claim.split()[0])
        if why:
            table.count(row, "FALSE")
            table.fail(kind, seed, f"{claim} at beta {beta:.4g}: {why}")
    if not wrong:
        table.count(row, "nothing claimed")


def settle(gamma, rng, made, pairs):
    """Return where the iteration of Γ ends from many starts, and the length of its last step."""
    flows = np.concatenate([pairs[:, 0][: STARTS // 2], pairs[PAIRS // 2 :, 1][: STARTS // 2]])
    damping = np.where(np.arange(len(flows)) % 2, 1.0, 0.5)[:, None, None]
    for k in range(STEPS):
        image = gamma(flows)
        step = far(flows, image)
        if k == STEPS - 1 or not step.max() > 1e-13:
            break
        flows = flows + damping * (image - flows)
    return flows, step


def refuted(report, gamma, rng, made, pairs, ends, step, flow, kernel):
    """Return for each claim that was made "", or why it is false."""
    found = {}
    eps = float(np.finfo(made["dtype"]).eps)
    rewards = np.where(made["mask"], gamma.rewards(pairs.reshape(-1, *pairs.shape[2:])), 0)
    size = np.abs(rewards).max() * T
    rounding = 100 * eps * (1 + gamma.beta * size) if np.isfinite(size) else np.inf
    images = gamma(pairs.reshape(-1, *pairs.shape[2:])).reshape(pairs.shape)
    apart = far(pairs[:, 0], pairs[:, 1])
    some = apart > 1e-9
    ratio = ((far(images[:, 0], images[:, 1]) - rounding) / np.where(some, apart, 1))[some]
    worst = np.where(np.isnan(ratio), np.inf, ratio).max(initial=0)
    for name in BOUNDS:
        value = float(report[name].value)
        if np.isfinite(value):
            found[f"{name} (a bound)"] = f"ratio {worst:.6g} > {value:.6g}" if worst > value * (1 + 1e-6) else ""
    if report["contraction"].word == "holds":
        q = report.factor
        found["contraction holds"] = f"ratio {worst:.6g} > {float(q):.6g}" if worst > float(q) * (1 + 1e-6) else ""
        if not found["contraction holds"] and worst >= 1:
            found["contraction holds"] = f"ratio {worst:.6g}"
        own = ends[int(np.argmin(step))]
        off = float(far(own[None], np.asarray(flow).reshape(1, T, -1))[0])
        value = float(report["distance"].value)
        if np.isfinite(value) and step.min() < 1e-10:
            slack = rounding * 10 + step.min() / max(1 - float(q), 1e-9) + eps
            found["distance holds"] = f"{off:.3g} > {value:.3g}" if off > value + slack else ""
    if report["unique"].word == "holds":
        # where rounding alone moves the map, two points that it keeps are no evidence
        settled = ends[step <= 1e-12 + rounding * 1e-2] if rounding <= 1e-4 else ends[:0]
        found["unique holds"] = ""
        if len(settled) > 1:
            spread = far(settled, np.broadcast_to(settled[:1], settled.shape)).max()
            if spread > 1e-5:
                found["unique holds"] = f"two fixed points {spread:.3g} apart"
    found |= _monotone(report, gamma, rng, made, eps)
    found |= _potential(report, gamma, rng, made, eps)
    found |= _local(report, gamma, rng, made, flow)
    return found


def _joint_laws(rng, made, num):
    """Return joint laws of states and actions on the mask `[num, S, A]`, half of them near the law p."""
    allowed = np.flatnonzero(made["mask"].ravel())
    laws = np.zeros((num, S * A))
    laws[:, allowed] = rng.dirichlet(np.full(len(allowed), 0.5), size=num)
    p = made["p"].astype(float)
    centre = p if made["joint"] else (p[:, None] * made["rho"]).ravel()
    centre = centre * made["mask"].ravel()
    if centre.sum() > 0:
        near = 10 ** rng.uniform(-4, -0.3, size=(num // 2, 1))
        laws[: num // 2] = centre / centre.sum() + near * (laws[: num // 2] - centre / centre.sum())
    return laws.reshape(num, S, A)


def _seen(made, laws):
    return laws.reshape(len(laws), -1) if made["joint"] else laws.sum(axis=2)


def _monotone(report, gamma, rng, made, eps):
    line = report["monotone"]
    value = float(line.value)
    if line.word == "fails" or not np.isfinite(value):
        return {}
    laws = _joint_laws(rng, made, 256)
    order = rng.permutation(256)
    first, other = np.concatenate([laws, laws]), np.concatenate([laws[order], np.roll(laws, 1, axis=0)])
    flows = [np.repeat(_seen(made, x)[:, None], T, axis=1) for x in (first, other)]
    rewards = [np.where(made["mask"], gamma.rewards(flow), 0) for flow in flows]
    moved = first - other
    sums = (moved[:, None] * (rewards[0] - rewards[1])).sum(axis=(2, 3))[:, 0 if made["joint"] else 1 :]
    apart = np.abs(moved).sum(axis=(1, 2))[:, None]
    noise = 64 * eps * np.abs(rewards[0]).max() * apart
    found = {"monotone value": ""}
    bad = ((sums - noise) > value * apart**2 * (1 + 1e-6)) & (apart > 0)
    if bad.any():
        found["monotone value"] = f"sum per square {(sums / apart**2)[bad].max():.4g} > {value:.4g}"
    if line.word == "holds":
        rounding = 1e-9 * np.abs(rewards[0]).max()
        worst = (sums - noise - rounding * apart**2).max()
        found["monotone holds"] = f"sum {worst:.3g} > 0" if worst > 0 else ""
    return found


def _potential(report, gamma, rng, made, eps):
    if report["potential"].word != "holds":
        return {}
    found = ""
    for _ in range(3):
        corners = _joint_laws(rng, made, 8)[rng.permutation(8)[:3]]
        totals = []
        for count in (128, 512):
            middle = (np.arange(count) + 0.5) / count
            total, size = 0, 0
            for i in range(3):
                step = corners[(i + 1) % 3] - corners[i]
                laws = corners[i] + middle[:, None, None] * step
                flow = np.repeat(_seen(made, laws)[:, None], T, axis=1)
                rewards = np.where(made["mask"], gamma.rewards(flow), 0)
                total = total + (rewards * step).sum(axis=(2, 3)).mean(axis=0)
                size = max(size, np.abs(rewards).max())
            totals.append(total)
        error = np.abs(totals[0] - totals[1]) * 5 + 1e-8 * size + 64 * eps * size
        bad = (np.abs(totals[1]) > error)[0 if made["joint"] else 1 :]
        if bad.any():
            found = f"integral round a triangle {np.abs(totals[1]).max():.3g} for rewards up to {size:.3g}"
    return {"potential holds": found}


def _local(report, gamma, rng, made, flow):
    line = report["local_radius"]
    radius = float(line.value)
    if line.word == "unknown" or made["dtype"] == np.float32 or 0.97 < radius < 1.1:
        return {}
    flow = np.asarray(flow, float).reshape(T, -1)
    others = pairs_of(rng, made)[:8, 0]

    def led(size):
        flows = flow + size * (others - flow)
        before = after = far(flows, np.broadcast_to(flow, flows.shape)).max()
        for _ in range(200):
            flows = gamma(flows)
            after = far(flows, np.broadcast_to(flow, flows.shape)).max()
            if not size * 1e-4 < after < 1e-3:
                break
        return before, after

    before, after = led(1e-6)
    if line.word == "holds":
        bad = after > max(before, 1e-7)
        if bad:  # what is said holds near the equilibrium, and another one may be less than 1e-6 away
            before, after = led(1e-8)
            bad = after > 10 * before
        return {"local_radius holds": f"radius {radius:.3g}, but 1e-8 away grew to {after:.3g}" if bad else ""}
    bad = after < 1e-9
    return {"local_radius fails": f"radius {radius:.3g}, but all came back to {after:.3g}" if bad else ""}
