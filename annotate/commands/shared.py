"""What all commands share: the project that is meant, and how things are told."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from annotate.errors import AnnotateError
    from annotate.progress import Progress
    from annotate.project import Project

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


class Where:
    """What stands before the command's name."""

    folder: Path | None = None
    quiet = False


where = Where()


def open_project() -> "Project":
    """The one that `-C` names, else that of this folder or above. Raises what `Project.open` raises."""
    from annotate.project import Project

    return Project.open(where.folder) if where.folder else Project.find(Path.cwd())


def database_trouble(error: Exception) -> "AnnotateError | None":
    """What a command that failed unexpectedly says if the database is the reason; None if it is not."""
    if "sqlalchemy" not in sys.modules:
        return None
    from annotate.errors import AnnotateError
    from db.trouble import reason_of_crash

    try:
        url = open_project().database_url
    except (AnnotateError, OSError):
        url = ""
    return reason_of_crash(error, url)


def progress() -> "Progress":
    """On the terminal, unless `--quiet` is given."""
    from annotate.console import Terminal
    from annotate.progress import SILENT

    return SILENT if where.quiet else Terminal()


def task_ids(text: str | None) -> list[str]:
    """Joined by commas; none where the option was not given, which is not the same as none in it."""
    found = [name.strip() for name in (text or "").split(",") if name.strip()]
    if text is not None and not found:
        raise typer.BadParameter("no task is named", param_hint="--tasks")
    return found


def emit(report: object, as_json: bool) -> None:
    """Print what a step returned."""
    from annotate import console

    console.emit(report, as_json=as_json)
