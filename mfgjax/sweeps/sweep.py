"""The entry point: a labelled dataset of equilibria over a grid of parameters."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from .. import _checks
from .._progress import progress_bar
from .._traced import as_it_is_now
from .._typing import ArrayLike
from ..equilibrium import Equilibrium
from ..model import AbstractGame, no_game, parameter_names
from ..responses import AbstractResponse, EntropyRegularized
from ..solvers import AbstractSolver
from .blocks import Blocks, Executor
from .call import Call
from .devices import advise_cores, meet, of_first_process
from .grid import Tile, refuse_arguments
from .outputs import ATTRIBUTES
from .record import parts_of, provenance
from .store import FORMAT, Store
from .work import Work


@as_it_is_now
def sweep(
    game: AbstractGame | Callable[..., AbstractGame],
    response: AbstractResponse | type[AbstractResponse] = EntropyRegularized,
    *,
    solver: AbstractSolver | None = None,
    zipped: bool = False,
    outputs: Iterable[str] | Mapping[str, Any] = ("mean_field", "policy", "exploitability"),
    out: str | os.PathLike[str] | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
    warm_start: str | None = None,
    block: int | None = None,
    chunk: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    **axes: Any,
) -> xr.Dataset:
    """Find the equilibria of a game over a grid of parameters.

        ds = sweep(game, beta=np.geomspace(0.05, 50, 4096), reference={"paper": rho, "uniform": None})
        ds.mean_field.sel(reference="paper", time=5).plot()

    Thousands of games are solved together, in blocks that fit in cache, on all devices that JAX sees, and in every
    process that `jax.distributed` has connected. Each point is solved as by `solve`; one that fails is marked in
    `result_code` and does not affect the others.

    Args:
      game: the game; or a function that builds it, such as `games.ring_crowd`, whose parameters can then be swept, too
        (those that change shapes, such as a horizon, are solved one value after the other).
      response: how agents act; or a class of responses, whose `beta` (or `epsilon`, for `Trembling` and
        `EpsilonGreedy`) must then be an axis.
      solver: the method; None for `Auto()`.
      zipped: whether the i-th values of all axes together are one point; otherwise the axes span a grid.
      outputs: what is kept of every point besides `result_code`, `result_period`, `residual`, `tolerance` and
        `num_steps`: names among "mean_field", "policy", "exploitability", "state_law", "terminal_law",
        "log_policy", "values", "q", "mean_state", "aggregate" (of games that observe one), and the certificates
        "unique", "unique_below", "certified_beta",
        "contraction_factor", "local_radius", "critical_beta", "distance" (see `certify`); or a mapping from names to
        functions `(game, response, equilibrium) -> array`, or to pairs of such a function and the names of its
        dimensions (None: an output of that name). They are computed in the same program. A stationary game has
        neither "terminal_law" nor certificates.
      out: folder (in zarr's format) to which results are written during the sweep. After an interruption at any moment,
        the same call resumes; a call in which anything has changed raises an error. A block of points at which two
        processes died is left out, with a warning: its points have the result code −1.
      guess: a mean field from which every point starts; None: the flow of the reference policy of each point.
      max_steps: maximal number of steps of the solver at each point.
      warm_start: name of an axis, such as "beta", along which each point starts from its neighbours, in rows of 16:
        from the line through the two equilibria before it or, where the response jumps, from the one before it.
      block: number of points that a device computes together; None: as many as fit in its cache.
      chunk: number of points that are computed at once and stored in one file; None: as many as take 128 MB.
      executor: whose workers compute the blocks of `chunk` points and write them into `out`: a `ProcessPoolExecutor`
        (with "spawn", as JAX does not survive a fork), a `dask.distributed.Client`, an `MPIPoolExecutor`, or anything
        else that has `submit(fn, *args)`. What is swept must be picklable by cloudpickle. None: this process computes
        them, and others may join it by `join_sweep(out)` or `mfgjax work`.
      progress: whether to show a progress bar with the time left, on a terminal or in a notebook. It says "compiling"
        while programs are compiled. It moves after each chunk and, within a chunk, after each method that is tried, by
        the number of points that this method solved.
      **axes: what is swept, by name: "beta", "epsilon", "reference", "initial", "discount", "damping", the path of any
        array, such as `**{"reward.L.weight": weights}`, a parameter of the game (`**{"params.beta": [...]}` if its name
        means something else here), or a parameter of the function that builds the game. Each axis is a list of values,
        or a mapping from labels to values; None in a list of references is the uniform one.

    Returns:
      An `xarray.Dataset` with one dimension for each axis (or "point" if `zipped`), then "time" (not for stationary
      games), "state" and "action". Its attributes record how it was computed. With `out` its data are read from the
      folder when they are used.

    Raises:
      ValueError: if an argument is invalid; it names the axis, the place in it and the value. Also if `out` holds
        something else.

    Example:
      >>> import mfgjax as mfg
      >>> ds = mfg.sweep(mfg.games.left_right(), beta=[0.5, 1.0, 2.0], progress=False)
      >>> dict(ds.mean_field.sizes)
      {'beta': 3, 'time': 2, 'state': 3}
    """
    is_game = isinstance(game, AbstractGame)
    if not is_game and not callable(game):
        raise ValueError(f"`game` must be a game or a function that returns one; got {no_game(game)}.")
    params = parameter_names(game) if is_game else []
    arguments = {"solver": solver, "outputs": outputs, "out": out, "guess": guess, "progress": progress}
    arguments |= {"zipped": zipped, "max_steps": max_steps, "warm_start": warm_start, "block": block, "chunk": chunk}
    arguments |= {"executor": executor}
    refuse_arguments(arguments, params, not axes)
    _check_response(response)
    _check_executor(executor, out)
    outputs = outputs if isinstance(outputs, Mapping | str) or not isinstance(outputs, Iterable) else tuple(outputs)
    is_double = bool(jax.config.read("jax_enable_x64"))
    call = Call(game, response, solver, zipped, outputs, guess, max_steps, warm_start, block, chunk, axes, is_double)
    work, tiles = call.prepare()
    attrs = provenance(game, work.plans[0], work.points)
    shown = _checks.boolean("progress", progress)
    if out is None:
        dataset = _in_memory(work, tiles, attrs, shown)
    else:
        dataset = _on_disk(call, work, tiles, attrs, _checks.file_path("out", out), executor, shown)
    # a warm start has moved its axis last
    order = ("point",) if zipped else tuple(axes)
    return dataset.transpose(*order, ...)


def _check_response(response: Any) -> None:
    if not isinstance(response, AbstractResponse | type):
        swept = isinstance(response, list | tuple | np.ndarray | jax.Array)
        hint = ", not a list of values: if these are values of β, write `sweep(game, beta=[...])`" if swept else ""
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)`{hint}; got {got}.")


def _check_executor(executor: Any, out: Any) -> None:
    if executor is None:
        return
    if not callable(getattr(executor, "submit", None)):
        got = _checks.shorten(executor)
        raise ValueError(
            f"`executor` must have a method `submit`, as `concurrent.futures.ProcessPoolExecutor(...)` has; got {got}."
        )
    # of the pools of Python, those that fork: a fork of a process in which JAX has started hangs
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "`executor` starts its workers by a fork of this process, in which JAX hangs: write "
            '`ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))`.'
        )
    if out is None:
        raise ValueError("`executor` needs `out`: its workers write their results into that folder.")
    if jax.process_count() > 1:
        raise ValueError(
            f"`executor` is of no use in one of {jax.process_count()} processes that `jax.distributed` has connected: "
            "they compute every point together."
        )


def _in_memory(work: Work, tiles: list[Tile], attrs: dict[str, str], progress: bool) -> xr.Dataset:
    shape, points, since = work.points.shape, work.points, time.monotonic()
    data: dict[str, np.ndarray] = {
        name: np.empty((*shape, *inner), kind) for name, (_, inner, kind) in work.shapes.items()
    }
    with progress_bar("sweep", int(np.prod(shape)), shown=progress) as bar:
        for tile in tiles:
            for name, array in work.compute(tile, tiles[0].size, bar).items():
                data[name][tile.region] = array
            bar(tile.size)
            advise_cores(since)
    dims = {name: (*points.dims, *dims) for name, (dims, _, _) in work.shapes.items()}
    variables = {name: (dims[name], array, ATTRIBUTES.get(name, {})) for name, array in data.items()}
    return xr.Dataset(variables, work.coords(), {"format": FORMAT, **attrs})


def _on_disk(
    call: Call,
    work: Work,
    tiles: list[Tile],
    attrs: dict[str, str],
    path: Path,
    executor: Executor | None,
    progress: bool,
) -> xr.Dataset:
    store = Store(path)
    _begin(store, call, work, tiles, attrs, is_handed_out=executor is not None)
    if jax.process_count() > 1:
        _together(store, work, tiles, progress)
        return store.dataset()
    blocks = Blocks(store, work, tiles)
    blocks.claims.forgive()
    with blocks.progress(progress) as bar:
        if executor is None:
            blocks.compute_all(bar)
        else:
            blocks.hand_out(executor, bar)
    blocks.conclude()
    return store.dataset()


def _begin(store: Store, call: Call, work: Work, tiles: list[Tile], attrs: dict[str, str], is_handed_out: bool) -> None:
    """Make the folder, or check that it holds this sweep; in every process of `jax.distributed`."""
    variables = {
        name: ((*work.points.dims, *dims), (*work.points.shape, *inner), kind)
        for name, (dims, inner, kind) in work.shapes.items()
    }

    def save_call(folder: Path) -> None:
        try:
            call.save(folder)
        except ValueError:
            if is_handed_out:
                raise

    problem = ""
    if jax.process_index() == 0:
        try:
            store.begin(
                xr.Dataset(None, work.coords(), attrs), variables, tiles[0], parts_of(work, attrs, tiles[0]), save_call
            )
        except ValueError as error:  # said in every process, not waited for in the others
            problem = str(error)
    _agree(problem)


def _together(store: Store, work: Work, tiles: list[Tile], progress: bool) -> None:
    """Compute every tile in all processes of `jax.distributed`, each on its own devices; the first one writes."""
    first = jax.process_index() == 0
    done = of_first_process(store.is_done(tiles) if first else np.zeros(len(tiles), bool))
    ready = sum(tile.size for tile, is_there in zip(tiles, done, strict=True) if is_there)
    with progress_bar("sweep", sum(tile.size for tile in tiles), ready, shown=progress and first) as bar:
        for tile in (tile for tile, is_there in zip(tiles, done, strict=True) if not is_there):
            found = work.compute(tile, tiles[0].size, bar)
            if first:
                store.write(tile, found)
            bar(tile.size)
    meet("sweep written")


def _agree(problem: str) -> None:
    # processes can exchange arrays of one shape only, so the sentence travels as bytes
    text = np.zeros(1024, np.uint8)
    encoded = np.frombuffer(problem.encode()[:1024], np.uint8)
    text[: len(encoded)] = encoded
    first_problem = bytes(of_first_process(text)).rstrip(b"\0").decode(errors="ignore")
    if first_problem:
        raise ValueError(first_problem)
