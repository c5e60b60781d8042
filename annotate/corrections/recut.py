"""Cuts samples whose start or end was corrected, in worker processes and with the code of ingest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

from annotate.errors import AnnotateError, MediaError, StorageError
from annotate.ingest.content import hash_file
from annotate.ingest.cut_hash import cut_hash, earlier_cut_hashes
from annotate.ingest.files import find_files, stat_of
from annotate.ingest.scratch import marked, sweep
from annotate.ingest.sources import LocalSource, fetch, is_remote
from annotate.ingest.worker import CannotWrite, cut
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.registry import EXECUTORS
from annotate.storage.urls import is_url
from annotate.types import (
    Corrected,
    CutPlan,
    Failed,
    Finished,
    PreparedSample,
    VideoJob,
    VideoOutcome,
    VideoStatus,
)
from db import videos
from db.engine import reading

LISTED = 3


def recut(
    project: Project, wanted: Mapping[str, Sequence[Corrected]], progress: Progress = SILENT
) -> dict[str, tuple[PreparedSample, ...]]:
    """Cut the ordered, disjoint samples of each video (by sha256) and write their files to the media folder.

    Each returned sample starts and ends at frames, and has the measurements of all checks. Raises
    `AnnotateError` when a video is no longer at its path or cannot be cut; files of other samples stay.
    """
    settings = project.settings.ingest
    executor = EXECUTORS.get(settings.executor)(address=settings.address)
    project.clips.check()
    sweep(project.media)
    prepared: dict[str, tuple[PreparedSample, ...]] = {}
    sources: list[LocalSource] = []

    def jobs() -> Iterator[VideoJob]:
        for sha256, corrected in wanted.items():
            source = _find_source(project, sha256)
            sources.append(source)
            yield VideoJob(
                source.path, sha256, project.media, None, _cut_plan(project, sha256), store=project.clips.url,
                source=source.url, corrected=tuple(corrected), only_corrected=True,
            )  # fmt: skip

    with marked(project.media), executor, progress.bar("cutting", len(wanted)) as bar:
        workers = min(settings.workers or executor.slots(), len(wanted))
        outcomes = executor.run(
            cut, jobs(), workers=workers, deadline_seconds=settings.deadline_seconds, window=workers
        )
        with closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                if isinstance(outcome, Finished | Failed):
                    sha256 = outcome.unit.sha256
                    if sha256 not in prepared:
                        bar.advance()
                    prepared[sha256] = _samples(outcome)
        for source in sources:
            source.discard()
    return prepared


def _samples(
    outcome: Finished[VideoJob, VideoOutcome | CannotWrite] | Failed[VideoJob],
) -> tuple[PreparedSample, ...]:
    """The samples of a video. Raises `AnnotateError` when it could not be cut."""
    job = outcome.unit
    name = job.source or str(job.path)
    if isinstance(outcome, Failed):
        reason = outcome.message.strip().rsplit("\n", 1)[-1]
        raise AnnotateError(f"{name} could not be cut: {reason}", hint="nothing was changed; run this again")
    if isinstance(outcome.value, CannotWrite):
        hint = f"{outcome.value.remedy}, then run this again; nothing was changed"
        raise AnnotateError(outcome.value.message, hint=hint)
    if outcome.value.status is not VideoStatus.OK:
        raise AnnotateError(
            f"{name} could not be cut: {outcome.value.detail}",
            hint="nothing was changed; correct the cause",
        )
    return outcome.value.samples


def _cut_plan(project: Project, sha256: str) -> CutPlan:
    """The settings that the video was cut with, so that a corrected sample looks like its neighbours.

    `ingest --cut` and `--hide-subtitles` override the settings for one run; the stored hash shows which.
    """
    with reading(project.engine) as session:
        row = videos.video(session, sha256)
        stored = row.settings_hash.partition(".")[0] if row else ""
    current = project.settings.cut_plan()
    options = product((current.cut, "exact", "copy"), (current.hide_subtitles, False, True))
    plans = [replace(current, cut=cut, hide_subtitles=hidden) for cut, hidden in options]
    return next((plan for plan in plans if stored in {cut_hash(plan), *earlier_cut_hashes(plan)}), current)


def _find_source(project: Project, sha256: str) -> LocalSource:
    """The video, at the first of its paths where it still exists."""
    with reading(project.engine) as session:
        paths = videos.paths_of(session, sha256)
        known = videos.known_files(session, paths)
    for path in paths:
        try:
            (file,) = find_files([path], excluded=()).files
            if is_remote(file):
                source = fetch(file, project.media)
            else:
                # An unchanged file has the hash that ingest computed; the times of transcripts do not matter.
                now, stored = stat_of(file.path, None), known[path]
                same = now and replace(now, sidecar_mtime_ns=stored.stat.sidecar_mtime_ns) == stored.stat
                source = LocalSource(Path(file.path), None, stored.sha256 if same else hash_file(file.path))
        except (AnnotateError, OSError, ValueError) as error:
            if isinstance(error, MediaError | StorageError) and is_url(path):
                raise
            continue
        if source.sha256 == sha256:
            return source
        source.discard()
    listed = ", ".join(paths[:LISTED]) + (", ..." if len(paths) > LISTED else "")
    raise AnnotateError(
        f"the video is no longer at {listed or 'any known path'}, so no new clip can be cut from it",
        hint="bring it back, or `annotate ingest` it where it is now; then run this again",
    )
