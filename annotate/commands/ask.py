"""The command that chooses questions for raters."""

from typing import Annotated

import typer

from annotate.commands.shared import Device, Seed, invocation, task_ids


def next_batch(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="Number of samples, or of single questions; default: 20."),
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Instead of -n: total rater time, as 2h or 90m.")] = None,
    whole_samples: Annotated[
        bool | None,
        typer.Option(
            "--whole-samples/--single-questions",
            help="Ask about samples in every pass, or the most informative questions per second.",
        ),
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Ask about these tasks only, as sentiment.T,sentiment.A.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Query strategy; see `annotate list`.")] = None,
    seed: Seed = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the batch without writing or sending it.")
    ] = False,
) -> None:
    """Choose a batch of questions and send it to Label Studio. Example: annotate next-batch -n 20"""
    from annotate.steps.next_batch import next_batch as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        n=n,
        budget=budget,
        whole_samples=whole_samples,
        tasks=task_ids(tasks),
        strategy=strategy,
        seed=seed,
        device=device,
        dry_run=dry_run,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)
