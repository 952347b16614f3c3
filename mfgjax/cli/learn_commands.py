"""The commands in which agents learn, and that reproduce the examples of both papers."""

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .options import (
    Example,
    Figure,
    GameName,
    JsonOption,
    Memory,
    Preset,
    SettingsOption,
    SingleOption,
    Start,
    Tie,
    TremblingResponse,
    real,
    refuse_options,
    whole,
)


def learn(
    game: GameName,
    epsilon: Annotated[float, real("Share ε of random actions, in [0, (A−1)/A].")],
    names: Annotated[
        str,
        typer.Option(
            "--learners",
            metavar="LIST",
            help=f"Who learns: some of {', '.join(completion.LEARNERS)}, with commas.",
            autocompletion=completion.learners,
        ),
    ] = ",".join(completion.LEARNERS),
    response: Annotated[TremblingResponse, typer.Option(help="How agents act on their values.")] = (
        TremblingResponse.trembling
    ),
    settings: SettingsOption = None,
    steps: Annotated[int, whole("Steps of the population.")] = 150,
    seeds: Annotated[int, whole("Runs of each learner.")] = 20,
    seed: Annotated[int, whole("Of the random numbers.")] = 0,
    agents: Annotated[int | None, whole("Agents of online-tmfq, iql and mfq. [dim]Default: 1000.[/dim]")] = None,
    updates: Annotated[int | None, whole("Updates of tmfq at each step. [dim]Default: 10000.[/dim]")] = None,
    samples: Annotated[
        int | None, whole("Draws of gmbl of each state and action at each step. [dim]Default: 1000.[/dim]")
    ] = None,
    memory: Annotated[
        Memory | None,
        typer.Option(
            help="Of online-tmfq: older moves count less, or are forgotten at each step, as in the paper. "
            "[dim]Default: running.[/dim]",
            show_default=False,
        ),
    ] = None,
    replays: Annotated[
        int | None,
        whole("Of online-tmfq: this many updates of TQ-learning at each step, as in the paper, not value iteration."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Of tmfq: values begin anew in each population, as in the paper.")
    ] = False,
    tolerance: Annotated[
        float | None, real("Of tmfq: stop in a population once an update is smaller than this, as in the paper.")
    ] = None,
    initial_q: Annotated[
        float | None, real("Q_0 of tmfq, online-tmfq, iql and mfq for all states and actions. [dim]Default: 0.[/dim]")
    ] = None,
    tie: Annotated[Tie, typer.Option(help="Which of equally good actions is taken, by its number.")] = Tie.smallest,
    start: Annotated[
        Start,
        typer.Option(
            help="The population z_0: the game's own, all in the lowest or highest state, or the least or greatest "
            "equilibrium."
        ),
    ] = Start.game,
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

      mfgjax learn mturk --epsilon 0.1 --learners iql,mfq --tie largest --start greatest
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
            memory=None if memory is None else memory.value,
            replays=replays,
            restart=restart,
            tolerance=tolerance,
            initial_q=initial_q,
            tie=tie.value,
            start=start.value,
        ),
        out,
        as_json=as_json,
        float32=float32,
    )


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
