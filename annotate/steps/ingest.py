"""Cut videos into samples: find files, hash changed ones, let workers cut them, commit the results."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from annotate.corpus.paths import storable
from annotate.corpus.rules import Rules
from annotate.errors import AnnotateError, NothingToDo
from annotate.ingest import outlook
from annotate.ingest.files import MEDIA_SUFFIXES, SearchResult, find_files
from annotate.ingest.notes import counted_notes
from annotate.ingest.path_patterns import PatternOption
from annotate.ingest.run import LOCK_SECONDS, Run
from annotate.ingest.scratch import marked, sweep
from annotate.ingest.speakers import read_metadata
from annotate.ingest.transcripts import attach_transcripts, find_given
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.registry import EXECUTORS, SEGMENTERS, TRANSCRIBERS
from annotate.types import Split, VideoStatus
from annotate.wording import counted, either
from db import outbox, stats, videos
from db.engine import reading

PROBLEMS_SHOWN = 200
NOTES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The outcome for the named files."""

    files: int
    new: int
    """Videos cut in this run."""
    unchanged: int
    """Files that were not opened, because size, mtime and inode are known."""
    rejected: int
    failed: int
    removed: int
    """Named videos that `annotate remove` has removed; they stay removed."""
    samples: int
    """Samples of the named videos that are in use."""
    cut: int
    """All samples of the named videos, rejected ones included."""
    rejected_samples: Mapping[str, int]
    """Rejected samples of the whole project, by check; one sample may fail several checks."""
    summary: str
    """How many samples of the named videos were cut and rejected, and by which checks."""
    ways_out: list[str]
    """Remedies for samples that were rejected or have no transcript."""
    hours: float
    """Length of the samples of the named videos."""
    hours_of_video: float
    """Length of the named videos, as far as they could be read."""
    times_real_time: float | None
    """Seconds of footage cut per second of cutting; None when nothing was cut in this run."""
    splits: Mapping[Split, int]
    """Samples of the whole project per split."""
    moved: int
    """Samples that moved to another split; only groups that nobody was asked about are moved."""
    reasons: Mapping[str, int]
    """Number of files without samples, by reason."""
    problems: list[dict[str, str]]
    """One row per file without samples, or folder that could not be read."""
    notes: Mapping[str, int]
    """Number of videos with samples, by note."""
    warnings: list[str]
    seconds: float
    next: str


