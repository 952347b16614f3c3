"""`run`, which runs a learner with many seeds at once, and the `Run` that it returns."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import Page, Part, Picture, shows_itself
from .._largest_states import evenly
from .._shown_laws import law_picture, names_or_numbers
from .._svg import Line, lines
from .._traced import as_it_is_now, keyed, unshared
from .._typing import Array, ArrayLike
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..model import StationaryGame, is_own, trace_game
from ..responses.trembling import AbstractTrembling
from .base import AbstractLearner, Task, count, learned, seed_number
from .sampling import GameSimulator, OwnSimulator

_MOST_SEEDS = 7


@shows_itself
@dataclasses.dataclass(frozen=True)
class Run:
    """The result of `run`: the laws at all steps, and the last policy and state, for every seed.

    Attributes:
      laws: z_0, z_1, ..., including those of the run that was resumed, `[seeds, num_steps + 1, S]`.
      policy: the policy at the end, `[seeds, S, A]`.
      state: the state of the learner at the end, with a first axis of seeds; `run(..., resume=run)` continues from it.
      num_steps: number of steps taken, including those of the run that was resumed.
      seed: seed of the random numbers.
    """

    laws: np.ndarray
    policy: np.ndarray
    state: Any
    num_steps: int
    seed: int

    def _page(self) -> Page:
        means = ", ".join(f"{mean:.3f}" for mean in self.mean_state[:3, -1])
        more = ", ..." if len(self.laws) > 3 else ""
        summary = f"{len(self.laws)} seeds, {self.num_steps} steps; mean state at the end: {means}{more}"
        return Page(type(self).__name__, summary, details=self._details)

    def _details(self) -> Iterator[Part]:
        means, seeds = self.mean_state, evenly(len(self.laws), _MOST_SEEDS)
        series = [Line(f"run {i}", np.arange(means.shape[1]), means[i]) for i in seeds]
        yield Picture(lines(series, "step", "mean state"), "mean number of the state, step by step")
        names = names_or_numbers((), self.laws.shape[2])
        yield Picture(law_picture(self.laws[:, -1].mean(axis=0), names), "law at the last step, mean over the runs")

    def distance(self, to: Equilibrium | ArrayLike) -> np.ndarray:
        """Return the total variation distance of every law from a given one, `[seeds, steps + 1]`."""
        law = np.asarray(to.mean_field if isinstance(to, Equilibrium) else to)
        return np.abs(self.laws - law).sum(axis=2) / 2

    def policy_error(self, to: Equilibrium | ArrayLike) -> np.ndarray:
        """Return the total variation distance of the policy from a given one, averaged over the last law, `[seeds]`."""
        policy = np.asarray(to.policy if isinstance(to, Equilibrium) else to)
        apart = np.abs(self.policy - policy).sum(axis=2) / 2
        return (self.laws[:, -1] * apart).sum(axis=1)

    @property
    def mean_state(self) -> np.ndarray:
        """Σ_s s z_k(s), `[seeds, steps + 1]`."""
        return self.laws @ np.arange(self.laws.shape[2])


@as_it_is_now
def run(
    game: StationaryGame,
    response: AbstractTrembling,
    learner: AbstractLearner,
    num_steps: int = 150,
    *,
    seed: int = 0,
    num_seeds: int = 1,
    simulator: Callable[[Array], Any] | None = None,
    initial: ArrayLike | None = None,
    resume: Run | None = None,
) -> Run:
    """Run a learner for some steps of the population, with several seeds at once.

    The random numbers of a step depend only on `seed`, the number of the run and the number of the step. So a run that
    is interrupted and resumed gives the same numbers as one run.

    Args:
      game: a stationary game that observes the law of the states. Learners use its rewards, and its kernel only through
        `simulator`.
      response: how agents act on action values: `Trembling`, or `EpsilonGreedy` for plain Q-learning.
      learner: the method, such as `OnlineTMFQ()`.
      num_steps: number of steps of the population.
      seed: whole number ≥ 0.
      num_seeds: number of runs, each with its own random numbers.
      simulator: `(z) -> draw`, where `draw(key, states, actions)` returns the next states; None: the game's kernel is
        sampled.
      initial: z_0, `[S]`, from which agents start; None: that of the game. It cannot be combined with `resume`.
      resume: an earlier run of the same game and learner, which is continued.

    Returns:
      A `Run`: the laws at all steps, and the policy and the learner's state at the end.

    Raises:
      ValueError: if an argument is invalid.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.infection_spread(), mfg.Trembling(0.2)
      >>> run = mfg.learners.run(game, response, mfg.learners.GMBL(100), num_steps=5, num_seeds=2)
      >>> run.laws.shape  # seeds, steps and the start, states
      (2, 6, 25)

    Source: Lee et al. (2021), arXiv:2006.11683, sections 4-6.
    """
    task, learner = task_of(game, response, learner, simulator), with_rates(learner)
    num_steps, num_seeds = count("num_steps", num_steps), count("num_seeds", num_seeds)
    seed = seed_number(seed)
    if resume is not None and initial is not None:
        raise ValueError("`initial` is without effect with `resume`, which continues from where a run ended.")
    law = np.asarray(game.initial if initial is None else _checks.as_numbers("initial", initial))
    _checks.shape_is("initial", law, [(game.num_states,)], "states")
    _checks.distribution("initial", law)
    keys = _keys(seed, num_seeds)
    if resume is None:
        state = initial_states(learner, task, seed, num_seeds, jnp.asarray(law, game.dtype))
        earlier_laws, earlier_steps = np.zeros((num_seeds, 0, game.num_states), game.dtype), 0
    else:
        if not isinstance(resume, Run):
            raise ValueError(f"`resume` must be what `learners.run` returns; got {_checks.shorten(resume)}.")
        if (resume.seed, len(resume.laws)) != (seed, num_seeds):
            resumed = f"{len(resume.laws)} runs from seed {resume.seed}"
            raise ValueError(f"`resume` is {resumed}; got `num_seeds={num_seeds}`, `seed={seed}`.")
        # shapes alone are compared, so nothing is drawn
        start_state = jax.eval_shape(
            lambda: initial_states(learner, task, seed, num_seeds, jnp.asarray(law, game.dtype))
        )
        if _form(resume.state) != _form(start_state):
            kind = type(learner).__name__
            raise ValueError(f"`resume` is a run of another learner, game or precision than this `{kind}`.")
        state, earlier_steps = resume.state, resume.num_steps
        earlier_laws = resume.laws[:, :-1]  # its last law is the first of the new ones
        count("num_steps", earlier_steps + num_steps)
    state, laws, policy = _steps(learner, task, keys, state, earlier_steps + jnp.arange(num_steps))
    laws = np.concatenate([earlier_laws, np.asarray(laws)], axis=1)
    return Run(laws, np.asarray(policy), state, earlier_steps + num_steps, seed)


def task_of(
    game: StationaryGame, response: AbstractTrembling, learner: AbstractLearner, simulator: Callable | None
) -> Task:
    """Return the task, or refuse arguments of the wrong kind; None is the simulator of the game's kernel."""
    game, response = learned(game, response)
    if not isinstance(learner, AbstractLearner):
        raise ValueError(f"`learner` must be a learner such as `OnlineTMFQ()`; got {_checks.shorten(learner)}.")
    if simulator is not None and not callable(simulator):
        raise ValueError(f"`simulator` must be a callable (z) -> draw; got {_checks.shorten(simulator)}.")
    fitted: Any = fit_response(game, response)
    game = trace_game(game)
    return Task(game, fitted, GameSimulator(game) if simulator is None else OwnSimulator(unshared(simulator)))


