"""Commands that compute features and models, and compare ways to do so."""

from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import Device, FirstSeed, Members, Seed, invocation


def extract(context: typer.Context) -> None:
    """Turn every sample into features, per modality. Example: annotate extract"""
    from annotate.steps.extract import extract as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), progress=shared.progress()))


def train(
    context: typer.Context,
    device: Device = None,
    seed: Seed = None,
    force: Annotated[bool, typer.Option("--force", help="Train although nothing changed.")] = False,
) -> None:
    """Train the multi-task model on the labels so far. Example: annotate train --device cpu"""
    from annotate.steps.train import train as step

    shared = invocation(context)
    shared.emit(
        step(shared.open_project(), device=device, seed=seed, force=force, progress=shared.progress())
    )


def compare(
    context: typer.Context,
    variants: Annotated[
        str | None,
        typer.Option(help="Joined by commas: names, or KEY=VALUE of [train], several of one joined by +."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that are held out in turn.")] = 5,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="How often all is done again, in other folds.")
    ] = 1,
    members: Members = None,
    device: Device = None,
    seed: FirstSeed = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the winner into annotate.toml, if it is a better one.")
    ] = False,
) -> None:
    """Compare ways to train on the labels so far. Example: annotate compare --variants mtfn,fusion=gated"""
    from annotate.steps.compare import compare as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        variants=variants,
        folds=folds,
        seeds=seeds,
        members=members,
        device=device,
        seed=seed,
        apply=apply,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


def simulate(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    strategies: Annotated[
        str, typer.Option(help="Joined by commas; see `annotate list`. uniform always takes part.")
    ],
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Fewer than 5 prove nothing.")] = 5,
    start: Annotated[int, typer.Option(min=1, help="Samples drawn uniformly to begin with.")] = 20,
    step: Annotated[int, typer.Option(min=1, help="Samples in each batch.")] = 20,
    until: Annotated[int, typer.Option(min=1, help="Samples at the end.")] = 200,
    tasks: Annotated[
        str | None, typer.Option(help="Ids joined by commas; else all that have labels.")
    ] = None,
    members: Members = None,
    votes: Annotated[
        bool, typer.Option("--votes", help="Each question costs one real answer of one rater.")
    ] = False,
    single_questions: Annotated[
        bool, typer.Option("--single-questions", help="Each strategy asks single questions, too.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; changes no result.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of this simulation; the same again goes on in it.")
    ] = None,
    device: Device = None,
    seed: FirstSeed = None,
) -> None:
    """Replay the loop on what is labelled. Example: annotate simulate --strategies entropy --seeds 8"""
    from annotate.steps.simulate import simulate as step_

    shared = invocation(context)
    report = step_(
        shared.open_project(),
        strategies=strategies,
        seeds=seeds,
        start=start,
        step=step,
        until=until,
        tasks=tasks,
        members=members,
        votes=votes,
        single_questions=single_questions,
        jobs=jobs,
        out=out,
        device=device,
        seed=seed,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)
