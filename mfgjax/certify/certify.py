"""The entry point: say what is proved about the equilibria of a game."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame, StationaryGame, mean_field_map, of_kind, respond, trace_game
from ..ranges.ranges import NotDerivable
from ..responses import AbstractResponse, EntropyRegularized
from ..responses.base import AbstractTempered
from ..solve import solve
from ..solvers.base import rounding
from . import lines
from .contraction import counted, coupled_chain, largest_constants, naive_chain, path_span, span_sum
from .derivatives import differentiable
from .lipschitz import Lipschitz, contradict, derive_kernel_constants
from .local import MOST_UNKNOWNS, critical_beta, local_radius, radius_margin
from .paper_bounds import paper_bound
from .paths import is_decoupled, mixing
from .payoffs import Payoffs, derive_payoffs
from .report import Report
from .slopes import BoundedSlopes
from .uniqueness import monotone, potential, uniqueness_threshold

_MOST_MIXING = 2**31


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
    """Say what is proved: contraction, uniqueness, stability, and how far an equilibrium can be off.

    Every line of the report has a number, a status (holds, fails, unknown), the theorem with its source, what it
    assumes and how that was checked. "holds" is only ever said where the theorem applies and its constants are
    bounds: exact finite computations, tables, or ranges read off the programs of rewards; all in floating point
    arithmetic, without directed rounding.

    Args:
      game: the physics.
      response: how agents act. The theorems on contraction and uniqueness are for `EntropyRegularized`; the chain of
        Lipschitz constants is for `Boltzmann`, too.
      equilibrium: of `solve`, or a mean field in its place; None: it is solved for.
      lipschitz: constants of rewards and kernel; None: they are derived from the game. Constants that were sampled
        (`sample_lipschitz`) never prove anything.
      critical: look for the β at which the local spectral radius reaches 1; None: up to 200 unknowns.
      key: of the random flows with which violations of monotonicity are looked for; None: a fixed one.

    Returns:
      A `Report`. Inside `jit` and `vmap` its numbers are arrays, so whole families of games are certified at once.

    Raises:
      ValueError: if an argument is invalid: the field, the place and the value are named.

    Example:
      >>> import mfgjax as mfg
      >>> report = mfg.certify(mfg.games.coordination(), mfg.EntropyRegularized(beta=1.0))
      >>> report["unique"].word, round(float(report.certified_beta), 3)
      ('holds', 2.0)

    Source: Guan et al. (2021), arXiv:2110.07469, Theorem 1; for the sharper bounds see `docs/mathematics.md`.
    """
    if isinstance(game, StationaryGame):
        raise ValueError(
            "`game` is a `StationaryGame`, of which `bracket` and `check_complementarity` say what is proved; "
            "`certify` is for a `FiniteHorizonGame`."
        )
    game = of_kind(FiniteHorizonGame, game, None if game is None else type(game).__name__)
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)`; got {got}.")
    if lipschitz is not None and not isinstance(lipschitz, Lipschitz):
        raise ValueError(f"`lipschitz` must be a `Lipschitz`, or None; got {_checks.shorten(lipschitz)}.")
    game, response = trace_game(game), fit_response(game, response)
    # threefry takes seconds to compile
    key = _checks.random_key("key", jax.random.key(0, impl="rbg") if key is None else key)
    constants = None
    if lipschitz is not None:
        constants = (*lipschitz.fit(game), lipschitz.origin)
        contradict(game, lipschitz, key)
    if equilibrium is None:
        mean_field = solve(game, response, throw=False).mean_field
    else:
        mean_field = _mean_field(game, equilibrium)
    wanted = int(np.prod(mean_field.shape)) <= MOST_UNKNOWNS if critical is None else critical
    wanted = _checks.boolean("critical", wanted) and isinstance(response, AbstractTempered)
    return _certified(game, response, mean_field, constants, wanted, key)


def _mean_field(game: FiniteHorizonGame, equilibrium: Any) -> Array:
    if isinstance(equilibrium, Equilibrium):
        equilibrium = equilibrium.mean_field
    flow = _checks.as_numbers("equilibrium", equilibrium)
    shape = game.mean_field_shape
    _checks.shape_is("equilibrium", flow, [shape], "times, states" if len(shape) == 2 else "times, states, actions")
    if not _checks.is_traced((flow, game)):
        _checks.distribution("equilibrium", flow, leading=1)
        start = np.asarray(flow)[0] if len(shape) == 2 else np.asarray(flow)[0].sum(axis=1)
        slack = 1e-5 if np.asarray(flow).dtype.itemsize == 4 else 1e-8
        good = np.abs(start - np.asarray(game.initial)) <= slack
        _checks.all_true("equilibrium", start, good, "at time 0 it must be the game's `initial`", " at time 0")
    return jnp.asarray(flow, game.dtype)


@eqx.filter_jit
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
    decoupled = is_decoupled(game)
    tempered = response if isinstance(response, AbstractTempered) else None
    beta = jnp.asarray(jnp.nan, game.dtype) if tempered is None else tempered.beta.astype(game.dtype)
    payoffs, kernel, trouble = _known(game, constants)
    if tempered is not None and not response.is_softmax:
        payoffs, kernel, trouble = None, None, f"no theorem is known of `{type(response).__name__}` responses"
    mixed = mixing(game, _MOST_MIXING) if decoupled else jnp.ones(game.horizon, game.dtype)
    facts = lines.Facts(
        beta=beta,
        decoupled=decoupled,
        regularized=response.is_softmax and response.maximises,
        tempered=tempered is not None,
        payoffs=payoffs,
        trouble=trouble,
        sampled=constants is not None and constants[2] == "sampled",
        radius_margin=radius_margin(mean_field),
        num_terms=(game.horizon + 1) * (game.num_states + game.num_actions),
    )
    smooth, steps = differentiable(game)
    radius = residual = None
    if tempered is not None:
        residual = _residual(game, tempered, mean_field)
        radius = None if steps else local_radius(smooth, tempered, mean_field, key)
    chain = printed = meant = None
    pairwise = payoffs.pairwise if payoffs is not None and game.observes == "states" else None
    if pairwise is not None and decoupled and facts.regularized and isinstance(response, EntropyRegularized):
        printed = paper_bound(game, response, pairwise, printed=True)
        meant = paper_bound(game, response, pairwise, printed=False)
    per_beta = by_spans = by_paths = below = spans = None
    if payoffs is not None and tempered is not None:
        if decoupled:
            chain = naive_chain(game, payoffs, mixed)
            per_beta = chain.per_beta
        elif kernel is not None and payoffs.value is not None:
            per_beta = coupled_chain(game, payoffs, kernel)
    if payoffs is not None:
        mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
        spans = counted(game, payoffs.slopes.spans(mask))
    curved = monotone(game, payoffs, spans, key)
    if payoffs is not None and spans is not None and decoupled and facts.regularized:
        by_spans = span_sum(game, spans, mixed)
        by_paths = path_span(game, payoffs, mixed, by_spans)
        below = uniqueness_threshold(game, curved, mixed)
    bounds = [
        *lines.paper(facts, printed, meant, radius),
        lines.chain(facts, per_beta, radius),
        lines.span_sum(facts, by_spans, radius),
        lines.path_span(facts, by_paths, radius),
    ]
    contraction = lines.contraction(facts, bounds, radius)
    found = None
    if critical and tempered is not None and not steps:
        found = critical_beta(smooth, tempered)
    is_monotone, is_hypomonotone = lines.monotone(facts, curved, below), lines.hypomonotone(facts, below)
    certificates = (
        *bounds,
        contraction,
        lines.local(facts, radius, residual, steps),
        lines.critical(facts, found, contraction, steps),
        lines.distance(facts, contraction.value, residual),
        is_monotone,
        is_hypomonotone,
        lines.potential(facts, potential(smooth, payoffs, key, steps)),
        lines.unique(facts, [contraction, is_monotone, is_hypomonotone]),
    )
    used = None
    if payoffs is not None:
        own = largest_constants(game, payoffs)
        used = Lipschitz(own, jnp.zeros(game.horizon) if kernel is None else kernel, origin="derived")
        used = used if constants is None else Lipschitz(constants[0], constants[1], origin=constants[2])
    return Report(certificates, beta, used, chain, printed, meant)


def _known(
    game: FiniteHorizonGame, constants: tuple[Array, Array, str] | None
) -> tuple[Payoffs | None, Array | None, str]:
    """Return what is known of rewards and kernel, and why not more."""
    troubles, payoffs = [], None
    try:
        payoffs = derive_payoffs(game)
    except NotDerivable as error:
        troubles.append(f"the reward's constants cannot be derived: {error}")
    if constants is not None:
        own = jnp.broadcast_to(constants[0][:, None, None], (game.horizon + 1, game.num_states, game.num_actions))
        how = f"Lipschitz constants that were {constants[2]}"
        value = None if payoffs is None else payoffs.value
        return Payoffs(BoundedSlopes(own), value, None, None, False, how, constants[2] != "sampled"), constants[1], ""
    kernel = None
    try:
        kernel = derive_kernel_constants(game)
    except NotDerivable as error:
        troubles.append(f"the kernel's constants cannot be derived: {error}")
    return payoffs, kernel, "; ".join(troubles)


def _residual(game: FiniteHorizonGame, response: AbstractTempered, mean_field: Array) -> Array:
    """Return d_M(μ, Γ(μ)) plus what rounding may hide of it."""
    best = respond(game, mean_field, response)
    hidden = rounding(game, response, best.q) + 8 * jnp.finfo(game.dtype).eps
    return game.distance(mean_field, mean_field_map(game, response)(mean_field)) + hidden
