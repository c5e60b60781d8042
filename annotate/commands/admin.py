"""Commands about the project and the installation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotate.commands.shared import invocation

if TYPE_CHECKING:
    from annotate.project import Project


def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Created if it does not exist.")] = Path(),
    preset: Annotated[str, typer.Option(help="ch-sims, mosi or emotion.")] = "ch-sims",
    name: Annotated[str | None, typer.Option(help="Name of the corpus; default: the folder's name.")] = None,
    database: Annotated[str | None, typer.Option(help="sqlite:///... or postgresql://...")] = None,
) -> None:
    """Write a commented annotate.toml and the database. Example: annotate init corpus --preset ch-sims"""
    from annotate.steps.init import init as step

    shared = invocation(context)
    shared.emit(step(folder, preset=preset, name=name, database=database))


def status(context: typer.Context) -> None:
    """Show the state of the project. Example: annotate status --json"""
    from annotate.steps.status import status as step

    shared = invocation(context)
    shared.emit(step(shared.open_project()))


def doctor(
    context: typer.Context,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also read the whole database, hash clips and features, and compare with Label Studio.",
        ),
    ] = False,
) -> None:
    """Check the installation and the project, and say how to fix problems. Example: annotate doctor"""
    from annotate.errors import ProjectNotFound
    from annotate.steps.doctor import doctor as step

    shared = invocation(context)
    project: Project | None
    try:
        project = shared.open_project()
    except ProjectNotFound:
        project = None
    report = step(project, deep=deep, progress=shared.progress())
    shared.emit(report)
    if not report.healthy:
        raise typer.Exit(1)


def migrate(context: typer.Context) -> None:
    """Upgrade the database to this version's schema, keeping a backup. Example: annotate migrate"""
    from annotate.steps.migrate import migrate as step

    shared = invocation(context)
    shared.emit(step(shared.open_project()))


def list_plugins(context: typer.Context) -> None:
    """List all plug-ins with a description. Example: annotate list"""
    from annotate.steps.list_plugins import list_plugins as step

    shared = invocation(context)
    shared.emit(step())


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of the demo project.")] = Path("demo-project"),
    videos: Annotated[Path | None, typer.Option(help="Footage to use instead of the examples.")] = None,
) -> None:
    """Run the whole loop on the example videos, with scripted raters. Example: annotate demo"""
    from annotate.steps.demo import demo as step

    shared = invocation(context)
    shared.emit(step(folder, videos=videos, progress=shared.progress()))
