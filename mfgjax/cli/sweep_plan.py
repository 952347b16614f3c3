"""From the options of the command `sweep` to the arguments of the function: games, response, axes, outputs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mfgjax as mfg

from .._names import did_you_mean, is_ready_made
from . import catalogue, ranges
from .behaviour import check_options, made, reference_of, solver_of, takes

if TYPE_CHECKING:
    from ..games import GameFile
    from ..model import AbstractGame
    from .sweep import Sweep

_CHUNKS, _LEAST_CHUNK = 64, 1024  # signs of progress, unless that makes chunks smaller than this
_CHUNK_BYTES = 2**27


@dataclass(frozen=True)
class SweepPlan:
    """The arguments of `sweep`; `loaded` is the game of the first values of what is swept."""

    loaded: GameFile
    builder: Callable[..., AbstractGame]
    response: mfg.responses.AbstractResponse
    solver: Any
    axes: dict[str, Any]
    outputs: tuple[str, ...]

    @property
    def num_lanes(self) -> int:
        """The number of combinations of values."""
        return math.prod(map(len, self.axes.values()))

    @property
    def shown(self) -> dict[str, str]:
        """The outputs that are shown of lanes, with their names in JSON."""
        return shown_of(self.loaded.game)

    @property
    def warmed(self) -> str:
        """The axis along which neighbours may start from one another."""
        return "beta" if "beta" in self.axes else "epsilon"

    @property
    def along(self) -> str:
        """The axis along which results are told: beta if it is swept, else the one with most values."""
        return max(self.axes, key=lambda name: (len(self.axes[name]) > 1, name == "beta", len(self.axes[name])))

    @property
    def bytes_of_lane(self) -> int:
        """The bytes that one lane takes."""
        from ..sweeps.outputs import parse_outputs

        game = self.loaded.game
        sizes = {"time": game.horizon + 1, "state": game.num_states, "action": game.num_actions}
        kept = [math.prod(sizes[d] for d in output.dims or ()) for output in parse_outputs(self.outputs, game)]
        return game.dtype.itemsize * (5 + sum(kept))  # 5 variables are in every sweep, such as result codes

    @property
    def num_bytes(self) -> int:
        """The bytes that all lanes take."""
        return self.num_lanes * self.bytes_of_lane

    @property
    def chunk(self) -> int:
        """Lanes between two signs of progress: of large games fewer, as their policies must fit in memory."""
        game = self.loaded.game
        policy = (game.horizon + 1) * game.num_states * game.num_actions * game.dtype.itemsize
        most = _CHUNK_BYTES // (self.bytes_of_lane + 4 * policy)
        return max(1, min(most, max(_LEAST_CHUNK, -(-self.num_lanes // _CHUNKS))))


def make_plan(request: Sweep) -> SweepPlan:
    """Turn the options of the command into arguments of `sweep`; refuse options that do not go together."""
    damping = [] if request.damping is None else ranges.numbers(f"--damping {request.damping}", request.damping)
    # averaging does not go with damping below 1
    solver = solver_of(request, min(damping, default=None))
    loaded, builder, swept = _games(request)
    axes: dict[str, Any] = {}
    check_options(request)
    betas, epsilons = (_numbers(request, name) for name in ("beta", "epsilon"))
    arguments = takes(request.response)
    response = made(
        request.response,
        beta=next(iter(betas), None),
        epsilon=next(iter(epsilons), None),
        reference=loaded.reference if request.reference is None else None,
    )
    if request.reference is not None:
        axes[arguments["reference"]] = _references(request, loaded)
    if request.warm_start and not arguments.keys() & {"beta", "epsilon"}:
        which = f"`--response {request.response}`"
        raise ValueError(f"`--warm-start` goes along beta or epsilon, which {which} does not have.")
    axes |= swept
    if len(damping) > 1:
        axes["damping"] = damping
    for name, values in (("epsilon", epsilons), ("beta", betas)):
        if values:
            axes[name] = values  # last: neighbours take about as many steps
    if not axes:
        raise ValueError("There is nothing to sweep: give `--set KEY=RANGE`, or `--damping RANGE` with picard.")
    outputs = _outputs(request.outputs, request.out is not None, loaded.game)
    return SweepPlan(loaded, builder, response, solver, axes, outputs)


def _numbers(request: Sweep, name: str) -> list[float]:
    """Return the values of β or ε, refused if the response needs them and there are none."""
    text = getattr(request, name)
    if text is not None:
        return list(ranges.numbers(f"--{name} {text}", text))
    if name in takes(request.response):
        raise ValueError(f"`--response {request.response}` needs `--{name}`: {ranges.RANGE}.")
    return []


def _games(request: Sweep) -> tuple[GameFile, Callable[..., AbstractGame], dict[str, list[Any]]]:
    """Return the game of the first values, the builder of all, and what of its parameters is swept."""
    from .. import _checks
    from ..games.ready_made import builder

    family = catalogue.load_family(request.game, request.settings)
    loaded = family.first
    if not is_ready_made(request.game):

        def read() -> AbstractGame:
            return loaded.game

        # the sweep records the name of its builder as that of the game
        read.__name__ = loaded.name
        return loaded, read, {}
    original = builder(loaded.name)

    # `sweep` reads the names of parameters off the signature
    @functools.wraps(original)
    def built(**chosen: Any) -> AbstractGame:
        game = original(**family.fixed, **chosen)
        _checks.policy_can_be_solved(loaded.name, game)
        return game

    return loaded, built, family.varied


def _references(request: Sweep, loaded: GameFile) -> dict[str, Any]:
    names = [name.strip() for name in str(request.reference).split(",")]
    ranges.different(f"--reference {request.reference}", names)
    return {name: reference_of(name, request.game, loaded) for name in names}


def shown_of(game: AbstractGame) -> dict[str, str]:
    """Return the output that is the law of the states at the end, or of a stationary game and its mean state."""
    if game.times:
        return {"terminal_law": "terminal_law"}
    law = "mean_field" if game.observes == "states" else "state_law"
    return {law: "law"} | ({"mean_state": "mean_state"} if game.has_numbered_states else {})


def _outputs(text: str | None, saved: bool, game: AbstractGame) -> tuple[str, ...]:
    """Return what is kept: what the table shows, and more where it can be looked at later."""
    from ..sweeps.outputs import KNOWN, check_output

    shown = shown_of(game)
    if text is None:
        return tuple(dict.fromkeys([*shown, "exploitability", *(["mean_field", "policy"] if saved else [])]))
    names = [name.strip().replace("-", "_") for name in text.split(",")]
    for name in names:
        if name not in KNOWN:
            which = did_you_mean(name, KNOWN, f", but the outputs are {', '.join(KNOWN)}.")
            raise ValueError(f"`--outputs` has {name!r}{which}")
        check_output("--outputs", name, game)
    return tuple(dict.fromkeys([*shown, *names]))
