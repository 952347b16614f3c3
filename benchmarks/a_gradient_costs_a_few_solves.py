"""Claim: one gradient costs at most 5 solves, and 256 restarts of a tuning less than 10 single ones.

Warm times, in one run: value and gradient against a solve, on the example and on games of 10,000 unknowns; a tuning of
the example alone and with 256 restarts, both for the same number of steps; temporary memory of the compiled gradient
for solvers that may take 100 and 10,000 steps.

    python benchmarks/a_gradient_costs_a_few_solves.py
"""

import statistics
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

import mfgjax as mfg
from mfgjax import design

jax.config.update("jax_enable_x64", True)

ROUNDS = 9
STEPS = 60


def median(function: Callable) -> float:
    """Return the median time of warm calls, in ms."""
    function()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        jax.block_until_ready(function())
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times)


def gradients() -> None:
    print("| game | unknowns | beta | solve, ms | solve in jit, ms | with gradient, ms | of the solve |")
    print("|---|---|---|---|---|---|---|")
    example = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(example)
    for name, game, reference, betas in (
        ("resource_allocation", example, rho, (1.0, 3.0)),
        ("ring_crowd(100, 99)", mfg.games.ring_crowd(100, 99), None, (1.0, 3.0, 10.0)),
        ("grid_crowd(16 x 16, H=40)", mfg.games.grid_crowd(16, 16, 40), None, (1.0, 10.0)),
    ):
        for beta in betas:
            response = mfg.EntropyRegularized(beta, reference)
            logs = response.log_prior(game.available, game.dtype)

            # Anderson where it settles, else the damped iteration with which `Auto` goes on
            method = mfg.Anderson() if int(mfg.solve(game, response).num_steps) < 60 else mfg.Picard(0.1)

            def last(logs: jax.Array, game=game, beta=beta, method=method) -> jax.Array:
                found = mfg.solve(game, mfg.EntropyRegularized(beta, log_reference=logs), method)
                return (found.mean_field[-1] ** 2).sum()

            eager = median(lambda game=game, response=response: mfg.solve(game, response).mean_field)
            value, value_and_gradient = eqx.filter_jit(last), eqx.filter_jit(jax.value_and_grad(last))
            alone = median(lambda value=value, logs=logs: value(logs))
            both = median(lambda value_and_gradient=value_and_gradient, logs=logs: value_and_gradient(logs))
            size = (game.horizon + 1) * game.num_states
            print(f"| {name} | {size:,} | {beta:g} | {eager:.2f} | {alone:.2f} | {both:.2f} | {both / alone:.1f}x |")


def restarts() -> None:
    game = mfg.games.resource_allocation()
    response = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game))
    wanted = design.TargetLaw({"3": 0.5, "4": 0.5})
    times = {}
    for count in (1, 256):

        def run(count=count) -> design.Tuned:
            return design.tune(game, {"reference": None}, wanted, response=response, restarts=count,
                               key=jax.random.key(0), max_steps=STEPS, gtol=0.0)  # fmt: skip

        found = run()
        times[count] = median(lambda run=run: run().equilibrium.mean_field)
        law = found.equilibrium.mean_field[-1]
        off = float(jnp.abs(law - jnp.array([0, 0, 0.5, 0.5, 0])).sum() / 2)
        print(f"{count} restart(s), {found.num_steps} steps: {times[count]:.0f} ms; best objective {found.value:.1e}, "
              f"total variation from half and half {off:.1e}")  # fmt: skip
    print(f"256 restarts cost {times[256] / times[1]:.1f} times one.")


def memory() -> None:
    game = mfg.games.ring_crowd(20, 20)
    for steps in (100, 10_000):

        def score(beta: jax.Array, steps=steps) -> jax.Array:
            found = mfg.solve(game, mfg.EntropyRegularized(beta), mfg.Picard(0.5), max_steps=steps)
            return (found.mean_field[-1] ** 2).sum()

        plan = jax.jit(jax.grad(score)).lower(jnp.ones(())).compile().memory_analysis()
        assert plan is not None, "this backend does not say how much memory a program takes"
        print(f"gradient of a solve of at most {steps:,} steps: {plan.temp_size_in_bytes / 1e3:.0f} kB of temporaries")


if __name__ == "__main__":
    print(f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}; medians of {ROUNDS} warm runs\n")
    gradients()
    print()
    restarts()
    print()
    memory()
