"""`certify`: report what is proved about the equilibria of a game."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike
from ..engine import fit_response, unsound
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame, of_kind, trace_game, validate
from ..responses import AbstractResponse
from ..solve import solve
from ..solvers.base import Problem
from .certificate import unknown_where
from .contraction import contraction, distance, lost_to_rounding, naive_chain, path_space
from .lipschitz import Lipschitz, contradict
from .local import MOST_UNKNOWNS, critical_beta, local_radius
from .paper_bounds import theorem_1
from .potential import potential
from .premises import premises_of
from .report import Report
from .uniqueness import monotone, unique


@as_it_is_now
def certify(
    game: FiniteHorizonGame,
    response: AbstractResponse,
    equilibrium: Equilibrium | ArrayLike | None = None,
    *,
    lipschitz: Lipschitz | None = None,
    critical: bool | None = None,
    key: Array | None = None,
) -> Report:
    """Check what is proved about a game: contraction, uniqueness, stability, and the error of an equilibrium.

    Every line of the report has a number, a status (holds, fails, unknown), the theorem with its source, its
    assumptions, and how they were checked. The status is "holds" only where the theorem applies and its constants are
    proved bounds: exact finite computations, tables, or ranges derived from the code of the rewards by interval
    arithmetic. All of this is computed in floating point arithmetic, without directed rounding.

    Args:
      game: the game.
      response: how agents act. The theorems on contraction and uniqueness are for `EntropyRegularized`; the chain of
        Lipschitz constants also applies to `Boltzmann`.
      equilibrium: the result of `solve`, or a mean field; None: the equilibrium is computed first.
      lipschitz: Lipschitz constants of rewards and kernel; None: they are derived from the game. Sampled constants
        (`sample_lipschitz`) never prove anything.
      critical: whether to search for the β at which the local spectral radius reaches 1; None: only up to 200 unknowns.
      key: random key for the flows on which violations of monotonicity are searched for; None: a fixed key.

    Returns:
      A `Report`. Inside `jit` and `vmap` its numbers are arrays, so that whole families of games can be certified at
      once. Where the rows of the kernel at the mean field are not probabilities, every status is "unknown".

    Raises:
      ValueError: if an argument is invalid, or the game by now (see `validate`): the field, the place and the value
        are named.

    Example:
      >>> import mfgjax as mfg
      >>> report = mfg.certify(mfg.games.coordination(), mfg.EntropyRegularized(beta=1.0))
      >>> report["unique"].word, round(float(report.certified_beta), 3)
      ('holds', 2.0)

    Source: Guan et al. (2021), arXiv:2110.07469, Theorem 1; for the sharper bounds see `docs/mathematics.md`.
    """
    instead = "for a `StationaryGame` use `bracket` and `check_complementarity`"
    game = of_kind(FiniteHorizonGame, game, instead=instead)
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)`; got {got}.")
    if lipschitz is not None and not isinstance(lipschitz, Lipschitz):
        raise ValueError(f"`lipschitz` must be a `Lipschitz`, or None; got {_checks.shorten(lipschitz)}.")
    validate(game)  # its arrays may have been replaced since it was made
    game, response = trace_game(game).seeing_laws(), fit_response(game, response)
    # threefry takes seconds to compile
    key = _checks.random_key("key", jax.random.key(0, impl="rbg") if key is None else key)
    constants = None
    if lipschitz is not None:
        constants = (*lipschitz.fit(game), lipschitz.origin)
        contradict(game, lipschitz, key)
    if equilibrium is None:
        # most lines are about the game, not the mean field; the others look at its residual themselves
        mean_field = solve(game, response, throw=False).mean_field
    else:
        mean_field = _mean_field(game, equilibrium)
    searches_critical = int(np.prod(mean_field.shape)) <= MOST_UNKNOWNS if critical is None else critical
    searches_critical = _checks.boolean("critical", searches_critical)
    return _certified(game, response, mean_field, constants, searches_critical, key)


def _mean_field(game: FiniteHorizonGame, equilibrium: Any) -> Array:
    if isinstance(equilibrium, Equilibrium):
        equilibrium = equilibrium.mean_field
    flow = _checks.as_numbers("equilibrium", equilibrium)
    shape = game.mean_field_shape
    _checks.shape_is("equilibrium", flow, [shape], "times, states" if len(shape) == 2 else "times, states, actions")
    if not _checks.is_traced((flow, game)):
        _checks.distribution("equilibrium", flow, leading=1)
        start = np.asarray(flow)[0] if len(shape) == 2 else np.asarray(flow)[0].sum(axis=1)
        # the precision of the flow, which may be lower than that of the game
        slack = 1e-5 if np.asarray(flow).dtype.itemsize == 4 else 1e-8
        is_initial = np.abs(start - np.asarray(game.initial)) <= slack
        _checks.all_true("equilibrium", start, is_initial, "at time 0 it must be the game's `initial`", " at time 0")
    return jnp.asarray(flow, game.dtype)


@compiled
def _certified(
    game: FiniteHorizonGame,
    response: AbstractResponse,
    mean_field: Array,
    constants: tuple[Array, Array, str] | None,
    critical: bool,
    key: Array,
) -> Report:
    if game.observes == "states":  # exactly: bounds are for mean fields that share it
        mean_field = mean_field.at[0].set(game.initial)
    premises = premises_of(game, response, constants)
    premises = premises._replace(lost=lost_to_rounding(premises))
    residual = noise = None
    if premises.tempered is not None:
        image, noise = Problem(game, response, np.zeros(())).image_and_floor(mean_field)
        residual = game.distance(mean_field, image) + (noise + 8 * jnp.finfo(game.dtype).eps)  # a bound still
    # first, as a radius of 1 or more refutes a contraction in every norm, whatever the bounds say
    local, against = local_radius(premises, mean_field, residual, noise, key)
    (printed, factors_as_printed), (meant, factors_as_meant) = theorem_1(premises, against)
    naive, chain = naive_chain(premises, against)
    bounds = (meant, naive, *path_space(premises, against))
    best = contraction(premises, bounds, against)
    monotonicity = monotone(premises, key)
    certificates = (
        printed,
        *bounds,
        best,
        local,
        critical_beta(premises, best, critical),
        distance(premises, best.value, residual),
        *monotonicity,
        potential(premises, key),
        unique(premises, (best, *monotonicity)),
    )
    # where the kernel is none, no theorem applies
    mu, image = game.moved_on(mean_field, game.best_response(mean_field, response).policy)
    is_unsound = unsound(game, mean_field, image, mu)
    certificates = tuple(unknown_where(is_unsound, line) for line in certificates)
    lipschitz_used = None
    if constants is not None and premises.constants is not None:
        lipschitz_used = Lipschitz(constants[0], constants[1], origin=constants[2])
    elif premises.constants is not None:
        kernel = jnp.zeros(game.horizon) if premises.kernel is None else premises.kernel
        lipschitz_used = Lipschitz(premises.constants, kernel, origin="derived")
    return Report(certificates, premises.beta, lipschitz_used, chain, factors_as_printed, factors_as_meant)
