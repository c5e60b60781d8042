"""Cuts samples whose ends somebody changed, in worker processes and by the code that ingest uses."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

from annotate.errors import AnnotateError, MediaError, StorageError
from annotate.ingest.files import SourceFile, find, stat_of
from annotate.ingest.run import HASH_BYTES, cut_hash, earlier_cut_hashes
from annotate.ingest.scratch import marked, sweep
from annotate.ingest.sources import AtHand, fetch, is_remote
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
    """Cut the samples of each video (sha256), ordered and disjoint; their files lie in the media folder.

    Each comes back with its ends at pictures, measured by every check. Raises `AnnotateError` when a video
    is no longer where it was ingested from or cannot be cut; files of other samples stay as they are.
    """
    settings = project.settings.ingest
    executor = EXECUTORS.get(settings.executor)(address=settings.address)
    project.clips.check()
    sweep(project.media)
    made: dict[str, tuple[PreparedSample, ...]] = {}
    sources: list[AtHand] = []

    def jobs() -> Iterator[VideoJob]:
        for sha256, corrected in wanted.items():
            source = _source(project, sha256)
            sources.append(source)
            yield VideoJob(
                source.path, sha256, project.media, None, _plan(project, sha256), store=project.clips.url,
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
                    if sha256 not in made:
                        bar.advance()
                    made[sha256] = _samples(project, outcome)
        for source in sources:
            source.discard()
    return made


def _samples(
    project: Project, outcome: Finished[VideoJob, VideoOutcome | CannotWrite] | Failed[VideoJob]
) -> tuple[PreparedSample, ...]:
    job = outcome.unit
    name = job.source or str(job.path)
    if isinstance(outcome, Failed):
        reason = outcome.message.strip().rsplit("\n", 1)[-1]
        raise AnnotateError(f"{name} could not be cut: {reason}", hint="nothing was changed; run this again")
    if isinstance(outcome.value, CannotWrite):
        hint = f"{outcome.value.do}, then run this again; nothing was changed"
        raise AnnotateError(outcome.value.message, hint=hint)
    if outcome.value.status is not VideoStatus.OK:
        raise AnnotateError(
            f"{name} could not be cut: {outcome.value.detail}",
            hint="nothing was changed; correct what is named",
        )
    return outcome.value.samples


def _plan(project: Project, sha256: str) -> CutPlan:
    """How the video was cut, so that a corrected sample looks like its neighbours.

    `ingest --cut` and `--hide-subtitles` overrule the settings for one run; the stored hash tells.
    """
    with reading(project.engine) as session:
        row = videos.video(session, sha256)
        known = row.settings_hash.partition(".")[0] if row else ""
    present = project.settings.cut_plan()
    ways = product((present.cut, "exact", "copy"), (present.hide_subtitles, False, True))
    plans = [replace(present, cut=way, hide_subtitles=hidden) for way, hidden in ways]
    return next((plan for plan in plans if known in {cut_hash(plan), *earlier_cut_hashes(plan)}), present)


def _source(project: Project, sha256: str) -> AtHand:
    """The video, at the first of its paths where it still lies."""
    with reading(project.engine) as session:
        paths = videos.paths_of(session, sha256)
        known = videos.known_files(session, paths)
    for path in paths:
        try:
            (file,) = find([path], excluded=()).files
            source = _at_hand(project, file, known[path])
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
        hint="bring it back, or `annotate ingest` it where it lies now; then run this again",
    )


def _at_hand(project: Project, file: SourceFile, known: videos.KnownFile) -> AtHand:
    if is_remote(file):
        return fetch(file, project.media, _tell_nobody)
    now = stat_of(file.path, None)
    same = now is not None and replace(now, sidecar_mtime_ns=known.stat.sidecar_mtime_ns) == known.stat
    return AtHand(Path(file.path), None, known.sha256 if same else _sha256(file.path))


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(HASH_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _tell_nobody(done: int) -> None:
    """No progress is shown while a video is fetched for a few samples."""
