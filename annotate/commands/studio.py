"""Commands for the Label Studio on this machine."""

from typing import Annotated

import typer

from annotate.commands.shared import AsJson, emit, open_project, progress

app = typer.Typer(no_args_is_help=True, help="Run a Label Studio on this machine.")


@app.command("up")
def studio_up(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="On loopback; else from the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start Label Studio for this project and wait until it answers. Example: annotate studio up"""
    from annotate.steps.studio import up as step

    emit(step(open_project(), port=port, progress=progress()), as_json)


@app.command("down")
def studio_down(as_json: AsJson = False) -> None:
    """Stop the project's Label Studio; its data stays. Example: annotate studio down"""
    from annotate.steps.studio import down as step

    emit(step(open_project()), as_json)


@app.command("status")
def studio_status(as_json: AsJson = False) -> None:
    """Tell whether Label Studio runs, where, and how to log in. Example: annotate studio status"""
    from annotate.steps.studio import status as step

    emit(step(open_project()), as_json)