def with_rates(learner: AbstractLearner) -> AbstractLearner:
    """Return the learner with the user's step-size functions traced anew, so that they read current values."""

    def now(leaf: Any) -> Any:
        return leaf if not callable(leaf) or is_own(leaf) else keyed(leaf, jax.ShapeDtypeStruct((), jnp.float32))

    return jax.tree.map(now, learner, is_leaf=callable)


def _form(state: Any) -> Any:
    leaves, structure = jax.tree.flatten(state)
    return structure, [(leaf.shape, str(leaf.dtype)) for leaf in leaves]


def _keys(seed: int, num_seeds: int) -> Array:
    # by `fold_in` and not `split`: the i-th run is the same however many there are
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(jnp.arange(num_seeds))


@eqx.filter_jit
def initial_states(learner: AbstractLearner, task: Task, seed: int, num_seeds: int, z: Array) -> Any:
    """Return the states of all runs before their first step, with a first axis of seeds."""
    return jax.vmap(lambda key: learner.init(task, jax.random.fold_in(key, 0), z))(_keys(seed, num_seeds))


@eqx.filter_jit
def _steps(learner: AbstractLearner, task: Task, keys: Array, state: Any, numbers: Array) -> Any:
    def run_one(key: Array, state: Any) -> Any:
        def step(state: Any, k: Array) -> tuple[Any, Array]:
            # by the number of the step, so that a run in two parts draws the same; 0 is that of the start
            state = learner.step(task, state, jax.random.fold_in(key, k + 1))
            return state, state.z

        last_state, laws = jax.lax.scan(step, state, numbers)
        return last_state, jnp.concatenate([state.z[None], laws]), learner.policy(task, last_state)

    return jax.vmap(run_one)(keys, state)
