"""The command that chooses questions for raters."""

from typing import Annotated

import typer

from annotate.commands.shared import Device, Seed, invocation, task_ids


def next_batch(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="How many samples to ask for, or single questions. [default: 20]"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Instead of -n: the time of all raters together, as 2h or 90m.")
    ] = None,
    whole_samples: Annotated[
        bool | None,
        typer.Option(
            "--whole-samples/--single-questions",
            help="Ask a sample in every pass, or only what tells most for its time.",
        ),
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Ask only these, as sentiment.T,sentiment.A.")] = None,
    strategy: Annotated[str | None, typer.Option(help="How to rank the pool; see `annotate list`.")] = None,
    seed: Seed = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Choose and show, write and send nothing.")
    ] = False,
) -> None:
    """Choose what is worth asking and send it to Label Studio. Example: annotate next-batch -n 20"""
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
