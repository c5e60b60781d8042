"""Commands that run Label Studio on this machine."""

from typing import Annotated

import typer

from annotate.commands.shared import invocation

app = typer.Typer(no_args_is_help=True, help="Run Label Studio on this machine.")


@app.command("up")
def studio_up(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port on loopback; default: labelstudio.port in annotate.toml."),
    ] = None,
) -> None:
    """Start Label Studio for this project and wait until it answers. Example: annotate studio up"""
    from annotate.steps.studio import up as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), port=port, progress=shared.progress()))


@app.command("down")
def studio_down(context: typer.Context) -> None:
    """Stop the project's Label Studio; its data stays. Example: annotate studio down"""
    from annotate.steps.studio import down as step

    shared = invocation(context)
    shared.emit(step(shared.open_project()))


@app.command("status")
def studio_status(context: typer.Context) -> None:
    """Show whether Label Studio runs, its URL and how to log in. Example: annotate studio status"""
    from annotate.steps.studio import status as step

    shared = invocation(context)
    shared.emit(step(shared.open_project()))
