"""The command line: parse, call one step, print its report. No logic lives here."""

import contextlib
import errno
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotate.commands import correcting, importing, samples, studio
from annotate.commands.shared import (
    AsJson,
    Everywhere,
    ProjectFolder,
    Quiet,
    Verbose,
    emit,
    open_project,
    progress,
    task_ids,
    where,
)

if TYPE_CHECKING:
    from annotate.project import Project

app = typer.Typer(
    cls=Everywhere,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(studio.app, name="studio")
app.add_typer(importing.app, name="import")
app.add_typer(samples.app, name="samples")
app.command("remove")(correcting.remove)

LARGEST_SEED = 2**31 - 1
"""As in `annotate.config.sections`, which takes too long to import for a help text."""


def _version(wanted: bool) -> None:
    if wanted:
        from annotate import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def annotate(
    project: ProjectFolder = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Turn footage of people talking into a labelled dataset, asking people only where it helps."""
    where.forget()
    where.set_up(project, verbose, quiet=quiet)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Made when it does not exist.")] = Path(),
    preset: Annotated[str, typer.Option(help="ch-sims, mosi or emotion.")] = "ch-sims",
    name: Annotated[
        str | None, typer.Option(help="What the corpus is called; else the folder's name.")
    ] = None,
    database: Annotated[str | None, typer.Option(help="sqlite:///... or postgresql://...")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented annotate.toml and the database. Example: annotate init corpus --preset ch-sims"""
    from annotate.steps.init import init as step

    emit(step(folder, preset=preset, name=name, database=database), as_json)


class Cut(StrEnum):
    """How clips are made."""

    EXACT = "exact"
    COPY = "copy"


@app.command()
def ingest(  # noqa: PLR0913, PLR0917 - one for each option
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
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Judge all samples again by changed rules; reads no video.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="VIDEO", help="Show each sample of a video, what was measured, and why some are rejected."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cut videos into utterances. Example: annotate ingest videos/ --speakers who.csv"""
    from annotate.errors import UsageError

    if bool(paths) + recheck + (explain is not None) != 1:
        raise UsageError(
            "name videos, or --recheck, or --explain VIDEO: one of them",
            hint="annotate ingest FOLDER-WITH-VIDEOS",
        )
    for_videos = {
        "--transcripts": transcripts, "--encoding": encoding, "--tier": tier or None,
        "--speakers": speakers, "--speaker-pattern": speaker_pattern,
        "--episode-pattern": episode_pattern, "--cut": cut, "--workers": workers, "--executor": executor,
        "--address": address, "--hide-subtitles": hide_subtitles or None,
    }  # fmt: skip
    useless = [name for name, value in for_videos.items() if value is not None]
    if useless and not paths:
        raise UsageError(
            f"--recheck and --explain read no video, so {', '.join(useless)} would do nothing",
            hint="leave it out, or name videos",
        )
    if explain is not None:
        from annotate.steps.explain import explain as tell

        return emit(tell(open_project(), explain), as_json)
    if recheck:
        from annotate.steps.recheck import recheck as judge

        return emit(judge(open_project(), progress=progress()), as_json)
    from annotate.steps.ingest import ingest as step

    report = step(
        open_project().overruled(
            "ingest",
            hide_subtitles=hide_subtitles or None,
            cut=cut,
            executor=executor,
            address=address,
            transcript_encoding=encoding,
            transcript_tiers=tuple(tier) if tier else None,
        ),
        paths or [],
        transcripts=transcripts,
        speakers=speakers,
        speaker_pattern=speaker_pattern,
        episode_pattern=episode_pattern,
        workers=workers,
        progress=progress(),
    )
    emit(report, as_json)


@app.command()
def extract(as_json: AsJson = False) -> None:
    """Turn every sample into features, per modality. Example: annotate extract"""
    from annotate.steps.extract import extract as step

    emit(step(open_project(), progress=progress()), as_json)


Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1.")]


@app.command()
def train(
    device: Device = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Makes the model repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train although nothing changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the multi-task model on the labels so far. Example: annotate train --device cpu"""
    from annotate.steps.train import train as step

    emit(step(open_project(), device=device, seed=seed, force=force, progress=progress()), as_json)


@app.command()
def compare(
    variants: Annotated[
        str | None,
        typer.Option(help="Joined by commas: names, or KEY=VALUE of [train], several of one joined by +."),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that are held out in turn.")] = 5,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="How often all is done again, in other folds.")
    ] = 1,
    members: Annotated[
        int | None,
        typer.Option(min=1, max=1_000, help="Networks per ensemble; else as many as in annotate.toml."),
    ] = None,
    device: Device = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="The first; makes the result repeatable.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the winner into annotate.toml, if it is a better one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare ways to train on the labels so far. Example: annotate compare --variants mtfn,fusion=gated"""
    from annotate.steps.compare import compare as step

    report = step(
        open_project(), variants=variants, folds=folds, seeds=seeds, members=members, device=device,
        seed=seed, apply=apply, progress=progress(),
    )  # fmt: skip
    emit(report, as_json)


@app.command("next-batch")
def next_batch(  # noqa: PLR0913, PLR0917 - one for each option
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="How many samples to ask for, or single questions. [default: 20]"),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Instead of -n: the time of all raters together, as 2h or 90m.")
    ] = None,
    whole_samples: Annotated[
        bool | None,
        typer.Option(
            "--whole-samples/--single-questions",
            help="Ask a sample in every pass, or only what tells most for its time.",
        ),
    ] = None,
    tasks: Annotated[str | None, typer.Option(help="Ask only these, as sentiment.T,sentiment.A.")] = None,
    strategy: Annotated[str | None, typer.Option(help="How to rank the pool; see `annotate list`.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Makes the choice repeatable.")
    ] = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Choose and show, write and send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Choose what is worth asking and send it to Label Studio. Example: annotate next-batch -n 20"""
    from annotate.steps.next_batch import next_batch as step

    report = step(
        open_project(), n=n, budget=budget, whole_samples=whole_samples,
        tasks=task_ids(tasks), strategy=strategy, seed=seed,
        device=device, dry_run=dry_run, progress=progress(),
    )  # fmt: skip
    emit(report, as_json)


@app.command()
def pull(
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, not only what changed.")
    ] = False,
    accept_deletions: Annotated[
        bool,
        typer.Option("--accept-deletions", help="Mark missing answers deleted, however many are gone."),
    ] = False,
    keep_missing: Annotated[
        bool,
        typer.Option("--keep-missing", help="Let missing answers count although Label Studio lost them."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring home what raters said, and make labels of it. Example: annotate pull"""
    from annotate.steps.pull import pull as step

    report = step(
        open_project(), full=full, accept_deletions=accept_deletions, keep_missing=keep_missing,
        progress=progress(),
    )  # fmt: skip
    emit(report, as_json)
    if report.missing:
        raise typer.Exit(1)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - one for each option
    strategies: Annotated[
        str, typer.Option(help="Joined by commas; see `annotate list`. uniform always takes part.")
    ],
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Fewer than 5 prove nothing.")] = 5,
    start: Annotated[int, typer.Option(min=1, help="Samples drawn uniformly to begin with.")] = 20,
    step: Annotated[int, typer.Option(min=1, help="Samples in each batch.")] = 20,
    until: Annotated[int, typer.Option(min=1, help="Samples at the end.")] = 200,
    tasks: Annotated[
        str | None, typer.Option(help="Ids joined by commas; else all that have labels.")
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(min=1, max=1_000, help="Networks per ensemble; else as many as in annotate.toml."),
    ] = None,
    votes: Annotated[
        bool, typer.Option("--votes", help="Each question costs one real answer of one rater.")
    ] = False,
    single_questions: Annotated[
        bool, typer.Option("--single-questions", help="Each strategy asks single questions, too.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; changes no result.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of this simulation; the same again goes on in it.")
    ] = None,
    device: Device = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="The first; makes the result repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay the loop on what is labelled. Example: annotate simulate --strategies entropy --seeds 8"""
    from annotate.steps.simulate import simulate as step_

    report = step_(
        open_project(), strategies=strategies, seeds=seeds, start=start, step=step, until=until, tasks=tasks,
        members=members, votes=votes, single_questions=single_questions, jobs=jobs, out=out,
        device=device, seed=seed, progress=progress(),
    )  # fmt: skip
    emit(report, as_json)


@app.command()
def export(
    format: Annotated[str, typer.Argument(help="mmsa, chsims-csv or jsonl; see `annotate list`.")],
    dest: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    as_json: AsJson = False,
) -> None:
    """Write the finished dataset. Example: annotate export mmsa dataset/"""
    from annotate.steps.export import export as step

    emit(step(open_project(), format=format, dest=dest, progress=progress()), as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Tell where the project stands. Example: annotate status --json"""
    from annotate.steps.status import status as step

    emit(step(open_project()), as_json)


@app.command()
def doctor(
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also read the whole database, hash clips and features, compare Label Studio."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is wrong with the installation, and what to type next. Example: annotate doctor"""
    from annotate.errors import ProjectNotFound
    from annotate.steps.doctor import doctor as step

    project: Project | None = None
    with contextlib.suppress(ProjectNotFound):
        project = open_project()
    report = step(project, deep=deep, progress=progress())
    emit(report, as_json)
    if not report.healthy:
        raise typer.Exit(1)


@app.command()
def migrate(as_json: AsJson = False) -> None:
    """Bring the database to this version's schema; a backup is kept. Example: annotate migrate"""
    from annotate.steps.migrate import migrate as step

    emit(step(open_project()), as_json)


@app.command("list")
def list_plugins(as_json: AsJson = False) -> None:
    """Show every plug-in with what it does. Example: annotate list"""
    from annotate.steps.list_plugins import list_plugins as step

    emit(step(), as_json)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo project is made.")] = Path("demo-project"),
    videos: Annotated[Path | None, typer.Option(help="Other footage than the examples.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on the example videos, with scripted raters. Example: annotate demo"""
    from annotate.steps.demo import demo as step

    emit(step(folder, videos=videos, progress=progress()), as_json)


_USERS_CAN_MEND = {
    errno.ENOSPC: "free some room on the disk, then run the command again; nothing was lost",
    errno.EDQUOT: "your quota is used up: free some room, then run the command again; nothing was lost",
    errno.EACCES: "see who owns it, then run the command again",
    errno.EPERM: "see who owns it, then run the command again",
    errno.EEXIST: "a file lies where a folder belongs: move it away, then run the command again",
    errno.ENOTDIR: "a file lies where a folder belongs: move it away, then run the command again",
    errno.EISDIR: "a folder lies where a file belongs: move it away, then run the command again",
    errno.EROFS: "the file system is read-only; move the project, then run the command again",
}


INTERRUPTED = 130


def main() -> None:
    """Run a command; turn what users can put right into a message and an exit code."""
    from annotate.errors import AnnotateError

    try:
        app(standalone_mode=True)
    except AnnotateError as error:
        from annotate.console import complain

        complain(str(error), error.hint)
        sys.exit(error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            sys.exit(0)
        if error.errno not in _USERS_CAN_MEND:
            raise
        from annotate.console import complain

        where = f" ({error.filename})" if error.filename else ""
        complain(f"{error.strerror}{where}", _USERS_CAN_MEND[error.errno])
        sys.exit(1)
    except Exception as error:
        from annotate.commands.shared import database_trouble

        trouble = database_trouble(error)
        if trouble is None:
            raise
        from annotate.console import complain

        complain(str(trouble), trouble.hint)
        sys.exit(trouble.exit_code)
    except SystemExit as leaving:
        # Ctrl-C has become this code by now.
        if leaving.code == INTERRUPTED:
            print("interrupted; run the command again to go on", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
