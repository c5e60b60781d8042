"""Commands that extract features, train models and compare ways to train."""

from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import Device, FirstSeed, Members, Seed, invocation


def extract(context: typer.Context) -> None:
    """Extract features of every sample, per modality. Example: annotate extract"""
    from annotate.steps.extract import extract as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), progress=shared.progress()))


def train(
    context: typer.Context,
    device: Device = None,
    seed: Seed = None,
    force: Annotated[bool, typer.Option("--force", help="Train even if nothing changed.")] = False,
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
        typer.Option(help="Comma-separated: names, or KEY=VALUE of \\[train], joined by + within a variant."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of cross-validation folds.")] = 5,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Number of repetitions with different folds.")
    ] = 1,
    members: Members = None,
    device: Device = None,
    seed: FirstSeed = None,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply", help="Write the winner into annotate.toml if it is better than the present settings."
        ),
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
        str, typer.Option(help="Comma-separated; see `annotate list`. uniform is always included.")
    ],
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Number of repetitions; fewer than 5 allow no conclusion.")
    ] = 5,
    start: Annotated[int, typer.Option(min=1, help="Size of the initial random batch.")] = 20,
    step: Annotated[int, typer.Option(min=1, help="Samples per batch.")] = 20,
    until: Annotated[int, typer.Option(min=1, help="Samples after the last batch.")] = 200,
    tasks: Annotated[
        str | None, typer.Option(help="Comma-separated task ids; default: all that have labels.")
    ] = None,
    members: Members = None,
    votes: Annotated[
        bool, typer.Option("--votes", help="Answer each question with one recorded answer of one rater.")
    ] = False,
    single_questions: Annotated[
        bool, typer.Option("--single-questions", help="Also run each strategy with single questions.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes; does not change the result.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the simulation; running it again resumes there.")
    ] = None,
    device: Device = None,
    seed: FirstSeed = None,
) -> None:
    """Replay the loop on existing labels. Example: annotate simulate --strategies entropy --seeds 8"""
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
