"""Hunt for equilibria that are none: random games are solved, and every field of the result is judged by loops.

    python tests/hunts/equilibria.py --num 1000 --seed 0

solves that many games with a finite horizon and as many stationary ones. A result is wrong if its code is
"converged" and the loops of `plain.py` find that mean field and policy are no equilibrium to the tolerance that is
stated with it (with what rounding explains), or if `values`, `q`, `residual` or `exploitability` are others. Results
with other codes are counted. A game depends on its kind and its seed alone.
"""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import plain
import tally
from plain import LONG, Hand, Plain

import mfgjax as mfg

HAND_NAMES = ("soft", "boltzmann", "greedy", "trembling", "epsilon-greedy")
FORMS = ("table", "moves", "sparse", "module", "closure", "pairwise", "joint", "single")
KINDS = [
    f"{horizon}/{form}/{hand}"
    for hand in HAND_NAMES
    for form in FORMS
    for horizon in ("finite", "stationary")
    if (horizon, hand) != ("finite", "epsilon-greedy")
]
TEXTURES = ("generic", "coarse", "symmetric", "twins", "crowded", "gathering", "constant", "deterministic")
S, A, K = 4, 3, 2
HORIZON = 4
# lists of successors shape programs, so that all games share a few
SUCCESSORS = np.random.default_rng(5).integers(0, S, size=(S, A, K))
TINY = LONG(np.finfo(np.float32).tiny)  # of a tolerance where nothing is at stake
ROUNDING = 64


class Pay(eqx.Module):
    """R_t(s,a,μ) = table + bend μ(s)² + weight μ(s) + Σ inter μ."""

    table: jax.Array
    weight: jax.Array
    bend: jax.Array
    inter: jax.Array

    def __call__(self, *arguments):
        return pay(jnp, self.table, self.weight, self.bend, self.inter, *arguments)


def pay(xp, table, weight, bend, inter, *arguments):
    """Return R_t(s,a,μ); `arguments` are the time, if there is one, and what is seen."""
    *t, seen = arguments
    crowd = seen.sum(axis=1) if seen.ndim == 2 else seen
    table = table[t[0]] if t else table[0]
    paired = (inter * seen).reshape(*inter.shape[:2], -1).sum(axis=-1)
    return table + weight * crowd[:, None] + bend * crowd[:, None] ** 2 + paired


class Move(eqx.Module):
    """P_t(s'|s,a,μ) ∝ base(s,a,s') (1 + pull μ(s'))."""

    base: jax.Array
    pull: jax.Array

    def __call__(self, *arguments):
        return move(self.base, self.pull, arguments[-1])


def move(base, pull, seen):
    """Return P(s'|s,a,μ)."""
    crowd = seen.sum(axis=1) if seen.ndim == 2 else seen
    rows = base * (1 + pull * crowd)
    return rows / rows.sum(axis=-1, keepdims=True)


class Lists(eqx.Module):
    """Two successors, the first with probability p(s,a) / (1 + pull μ(s))."""

    lists: mfg.SuccessorKernel
    first: jax.Array
    pull: jax.Array

    def __call__(self, *arguments):
        first = self.first / (1 + self.pull * arguments[-1][:, None])
        return self.lists.with_probabilities(jnp.stack([first, 1 - first], axis=-1))


class Bend(eqx.Module):
    """Θ(x) = weight x²/2 + x."""

    weight: jax.Array

    def __call__(self, t, x):
        return x + self.weight * x**2 / 2


