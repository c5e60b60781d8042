"""What all commands share: common options, and how reports are printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

if TYPE_CHECKING:
    from annotate.progress import Progress
    from annotate.project import Project

LARGEST_SEED = 2**31 - 1
"""As in `annotate.config.sections`, which takes too long to import for a help text."""

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Seed = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="Random seed, for a repeatable result.")
]
FirstSeed = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="First random seed, for a repeatable result.")
]
Members = Annotated[
    int | None,
    typer.Option(min=1, max=1_000, help="Networks per ensemble; default: train.members in annotate.toml."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change without changing anything.")]


@dataclass
class Invocation:
    """The options that every command takes, before or after its name; the `obj` of Typer's context."""

    folder: Path | None = None
    """Folder of the project; None: the working folder or the nearest project above it."""
    quiet: bool = False
    verbosity: int = 0
    as_json: bool = False

    def set_up_log(self) -> None:
        """Set the log level from the options parsed so far."""
        from annotate import log

        log.set_up(-1 if self.quiet else self.verbosity)

    def open_project(self) -> "Project":
        """Open the project. Raises what `Project.open` raises."""
        from annotate.project import Project

        return Project.open(self.folder) if self.folder else Project.find(Path.cwd())

    def progress(self) -> "Progress":
        """Progress on the terminal, unless `--quiet` is given."""
        from annotate.console import Terminal
        from annotate.progress import SILENT

        return SILENT if self.quiet else Terminal()

    def emit(self, report: object) -> None:
        """Print what a step returned."""
        from annotate import console

        console.emit(report, as_json=self.as_json)

    def notice(self, text: str) -> None:
        """Print one line about the command itself on stderr, unless `--quiet` is given."""
        if not self.quiet:
            typer.echo(f"notice: {text}", err=True)


def invocation(context: typer.Context) -> Invocation:
    """The shared options of the command that runs."""
    return context.ensure_object(Invocation)


def _shared_options(
    project: Annotated[
        Path | None,
        typer.Option("-C", "--project", help="Folder of the project; default: this folder or one above."),
    ] = None,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, help="Print more; -vv prints everything.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """The options of `Invocation`, as Typer reads them."""


class GroupWithSharedOptions(TyperGroup):
    """A group whose commands, like itself, take the options of `Invocation`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        app = typer.Typer(add_completion=False)
        app.command()(_shared_options)
        options = [option for option in typer.main.get_command(app).params if option.name != "help"]
        for option in options:
            option.expose_value = False
            option.callback = _store_shared_option
        _add_options(self, options)


def _add_options(command: Any, options: Sequence[Any]) -> None:
    """Add `options` to `command` and all its subcommands, except options that they have already."""
    for subcommand in getattr(command, "commands", {}).values():
        _add_options(subcommand, options)
    names = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in options if not names & set(option.opts)]


def _store_shared_option(context: Any, option: Any, value: Any) -> None:
    """Store the value of one option. Verbosity given before and after the command's name adds up."""
    if not value or context.resilient_parsing:
        return
    shared = invocation(context)
    match option.name:
        case "project":
            shared.folder = value
        case "verbose":
            shared.verbosity += value
        case "quiet":
            shared.quiet = True
        case "as_json":
            shared.as_json = True
    shared.set_up_log()


def task_ids(text: str | None) -> list[str]:
    """Split comma-separated task ids; empty where the option was not given.

    Raises `typer.BadParameter` where the option was given and names no task.
    """
    ids = [name.strip() for name in (text or "").split(",") if name.strip()]
    if text is not None and not ids:
        raise typer.BadParameter("no task is named", param_hint="--tasks")
    return ids
