"""Commands that turn videos into samples, show what became of a video, and take videos out again."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import DryRun, invocation


class Cut(StrEnum):
    """How clips are made."""

    EXACT = "exact"
    COPY = "copy"


def ingest(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Videos, folders that are searched through, or URLs such as s3://..."),
    ] = None,
    transcripts: Annotated[
        Path | None,
        typer.Option(help="Folder of transcripts, or one table for all; else those beside videos."),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of transcripts without a byte order mark, such as cp1251.")
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(help="ELAN or Praat tier with the speech, such as tx or 'tx@*'; may be repeated."),
    ] = None,
    speakers: Annotated[
        Path | None, typer.Option(help="CSV with the columns file and speaker, perhaps episode, start, end.")
    ] = None,
    speaker_pattern: Annotated[
        str | None, typer.Option(help="Regular expression with a group `speaker`, searched in the path.")
    ] = None,
    episode_pattern: Annotated[
        str | None, typer.Option(help="The same with a group `episode`: one episode is in one split.")
    ] = None,
    cut: Annotated[
        Cut | None,
        typer.Option(
            help="copy: packets, unchanged and far cheaper; Firefox may show what lies before the clip."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; 0: one per processor.")] = None,
    executor: Annotated[
        str | None, typer.Option(help="Where videos are cut: process (this machine), or ray.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="host:port of the executor's cluster; else one is started here.")
    ] = None,
    hide_subtitles: Annotated[
        bool, typer.Option("--hide-subtitles", help="Blur burnt-in text in the clips of the vision pass.")
    ] = False,
    recheck_flag: Annotated[
        bool, typer.Option("--recheck", hidden=True, help="The old name of `annotate recheck`.")
    ] = False,
    explain_flag: Annotated[
        str | None,
        typer.Option("--explain", metavar="VIDEO", hidden=True, help="The old name of `annotate explain`."),
    ] = None,
) -> None:
    """Cut videos into utterances. Example: annotate ingest videos/ --speakers who.csv"""
    from annotate.errors import UsageError

    if bool(paths) + recheck_flag + (explain_flag is not None) > 1:
        raise UsageError(
            "videos, --recheck and --explain do not go together",
            hint="annotate ingest PATH..., annotate recheck, or annotate explain VIDEO",
        )
    ingest_options = {
        "--transcripts": transcripts, "--encoding": encoding, "--tier": tier or None,
        "--speakers": speakers, "--speaker-pattern": speaker_pattern,
        "--episode-pattern": episode_pattern, "--cut": cut, "--workers": workers, "--executor": executor,
        "--address": address, "--hide-subtitles": hide_subtitles or None,
    }  # fmt: skip
    if recheck_flag or explain_flag is not None:
        if useless := [name for name, value in ingest_options.items() if value is not None]:
            raise UsageError(
                f"--recheck and --explain read no video, so {', '.join(useless)} would do nothing",
                hint="leave it out, or name videos",
            )
        command = "recheck" if recheck_flag else "explain"
        invocation(context).notice(
            f"`annotate ingest --{command}` is now `annotate {command}`; the next release drops the old form"
        )
        return recheck(context) if explain_flag is None else explain(context, explain_flag)
    if not paths:
        raise UsageError("no video is named", hint="annotate ingest FOLDER-WITH-VIDEOS")
    from annotate.steps.ingest import ingest as step

    shared = invocation(context)
    report = step(
        shared.open_project().overruled(
            "ingest",
            hide_subtitles=hide_subtitles or None,
            cut=cut,
            executor=executor,
            address=address,
            transcript_encoding=encoding,
            transcript_tiers=tuple(tier) if tier else None,
        ),
        paths,
        transcripts=transcripts,
        speakers=speakers,
        speaker_pattern=speaker_pattern,
        episode_pattern=episode_pattern,
        workers=workers,
        progress=shared.progress(),
    )
    shared.emit(report)


def explain(
    context: typer.Context,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Path, file name, or beginning of a sha256.")],
) -> None:
    """Show each sample of a video, its measurements and rejections. Example: annotate explain talk.mp4"""
    from annotate.steps.explain import explain as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), video))


def recheck(context: typer.Context) -> None:
    """Judge all samples again by changed rules; reads no video. Example: annotate recheck"""
    from annotate.steps.recheck import recheck as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), progress=shared.progress()))


def remove(
    context: typer.Context,
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Paths, file names, or beginnings of a sha256.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore removed videos with their samples and labels.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Take videos out of the dataset; answers are kept. Example: annotate remove interview_07.mp4"""
    from annotate.steps.remove import remove as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), videos, undo=undo, dry_run=dry_run, progress=shared.progress()))