def ingredients(rng, form, texture, T):
    """Return arrays of a random game with the structure of a texture."""
    seen = (S, A) if form == "joint" else (S,)
    coarse = texture in ("coarse", "deterministic")

    def numbers(*shape):
        return rng.integers(-1, 2, size=shape) / 1.0 if coarse else rng.standard_normal(shape)

    table, weight, bend, inter = numbers(T, S, A), numbers(S, A), numbers(S, A), numbers(S, A, *seen)
    table = table * (rng.random(T) < 0.6)[:, None, None] if rng.random() < 0.3 else table
    base = rng.dirichlet(np.full(S, rng.choice([0.3, 1.0])), size=(S, A))
    keep = rng.random((S, A, S)) < rng.choice([0.4, 1.0])
    np.put_along_axis(keep, rng.integers(S, size=(S, A, 1)), True, axis=-1)
    base = np.where(keep, base + 1e-3, 0)
    if coarse:
        base = np.eye(S)[rng.integers(0, S, size=(S, A))]
        if texture == "coarse":
            base = base / 2 + np.eye(S)[rng.integers(0, S, size=(S, A))] / 2
    first = rng.choice([0.0, 0.5, 1.0], size=(S, A)) if coarse else rng.random((S, A))
    if texture == "symmetric":  # under turning the states round
        turn = (np.arange(S) - np.arange(S)[:, None]) % S
        table, weight, bend = (np.broadcast_to(x[..., :1, :], x.shape).copy() for x in (table, weight, bend))
        base = base[0][:, turn].swapaxes(0, 1)
        if len(seen) == 1:
            inter = inter[0][:, turn].swapaxes(0, 1)
        else:
            inter = np.stack([np.stack([np.roll(inter[0, a], s, axis=0) for a in range(A)]) for s in range(S)])
    if texture == "twins":
        for x in (table, weight, bend):
            x[..., 1] = x[..., 0]
        inter[:, 1], base[:, 1], first[:, 1] = inter[:, 0], base[:, 0], first[:, 0]
    if texture in ("crowded", "gathering"):
        sign = -1 if texture == "crowded" else 1
        weight, inter = sign * np.abs(weight) * 3, inter * 0.1
    if texture == "constant":
        table, weight, bend, inter = (np.full_like(x, x.flat[0]) for x in (table, weight, bend, inter))
    base = base / base.sum(axis=-1, keepdims=True)
    return {"table": table, "weight": weight, "bend": bend, "inter": inter, "base": base, "first": first}


def draw(kind, seed):
    """Return the game and the response of a kind and a seed: as the library's objects, and for the loops."""
    rng = tally.generator(kind, seed)
    horizon, form, name = kind.split("/")
    stationary = horizon == "stationary"
    H = 0 if stationary else HORIZON
    T = H + 1
    dtype = np.float32 if form == "single" else np.float64
    texture = rng.choice(TEXTURES)
    made = ingredients(rng, form, texture, T)
    scale = 10 ** rng.uniform(-6, 6) if rng.random() < 0.7 else 1.0
    for part in ("table", "weight", "bend", "inter"):
        made[part] = made[part] * scale * (1.0 if rng.random() < 0.8 else 0.0)
    pull = rng.choice([0.0, rng.uniform(0, 3)])
    mask = np.ones((T, S, A), bool)
    if texture != "symmetric" and rng.random() < 0.5:
        mask = rng.random((T, S, A)) < 0.6
        np.put_along_axis(mask, rng.integers(A, size=(T, S, 1)), True, axis=-1)
    prior = np.where(mask, rng.dirichlet(np.full(A, rng.choice([0.3, 5.0])), size=(T, S)) + 1e-3, 0)
    if rng.random() < 0.4 or texture == "symmetric":
        prior = mask.astype(float)
    prior = prior / prior.sum(axis=-1, keepdims=True)
    initial = np.full(S, 1 / S)
    if texture != "symmetric" or rng.random() < 0.5:
        initial = rng.choice([rng.dirichlet(np.ones(S)), np.eye(S)[rng.integers(S)]])
    discount = rng.choice([0.1, 0.5, 0.9, 0.99] if stationary else [0.5, 0.9, 1.0])
    beta = 10 ** rng.uniform(-2, 3) / (scale if rng.random() < 0.5 else 1)
    epsilon = rng.choice([0.0, rng.uniform(0, 0.5), 0.5])

    def cast(x):
        return np.asarray(x, dtype)

    made = {key: cast(x) for key, x in made.items()}
    pull, discount, beta, epsilon = (cast(x) for x in (pull, discount, beta, epsilon))
    prior, initial = cast(prior), cast(initial)
    kernel, reward, moves, pays = functions(form, made, pull, T)
    options = {"available": mask[0] if stationary else mask, "discount": discount}
    if form == "joint":
        options["observes"] = "state_actions"
    if stationary:
        timeless = _untimed(kernel), _untimed(reward)
        game = mfg.StationaryGame(*timeless, initial=initial, **options)
    else:
        game = mfg.FiniteHorizonGame(kernel, reward, initial, H, **options)
    tie = "smallest" if FORMS.index(form) % 2 else "largest"
    given = prior[0] if stationary else prior
    response = {
        "soft": lambda: mfg.EntropyRegularized(beta, given),
        "boltzmann": lambda: mfg.Boltzmann(beta, given),
        "greedy": lambda: mfg.Greedy(tie),
        "trembling": lambda: mfg.Trembling(epsilon, tie),
        "epsilon-greedy": lambda: mfg.EpsilonGreedy(epsilon, tie),
    }[name]()
    hand = Hand(name, float(beta), prior, float(epsilon))
    loops = Plain(moves, pays, initial.astype(LONG), H, mask, LONG(float(discount)), form == "joint")
    return game, response, loops, hand


