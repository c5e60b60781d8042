"""The command line: registers the commands, and turns errors into messages and exit codes."""

import errno
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from annotate.commands import admin, ask, datasets, importing, ingest, labels, learn, samples, studio
from annotate.commands.shared import GroupWithSharedOptions, Invocation, invocation

app = typer.Typer(
    cls=GroupWithSharedOptions,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., None]] = {
    "init": admin.init,
    "ingest": ingest.ingest,
    "explain": ingest.explain,
    "recheck": ingest.recheck,
    "remove": ingest.remove,
    "extract": learn.extract,
    "train": learn.train,
    "compare": learn.compare,
    "next-batch": ask.next_batch,
    "pull": labels.pull,
    "simulate": learn.simulate,
    "export": datasets.export,
    "status": admin.status,
    "doctor": admin.doctor,
    "migrate": admin.migrate,
    "list": admin.list_plugins,
    "demo": admin.demo,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
for name, group in (("samples", samples.app), ("import", importing.app), ("studio", studio.app)):
    app.add_typer(group, name=name)


def _version(wanted: bool) -> None:
    if wanted:
        from annotate import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def annotate(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn footage of people talking into a labelled dataset, asking people only where it helps."""
    invocation(context).set_up_log()


_HINTS = {
    errno.ENOSPC: "free some room on the disk, then run the command again; nothing was lost",
    errno.EDQUOT: "your quota is used up: free some room, then run the command again; nothing was lost",
    errno.EACCES: "see who owns it, then run the command again",
    errno.EPERM: "see who owns it, then run the command again",
    errno.EEXIST: "there is a file in place of a folder: move it away, then run the command again",
    errno.ENOTDIR: "there is a file in place of a folder: move it away, then run the command again",
    errno.EISDIR: "there is a folder in place of a file: move it away, then run the command again",
    errno.EROFS: "the file system is read-only; move the project, then run the command again",
}
"""Remedies for errors of the operating system that users can correct, by number."""

FAILED, INTERRUPTED = 1, 130


def main() -> None:
    """Run a command; turn errors that users can correct into a message and an exit code."""
    shared = Invocation()
    try:
        app(obj=shared)
    except SystemExit as leaving:
        # Typer has turned Ctrl-C into this code.
        if leaving.code == INTERRUPTED:
            print("interrupted; run the command again to go on", file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if (explained := _explained(error, shared)) is None:
            raise
        from annotate.console import complain

        message, hint, exit_code = explained
        complain(message, hint)
        sys.exit(exit_code)


def _explained(error: Exception, shared: Invocation) -> tuple[str, str, int] | None:
    """Message, hint and exit code for an error that users can correct; None for any other."""
    from annotate.errors import AnnotateError

    if isinstance(error, AnnotateError):
        return str(error), error.hint, error.exit_code
    if isinstance(error, OSError):
        if error.errno not in _HINTS:
            return None
        path = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{path}", _HINTS[error.errno], FAILED
    if "sqlalchemy" not in sys.modules:
        return None
    from db.trouble import reason_of_crash

    try:
        url = shared.open_project().database_url
    except (AnnotateError, OSError):
        url = ""
    trouble = reason_of_crash(error, url)
    return (str(trouble), trouble.hint, trouble.exit_code) if trouble else None


if __name__ == "__main__":
    main()
