"""Test, on action values, whether best responses rise with the state and with the population."""

import dataclasses

import jax
import numpy as np

from .. import _checks
from .._display import Page, shows_itself
from .._traced import as_it_is_now
from .._typing import ArrayLike
from ..engine import fit_response
from ..model import StationaryGame, of_kind, respond
from ..responses import AbstractResponse
from .complementarity import NOWHERE, Condition, Verdicts
from .differences import by_post_decision, worst_of


@shows_itself
@dataclasses.dataclass(frozen=True)
class MonotoneResponse(Verdicts):
    """Whether responses rise with state and population: the result of `check_monotone_response`.

    Attributes:
      form: "action" or "post-decision": what the action was taken to be.
      conditions: the conditions, each with its worst violation and the place of that.
      num_laws: the number of populations in which they were checked; nothing is known about others.
    """

    num_laws: int

    def _page(self) -> Page:
        return self._page_under(f"Monotone response, {self.form} form, in {self.num_laws} populations")


@as_it_is_now
def check_monotone_response(
    game: StationaryGame, response: AbstractResponse, laws: ArrayLike, form: str = "action"
) -> MonotoneResponse:
    """Check, in given populations, whether responses rise with the state and with the population.

    `check_complementarity` checks sufficient conditions on the game itself, before anything is solved. Here the action
    values Q_z of the populations z_0 ≤ z_1 ≤ ... are computed, and these conditions are checked:

      Q supermodular in (s,a), so that the best action is higher in higher states;
      Q with increasing differences in a and z, so that it is higher in higher populations;
      the policy itself non-decreasing in s and in z, by stochastic dominance.

    If they hold along the iterates of `bracket`, such as `bracket(game, response).rising.laws`, every step rose for the
    reason that the theory gives, even if the game does not have complementarities everywhere.

    Args:
      game: one whose kernel and rewards depend on the law of the states; every action must be available in every state.
      response: how agents act.
      laws: populations in increasing order of stochastic dominance, `[n, S]`; with n = 1 nothing is checked about z.
      form: "action", or "post-decision" (the action is taken to be y = s + a), as in `check_complementarity`.

    Returns:
      A `MonotoneResponse`, which prints as a table.

    Raises:
      ValueError: if an argument is of the wrong kind, a population is not above the one before, or action values in
        one are not finite.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.games.infection_tipping()
      >>> laws = np.eye(25)[[0, 24]]  # all in the worst state, all in the best state
      >>> mfg.check_monotone_response(game, mfg.Trembling(0.1), laws, form="post-decision").holds
      True

    Source: Topkis (1998), Supermodularity and Complementarity; Lee et al. (2021), arXiv:2006.11683, theorem 1.
    """
    game = of_kind(StationaryGame, game)
    if game.observes != "states":
        raise ValueError(
            "`game` observes the joint law of states and actions, but populations are ordered by their states."
        )
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `Trembling(epsilon)`; got {got}.")
    _checks.one_of("form", form, ("action", "post-decision"))
    if not np.asarray(game.available).all():
        raise ValueError(
            "`game.available` lacks actions in some states, but the order of actions needs every action in every state."
        )
    table = np.asarray(_checks.as_numbers("laws", laws), game.dtype)
    _checks.shape_is("laws", table, [(None, game.num_states)], "populations, states")
    _checks.distribution("laws", table, leading=1)
    eps = float(np.finfo(game.dtype).eps)
    tails = table[:, ::-1].cumsum(axis=1)[:, ::-1]
    # slack, as laws that `bracket` found keep the order up to rounding alone
    _checks.all_true(
        "laws", np.diff(tails, axis=0), np.diff(tails, axis=0) >= -256 * eps, "tails must rise from each to the next"
    )
    response = fit_response(game, response)
    q_and_policy = jax.vmap(lambda z: (lambda best: (best.q, best.policy))(respond(game, z, response)))(table)
    q, policy = (np.asarray(table_of_z, dtype=float) for table_of_z in q_and_policy)
    unsound = np.flatnonzero(~np.isfinite(q).all(axis=(1, 2)))
    if len(unsound):
        raise ValueError(f"`laws[{unsound[0]}]` is a population in which action values are not finite numbers.")
    # Q is the fixed point of a γ-contraction: rounding of one sweep adds up to 1/(1 − γ) times as much
    slack = 256 * eps * float(np.abs(q).max()) / (1 - float(game.discount))
    # probabilities are exact but for sums; those of soft responses move with β times the rounding of Q
    beta = float(getattr(response, "beta", 0.0))
    rounding = 256 * eps + beta * slack
    action = "a" if form == "action" else "y = s + a"
    if form == "post-decision":
        q = by_post_decision(q[..., None])[..., 0]
        policy = by_post_decision(policy[..., None], unreached=0.0)[..., 0]  # no NaN: tails add up over all y
    higher = policy[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # P(action ≥ a): dominance compares tails

    def condition(name: str, differences: np.ndarray) -> Condition:
        return _condition(name, differences, rounding if name.startswith("policy") else slack, action)

    conditions = [
        condition(f"Q supermodular in (s, {action[0]})", np.diff(np.diff(q, axis=1), axis=2)),
        condition("policy non-decreasing in s", np.diff(higher, axis=1)),
    ]
    if len(table) > 1:
        conditions += [
            condition(f"Q with increasing differences in {action[0]} and z", np.diff(np.diff(q, axis=2), axis=0)),
            condition("policy non-decreasing in z", np.diff(higher, axis=0)),
        ]
    return MonotoneResponse(form, tuple(conditions), len(table))


def _condition(name: str, differences: np.ndarray, slack: float, action: str) -> Condition:
    """Return the verdict on differences `[laws, s, action]`, none of which should be negative."""
    if not differences.size:
        return Condition(name, "holds", -np.inf, NOWHERE)
    worst, (law, s, a) = worst_of(differences)
    return Condition(name, "fails" if worst > slack else "holds", worst, f"population {law}, s = {s}, {action} = {a}")