def functions(form, made, pull, T):
    """Return kernel and reward for the library, and as functions of NumPy arrays."""
    base, first = made["base"], made["first"]
    parts = made["table"], made["weight"], made["bend"], made["inter"]
    long = [part.astype(LONG) for part in parts]

    def pays(t, seen):
        return pay(np, *long, t, seen)

    def fixed(table):
        return lambda t, seen: table

    def listed(weight):
        return (np.eye(S)[SUCCESSORS] * np.stack([weight, 1 - weight], axis=-1)[..., None]).sum(axis=2)

    arrays = tuple(jnp.asarray(part) for part in parts)
    if form == "table":
        return base, parts[0], fixed(base.astype(LONG)), lambda t, seen: long[0][t]
    if form == "moves":
        kernel = mfg.MovesKernel(SUCCESSORS[..., 0])
        return kernel, Pay(*arrays), fixed(np.eye(S, dtype=LONG)[SUCCESSORS[..., 0]]), pays
    if form == "sparse":
        even = mfg.SuccessorKernel(SUCCESSORS, np.full((S, A, K), 0.5, base.dtype))
        kernel = Lists(even, jnp.asarray(first), jnp.asarray(pull))
        return kernel, Pay(*arrays), lambda t, seen: listed(first / (1 + LONG(pull) * seen[:, None])), pays
    if form == "pairwise":
        table = (parts[3] + parts[2][..., None]).reshape(1, S, A, S)
        reward = mfg.PairwiseReward(table, Bend(jnp.asarray(parts[1][0, 0])))
        bend, full = LONG(parts[1][0, 0]), table[0].astype(LONG)

        def paired(t, seen):
            x = (full * seen).sum(axis=-1)
            return x + bend * x**2 / 2

        return base, reward, fixed(base.astype(LONG)), paired

    def moves(t, seen):
        return move(base.astype(LONG), LONG(pull), seen)

    if form == "closure":
        held = [jnp.asarray(x) for x in (base, pull)]
        return lambda t, seen: move(*held, seen), lambda t, seen: pay(jnp, *arrays, t, seen), moves, pays
    return Move(jnp.asarray(base), jnp.asarray(pull)), Pay(*arrays), moves, pays


def _untimed(part):
    """Return a kernel or reward of a stationary game."""
    if isinstance(part, np.ndarray) and part.shape == (1, S, A):
        return part[0]
    if isinstance(part, eqx.Module) or not callable(part):
        return part
    return lambda z: part(0, z)