def ingest(
    project: Project,
    paths: Sequence[Path | str],
    *,
    transcripts: Path | None = None,
    speakers: Path | None = None,
    speaker_pattern: str | None = None,
    episode_pattern: str | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> IngestReport:
    """Cut the videos at `paths` (files, folders that are searched through, or URLs of either) into samples.

    Files whose size, mtime and inode are known are not opened. Safe to kill and to run again. `workers` 0
    means one per processor, None what the settings say.

    Raises `UsageError` for paths, tables or patterns that cannot be used, `UnknownName` for a plug-in that
    does not exist, `ConfigError` for a rule that does not fit its check, `ProjectBusy` while another command
    writes, `NothingToDo` when no video lies there, and `AnnotateError` when no sample is in use in the end,
    or clips cannot be stored.
    """
    started = time.monotonic()
    settings = project.settings.ingest
    for name in (settings.segmenter, settings.segmenter_with_transcript):
        SEGMENTERS.get(name)
    executor = EXECUTORS.get(settings.executor)(address=settings.address)
    Rules(project.settings)
    sources = read_metadata(
        speakers,
        PatternOption(speaker_pattern, settings.speaker_pattern),
        PatternOption(episode_pattern, settings.episode_pattern),
    )
    transcribe = project.settings.transcribe
    transcriber = TRANSCRIBERS.get(transcribe.engine)
    if transcribe.model:
        # Raises errors that would stop every video, such as a missing package or model.
        transcriber(model=transcribe.model, language=transcribe.language, device=transcribe.device)
    options = project.settings.cut_plan().transcripts
    given = find_given(transcripts, options)
    with project.writing(wait_seconds=LOCK_SECONDS):
        sweep(project.media)
        result = _search(project, paths, progress)
        sources.match(result.files)
        attach_transcripts(result, given, transcribe.language, options)
        run = Run(project, sources, result, progress)
        run.find_changed()
        for line in outlook.missing_transcripts(project.settings, [file for file, _ in run.changed]):
            progress.say(line)
        if run.changed:
            project.clips.check()
            with marked(project.media), executor:
                count = settings.workers if workers is None else workers
                run.cut_changed(executor, count or executor.slots())
        run.settle()
        report = _report(run, time.monotonic() - started)
    if not report.samples:
        raise _nothing_cut(report)
    return report


def _search(project: Project, paths: Sequence[Path | str], progress: Progress) -> SearchResult:
    """The files at `paths`. Raises `NothingToDo`, or `AnnotateError` when nothing could be read."""
    with progress.bar("search", total=None):
        own = (project.media, project.features, project.models, project.studio)
        result = find_files(paths, excluded=own, excluded_url=project.clips.url)
    for path, reason in result.unreadable:
        progress.say(f"cannot read {path}: {reason}")
    if result.files:
        return result
    if result.unreadable:
        path, reason = result.unreadable[0]
        raise AnnotateError(f"cannot read {path}: {reason}", hint="change its permissions, or name another")
    raise NothingToDo(
        f"no video in {', '.join(storable(str(path)) for path in paths)}",
        hint=f"looked for names that end in {' '.join(sorted(MEDIA_SUFFIXES))}",
    )


def _nothing_cut(report: IngestReport) -> AnnotateError:
    """The error of a run without a sample; rejections by rules come before files without samples."""
    if report.removed and not report.cut and not report.problems:
        return NothingToDo(
            f"{counted(report.removed, 'video')} there {either(report.removed, 'was', 'were')} removed by "
            "hand, and there is no other",
            hint="annotate remove --undo VIDEO restores a video",
        )
    reasons = ", ".join(f"{reason} {count}" for reason, count in report.reasons.items())
    if report.cut:
        others = sum(report.reasons.values())
        holds = f"{counted(others, 'other file')} {either(others, 'holds', 'hold')} no sample"
        uncut = f"; {holds} ({reasons})" if others else ""
        return AnnotateError(
            f"no sample satisfies the rules of [checks] in annotate.toml: {report.summary}{uncut}",
            hint="\n".join(report.ways_out),
        )
    shown = "; ".join(
        detail if problem["file"] in detail else f"{problem['file']}: {detail}"
        for problem in report.problems[:5]
        for detail in [problem["detail"] or problem["reason"]]
    )
    return AnnotateError(
        f"none of {counted(report.files, 'file')} has a sample ({reasons}): {shown}",
        hint="name videos in which somebody talks; `annotate doctor` shows what may be missing here",
    )


def _report(run: Run, seconds: float) -> IngestReport:
    """The report, read from the database."""
    states: dict[str, VideoStatus] = {}
    removed: dict[str, str] = {}
    problems = list(run.problems)
    details: list[str] = []
    with reading(run.project.engine) as session:
        for state in videos.file_states(session, [file.key for file in run.files.files]):
            if state.removed:
                removed.setdefault(state.sha256, state.path)
                continue
            states[state.sha256] = state.status
            if state.status is VideoStatus.OK:
                details.append(state.detail)
            else:
                problems.append({
                    "file": state.path, "status": state.status.value,
                    "reason": state.reason, "detail": state.detail,
                })  # fmt: skip
        totals = videos.totals(session, sorted(states))
        footage = videos.footage_seconds(session, sorted(states))
        splits = videos.samples_per_split(session)
        rejected = dict(stats.rejected(session))
        cut = outlook.CutCounts(
            samples=totals.cut,
            rejected=totals.cut - totals.samples,
            by_check=dict(stats.rejected_of(session, sorted(states))),
            without_transcript=totals.without_transcript,
        )
        run.files.warnings += outlook.still_asked(outbox.open_of_rejected(session))
    counts = Counter(states.values())
    if removed:
        run.files.warnings.append(outlook.still_removed(sorted(removed.values())))
    if len(problems) > PROBLEMS_SHOWN:
        run.files.warnings.append(f"{len(problems)} problems, and {PROBLEMS_SHOWN} of them are listed")
    if counts[VideoStatus.FAILED]:
        run.files.warnings.append("a file that failed is tried again once it changes, or is touched")
    return IngestReport(
        files=len(run.files.files),
        new=run.cut_counts[VideoStatus.OK],
        unchanged=len(run.files.files) - len(run.changed),
        rejected=counts[VideoStatus.REJECTED],
        failed=counts[VideoStatus.FAILED],
        removed=len(removed),
        samples=totals.samples,
        rejected_samples=rejected,
        cut=totals.cut,
        summary=outlook.summary(cut, run.project.settings),
        ways_out=outlook.ways_out(cut, run.project.settings),
        hours=totals.seconds / 3600,
        hours_of_video=footage / 3600,
        times_real_time=run.times_real_time,
        splits=splits,
        moved=run.moved,
        reasons=dict(sorted(Counter(p["reason"] for p in problems).items())),
        problems=problems[:PROBLEMS_SHOWN],
        notes=dict(islice(counted_notes(details).items(), NOTES_SHOWN)),
        warnings=run.files.warnings,
        seconds=seconds,
        next="annotate extract",
    )
