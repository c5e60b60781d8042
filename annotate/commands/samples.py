"""Commands that list samples and correct them manually."""

from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import DryRun, invocation

app = typer.Typer(no_args_is_help=True, help="List samples and correct them manually.")

Sample = Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of a sample, or a prefix of it.")]
Samples = Annotated[
    list[str], typer.Argument(metavar="SAMPLE...", help="Ids of samples, or prefixes of them.")
]
Video = Annotated[
    str | None,
    typer.Option(help="Only samples of this video: its path, file name, or a prefix of its sha256."),
]
Status = Annotated[
    str | None, typer.Option(help="Only samples with this status: ok, rejected, retired or removed.")
]
Reason = Annotated[str, typer.Option(help="Reason, for the log.")]
By = Annotated[
    str | None, typer.Option(help="Who makes the correction; default: corrections.by, else the login name.")
]
Undo = Annotated[
    bool, typer.Option("--undo", help="Drop the manual decision, so that the checks decide again.")
]


@app.command("list")
def list_samples(
    context: typer.Context,
    video: Video = None,
    status: Status = None,
    check: Annotated[str | None, typer.Option(help="Only samples that this check rejects.")] = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="Only samples that were corrected manually.")
    ] = False,
    n: Annotated[int, typer.Option("-n", min=0, help="Maximum number to list; 0: all.")] = 100,
) -> None:
    """List samples with times, text and status. Example: annotate samples list --status rejected"""
    from annotate.steps.samples import list_samples as step

    shared = invocation(context)
    report = step(
        shared.open_project(), video=video, status=status, check=check, corrected=corrected, limit=n
    )
    shared.emit(report)


@app.command("show")
def show(context: typer.Context, sample: Sample) -> None:
    """Show everything about one sample. Example: annotate samples show 3f2a"""
    from annotate.steps.samples_show import show_sample as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), sample))


@app.command("edit")
def edit(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    sample: Sample,
    transcript: Annotated[str | None, typer.Option(help="New transcript.")] = None,
    speaker: Annotated[str | None, typer.Option(help="New speaker.")] = None,
    start: Annotated[
        float | None, typer.Option(help="New start, in seconds from the start of the video.")
    ] = None,
    end: Annotated[
        float | None, typer.Option(help="New end, in seconds from the start of the video.")
    ] = None,
    reason: Reason = "",
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Correct the transcript, speaker or times of a sample. Example: annotate samples edit 3f2a --end 12.4"""
    from annotate.steps.samples import edit as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        sample,
        transcript=transcript,
        speaker=speaker,
        start=start,
        end=end,
        reason=reason,
        by=by,
        dry_run=dry_run,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


@app.command("split")
def split(
    context: typer.Context,
    sample: Sample,
    at: Annotated[list[float], typer.Option(help="Seconds from the start of the video; may be repeated.")],
    transcript: Annotated[
        list[str] | None,
        typer.Option(help="Transcript of each part, in order; required where word times are unknown."),
    ] = None,
    reason: Reason = "",
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Split a sample into several. Example: annotate samples split 3f2a --at 12.4"""
    from annotate.steps.samples import split as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        sample,
        at,
        transcripts=transcript or [],
        reason=reason,
        by=by,
        dry_run=dry_run,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


@app.command("merge")
def merge(
    context: typer.Context,
    samples: Samples,
    transcript: Annotated[
        str | None, typer.Option(help="Transcript of the new sample; default: their transcripts, joined.")
    ] = None,
    speaker: Annotated[
        str | None, typer.Option(help="Speaker of the new sample; required where they differ.")
    ] = None,
    reason: Reason = "",
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Merge consecutive samples into one. Example: annotate samples merge 3f2a 90bc"""
    from annotate.steps.samples import merge as step

    shared = invocation(context)
    report = step(
        shared.open_project(),
        samples,
        transcript=transcript,
        speaker=speaker,
        reason=reason,
        by=by,
        dry_run=dry_run,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


@app.command("accept")
def accept(
    context: typer.Context, samples: Samples, reason: Reason = "", by: By = None, undo: Undo = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Accept samples regardless of the checks. Example: annotate samples accept 3f2a --reason profile"""
    _decide(context, samples, accept=True, reason=reason, by=by, undo=undo, dry_run=dry_run)


@app.command("reject")
def reject(
    context: typer.Context, samples: Samples, reason: Reason = "", by: By = None, undo: Undo = False,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Exclude samples from the dataset. Example: annotate samples reject 3f2a --reason "two people talk" """
    _decide(context, samples, accept=False, reason=reason, by=by, undo=undo, dry_run=dry_run)


def _decide(
    context: typer.Context, samples: list[str], *, accept: bool, reason: str, by: str | None, undo: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Accept or reject samples manually, and print what changed."""
    from annotate.steps.samples import decide

    shared = invocation(context)
    report = decide(
        shared.open_project(), samples, accept=accept, undo=undo, reason=reason, by=by, dry_run=dry_run,
        progress=shared.progress(),
    )  # fmt: skip
    shared.emit(report)


@app.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file that does not exist yet.")],
    video: Video = None,
    status: Status = None,
) -> None:
    """Write samples to a CSV table for a spreadsheet. Example: annotate samples export samples.csv"""
    from annotate.steps.samples_table import export_table as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), file, video=video, status=status))


@app.command("apply")
def apply(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A table from `annotate samples export`, edited.")],
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Apply all corrections of a table, or none. Example: annotate samples apply samples.csv --dry-run"""
    from annotate.steps.samples_table import apply_table as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), file, by=by, dry_run=dry_run, progress=shared.progress()))
