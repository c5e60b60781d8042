"""Commands that correct by hand what was ingested."""

from typing import Annotated

import typer

from annotate.commands.shared import AsJson, emit, open_project, progress


def remove(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Paths, file names, or beginnings of a sha256.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore removed videos with their samples and labels.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take videos out of the dataset; answers are kept. Example: annotate remove interview_07.mp4"""
    from annotate.steps.remove import remove as step

    emit(step(open_project(), videos, undo=undo, dry_run=dry_run, progress=progress()), as_json)
