"""The command that reads answers and makes labels of them."""

from typing import Annotated

import typer

from annotate.commands.shared import invocation


def pull(
    context: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, not only what changed.")
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option("--accept-deletions", help="Mark missing answers deleted, however many are gone."),
    ] = False,
    keep_missing: Annotated[
        bool,
        typer.Option("--keep-missing", help="Let missing answers count although Label Studio lost them."),
    ] = False,
) -> None:
    """Bring home what raters said, and make labels of it. Example: annotate pull"""
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
