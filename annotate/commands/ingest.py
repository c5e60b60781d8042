"""Commands that cut videos into samples, explain the result for a video, and remove videos."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from annotate.commands.shared import DryRun, invocation


class Cut(StrEnum):
    """How clips are cut."""

    EXACT = "exact"
    COPY = "copy"


Videos = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH...", help="Videos, folders to search, or URLs such as s3://..."),
]
Transcripts = Annotated[
    Path | None,
    typer.Option(help="Folder of transcripts, or one table for all; default: files beside the videos."),
]
Encoding = Annotated[
    str | None, typer.Option(help="Encoding of transcripts without a byte order mark, such as cp1251.")
]
Tiers = Annotated[
    list[str] | None,
    typer.Option(help="ELAN or Praat tier with the speech, such as tx or 'tx@*'; may be repeated."),
]
Speakers = Annotated[
    Path | None,
    typer.Option(help="CSV with the columns file and speaker, and optionally episode, start, end."),
]
SpeakerPattern = Annotated[
    str | None, typer.Option(help="Regular expression with a group `speaker`, searched in the path.")
]
EpisodePattern = Annotated[
    str | None,
    typer.Option(help="The same with a group `episode`; an episode is never divided among splits."),
]
CutMode = Annotated[
    Cut | None,
    typer.Option(
        help="copy: packets, unchanged and far cheaper; Firefox may show what lies before the clip."
    ),
]
Workers = Annotated[int | None, typer.Option(min=0, help="Worker processes; 0: one per processor.")]
Executor = Annotated[str | None, typer.Option(help="Where videos are cut: process (this machine), or ray.")]
Address = Annotated[
    str | None, typer.Option(help="host:port of the executor's cluster; default: start one here.")
]
HideSubtitles = Annotated[
    bool, typer.Option("--hide-subtitles", help="Blur burnt-in text in the clips of the vision pass.")
]
RecheckFlag = Annotated[
    bool, typer.Option("--recheck", hidden=True, help="The old name of `annotate recheck`.")
]
ExplainFlag = Annotated[
    str | None,
    typer.Option("--explain", metavar="VIDEO", hidden=True, help="The old name of `annotate explain`."),
]


def ingest(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    paths: Videos = None,
    transcripts: Transcripts = None,
    encoding: Encoding = None,
    tier: Tiers = None,
    speakers: Speakers = None,
    speaker_pattern: SpeakerPattern = None,
    episode_pattern: EpisodePattern = None,
    cut: CutMode = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    hide_subtitles: HideSubtitles = False,
    recheck_flag: RecheckFlag = False,
    explain_flag: ExplainFlag = None,
) -> None:
    """Cut videos into utterances. Example: annotate ingest videos/ --speakers who.csv"""
    from annotate.errors import UsageError

    if recheck_flag or explain_flag is not None:
        return _run_old_flag(context, recheck_flag, explain_flag)
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
    return shared.emit(report)


def _run_old_flag(context: typer.Context, recheck_flag: bool, explain_flag: str | None) -> None:
    """Run the command that replaces the flag. Raises `UsageError` beside paths or other options."""
    from annotate.errors import UsageError

    names = [option.name or "" for option in context.command.params if option.expose_value]
    sources = {name: context.get_parameter_source(name) for name in names}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if "paths" in given or (recheck_flag and explain_flag is not None):
        raise UsageError(
            "videos, --recheck and --explain do not go together",
            hint="annotate ingest PATH..., annotate recheck, or annotate explain VIDEO",
        )
    if useless := [f"--{name.replace('_', '-')}" for name in given if not name.endswith("_flag")]:
        raise UsageError(
            f"--recheck and --explain read no video, so {', '.join(useless)} would do nothing",
            hint="leave it out, or name videos",
        )
    command = "recheck" if recheck_flag else "explain"
    invocation(context).notice(
        f"`annotate ingest --{command}` is now `annotate {command}`; the next release drops the old form"
    )
    return recheck(context) if explain_flag is None else explain(context, explain_flag)


def explain(
    context: typer.Context,
    video: Annotated[str, typer.Argument(metavar="VIDEO", help="Path, file name, or prefix of the sha256.")],
) -> None:
    """Show the samples of a video with measurements and rejections. Example: annotate explain talk.mp4"""
    from annotate.steps.explain import explain as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), video))


def recheck(context: typer.Context) -> None:
    """Apply changed rules to all samples, without reading videos. Example: annotate recheck"""
    from annotate.steps.recheck import recheck as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), progress=shared.progress()))


def remove(
    context: typer.Context,
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Paths, file names, or prefixes of the sha256.")
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Restore removed videos with their samples and labels.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Remove videos from the dataset; answers are kept. Example: annotate remove interview_07.mp4"""
    from annotate.steps.remove import remove as step

    shared = invocation(context)
    shared.emit(step(shared.open_project(), videos, undo=undo, dry_run=dry_run, progress=shared.progress()))
