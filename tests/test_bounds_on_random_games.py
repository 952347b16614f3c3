"""No certified bound is violated on a thousand random games, and the bounds are ordered.

The games of one kind have one shape, so each kind is one compiled program that is mapped over 200 games: kernels are
deterministic or stochastic, actions come and go, references are flat or sharp, half the games are discounted, and β
is such that the bounds lie on both sides of 1.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Squash

import mfgjax as mfg
from mfgjax.certify.certify import _certified
from mfgjax.model import DenseInteraction, OwnStateInteraction, Power, SuccessorInteraction

S, A, COUNT, PAIRS = 4, 3, 200, 24
SUCCESSORS = np.random.default_rng(3).integers(0, S, size=(S, A))


class Affine(eqx.Module):
    """R_t(s,a,μ) = base(s,a) + Σ L(s,a,s') μ(s') at odd times, half of it at even ones."""

    base: jax.Array
    table: jax.Array

    def __call__(self, t, mean_field):
        return jnp.where(t % 2 == 1, 1.0, 0.5) * (self.base + self.table @ mean_field)


class Curved(eqx.Module):
    """A reward of no special class: products of the shares of neighbours, and an exponential."""

    weight: jax.Array

    def __call__(self, t, mean_field):
        neighbours = mean_field * jnp.roll(mean_field, 1)
        return self.weight * neighbours[:, None] + jnp.exp(-self.weight * mean_field.sum() * mean_field[:, None])


def dense(rng, H):
    return {"L": rng.standard_normal((H + 1, S, A, S)), "c": rng.uniform(0.2, 3)}


def dense_reward(data):
    return mfg.PairwiseReward(data["L"], Squash(data["c"]))


def own(rng, H):
    return {"base": rng.standard_normal((H + 1, S, A)), "weight": rng.standard_normal((H + 1, S, A))}


def own_reward(data):
    return mfg.PairwiseReward(OwnStateInteraction(data["base"], data["weight"]), Power(scale=1.0, exponent=2))


def place(rng, H):
    """The same for all actions, so that pairs are states."""
    return {"base": rng.standard_normal((H + 1, S, 1)), "weight": rng.standard_normal((H + 1, S, 1))}


def successor_reward(data):
    return mfg.PairwiseReward(SuccessorInteraction(data["base"], data["weight"], SUCCESSORS))


def affine(rng, H):
    return {"base": rng.standard_normal((S, A)), "table": rng.standard_normal((S, A, S))}


def curved(rng, H):
    return {"weight": rng.uniform(0.1, 2, size=(S, A))}


def joint(rng, H):
    return {"L": rng.standard_normal((S, A, S, A)), "c": rng.uniform(0.2, 2)}


def joint_reward(data):
    return mfg.PairwiseReward(DenseInteraction(data["L"], 2), Squash(data["c"]))


KINDS = {
    "dense": (dense, dense_reward, 4, "states"),
    "own state": (own, own_reward, 8, "states"),
    "places": (place, own_reward, 6, "states"),
    "successors": (own, successor_reward, 6, "states"),
    "affine program": (affine, lambda data: Affine(**data), 8, "states"),
    "curved program": (curved, lambda data: Curved(**data), 1, "states"),
    "joint law": (joint, joint_reward, 3, "state_actions"),
}


def ingredients(rng, H, own_data):
    """The numbers of one game, as arrays of fixed shapes."""
    stochastic = rng.random() < 0.5
    kernel = rng.dirichlet(np.full(S, rng.choice([0.2, 1.0])), size=(S, A))
    if not stochastic:
        kernel = np.eye(S)[rng.integers(0, S, size=(S, A))]
    mask = rng.random((H + 1, S, A)) < rng.choice([0.6, 1.0])
    np.put_along_axis(mask, rng.integers(A, size=(H + 1, S, 1)), True, axis=-1)
    logs = np.where(mask, rng.standard_normal(mask.shape) * rng.choice([0.1, 3.0]), -np.inf)
    return {
        "kernel": kernel,
        "reward": own_data,
        "initial": rng.dirichlet(np.ones(S)),
        "mask": mask,
        "log_reference": logs,
        "discount": np.array(1.0 if rng.random() < 0.5 else rng.uniform(0.3, 0.99)),
        "beta": np.exp(rng.uniform(np.log(0.02), np.log(3))),
    }


def flows(rng, H, joint_law, initial):
    """Pairs of flows that share μ_0: random ones, corners of the simplex, and close ones."""
    size = S * A if joint_law else S
    found = np.empty((PAIRS, 2, H + 1, size))
    for i in range(PAIRS):
        if i % 3 == 0:
            found[i] = rng.dirichlet(np.full(size, 0.5), size=(2, H + 1))
        elif i % 3 == 1:
            found[i] = np.eye(size)[rng.integers(size, size=(2, H + 1))]
        else:
            first, other = rng.dirichlet(np.ones(size), size=(2, H + 1))
            found[i] = first, first + 1e-4 * (other - first)
    if joint_law:
        return found.reshape(PAIRS, 2, H + 1, S, A)
    found[:, :, 0] = initial
    return found


def measured(data, pairs, reward, H, observes):
    """Bounds per game, the largest stretching of the pairs, and the local radius at one of the flows."""
    game = mfg.FiniteHorizonGame(
        data["kernel"],
        reward(data["reward"]),
        data["initial"],
        H,
        available=data["mask"],
        discount=data["discount"],
        observes=observes,
    )
    response = mfg.EntropyRegularized(data["beta"], log_reference=data["log_reference"])
    report = _certified(game, response, pairs[0, 0], None, False, jax.random.key(0, impl="rbg"))
    gamma = mfg.mean_field_map(game, response)

    def stretch(pair):
        images = jax.vmap(gamma)(pair)
        return game.distance(*images) / jnp.maximum(game.distance(*pair), 1e-12)

    names = ("paper_meant", "naive_chain", "span_sum", "path_span", "local_radius")
    bounds = {name: report[name].value for name in names}
    bounds["log10 paper_meant"] = jnp.inf if report.paper_meant is None else report.paper_meant.log10_factor
    return bounds, jax.vmap(stretch)(pairs), report["contraction"].status


@pytest.mark.parametrize("kind", KINDS)
def test_no_bound_is_violated_and_they_are_ordered(kind, rng):
    make, reward, H, observes = KINDS[kind]
    games = [ingredients(rng, H, make(rng, H)) for _ in range(COUNT)]
    pairs = np.stack([flows(rng, H, observes != "states", game["initial"]) for game in games])
    stacked = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *games)
    run = jax.jit(jax.vmap(lambda data, own: measured(data, own, reward, H, observes)))
    bounds, stretched, status = jax.tree.map(np.asarray, run(stacked, jnp.asarray(pairs)))

    worst = stretched.max(axis=1)
    assert (worst > 0).all()
    for name in ("naive_chain", "span_sum", "path_span"):
        slack = 1e-9 + 1e-9 * bounds[name]  # close pairs are 1e-4 apart: a rounding of 1e-13 is 1e-9 of that
        assert (worst <= bounds[name] + slack).all(), (
            f"{name} is violated by a factor of {(worst / bounds[name]).max()}"
        )
    assert (bounds["local_radius"] <= bounds["path_span"] * (1 + 1e-7)).all()
    plain = np.asarray(stacked["discount"]) == 1
    assert plain.sum() > COUNT / 4
    assert (bounds["path_span"] <= bounds["span_sum"] * (1 + 1e-12))[plain].all()
    assert (bounds["span_sum"] <= bounds["naive_chain"] * (1 + 1e-12))[plain].all()
    if kind not in ("curved program", "joint law"):  # outside the paper's class
        moves = np.asarray(stacked["mask"]).sum(axis=-1).max(axis=(1, 2)) > 1
        chain, paper = np.log10(bounds["naive_chain"]), bounds["log10 paper_meant"]
        assert (chain <= paper + 1e-9)[moves & plain].all()
        assert (np.log10(worst) <= paper + 1e-9).all()
    # β was chosen so that both happen
    assert 0.05 * COUNT < (status == 1).sum() < 0.95 * COUNT


def test_a_thousand_games_and_more_are_tried():
    assert len(KINDS) * COUNT >= 1000
