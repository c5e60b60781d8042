"""One run of ingest: finds what has to be cut, hands it to workers, and commits what they return."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from annotate.corpus.duplicates import remember
from annotate.corpus.paths import storable
from annotate.corpus.rules import Rules
from annotate.corpus.splits import some
from annotate.errors import AnnotateError
from annotate.ingest.content import changed_on_disk, hash_file, hash_transcript
from annotate.ingest.copies import UNUSABLE, TranscriptCopies
from annotate.ingest.corrected import union
from annotate.ingest.cut_records import CutRecords, SeenFile
from annotate.ingest.files import SearchResult, SourceFile
from annotate.ingest.meter import Meter
from annotate.ingest.settle import settle
from annotate.ingest.sources import LocalSource, fetch, is_remote
from annotate.ingest.speakers import MetadataSources
from annotate.ingest.worker import CannotWrite, cut
from annotate.progress import Progress
from annotate.project import Project
from annotate.protocols import Executor
from annotate.types import (
    Failed,
    Failure,
    Finished,
    VideoJob,
    VideoMetadata,
    VideoOutcome,
    VideoStatus,
    Working,
)
from annotate.wording import counted, either
from db import checks, corrections, samples, videos, work_attempts
from db.engine import reading, writing

LOCK_SECONDS = 2.0
"""How long to wait for another writing command: an ingest that runs takes hours, not seconds."""

log = logging.getLogger("annotate.ingest")


@dataclass(slots=True)
class _InFlight:
    """A video that is handed to a worker, or waits for one."""

    job: VideoJob
    source: LocalSource
    settings_hash: str
    files: list[SourceFile]
    """The paths it was found at; the first is the one that is read."""

    @property
    def unit_id(self) -> str:
        return f"ingest:{self.job.sha256}:{self.settings_hash}"


@dataclass
class Run:
    """One call of `ingest`: `find_changed`, then `cut_changed`, then `settle`."""

    project: Project
    sources: MetadataSources
    files: SearchResult
    progress: Progress
    changed: list[SeenFile] = field(default_factory=list)
    """Files that have to be opened."""
    metadata: dict[str, VideoMetadata] = field(default_factory=dict)
    """By sha256: speakers and episode, as given for the first of the video's paths that has any."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """Folders and files that could not be read; no row of a video mentions them."""
    cut_counts: Counter[VideoStatus] = field(default_factory=Counter)
    """Videos cut in this run, by their status."""
    times_real_time: float | None = None
    """Seconds of footage cut per second; None when nothing was cut."""
    moved: int = 0
    """Samples that `settle` put into another split."""
    _in_flight: dict[str, _InFlight] = field(default_factory=dict)
    """By sha256."""
    _committed: set[str] = field(default_factory=set)
    """sha256 of videos that this run has finished."""
    _retries: dict[str, VideoJob] = field(default_factory=dict)
    """By sha256: jobs that took their worker down and are worth another attempt."""
    _unusable: dict[str, tuple[str, VideoStatus]] = field(default_factory=dict)
    """By sha256: the transcript without a usable cue that the video was cut with, and its status."""
    _other_copies: list[SeenFile] = field(default_factory=list)
    """Copies of such videos that have a transcript of their own."""
    _transcript_copies: TranscriptCopies = field(default_factory=TranscriptCopies)
    _replaced: list[str] = field(default_factory=list)
    """Names of files that hold another video than before."""
    _retired: list[str] = field(default_factory=list)
    """Ids of samples that are no longer cut."""

    def __post_init__(self) -> None:
        self._rules = Rules(self.project.settings)
        self._records = CutRecords(self.project)
        for path, reason in self.files.unreadable:
            self._add_problem(path, "unreadable", reason)

    def find_changed(self) -> None:
        """Fill in `changed` without opening a file."""
        self.changed, unchanged = self._records.compare(self.files.files, self.progress)
        for sha256, file in unchanged:
            self._add_metadata(sha256, file)

    def _add_metadata(self, sha256: str, file: SourceFile) -> None:
        metadata = self.sources.of(file)
        if metadata != VideoMetadata():
            self.metadata.setdefault(sha256, metadata)

    def cut_changed(self, executor: Executor, workers: int) -> None:
        """Let the workers cut the videos in `changed`, and try those again that took a worker down.

        Raises `AnnotateError` when the disk is full, or the media folder cannot be written.
        """
        size = sum(file.stat.size for file, _ in self.changed)
        with self.progress.bar("ingest", total=size, unit="B") as bar:
            meter = Meter(bar, len(self.changed))
            self._cut(executor, self._jobs(self.changed, meter), workers, meter)
            while self._retries or self._other_copies:
                retries, self._retries = self._retries, {}
                copies, self._other_copies = self._other_copies, []
                self._cut(executor, chain(retries.values(), self._jobs(copies, meter)), workers, meter)
            self.times_real_time = meter.times_real_time if meter.footage_seconds else None

    def _cut(self, executor: Executor, jobs: Iterable[VideoJob], workers: int, meter: Meter) -> None:
        outcomes = executor.run(
            cut,
            jobs,
            workers=workers,
            deadline_seconds=self.project.settings.ingest.deadline_seconds,
            window=2 * workers,
        )
        with closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                self._handle(outcome, meter)

    def _jobs(self, files: Sequence[SeenFile], meter: Meter) -> Iterator[VideoJob]:
        """Hash each file, and yield a job for each video that has to be cut."""
        for file, before in files:
            name = storable(Path(file.path).name)
            try:
                source = self._local_source(file, before, name, meter)
                settings_hash = f"{self._records.cut_hash}.{hash_transcript(file, source.sidecar)}"
            except OSError as error:
                self._add_problem(file.key, "unreadable", error.strerror or str(error))
                with writing(self.project.engine) as session:
                    videos.put_file(session, file.key, file.stat, None, "unreadable")
                meter.skipped(name, file.stat.size)
                continue
            self._add_metadata(source.sha256, file)
            job = self._job(file, source, settings_hash, touched=before is not None)
            if job is not None:
                yield job
            else:
                source.discard()
                meter.skipped(name, file.stat.size)

    def _local_source(
        self, file: SourceFile, before: videos.KnownFile | None, name: str, meter: Meter
    ) -> LocalSource:
        """The file with its hash, fetched if it lies behind a URL. Raises `OSError`."""
        size = max(file.stat.size, 1)
        if is_remote(file):
            return fetch(
                file, self.project.media, lambda done: meter.note(f"fetching {name} {100 * done // size} %")
            )
        if before is not None and before.sha256 and before.stat == file.stat:
            sha256 = before.sha256
        else:
            sha256 = hash_file(file.path, lambda done: meter.note(f"reading {name} {100 * done // size} %"))
        return LocalSource(Path(file.path), Path(file.sidecar) if file.sidecar else None, sha256)

    def _job(
        self, file: SourceFile, source: LocalSource, settings_hash: str, *, touched: bool
    ) -> VideoJob | None:
        """The job for a file; None when its video is cut already or is being cut."""
        sha256 = source.sha256
        if sha256 in self._in_flight:
            first = self._in_flight[sha256]
            used = first.files[0].transcript_path
            self._transcript_copies.compare(file, settings_hash, first.settings_hash, used)
            first.files.append(file)
            return None
        if sha256 in self._committed or not self._records.needs_cut(
            file, sha256, settings_hash, touched=touched
        ):
            with writing(self.project.engine) as session:
                if videos.put_file(session, file.key, file.stat, sha256):
                    self._replaced.append(file.name)
                video = videos.video(session, sha256)
                if video is not None and video.removed_at is None:
                    used = str(video.facts.get("transcript", ""))
                    self._transcript_copies.compare(file, settings_hash, video.settings_hash, used)
            return None
        if sha256 in self._unusable:
            unusable, status = self._unusable.pop(sha256)
            self.cut_counts[status] -= 1
            self._transcript_copies.give_way(unusable, file.transcript_path)
        with reading(self.project.engine) as session:
            known = videos.video(session, sha256) is not None
            kept = corrections.kept(session, sha256)
        if known:
            # A run that is killed leaves files of the new cut in place of some of the old one, so the old
            # cut must not count as current any more, should somebody go back to its settings.
            with writing(self.project.engine) as session:
                videos.forget_cut(session, sha256)
        job = VideoJob(
            source.path, sha256, self.project.media, source.sidecar, self.project.settings.cut_plan(),
            store=self.project.clips.url, source=source.url, sidecar_source=source.sidecar_url,
            transcript=file.transcript, corrected=kept.corrected, taken=union(kept.taken),
        )  # fmt: skip
        self._in_flight[sha256] = _InFlight(job, source, settings_hash, [file])
        return job

    def _add_problem(self, path: str, reason: str, detail: str) -> None:
        self.problems.append({"file": path, "status": "failed", "reason": reason, "detail": detail})

    def _handle(
        self,
        outcome: Working[VideoJob] | Finished[VideoJob, VideoOutcome | CannotWrite] | Failed[VideoJob],
        meter: Meter,
    ) -> None:
        """Show progress, schedule another attempt, or commit."""
        sha256 = outcome.unit.sha256
        flight = self._in_flight.get(sha256)
        if flight is None:
            return  # a second outcome of a unit that was committed
        name, size = storable(Path(flight.files[0].path).name), flight.files[0].stat.size
        if isinstance(outcome, Working):
            meter.working(sha256, name, size, outcome.heartbeat)
            return
        if isinstance(outcome, Failed):
            result = None if sha256 in self._retries else self._after_failure(flight, outcome)
            if result is None:
                self._retries[sha256] = outcome.unit
                meter.lost(sha256)
                return
        elif isinstance(outcome.value, CannotWrite):
            hint = f"{outcome.value.remedy}, then run this again: it goes on where it stopped"
            raise AnnotateError(outcome.value.message, hint=hint)
        else:
            result = outcome.value
        self._retries.pop(sha256, None)
        self._commit(flight, result)
        flight.source.discard()
        duration_us = result.facts.get("duration_us")
        meter.done(sha256, name, size, duration_us / 1e6 if isinstance(duration_us, int) else 0.0)

    def _after_failure(self, flight: _InFlight, failed: Failed[VideoJob]) -> VideoOutcome | None:
        """The outcome of a video that took its worker down; None when it is worth another attempt."""
        reason = {Failure.TIMEOUT: "timeout", Failure.DIED: "crashes", Failure.ERROR: "error"}[failed.kind]
        if failed.kind is Failure.ERROR:
            log.warning("%s: unexpected error\n%s", storable(str(failed.unit.path)), failed.message)
            detail = failed.message.strip().rsplit("\n", 1)[-1]
        else:
            with writing(self.project.engine) as session:
                attempts = work_attempts.add_attempt(session, flight.unit_id, failed.message)
            if attempts < self.project.settings.ingest.attempts:
                return None
            detail = f"{failed.message} ({counted(attempts, 'attempt')})"
        return VideoOutcome(failed.unit.sha256, VideoStatus.FAILED, reason, storable(detail), {}, ())

    def _commit(self, flight: _InFlight, outcome: VideoOutcome) -> None:
        """Store the video, its samples and its paths in one transaction."""
        sha256, first = outcome.sha256, flight.files[0]
        del self._in_flight[sha256]
        self._committed.add(sha256)
        if changed_on_disk(first):
            self._add_problem(first.key, "changed", "the file changed while it was read; run this again")
            return
        outcome = replace(outcome, facts={**outcome.facts, videos.CUT_FROM: first.key})
        with writing(self.project.engine) as session:
            self._retired += videos.put_video(
                session, outcome, name=first.name, settings_hash=flight.settings_hash,
                speaker=self.metadata.get(sha256, VideoMetadata()).speaker or sha256,
            )  # fmt: skip
            checks.put_verdicts(session, {p.id: self._rules.judge(p.measures) for p in outcome.samples})
            checks.mark_judged(session, [sha256], self._rules.hash_before_settling)
            remember(session, outcome.samples)
            for file in flight.files:
                if videos.put_file(session, file.key, file.stat, sha256):
                    self._replaced.append(file.name)
            work_attempts.forget_attempts(session, flight.unit_id)
        self.cut_counts[outcome.status] += 1
        if outcome.reason == UNUSABLE:
            # Another copy of the video may have a transcript that can be used.
            self._committed.discard(sha256)
            self._unusable[sha256] = (first.transcript_path, outcome.status)
            self._other_copies += [(file, None) for file in flight.files[1:] if file.has_transcript]

    def settle(self) -> None:
        """Settle speakers, splits and verdicts in one transaction, and add the warnings of the whole run."""
        with writing(self.project.engine) as session:
            settled = settle(self.project, session, self.metadata, cut=self.cut_counts)
        self.moved = settled.moved
        warnings = self.files.warnings
        warnings += [*settled.warnings, *self._transcript_copies.warnings()]
        if unused := self.sources.unused():
            warnings.append(
                f"{counted(len(unused), 'file')} of the speaker table "
                f"{either(len(unused), 'was', 'were')} not found: {some(unused)}"
            )
        if count := len(self._retired):
            with reading(self.project.engine) as session:
                judged = samples.judged_by_people(session, self._retired)
            warnings.append(
                f"{counted(count, 'sample')} {either(count, 'is', 'are')} "
                "retired, because the videos are cut otherwise now; "
                f"people have judged {judged} of them, and their answers are kept"
            )
        if count := len(self._replaced):
            warnings.append(
                f"{counted(count, 'file')} {either(count, 'holds', 'hold')} "
                "another video than before; "
                f"the samples of the old one stay: {some(sorted(self._replaced))}"
            )
        if count := len(self._records.kept_cuts):
            warnings.append(
                f"{counted(count, 'video')} {either(count, 'keeps', 'keep')} the cut of an earlier version, "
                "because raters were asked about the samples; a changed setting of [ingest] cuts them again, "
                "and retires the samples whose times change"
            )
        if count := len(self._records.without_clips):
            warnings.append(
                f"{counted(count, 'video')} {either(count, 'was', 'were')} cut again, "
                "because clips were missing"
            )