def at_stake(loops, hand):
    """Return the most that an action is worth more than another where all act at random, or answer those who do."""
    mask, spans = loops.available, []
    even = mask / mask.sum(axis=2, keepdims=True).astype(LONG)
    if loops.horizon == 0:
        flow = plain.seen_of(loops, loops.initial, even[0])[None]
    else:
        flow = plain.generated(loops, even, None)

    def answered(flow):
        _, policy, q = plain.answer(loops, hand, flow)
        high, low = np.where(mask, q, -np.inf), np.where(mask, q, np.inf)
        spans.append((high.max(axis=2) - low.min(axis=2)).max())
        return policy, high

    policy, values = answered(flow)
    # where actions tie, those who take the first and those who take the last are other populations
    best = values >= values.max(axis=2, keepdims=True) - 1e-9 * spans[0]
    picks = best.argmax(axis=2), A - 1 - best[..., ::-1].argmax(axis=2)
    for answer in (policy, *(np.eye(A, dtype=LONG)[pick] for pick in picks)):
        answered(plain.generated(loops, answer, flow))
    return max(spans)


def judge(game, response, loops, hand, found):
    """Return what is wrong with a converged result, in words: name, how much, how much rounding explains."""
    eps = LONG(jnp.finfo(game.dtype).eps)
    stationary = loops.horizon == 0

    def own(x):
        return np.asarray(x, LONG)[None] if stationary else np.asarray(x, LONG)

    flow, policy, log_policy, values, q = map(
        own, (found.mean_field, found.policy, found.log_policy, found.values, found.q)
    )
    mask, beta = loops.available, LONG(hand.beta)
    wrong = []

    def hold(name, off, allowed):
        if not off <= allowed:
            wrong.append(f"{name}: {float(off):.3g} where {float(allowed):.3g} is allowed")

    sums = np.abs(flow.reshape(len(flow), -1).sum(axis=1) - 1).max()
    hold("mass of the mean field", sums, 64 * eps)
    hold("negative mass", -flow.min(), 64 * eps)
    hold("sum of the policy", np.abs(policy.sum(axis=2) - 1).max(), 64 * eps)
    hold("unavailable actions", np.where(mask, 0, policy).max(), 0)
    best_values, best_policy, best_q = plain.answer(loops, hand, flow)
    count = LONG(loops.horizon + 1) if not stationary else 1 / (1 - loops.discount)
    size = max(np.abs(np.where(mask[t], loops.reward(t, flow[t]), 0)).max() for t in range(loops.horizon + 1))
    size = size * count
    if hand.name == "soft":
        logs = np.log(np.where(mask, hand.prior, 1).astype(LONG))
        size += np.abs(logs).max() / beta
    rounding = ROUNDING * eps * size * count
    hold("q", np.abs(np.where(mask, q - best_q, 0)).max(), rounding)
    hold("values", np.abs(values - best_values).max(), rounding)
    gain = plain.exploitability(loops, hand, policy, flow)
    # what is lost at each time is the difference of rounded values
    hold("exploitability", abs(LONG(found.exploitability) - gain), rounding * count + ROUNDING * eps * gain)
    image = plain.generated(loops, policy, flow)
    residual = plain.apart(flow, image)
    tilt = min(beta, 1e30) * rounding if hand.name in ("soft", "boltzmann") else LONG(0)
    slack = ROUNDING * eps + min(tilt * count, 1)
    atol = LONG(1e-10 if eps < 1e-12 else 1e-5)
    smooth = hand.name in ("soft", "boltzmann")
    with np.errstate(divide="ignore"):
        positive = policy > 1e-300
        logs_agree = np.where(positive, np.where(positive, log_policy, 0) - np.log(policy), 0)
    hold(
        "log policy", np.abs(logs_agree).max(), ROUNDING * eps * (1 + np.abs(np.where(policy > 0, log_policy, 0)).max())
    )
    if smooth:
        span = max((row[m].max() - row[m].min()) for row, m in zip(best_q, mask, strict=True))
        explained = min(8 * eps * beta * span, eps**0.5)
        hold("tolerance", LONG(found.tolerance), max(atol, explained * LONG(1.01)) * (1 + eps))
        hold("policy", np.abs(policy - best_policy).sum(axis=2).max() / 2, ROUNDING * eps + min(tilt, 1))
        # a mixture's image is that of the response, but for the rounding of both
        true = plain.apart(flow, plain.generated(loops, best_policy, flow))
        hold("no fixed point", true, LONG(found.tolerance) + slack)
        hold("residual", abs(LONG(found.residual) - true), slack)
        return wrong
    hold("policy and mean field", residual, max(atol, 1e-8 if found.criterion == "exploitability" else 0) + slack)
    if hand.name in ("trembling", "epsilon-greedy"):
        number = mask.sum(axis=2, keepdims=True)
        least = np.where(number > 1, LONG(hand.epsilon) / np.maximum(number - 1, 1), 1)
        hold("least probability", np.where(mask, least - policy, 0).max(), ROUNDING * eps)
    if found.criterion == "exploitability":
        hold("no equilibrium", gain, LONG(found.tolerance) + rounding * count)
        hold("residual", abs(LONG(found.residual) - gain), rounding * count + ROUNDING * eps * gain)
        share = LONG(1e-4 if eps < 1e-12 else 1e-3)
        # where actions tie, populations of best responses differ, and so does what is at stake there
        hold("tolerance", LONG(found.tolerance), 1.5 * share * at_stake(loops, hand) + share * rounding + TINY)
        return wrong
    hold("tolerance", LONG(found.tolerance), atol * (1 + eps))
    least = (1 - LONG(hand.epsilon)) * (1 - 64 * eps)
    mixed = ((mask.sum(axis=2) > 1) & (policy.max(axis=2) < least)).any()
    top = np.where(mask, best_q, -np.inf).max(axis=2)
    span = top.max() - np.where(mask, best_q, np.inf).min()
    # of a mixture the residual counts what it loses, too, relative to the span of q
    loss = np.where(mask, (best_policy - policy) * best_q, 0).sum(axis=2).max() if mixed else LONG(0)
    loss = min((loss + rounding) / span, 1) if mixed and span > 0 else LONG(0)
    hold("residual", LONG(found.residual) - np.maximum(residual, loss), slack)
    hold("residual too small", residual - LONG(found.residual), slack)
    chosen = policy.argmax(axis=2)
    if hand.epsilon == 0.5:  # one of two is as likely as the other
        return wrong
    lost = top - np.take_along_axis(best_q, chosen[..., None], axis=2)[..., 0]
    hold("not a best action", lost.max(), 2 * rounding + (A * LONG(found.tolerance) * span if mixed else 0))
    return wrong


