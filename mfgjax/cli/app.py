"""Commands and options; what they do is imported only when they run, so that `--help` is quick."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from .._version import __version__
from .options import (
    AveragingOption,
    BetaOption,
    Example,
    Figure,
    GameName,
    JsonOption,
    Memory,
    Preset,
    ReferenceOption,
    Response,
    ResponseOption,
    SingleOption,
    Solver,
    SolverOption,
    StepsOption,
    ToleranceOption,
    TremblingResponse,
    real,
    refuse_options,
    whole,
)
from .output import Interrupted

STATUS = (
    "Exit status: 0 done; 1 no equilibrium was found (what was found is printed and saved all the same); "
    "2 bad input, said in one sentence on stderr, with nothing written; 130 interrupted."
)

INTERRUPTED = 130

# typer's own copy of click is private to it, but its public errors derive from the class wanted here
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    help="Mean-field games with finite states and actions: equilibria at every temperature.",
    epilog=STATUS,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mfgjax {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list", epilog=STATUS)
def list_games() -> None:
    """List the ready-made games, with the parameters that [b]--set[/b] changes and their defaults."""
    from .catalogue import print_catalogue

    print_catalogue()


@app.command(epilog=STATUS)
def solve(
    game: GameName,
    beta: BetaOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    solver: SolverOption = Solver.auto,
    damping: Annotated[float | None, real("Share of each step that is taken, in (0, 1]; for picard only.")] = None,
    averaging: AveragingOption = None,
    atol: ToleranceOption = None,
    max_steps: StepsOption = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of a ready-made game; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save equilibrium.nc, flow.png and, for a graph, graph.png there."),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Solve one game: print the law at the end, the values and how far from an equilibrium it is.

    [b]Examples[/b]

      mfgjax solve resource-allocation --beta 3

      mfgjax solve resource-allocation --beta 3 --solver picard  [dim]# it cycles[/dim]

      mfgjax solve ring-crowd --beta 20 --set num_states=50 --out results

      mfgjax solve left-right --response greedy --solver picard --averaging uniform

      mfgjax solve my_game.toml --beta 1 --reference uniform --json
    """
    from .solving import Request, run

    return run(
        Request(
            game=game,
            beta=beta,
            reference=reference,
            response=response.value,
            solver=solver.value,
            damping=damping,
            averaging=None if averaging is None else averaging.value,
            atol=atol,
            max_steps=max_steps,
            settings=tuple(settings or ()),
        ),
        out,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def sweep(
    game: GameName,
    beta: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Inverse temperatures, > 0, in 1/reward."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Policies that agents are drawn to, with commas between them, each as in [b]solve[/b]: uniform, "
            "paper, file or the path of a JSON file. [dim]Default: the game's own if it has one, else uniform.[/dim]",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=RANGE",
            help="Parameter of a ready-made game: numbers as a range, words and true,false as a list. One value holds "
            "for all lanes. May be repeated.",
        ),
    ] = None,
    response: ResponseOption = Response.entropy,
    solver: SolverOption = Solver.auto,
    damping: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Shares of each step that are taken, in (0, 1]; for picard only."),
    ] = None,
    averaging: AveragingOption = None,
    atol: ToleranceOption = None,
    max_steps: StepsOption = None,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Start lanes from what a neighbour in beta has found.")
    ] = False,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What is kept of each equilibrium besides terminal_law: exploitability, mean_field, state_law, "
            "policy, log_policy, values, q; and certificates: unique, unique_below, certified_beta, "
            "contraction_factor, local_radius, critical_beta, distance. [dim]Default: exploitability; with --out also "
            "mean_field and policy.[/dim]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write sweep.zarr there as the sweep goes, then phase.png and table.json. After an interruption the "
            "same command goes on where it was.",
        ),
    ] = None,
    cores: Annotated[int | None, whole("Cores of the CPU. [dim]Default: all.[/dim]")] = None,
    block: Annotated[
        int | None, whole("Lanes that a core computes together. [dim]Default: what fits in its cache.[/dim]")
    ] = None,
    chunk: Annotated[
        int | None,
        whole(
            "Lanes between two signs of progress, and in one file. [dim]Default: a 64th of all, at least 1024; fewer "
            "of large games.[/dim]"
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Solve a game over a grid of parameters, thousands of lanes together, on all cores.

    A RANGE is

      START:STOP:COUNT      COUNT numbers from START to STOP, evenly spaced

      START:STOP:COUNT:log  the same with even ratios; START and STOP > 0

      0.5,1,3               a list

      3                     one value

    [b]Examples[/b]

      mfgjax sweep resource-allocation --beta 0.05:50:4096:log --reference paper,uniform --out results

      mfgjax sweep ring-crowd --beta 0.1:10:256:log --set congestion=0.5:2:8 --set horizon=30 --out ring

      mfgjax sweep resource-allocation --beta 1 --set preset=paper,author-code --json

      mfgjax sweep resource-allocation --beta 0.5:5:64 --solver picard --damping 0.1,0.5,1  [dim]# some cycle[/dim]

      mfgjax sweep my_game.toml --beta 0.1,1,10

    In Python, xarray.open_zarr("results/sweep.zarr", consolidated=False, mask_and_scale=False) is the whole sweep.
    """
    from .sweeping import SweepRequest, run

    return run(
        SweepRequest(
            game=game,
            beta=beta,
            reference=reference,
            response=response.value,
            solver=solver.value,
            damping=damping,
            averaging=None if averaging is None else averaging.value,
            atol=atol,
            max_steps=max_steps,
            settings=tuple(settings or ()),
            outputs=outputs,
            warm_start=warm_start,
            block=block,
            chunk=chunk,
        ),
        out,
        cores=cores,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def certify(
    game: GameName,
    beta: BetaOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Parameter of a ready-made game; may be repeated. A range for one of them, as in [b]sweep[/b], "
            "certifies a family of games.",
        ),
    ] = None,
    critical: Annotated[
        bool | None,
        typer.Option(
            "--critical/--no-critical",
            help="Look for β where plain iteration stops converging. [dim]Default: up to 200 unknowns.[/dim]",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the theorems, what they assume and how that was checked.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save certificates.json and thresholds.png there."),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Say what is proved: up to which beta there is one equilibrium, whether iteration finds it, how near it is.

    [b]Examples[/b]

      mfgjax certify resource-allocation --beta 0.5

      mfgjax certify resource-allocation --beta 3 --explain

      mfgjax certify ring-crowd --beta 1 --set num_states=8 --set horizon=10 --set congestion=0.5:8:20 --out ring

      mfgjax certify my_game.toml --beta 1 --reference uniform --json
    """
    from .certifying import CertifyRequest, run

    return run(
        CertifyRequest(
            game=game,
            beta=beta,
            reference=reference,
            response=response.value,
            settings=tuple(settings or ()),
            critical=critical,
        ),
        out,
        explain=explain,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def simulate(
    game: GameName,
    agents: Annotated[
        str,
        typer.Option(
            metavar="RANGE",
            help="Numbers of agents, up to 1e9: one, a list such as 10,1000 or a range as in [b]sweep[/b], "
            "such as 2:16384:14:log.",
            show_default=False,
        ),
    ],
    beta: BetaOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of a ready-made game; may be repeated."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="What agents do, in place of an equilibrium: a JSON file, either {node: {next node: probability}} or "
            "rows of probabilities by state, or by time and state. With [b]--beta[/b] its value has KL terms.",
        ),
    ] = None,
    runs: Annotated[int, whole("Simulated populations of each size.")] = 1000,
    seed: Annotated[int, whole("Of the random numbers.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save simulation.json there, gain.png if there are several numbers of agents, and agents.gif for a "
            "graph and at most 200 agents.",
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Put N agents in the place of infinitely many: values, what one gains by leaving the policy, distances.

    [b]Examples[/b]

      mfgjax simulate resource-allocation --beta 3 --agents 10,100,1000

      mfgjax simulate resource-allocation --beta 3 --agents 2:16384:14:log --out results

      mfgjax simulate ring-crowd --beta 20 --agents 1000000000 --json

      mfgjax simulate my_game.toml --policy by_hand.json --agents 50
    """
    from .simulating import SimulateRequest, run

    return run(
        SimulateRequest(
            game=game,
            beta=beta,
            reference=reference,
            response=response.value,
            settings=tuple(settings or ()),
            policy=policy,
            agents=agents,
            runs=runs,
            seed=seed,
        ),
        out,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def tune(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A problem in TOML: docs/problem-file.md.")],
    agents: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE",
            help="Numbers of agents among whom the tuned policy is put: one, a list such as 10,1000 or a range as in "
            "[b]sweep[/b].",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[int, whole("Simulated populations of each size.")] = 1000,
    seed: Annotated[int, whole("Of the simulated populations.")] = 0,
    max_steps: Annotated[int | None, whole("Most designs that are tried, in place of the number in the file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the best design to search.json there as the search goes; at its end tuned.json, the reference "
            "in reference.json, the game in tuned.toml, and tuned.png.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Start from the best design that an earlier run has left in --out.")
    ] = False,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Find the reference policy, or other parameters, under which a crowd does what is wanted of it.

    [b]Examples[/b]

      mfgjax tune examples/half_and_half.toml

      mfgjax tune examples/evacuation_signs.toml --agents 10,100,1000 --out results

      mfgjax tune my_problem.toml --out results --resume  [dim]# go on where it was[/dim]
    """
    from .tuning import TuneRequest, run

    return run(
        TuneRequest(file=file, agents=agents, runs=runs, seed=seed, max_steps=max_steps, resume=resume),
        out,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def learn(
    game: GameName,
    epsilon: Annotated[float, real("Share ε of random actions, in [0, (A−1)/A].")],
    names: Annotated[
        str,
        typer.Option(
            "--learners", metavar="LIST", help="Who learns: some of tmfq, gmbl, online-tmfq, iql, mfq, with commas."
        ),
    ] = "tmfq,gmbl,online-tmfq,iql,mfq",
    response: Annotated[TremblingResponse, typer.Option(help="How agents act on their values.")] = (
        TremblingResponse.trembling
    ),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of a ready-made game; may be repeated."),
    ] = None,
    steps: Annotated[int, whole("Steps of the population.")] = 150,
    seeds: Annotated[int, whole("Runs of each learner.")] = 20,
    seed: Annotated[int, whole("Of the random numbers.")] = 0,
    agents: Annotated[int, whole("Agents of online-tmfq, iql and mfq.")] = 1000,
    updates: Annotated[int, whole("Updates of tmfq at each step.")] = 10_000,
    samples: Annotated[int, whole("Draws of gmbl of each state and action at each step.")] = 1000,
    memory: Annotated[
        Memory, typer.Option(help="Of online-tmfq: older moves count less, or are forgotten at each step.")
    ] = Memory.running,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save runs there as they go, then learning.png, laws.png and table.json. After an interruption the "
            "same command goes on where it was, and so it does with more steps.",
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Let agents learn a stationary game from samples, and say how near to its equilibria they come.

    [b]Examples[/b]

      mfgjax learn infection-spread --epsilon 0.2

      mfgjax learn infection-spread --epsilon 0.2 --set c_f=0.3 --learners online-tmfq,iql --agents 5000 --out results

      mfgjax learn mturk --epsilon 0.1 --steps 300 --seeds 5 --json
    """
    from .learning import LearnRequest, run

    return run(
        LearnRequest(
            game=game,
            settings=tuple(settings or ()),
            learners=names,
            response=response.value,
            epsilon=epsilon,
            steps=steps,
            seeds=seeds,
            seed=seed,
            agents=agents,
            updates=updates,
            samples=samples,
            memory=memory.value,
        ),
        out,
        as_json=as_json,
        float32=float32,
    )


@app.command(epilog=STATUS)
def reproduce(
    example: Annotated[Example, typer.Argument(help="What to reproduce.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for figures, equilibria and the table.")],
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="Of resource-allocation: numbers as printed, or as in the first author's published code. "
            "[dim]Default: paper.[/dim]",
            show_default=False,
        ),
    ] = None,
    figure: Annotated[
        Figure | None,
        typer.Option(
            help="Of resource-allocation, 3: what one agent among N gains, instead. [dim]Default: the oscillation, "
            "equilibria, figures 1 and 2.[/dim]",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int | None, whole("Runs of each learner. [dim]Default: 20.[/dim]")] = None,
    steps: Annotated[int | None, whole("Steps of each run. [dim]Default: 150.[/dim]")] = None,
    agents: Annotated[int | None, whole("Agents that learn together. [dim]Default: 1000.[/dim]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON and nothing else.")] = False,
) -> int:
    """Reproduce the examples of both papers: tables, and all figures.

    resource-allocation (Guan et al. 2021, section V): the oscillation, equilibria and figures; seconds.
    infection-spread (Lee et al. 2021, section 6): equilibria, five learners and figures 1 to 6; minutes.
    mturk (the same paper, section 2): two equilibria, the jump between them, and learners.

    [b]Examples[/b]

      mfgjax reproduce resource-allocation --out results

      mfgjax reproduce resource-allocation --preset author-code --out results

      mfgjax reproduce resource-allocation --figure 3 --out results

      mfgjax reproduce infection-spread --out results

      mfgjax reproduce mturk --seeds 5 --out results
    """
    if example is Example.resource_allocation:
        refuse_options("reproduce resource-allocation", seeds=seeds, steps=steps, agents=agents)
        from .reproducing import run, run_gains

        name = (preset or Preset.paper).value
        return (run if figure is None else run_gains)(name, out, as_json=as_json)
    refuse_options(f"reproduce {example.value}", preset=preset, figure=figure)
    from .reproducing_learners import run as run_learners

    return run_learners(example.value, out, seeds=seeds, steps=steps, agents=agents, as_json=as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
      arguments: in place of those of the process.

    Returns:
      The exit status: 0 done, 1 no equilibrium found, 2 bad input, 130 interrupted.
    """
    try:
        status = _run(None if arguments is None else list(arguments))
        if status == INTERRUPTED and arguments is None:
            os._exit(status)  # the compiler's threads still run; an ordinary end would crash on them
        return status
    except BrokenPipeError:  # whoever read stdout has gone: `mfgjax list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: list[str] | None) -> int:
    try:
        status = app(args=arguments, prog_name="mfgjax", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone is dealt with
        if status == INTERRUPTED:  # typer has caught it
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except BrokenPipeError:
        raise
    except _UsageError as error:
        problem = error.format_message().replace("Value error, ", "")  # pyright: ignore[reportAttributeAccessIssue]
    except Interrupted as error:
        _say(str(error))
        return INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        _say("interrupted.")
        return INTERRUPTED
    except ValueError as error:
        problem = str(error)
    except MemoryError as error:
        problem = f"there is not enough memory for this ({error})."
    except OverflowError as error:
        problem = f"a number is too large for this ({error})."
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        problem = "there is not enough memory for this."
    except OSError as error:
        problem = f"`{error.filename}`: {error.strerror}." if error.filename else f"{error}."
    _say(problem)
    return 2


def _say(sentence: str) -> None:
    line = " ".join(sentence.split())
    print(f"mfgjax: {line}" + ("" if line.endswith((".", ")")) else "."), file=sys.stderr, flush=True)
