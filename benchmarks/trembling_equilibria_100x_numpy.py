"""T-BR over 1,024 values of (c_f, ε, γ) at once, against a loop over vectorised NumPy value iteration.

    python benchmarks/trembling_equilibria_100x_numpy.py

Both run algorithm 1 of Lee et al. (2021) on Infection Spread from the uniform law, in float64, until the residual
d_TV(z, Φ(z, π)) is 1e-10; values are warm-started from the step before. The loop is also run with policy iteration.
It is timed on every 32nd of the games, and the answers are compared. The claim: 100 times its throughput.
"""

import argparse
import time

import jax
import numpy as np

import mfgjax as mfg

jax.config.update("jax_enable_x64", True)

HEALTH = np.arange(25)
SPARED = np.minimum(HEALTH[:, None] + np.arange(5), 24)


def rows(z: np.ndarray, c_f: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel `[125, 25]` and reward `[25, 5]` in a population."""
    infected = c_f * (1 - z @ HEALTH / 25)
    table = np.full((25, 5, 25), 0.1 / 25)
    np.put_along_axis(table, SPARED[..., None], 0.1 / 25 + 0.9 * (1 - infected), axis=2)
    table[:, :, 0] += 0.9 * infected
    reward = 0.7 * HEALTH[:, None] / 25 + 0.2 * (z @ HEALTH) / 25 - 0.009 * np.arange(5)
    return table.reshape(125, 25), reward


def trembling(q: np.ndarray, epsilon: float) -> np.ndarray:
    policy = np.full((25, 5), epsilon / 4)
    policy[HEALTH, q.argmax(axis=1)] = 1 - epsilon
    return policy


def by_value_iteration(table: np.ndarray, reward: np.ndarray, epsilon: float, discount: float, values: np.ndarray):
    while True:
        q = reward + discount * (table @ values).reshape(25, 5)
        best = q.max(axis=1)
        after = (1 - epsilon) * best + epsilon / 4 * (q.sum(axis=1) - best)
        done = np.abs(after - values).max() <= 1e-13
        values = after
        if done:
            return values, trembling(q, epsilon)


def by_policy_iteration(table: np.ndarray, reward: np.ndarray, epsilon: float, discount: float, values: np.ndarray):
    policy = trembling(reward + discount * (table @ values).reshape(25, 5), epsilon)
    while True:
        mean = (policy[:, :, None] * table.reshape(25, 5, 25)).sum(axis=1)
        values = np.linalg.solve(np.eye(25) - discount * mean, (policy * reward).sum(axis=1))
        after = trembling(reward + discount * (table @ values).reshape(25, 5), epsilon)
        if (after == policy).all():
            return values, policy
        policy = after


def loop(respond, c_f: float, epsilon: float, discount: float) -> tuple[np.ndarray, int]:
    z, values = np.full(25, 1 / 25), np.zeros(25)
    for step in range(20_000):
        table, reward = rows(z, c_f)
        values, policy = respond(table, reward, epsilon, discount, values)
        image = (z[:, None] * policy).reshape(125) @ table
        if np.abs(image - z).sum() / 2 <= 1e-10:
            return z, step + 1
        z = image
    raise RuntimeError("the loop did not converge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=1024)
    lanes = parser.parse_args().lanes
    rng = np.random.default_rng(0)
    c_f, epsilon, discount = rng.uniform(0.02, 0.5, lanes), rng.uniform(0.01, 0.4, lanes), rng.uniform(0.3, 0.95, lanes)
    game, response = mfg.games.infection_spread(), mfg.Trembling(0.2)
    axes = {"kernel.c_f": c_f, "epsilon": epsilon, "discount": discount}

    def batched():
        found = mfg.solve_batch(game, response, mfg.Picard(), axes=axes)
        jax.block_until_ready(found)
        return found

    start = time.perf_counter()
    found = batched()
    first = time.perf_counter() - start
    warm = min(_timed(batched) for _ in range(5))
    assert np.asarray(found.converged).all(), "not all lanes converged"
    print(f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}, {lanes} games")
    print(f"batched: first call {first:.2f} s, then {warm:.4f} s, {warm / lanes * 1e6:.1f} us a game")
    print(f"steps {int(found.num_steps.min())} to {int(found.num_steps.max())}, residual <= {found.residual.max():.1e}")
    picked = np.arange(0, lanes, 32)
    for name, respond in (("value iteration", by_value_iteration), ("policy iteration", by_policy_iteration)):
        start = time.perf_counter()
        answers = np.stack([loop(respond, c_f[k], epsilon[k], discount[k])[0] for k in picked], axis=1)
        each = (time.perf_counter() - start) / len(picked)
        apart = np.abs(answers - np.asarray(found.mean_field[:, picked])).sum(axis=0).max() / 2
        ratio = each * lanes / warm
        print(f"NumPy {name}: {each * 1e3:.2f} ms a game; throughput ratio {ratio:.0f}; answers within TV {apart:.1e}")


def _timed(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
