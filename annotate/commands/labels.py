"""The command that pulls answers and aggregates them into labels."""

from typing import Annotated

import typer

from annotate.commands.shared import invocation


def pull(
    context: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again instead of only changes.")
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option("--accept-deletions", help="Mark missing answers as deleted, however many there are."),
    ] = False,
    keep_missing: Annotated[
        bool,
        typer.Option("--keep-missing", help="Keep counting missing answers that Label Studio has lost."),
    ] = False,
) -> None:
    """Pull the raters' answers and aggregate them into labels. Example: annotate pull"""
    from annotate.steps.pull import pull as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        full=full,
        accept_deletions=accept_deletions,
        keep_missing=keep_missing,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)
    if report.missing:
        raise typer.Exit(1)
