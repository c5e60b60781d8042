"""What all commands share: the project that is meant, and how things are told."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

if TYPE_CHECKING:
    from annotate.errors import AnnotateError
    from annotate.progress import Progress
    from annotate.project import Project

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


class Where:
    """The project's folder and how much is printed: options that stand before or after the command's name."""

    folder: Path | None = None
    quiet = False
    verbosity = 0

    def forget(self) -> None:
        """Begin anew: one process may run several commands."""
        self.folder, self.quiet, self.verbosity = None, False, 0

    def set_up(self, folder: Path | None = None, verbosity: int = 0, *, quiet: bool = False) -> None:
        """Take what is given; what is not stays as it is. Levels of verbosity add up."""
        from annotate import log

        self.folder = folder or self.folder
        self.quiet = quiet or self.quiet
        self.verbosity += verbosity
        log.set_up(-1 if self.quiet else self.verbosity)


where = Where()

ProjectFolder = Annotated[
    Path | None, typer.Option("-C", "--project", help="The project's folder; else here or above.")
]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Tell more; -vv: all.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Tell errors only.")]


def _shared_options(project: ProjectFolder = None, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """The options of `Where`, as Typer reads them."""


class Everywhere(TyperGroup):
    """A group of commands that all take the options of `Where` after their name, too."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.commands.values():
            _take_shared_options(command)


def _take_shared_options(command: Any) -> None:
    """Let `command`, and what is below it, take the shared options."""
    for below in getattr(command, "commands", {}).values():
        _take_shared_options(below)
    taken = {name for parameter in command.params for name in parameter.opts}
    options = [option for option in _options() if not taken & set(option.opts)]
    for option in options:
        option.expose_value = False
        option.callback = _set_up_by
        command.params.append(option)


def _options() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_shared_options)
    return [option for option in typer.main.get_command(app).params if option.name != "help"]


def _set_up_by(context: Any, option: Any, value: Any) -> None:
    if value and not context.resilient_parsing:
        where.set_up(**{_FIELDS[option.name]: value})


_FIELDS = {"project": "folder", "verbose": "verbosity", "quiet": "quiet"}


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
