"""The command that writes datasets."""

from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import invocation


def export(
    context: typer.Context,
    format: Annotated[str, typer.Argument(help="mmsa, chsims-csv or jsonl; see `annotate list`.")],
    dest: Annotated[
        Path,
        typer.Argument(
            help="A new or empty folder, or an earlier export of this project, which is replaced."
        ),
    ],
) -> None:
    """Export the finished samples as a dataset. Example: annotate export mmsa dataset/"""
    from annotate.steps.export import export as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), format=format, dest=dest, progress=shared.progress()))