def hunt(kinds, num, seed, table):
    """Solve and judge `num` games of a mixture of kinds, kind by kind, so that programs are compiled once."""
    games = sorted((i % len(kinds), seed + i // len(kinds)) for i in range(num))
    for i, (place, own) in enumerate(games):
        kind = kinds[place]
        row = kind.split("/", 1)[0] + "/" + kind.rsplit("/", 1)[1]
        try:
            game, response, loops, hand = draw(kind, own)
            found = mfg.solve(game, response, throw=False)
            table.count(row, found.result.name)
            if bool(found.converged):
                wrong = judge(game, response, loops, hand, found)
                if wrong:
                    table.count(row, "WRONG")
                    table.fail(kind, own, "; ".join(wrong))
            else:
                table.note(kind, own, found.result.name)
        except (ValueError, ArithmeticError, AssertionError) as error:
            table.count(row, "ERROR")
            table.fail(kind, own, f"{type(error).__name__}: {error}")
        table.progress(i + 1, num)
    return table


def main():
    """Run the hunt from the command line."""
    jax.config.update("jax_enable_x64", True)
    chosen = tally.options(__doc__.splitlines()[0], 1000, KINDS)
    table = tally.Tally()
    for horizon in ("finite", "stationary"):
        kinds = [kind for kind in chosen.kinds if kind.startswith(horizon)]
        if kinds:
            hunt(kinds, chosen.num, chosen.seed, table)
    raise SystemExit(table.report())


if __name__ == "__main__":
    main()
