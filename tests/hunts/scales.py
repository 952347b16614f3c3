"""Hunt for equilibria that are none at every scale: rewards, discounts, temperatures, precisions, numbers of states.

    python tests/hunts/scales.py --num 2000 --seed 0 --failures

solves as many games of ten kinds and judges every result whose code is "converged" by `verdict.py`. A result is wrong
if it is no equilibrium to the tolerance that is stated with it, if one of its fields is another, or if the equilibrium
that it stands for, found by Newton's method in extended precision, is further away than the error that is reported.
Results with other codes are counted and printed as "unsolved". The columns of the table besides the names of results:
"known", how often that equilibrium was found; "far", how often it is over a hundred tolerances away, so that an error
must be reported; "slow", solves that take over 20 s of the processor once compiled. A game depends on its kind and its
seed alone.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tally
from plain import LONG, Hand, Listed, Plain
from verdict import judge

import mfgjax as mfg

ACTIONS = 3
FAR = 100  # tolerances
SLOW = 20  # s of the processor
ALL_HANDS = ("soft", "boltzmann", "greedy", "trembling")
AT_REST = (*ALL_HANDS, "epsilon-greedy")


@dataclass(frozen=True)
class Kind:
    """What games of a kind share. Sizes and responses are taken in turn, as they select programs."""

    sizes: tuple[int, ...]
    hands: tuple[str, ...]
    horizon: int = 0
    single: bool = False
    sharp: bool = False  # references from a Dirichlet law of .05
    units: bool = False  # rewards and 1/β times 1e-9 to 1e9
    dense: bool = False  # every state's payoff depends on every other's mass
    longest: float = 1e6  # 1/(1 − discount)
    parted: float = 0.4  # how often the states fall into two groups that are seldom left


KINDS = {
    "finite-small": Kind((2, 3, 6), ALL_HANDS, horizon=4),
    "finite-sharp": Kind((4,), ("soft", "boltzmann"), horizon=4, sharp=True),
    "finite-units": Kind((4,), ALL_HANDS, horizon=4, units=True),
    "finite-single": Kind((3, 6), ("soft", "boltzmann", "greedy"), horizon=4, single=True),
    "finite-large": Kind((100, 1000), ("soft", "trembling", "boltzmann", "greedy"), horizon=3),
    "finite-dense-crowd": Kind((20,), ("soft", "boltzmann", "greedy"), horizon=5, dense=True),
    "stationary-small": Kind((2, 3, 6), AT_REST),
    "stationary-units": Kind((4,), AT_REST, units=True),
    "stationary-single": Kind((2, 6), AT_REST, single=True, longest=1e4),
    "stationary-large": Kind((100, 300, 1000), ("soft", "trembling", "boltzmann"), longest=1e4),
}
LARGE = 20  # states, above which each has four successors


class Pay(eqx.Module):
    """R_t(s,a,μ) = table + weight μ(s) + bend μ(s)² + Σ_i slope_i(s,a) Σ_s' places_i(s') μ(s')."""

    table: jax.Array
    weight: jax.Array
    bend: jax.Array
    slope: jax.Array
    places: jax.Array

    def __call__(self, *arguments):
        return pay(self.table, self.weight, self.bend, self.slope, self.places, *arguments)


def pay(table, weight, bend, slope, places, *arguments):
    """Return R_t(s,a,μ); `arguments` are the time, if there is one, and the law of the states."""
    *t, law = arguments
    crowd = law[:, None]
    return (table[t[0]] if t else table[0]) + weight * crowd + bend * crowd**2 + slope @ (places @ law)


class Move(eqx.Module):
    """P(s'|s,a,μ) ∝ base (1 + pull μ(s')), of all states or of lists of successors."""

    base: jax.Array
    pull: jax.Array
    lists: mfg.SuccessorKernel | None

    def __call__(self, *arguments):
        if self.lists is None:
            return chances(self.base, self.pull, arguments[-1])
        return self.lists.with_probabilities(chances(self.base, self.pull, arguments[-1][self.lists.successors]))


def chances(base, pull, there):
    """Return the probabilities of the successors from the masses there."""
    rows = base * (1 + pull * there)
    return rows / rows.sum(axis=-1, keepdims=True)


def successors_of(S):
    """Return the places to stay at, on both sides, and far off, `[S, A, 4]`: the same for all games of a size."""
    here = np.arange(S)[:, None]
    far = np.random.default_rng(5).integers(0, S, size=(S, ACTIONS))
    return np.stack([here + 0 * far, (here + 1) % S + 0 * far, (here - 1) % S + 0 * far, far], axis=-1)


def ingredients(rng, kind, S):
    """Return rewards of size 1 and moves of a random game, as arrays."""
    T, A = kind.horizon + 1, ACTIONS
    table, weight, bend = rng.standard_normal((T, S, A)), rng.standard_normal((S, A)), rng.standard_normal((S, A))
    crowd = rng.choice(["averse", "any", "gathering"], p=[0.5, 0.3, 0.2])
    if crowd != "any":
        weight = np.abs(weight) * (-1 if crowd == "averse" else 1)
    # crowds of S places have a mass of 1/S each
    strength = rng.choice([0.0, 1.0, 3.0]) * max(1, S**0.5 / 2)
    weight, bend = weight * strength, bend * strength * rng.choice([0.0, 0.5])
    number = S if kind.dense else 2
    places = np.eye(S) if kind.dense else np.stack([np.linspace(0, 1, S), rng.random(S)])
    slope = rng.standard_normal((S, A, number)) * rng.choice([0.0, 0.3, 1.0])
    concentration = rng.choice([0.3, 1.0])
    base = rng.dirichlet(np.full(4 if S > LARGE else S, concentration), size=(S, A)) + 1e-3
    lists = successors_of(S) if S > LARGE else np.broadcast_to(np.arange(S), (S, A, S))
    if rng.random() < kind.parted:
        group = np.arange(S) < rng.integers(1, S)
        base = np.where(group[lists] == group[:, None, None], base, base * 10 ** rng.uniform(-7, -2))
    base = base / base.sum(axis=-1, keepdims=True)
    pull = rng.choice([0.0, rng.uniform(0, 3)])
    return {"table": table, "weight": weight, "bend": bend, "slope": slope, "places": places}, base, pull


def draw(name, seed):
    """Return the game and the response of a kind and a seed: as the library's objects, and for the loops."""
    rng, kind = tally.generator(name, seed), KINDS[name]
    S, A, H, T = kind.sizes[seed % len(kind.sizes)], ACTIONS, kind.horizon, kind.horizon + 1
    way = kind.hands[seed // len(kind.sizes) % len(kind.hands)]
    parts, base, pull = ingredients(rng, kind, S)
    scale = 10 ** rng.uniform(-9, 9) if kind.units else 1.0
    parts = {key: part if key == "places" else part * scale for key, part in parts.items()}
    mask = np.ones((T, S, A), bool)
    if rng.random() < 0.3:
        mask = rng.random((T, S, A)) < 0.6
        np.put_along_axis(mask, rng.integers(A, size=(T, S, 1)), True, axis=-1)
    prior = rng.dirichlet(np.full(A, 0.05 if kind.sharp else rng.choice([0.3, 5.0])), size=(T, S))
    prior = np.where(mask, np.maximum(prior, 1e-30 if kind.sharp else 1e-3), 0)
    prior = prior / prior.sum(axis=-1, keepdims=True)
    initial = np.full(S, 1 / S) if rng.random() < 0.5 else rng.dirichlet(np.ones(S))
    discount = rng.choice([0.5, 0.9, 1.0]) if H else 1 - 10 ** -rng.uniform(np.log10(2), np.log10(kind.longest))
    beta, epsilon = 10 ** rng.uniform(-2, 3) / scale, rng.uniform(0, 0.3)

    def cast(x):
        return np.asarray(x, np.float32 if kind.single else np.float64)

    parts = {key: cast(part) for key, part in parts.items()}
    base, pull, prior, initial, discount, beta, epsilon = map(
        cast, (base, pull, prior, initial, discount, beta, epsilon)
    )
    lists = mfg.SuccessorKernel(successors_of(S), np.full((S, A, 4), cast(0.25))) if S > LARGE else None
    kernel = Move(jnp.asarray(base), jnp.asarray(pull), lists)
    reward = Pay(**{key: jnp.asarray(part) for key, part in parts.items()})
    if H:
        game = mfg.FiniteHorizonGame(kernel, reward, initial, H, available=mask, discount=discount)
    else:
        game = mfg.StationaryGame(kernel, reward, discount, initial=initial, available=mask[0])
    given = prior if H else prior[0]
    response = {
        "soft": lambda: mfg.EntropyRegularized(beta, given),
        "boltzmann": lambda: mfg.Boltzmann(beta, given),
        "greedy": lambda: mfg.Greedy(),
        "trembling": lambda: mfg.Trembling(epsilon),
        "epsilon-greedy": lambda: mfg.EpsilonGreedy(epsilon),
    }[way]()
    hand = Hand(way, float(beta), prior, float(epsilon))
    moves, pays = by_hand(parts, base, pull)
    return game, response, Plain(moves, pays, initial.astype(LONG), H, mask, LONG(float(discount))), hand


def by_hand(parts, base, pull):
    """Return kernel and reward as functions of NumPy arrays in extended precision."""
    long, base, pull = {key: part.astype(LONG) for key, part in parts.items()}, base.astype(LONG), LONG(pull)
    lists = successors_of(len(base)) if len(base) > LARGE else None

    def moves(t, law):
        if lists is None:
            return chances(base, pull, law)
        return Listed(lists, chances(base, pull, law[lists]))

    return moves, lambda t, law: pay(*long.values(), t, law)


def attack(name, seed, table):
    """Solve and judge one game."""
    game, response, loops, hand = draw(name, seed)
    found, seconds = _timed(game, response)
    if seconds > SLOW:  # compiled by now
        found, seconds = _timed(game, response)
    table.count(name, found.result.name)
    table.count(name, "slow", seconds > SLOW)
    where = f"{hand.name}, {len(loops.initial)} states"
    if seconds > SLOW:
        table.note(name, seed, f"{where}: slow, {seconds:.0f} s, {found.result.name}")
    if not bool(found.converged):
        told = f"{found.criterion} {float(found.residual):.2e} where {float(found.tolerance):.1e} would do"
        table.note(name, seed, f"{where}: {found.result.name} after {int(found.num_steps)} steps, {told}")
        return
    verdict = judge(loops, hand, float(jnp.finfo(game.dtype).eps), found)
    if verdict.distance is not None:
        table.count(name, "known")
        table.count(name, "far", verdict.distance > FAR * float(found.tolerance))
    if verdict.wrong:
        table.count(name, "WRONG")
        table.fail(name, seed, f"{where}: " + "; ".join(verdict.wrong))


def _timed(game, response):
    start = time.process_time()  # of the processor, so that what else runs does not count
    found = jax.block_until_ready(mfg.solve(game, response, throw=False))
    return found, time.process_time() - start


def hunt(kinds, num, seed, table):
    """Attack `num` games of a mixture of kinds, kind by kind, so that programs are compiled once."""
    for i in range(num):
        name = kinds[i * len(kinds) // num]
        own = seed + i - -(-kinds.index(name) * num // len(kinds))
        try:
            attack(name, own, table)
        except (ValueError, ArithmeticError, AssertionError, RuntimeError) as error:
            table.count(name, "ERROR")
            table.fail(name, own, f"{type(error).__name__}: {error}")
        table.progress(i + 1, num)
    return table


def main():
    """Run the hunt from the command line."""
    jax.config.update("jax_enable_x64", True)
    chosen = tally.options(__doc__.splitlines()[0], 2000, list(KINDS))
    table = hunt(chosen.kinds, chosen.num, chosen.seed, tally.Tally())
    if chosen.failures:
        print("\n".join(table.unsolved))
    raise SystemExit(table.report())


if __name__ == "__main__":
    main()
