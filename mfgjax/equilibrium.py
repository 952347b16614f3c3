"""What a solve returns."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ._coordinates import coordinate, coordinates, dims_of_equilibrium
from ._display import BAD, GOOD, Facts, Listing, Page, Part, shows_itself
from ._names import in_words
from ._result import RESULTS, Result, counted_results
from ._shorten import is_traced, short_number
from ._shown_laws import law_parts
from ._typing import Array, Bool, Float, Int

if TYPE_CHECKING:
    import xarray as xr


@shows_itself
class Equilibrium(eqx.Module):
    """A mean field, a policy, and how near they are to an equilibrium.

    Attributes:
      mean_field: the law of the states at each time, `[H+1, S]` (or the joint law of states and actions, `[H+1, S, A]`,
        if rewards and kernel depend on that).
      policy: π_t(a|s), `[H+1, S, A]`. For smooth responses it is exactly the response to `mean_field`. In a stationary
        game with a `Trembling` or `EpsilonGreedy` response it is so, too, unless the default solver found no pure
        equilibrium: then it is a mixture of best responses.
      log_policy: its log, −inf where it is 0.
      values: V_t(s) of the response to `mean_field`, in units of reward.
      q: Q_t(s,a) of the response to `mean_field`, in units of reward.
      residual: how far `mean_field` is from a fixed point of the mean-field map Γ: max_t d_TV(μ_t, Γ(μ)_t). This holds
        for smooth responses and, in a stationary game, for all responses unless the solver mixes policies; elsewhere it
        is the exploitability. If `policy` is a mixture of best responses in a stationary game, it is the larger of two
        numbers: d_TV(z, Φ(z, π)), with Φ(z, π) the law one move later, and the most that the policy loses in any state
        against the best action, divided by the span of q.
        For a game of many states that observes an `Aggregate` it is the largest difference of m and of the aggregate
        that the response to m leads to, max_{t,j} |m_j − m'_j|, each in units of the range of its weights. The distance
        in total variation may be larger.
      exploitability: the most that one agent can gain by leaving `policy` while all others follow it, in units of
        reward. The gain is measured in the criterion of the response: with KL terms for `EntropyRegularized`, without
        for others.
      tolerance: the number that `residual` was compared with. It exceeds the `atol` asked for only where rounding
        errors do.
      num_steps: number of steps that all methods tried have taken together.
      residual_history: the criterion at every step; NaN at steps that did not measure it, or were not taken.
      error_estimate: an estimate of the distance of `mean_field` from an equilibrium, max_t d_TV; NaN where there is
        none, for example where the criterion is the exploitability. An estimate is not a bound: see
        `RESULTS.ill_conditioned`.
      result: why the solver stopped, as a code and a sentence.
      criterion: "residual" or "exploitability": which of the two `residual` holds.
      observes: "states" or "state_actions": which law `mean_field` is, as in the game.
      action_axis: the axis of the actions in joint laws, counted from the end.
      state_labels: the names of the states, as in the game.
      action_labels: the names of the actions.
      aggregate: what payoffs see of `mean_field`, `[H+1, M]`, in a game that observes an `Aggregate`; else None.
      aggregate_labels: the names of its numbers.

    For a stationary game the arrays have no time axis: `mean_field` is z, `[S]`, and `policy` is `[S, A]`. The
    exploitability is then that of an agent whose first state is drawn from z, in a population that stays at z.

    In an `Equilibrium` of `solve_batch` every array has one more axis, its last: the games (lanes) of the batch.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> eq.mean_field.shape, eq.policy.shape, bool(eq.converged)
      ((2, 3), (2, 3, 2), True)
    """

    # T for times may be missing, lanes may follow: each of these names stands for as many axes as there are
    mean_field: Array
    policy: Float[Array, "*T_S_A"]
    log_policy: Float[Array, "*T_S_A"]
    values: Float[Array, "*T_S"]
    q: Float[Array, "*T_S_A"]
    residual: Float[Array, "*lanes"]
    exploitability: Float[Array, "*lanes"]
    tolerance: Float[Array, "*lanes"]
    num_steps: Int[Array, "*lanes"]
    residual_history: Float[Array, "*steps"]
    error_estimate: Float[Array, "*lanes"]
    result: Result
    criterion: str = eqx.field(static=True)
    observes: str = eqx.field(static=True)
    action_axis: int = eqx.field(static=True, default=-1)
    state_labels: tuple[str, ...] = eqx.field(static=True, default=())
    action_labels: tuple[str, ...] = eqx.field(static=True, default=())
    aggregate: Float[Array, "*T_M"] | None = None
    aggregate_labels: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def converged(self) -> Bool[Array, "*lanes"]:
        """Whether the criterion reached the tolerance."""
        return self.result.code == RESULTS.converged

    @property
    def state_law(self) -> Float[Array, "*T S"]:
        """The law of the states at every time, also where `mean_field` is a joint law of states and actions."""
        return self.mean_field if self.observes == "states" else self.mean_field.sum(axis=self.action_axis)

    @property
    def mean_state(self) -> Float[Array, "*T"]:
        """Σ_s s μ_t(s), the mean number of the state at every time, for states that are quantities such as health."""
        # the sum over actions leaves the states where these were; lanes may trail
        law = jnp.moveaxis(self.state_law, self.action_axis, -1)
        return law @ jnp.arange(law.shape[-1], dtype=law.dtype)

    @property
    def history(self) -> Array:
        """The criterion at the steps that measured it; inside `jit` the whole `residual_history`."""
        # shapes in `jit` cannot depend on values
        if isinstance(self.residual_history, Tracer) or self.residual_history.ndim > 1:
            return self.residual_history
        values = np.asarray(self.residual_history)
        return jnp.asarray(values[np.isfinite(values)])

    def to_xarray(self) -> "xr.Dataset":
        """Return the equilibrium as an `xarray.Dataset` with named axes, as `sweep` and saved files have them.

        The variables are `mean_field`, `state_law`, `policy`, `values`, `residual_history` (the steps that measured the
        criterion) and numbers such as `residual`, `exploitability` and `result_code`. The attributes `result` and
        `message` say why the solver stopped. A batch of `solve_batch` has a last dimension "lane" and, in place of the
        attributes, `result_code` for each lane. `mfg.io.to_dataset` adds `q` and what belongs to the game.

        Returns:
          A dataset with the dimensions time (not for a stationary game), state, action and step. Coordinates of states
          and actions are whole numbers if all of their labels are, else the labels.

        Raises:
          ValueError: inside `jit`, where there are no numbers, and for a batch of `jax.vmap`.

        Example:
          >>> import mfgjax as mfg
          >>> ds = mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)).to_xarray()
          >>> ds.policy.dims, float(ds.state_law.sel(time=0, state="centre")), ds.attrs["result"]
          (('time', 'state', 'action'), 1.0, 'converged')
        """
        import xarray as xr  # half a second, and only those who call this need it

        if is_traced(self):
            raise ValueError("`to_xarray` needs known numbers, but this equilibrium is inside `jit`, `grad` or `vmap`.")
        lanes = self.residual.ndim
        if lanes != -1 - self.action_axis:
            raise ValueError(
                "`to_xarray` needs a single equilibrium, or a batch of `solve_batch`; this is a batch of `jax.vmap`: "
                "take one with `jax.tree.map(lambda x: x[i], batch)`."
            )
        own = {
            "state_law": self._law(),
            "residual_history": self.history,
            "result_code": self.result.code,
            "result_period": self.result.period,
        }
        over_time = self.policy.ndim - lanes == 3
        data = {
            name: ((*dims, *["lane"] * lanes), np.asarray(own[name] if name in own else getattr(self, name)))
            for name, dims in dims_of_equilibrium(self.observes, over_time, self.aggregate is not None).items()
        }
        num_states, num_actions = self.policy.shape[over_time : over_time + 2]
        coords = {
            **({"time": np.arange(self.policy.shape[0])} if over_time else {}),
            **coordinates(self.state_labels or range(num_states), self.action_labels or range(num_actions)),
            **({} if self.aggregate is None else {"component": coordinate(self.aggregate_labels)}),
            "step": np.arange(1, len(data["residual_history"][1]) + 1),
        }
        verdict = {} if lanes else {"result": self.result.name, "message": self.result.message}
        return xr.Dataset(data, coords, {"criterion": self.criterion, **verdict, "observes": self.observes})

    def _law(self) -> np.ndarray:
        """Return `state_law` in NumPy, which compiles nothing."""
        law = np.asarray(self.mean_field)
        return law if self.observes == "states" else law.sum(axis=self.action_axis)

    def _page(self) -> Page:
        name, codes = type(self).__name__, np.asarray(self.result.code)
        status = GOOD if (codes == RESULTS.converged).all() else BAD
        if codes.ndim:
            counts = in_words(counted_results(codes)) or "none"
            summary = f"{codes.size:,} games: {counts}; mean_field={self.mean_field.shape}"
            return Page(name, summary, self._lane_parts, status)
        summary = (
            f"{self.result.name} in {int(self.num_steps)} steps: residual={float(self.residual):.2e}, "
            f"exploitability={float(self.exploitability):.2e}, mean_field={self.mean_field.shape}"
        )
        return Page(name, summary, self._parts, status, title=summary.partition(":")[0])

    def _parts(self) -> Iterator[Part]:
        if int(self.result.code) != RESULTS.converged:
            yield self.result.message
        exploitability = float(self.exploitability)
        facts = [
            ("residual", f"{float(self.residual):.2e} (tolerance {float(self.tolerance):.0e})"),
            ("exploitability", "not computed" if np.isnan(exploitability) else f"{exploitability:.2e}"),
            ("error estimate", short_number(self.error_estimate)),
            ("policy", f"array {self.policy.shape}, {self.policy.dtype}"),
        ]
        if self.observes != "states":
            facts.append(("observes", "joint law of states and actions; the law of the states is shown"))
        yield Facts([*facts, ("axes with names", "to_xarray()")])
        yield from law_parts(self._law(), self.state_labels)

    def _lane_parts(self) -> Iterator[Part]:
        codes, residuals, steps = (np.ravel(np.asarray(x)) for x in (self.result.code, self.residual, self.num_steps))
        rows = []
        for kind, count in counted_results(codes).items():
            own = codes == RESULTS[kind]
            worst = short_number(residuals[own].max())
            rows.append([kind, f"{count:,}", worst, f"{np.median(steps[own]):g}", f"{steps[own].max():,}"])
        yield Listing(["result", ">games", ">largest residual", ">median steps", ">most steps"], rows)
