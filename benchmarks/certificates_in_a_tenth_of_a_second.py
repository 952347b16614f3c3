"""Claim: a warm report of `certify` for the example takes less than a second; in fact a tenth of it.

Prints first and warm times of whole reports, with the numbers that they certify, for games of several sizes.

    python benchmarks/certificates_in_a_tenth_of_a_second.py
"""

import statistics
import time

import jax

import mfgjax as mfg

jax.config.update("jax_enable_x64", True)

ROUNDS = 9


def games():
    """Yield names, games and reference policies."""
    for preset in ("paper", "author-code"):
        game = mfg.games.resource_allocation(preset)
        yield f"resource_allocation, {preset}", game, mfg.games.resource_allocation_reference(game)
    yield "coordination", mfg.games.coordination(), None
    yield "ring_crowd(8, 10)", mfg.games.ring_crowd(8, 10), None
    yield "ring_crowd(20, 20)", mfg.games.ring_crowd(), None
    yield "random_dense(S=10, A=4, H=20)", mfg.games.random_dense(), None
    yield "grid_crowd(20 x 20, H=40)", mfg.games.grid_crowd(), None


def main() -> None:
    print(f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}")
    print(f"first: compiling included; warm: median (least) of {ROUNDS} reports at other β; the solve is not in it\n")
    print("| game | first, s | warm, ms | path_span β < | unique β < | critical β | residual |")
    print("|---|---|---|---|---|---|---|")
    for name, game, reference in games():
        found = mfg.solve(game, mfg.EntropyRegularized(0.5, reference))

        def report(beta: float, game=game, reference=reference, found=found) -> tuple[float, mfg.results.Report]:
            begin = time.perf_counter()
            result = jax.block_until_ready(mfg.certify(game, mfg.EntropyRegularized(beta, reference), found))
            return time.perf_counter() - begin, result

        first, shown = report(0.5)
        warm = [report(0.5 + 0.01 * i)[0] * 1e3 for i in range(1, ROUNDS + 1)]
        numbers = [float(shown[key].threshold) for key in ("path_span", "unique", "critical_beta")]
        times = f"{first:.1f} | {statistics.median(warm):.0f} ({min(warm):.0f})"
        print(f"| {name} | {times} | {' | '.join(f'{x:.4g}' for x in numbers)} | {found.residual:.0e} |")


if __name__ == "__main__":
    main()
