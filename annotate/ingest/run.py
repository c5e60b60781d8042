"""One run of ingest: what has to be opened, what workers cut, and what is committed of it."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from annotate.corpus.clips import send_again
from annotate.corpus.duplicates import remember
from annotate.corpus.paths import storable
from annotate.corpus.rules import Rules, rejudge, settle_repeats
from annotate.corpus.settle_splits import settle_splits
from annotate.corpus.splits import some
from annotate.errors import AnnotateError
from annotate.ingest.copies import UNUSABLE, Copies, counts
from annotate.ingest.corrected import union
from annotate.ingest.files import Found, SourceFile, stat_of
from annotate.ingest.meter import Meter
from annotate.ingest.sources import AtHand, fetch, is_remote
from annotate.ingest.speakers import Speakers
from annotate.ingest.transcripts import fingerprint
from annotate.ingest.worker import CannotWrite, cut
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.protocols import Executor
from annotate.types import (
    CutPlan,
    Failed,
    Failure,
    Finished,
    Told,
    VideoJob,
    VideoOutcome,
    VideoStatus,
    Working,
)
from annotate.wording import counted, either
from db import checks, corrections, groups, removal, samples, units, videos
from db.chunks import chunks
from db.engine import Session, reading, writing

CUT_VERSION = 3
"""Raised whenever the same video would be cut into other samples or other files: then all are cut again."""

NEW_IN_CUT_3 = ("read_subtitles", "transcripts")
"""What decides a cut since version 3, and had to have its default value before."""

LOCK_SECONDS = 2.0
"""How long to wait for another writing command: an ingest that runs takes hours, not seconds."""

HASH_BYTES = 1 << 22

log = logging.getLogger("annotate.ingest")


@dataclass(slots=True)
class _Flight:
    """One video while a worker has it."""

    job: VideoJob
    source: AtHand
    settings_hash: str
    files: list[SourceFile]
    """The paths it was seen at, the one that is read in front."""

    @property
    def unit_id(self) -> str:
        return f"ingest:{self.job.sha256}:{self.settings_hash}"


@dataclass
class Run:
    """One call of `ingest`: what was found, what has to be cut, and what came of it."""

    project: Project
    voices: Speakers
    found: Found
    progress: Progress
    changed: list[tuple[SourceFile, videos.KnownFile | None]] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)
    """sha256 -> who talks there, and more, as told by the first of its paths that tells anything."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """What no row of a video tells: folders and files that could not be read."""
    made: Counter[VideoStatus] = field(default_factory=Counter)
    """What became of the videos that were cut."""
    times_real_time: float | None = None
    """Seconds of footage cut per second; None when nothing was cut."""
    moved: int = 0
    """Samples that `settle` put into another split than they were in."""
    gone: set[str] = field(default_factory=set)
    """sha256 of videos that are cut again because a clip of theirs is missing."""
    _in_flight: dict[str, _Flight] = field(default_factory=dict)
    """By sha256."""
    _done: set[str] = field(default_factory=set)
    _again: dict[str, VideoJob] = field(default_factory=dict)
    """What took its worker down and is worth another attempt, by sha256."""
    _unusable: dict[str, tuple[str, VideoStatus]] = field(default_factory=dict)
    """sha256 of videos whose transcript, named here, holds nothing usable."""
    _rivals: list[tuple[SourceFile, videos.KnownFile | None]] = field(default_factory=list)
    """Other copies of those, with transcripts of their own."""
    _kept_cuts: set[str] = field(default_factory=set)
    """sha256 of videos that keep the cut of an earlier version of this program."""
    _copies: Copies = field(default_factory=Copies)
    _replaced: list[str] = field(default_factory=list)
    _retired: list[str] = field(default_factory=list)
    """Ids of samples that are no longer cut."""

    def __post_init__(self) -> None:
        self._rules = Rules(self.project.settings)
        self._plan = self.project.settings.cut_plan()
        self._cut_hash = cut_hash(self._plan)
        self._earlier_hashes = earlier_cut_hashes(self._plan)
        for path, reason in self.found.unreadable:
            self._problem(path, "unreadable", reason)

    def classify(self) -> None:
        """Which files need to be opened."""
        files = self.found.files
        with self.progress.bar("look for clips", total=None):
            stored = self.project.clips.stored()
        with self.progress.bar("look", total=len(files)) as bar, reading(self.project.engine) as session:
            for chunk in chunks(files):
                known = videos.known_files(session, [file.key for file in chunk])
                self.gone |= self._without_clips(
                    samples.ids_of_videos(session, sorted({before.sha256 for before in known.values()})),
                    stored,
                )
                for file in chunk:
                    before = known.get(file.key)
                    if before is not None and before.removed and file.stat == before.stat:
                        continue  # whatever the settings say: it stays removed
                    if before is None or not self._same(file, before):
                        self.changed.append((file, before))
                    else:
                        self._listen(before.sha256, file)
                bar.advance(len(chunk))
        # Of several copies of one video the first is cut: one that has a transcript.
        self.changed.sort(key=lambda pair: not pair[0].has_transcript)

    def _same(self, file: SourceFile, before: videos.KnownFile) -> bool:
        if before.sha256 in self.gone:
            return False
        return file.stat == before.stat and self._is_cut(before.sha256, before.settings_hash)

    def _is_cut(self, sha256: str, settings_hash: str) -> bool:
        """Whether a video is cut by the present settings, whatever its transcript.

        An earlier version of this program may have cut it otherwise. That cut stays where raters were asked
        about it: another one would retire the samples that they judged.
        """
        cut_by = settings_hash.partition(".")[0]
        if cut_by in self._earlier_hashes and sha256 in self._judged:
            self._kept_cuts.add(sha256)
            return True
        return cut_by == self._cut_hash

    @cached_property
    def _judged(self) -> set[str]:
        """sha256 of videos that raters were asked about, or that have labels."""
        with reading(self.project.engine) as session:
            return groups.fixed_videos(session)

    def _without_clips(self, pairs: list[tuple[str, str]], stored: Callable[[str], bool]) -> set[str]:
        """Those videos of (video, sample id) pairs of which a clip was deleted, and is nowhere else."""
        lacking = {sample: video for video, sample in pairs if not stored(sample)}
        sent = send_again(self.project, lacking)
        return {video for sample, video in lacking.items() if sample not in sent}

    def _listen(self, sha256: str, file: SourceFile) -> None:
        told = self.voices.of(file)
        if told != Told():
            self.told.setdefault(sha256, told)

    def cut(self, executor: Executor, workers: int) -> None:
        """Hand what changed to the workers, and again what took one down, until nothing is left.

        Raises `AnnotateError` when the disk is full, or the media folder cannot be written.
        """
        size = sum(file.stat.size for file, _ in self.changed)
        with self.progress.bar("ingest", total=size, unit="B") as bar:
            meter = Meter(bar, len(self.changed))
            self._cut_all(executor, self._jobs(self.changed, meter), workers, meter)
            while self._again or self._rivals:
                jobs, self._again = self._again, {}
                rivals, self._rivals = self._rivals, []
                self._cut_all(executor, chain(jobs.values(), self._jobs(rivals, meter)), workers, meter)
            self.times_real_time = meter.times_real_time if meter.footage_seconds else None

    def _cut_all(self, executor: Executor, jobs: Iterator[VideoJob], workers: int, meter: Meter) -> None:
        outcomes = executor.run(
            cut,
            jobs,
            workers=workers,
            deadline_seconds=self.project.settings.ingest.deadline_seconds,
            window=2 * workers,
        )
        with closing(outcomes):  # type: ignore[type-var]
            for outcome in outcomes:
                self._take(outcome, meter)

    def _jobs(
        self, files: Sequence[tuple[SourceFile, videos.KnownFile | None]], meter: Meter
    ) -> Iterator[VideoJob]:
        for file, before in files:
            name = storable(Path(file.path).name)
            try:
                source = self._at_hand(file, before, name, meter)
                sidecar = _hash_transcript(file, source.sidecar)
            except OSError as error:
                self._cannot_read(file, error)
                meter.passed(name, file.stat.size)
                continue
            self._listen(source.sha256, file)
            job = self._job(file, source, f"{self._cut_hash}.{sidecar}", touched=before is not None)
            if job is not None:
                yield job
            else:
                source.discard()
                meter.passed(name, file.stat.size)

    def _at_hand(self, file: SourceFile, before: videos.KnownFile | None, name: str, meter: Meter) -> AtHand:
        if is_remote(file):
            whole = max(file.stat.size, 1)
            return fetch(
                file, self.project.media,
                lambda done: meter.note(f"fetching {name} {100 * done // whole} %"),
            )  # fmt: skip
        known = before is not None and before.stat == file.stat
        sha256 = before.sha256 if before and known else _hash(file, name, meter)
        return AtHand(Path(file.path), Path(file.sidecar) if file.sidecar else None, sha256)

    def _job(self, file: SourceFile, source: AtHand, settings_hash: str, *, touched: bool) -> VideoJob | None:
        """What has to be done about a file: None when its video is cut already or is being cut."""
        sha256 = source.sha256
        if sha256 in self._in_flight:
            flight = self._in_flight[sha256]
            self._copies.compare(file, settings_hash, flight.settings_hash, flight.files[0].transcript_path)
            flight.files.append(file)
            return None
        if sha256 in self._done or not self._needs_cut(file, sha256, settings_hash, touched):
            with writing(self.project.engine) as session:
                if videos.put_file(session, file.key, file.stat, sha256):
                    self._replaced.append(file.name)
                video = videos.video(session, sha256)
                if video is not None and video.removed_at is None:
                    used = str(video.facts.get("transcript", ""))
                    self._copies.compare(file, settings_hash, video.settings_hash, used)
            return None
        if sha256 in self._unusable:
            unusable, status = self._unusable.pop(sha256)
            self.made[status] -= 1
            self._copies.give_way(unusable, file.transcript_path)
        self._forget_cut(sha256)
        with reading(self.project.engine) as session:
            kept = corrections.kept(session, sha256)
        job = VideoJob(
            source.path, sha256, self.project.media, source.sidecar, self._plan,
            store=self.project.clips.url, source=source.url, sidecar_source=source.sidecar_url,
            transcript=file.transcript, corrected=kept.corrected, taken=union(kept.taken),
        )  # fmt: skip
        self._in_flight[sha256] = _Flight(job, source, settings_hash, [file])
        return job

    def _needs_cut(self, file: SourceFile, sha256: str, settings_hash: str, touched: bool) -> bool:
        with reading(self.project.engine) as session:
            video = videos.video(session, sha256)
            if video is None:
                return True
            if video.removed_at is not None:
                return False
            if sha256 in self.gone:
                return True
            if not self._is_cut(sha256, video.settings_hash):
                return True
            if video.settings_hash.partition(".")[2] == settings_hash.partition(".")[2]:
                # Whoever touches a file that failed wants it tried again.
                return video.status == VideoStatus.FAILED and touched
            # Only the transcript differs.
            return counts(file, video, videos.paths_of(session, sha256))

    def _forget_cut(self, sha256: str) -> None:
        """A run that is broken off leaves files of the new cut in place of some of the old one.

        So the old one counts no more from here on, should somebody go back to its settings.
        """
        with reading(self.project.engine) as session:
            if videos.video(session, sha256) is None:
                return
        with writing(self.project.engine) as session:
            videos.forget_cut(session, sha256)

    def _cannot_read(self, file: SourceFile, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._problem(file.key, "unreadable", reason)
        with writing(self.project.engine) as session:
            videos.put_file(session, file.key, file.stat, None, "unreadable")

    def _problem(self, path: str, reason: str, detail: str) -> None:
        self.problems.append({"file": path, "status": "failed", "reason": reason, "detail": detail})

    def _take(
        self,
        outcome: Working[VideoJob] | Finished[VideoJob, VideoOutcome | CannotWrite] | Failed[VideoJob],
        meter: Meter,
    ) -> None:
        sha256 = outcome.unit.sha256
        flight = self._in_flight.get(sha256)
        if flight is None:
            # A second outcome of a unit that was committed.
            return
        name, size = storable(Path(flight.files[0].path).name), flight.files[0].stat.size
        if isinstance(outcome, Working):
            meter.working(sha256, name, size, outcome.sign)
            return
        if isinstance(outcome, Failed):
            made = None if sha256 in self._again else self._crashed(flight, outcome)
            if made is None:
                self._again[sha256] = outcome.unit
                meter.lost(sha256)
                return
        elif isinstance(outcome.value, CannotWrite):
            hint = f"{outcome.value.do}, then run this again: it goes on where it stopped"
            raise AnnotateError(outcome.value.message, hint=hint)
        else:
            made = outcome.value
        self._again.pop(sha256, None)
        self._commit(flight, made)
        flight.source.discard()
        seconds = made.facts.get("duration_us")
        meter.done(sha256, name, size, seconds / 1e6 if isinstance(seconds, int) else 0.0)

    def _crashed(self, flight: _Flight, failed: Failed[VideoJob]) -> VideoOutcome | None:
        """The verdict on a video that took its worker down; None when it is worth another attempt."""
        reason = {Failure.TIMEOUT: "timeout", Failure.DIED: "crashes", Failure.ERROR: "error"}[failed.kind]
        if failed.kind is Failure.ERROR:
            log.warning("%s: unexpected error\n%s", storable(str(failed.unit.path)), failed.message)
            detail = failed.message.strip().rsplit("\n", 1)[-1]
        else:
            with writing(self.project.engine) as session:
                attempts = units.add_attempt(session, flight.unit_id, failed.message)
            if attempts < self.project.settings.ingest.attempts:
                return None
            detail = f"{failed.message} ({counted(attempts, 'attempt')})"
        return VideoOutcome(failed.unit.sha256, VideoStatus.FAILED, reason, storable(detail), {}, ())

    def _commit(self, flight: _Flight, made: VideoOutcome) -> None:
        """The video, its samples and its paths in one transaction."""
        del self._in_flight[made.sha256]
        self._done.add(made.sha256)
        first = flight.files[0]
        if _moved_on(first):
            self._problem(first.key, "changed", "the file changed while it was read; run this again")
            return
        made = replace(made, facts={**made.facts, videos.CUT_FROM: first.key})
        with writing(self.project.engine) as session:
            self._retired += videos.put_video(
                session, made, name=first.name, settings_hash=flight.settings_hash,
                speaker=self.told.get(made.sha256, Told()).speaker or made.sha256,
            )  # fmt: skip
            checks.put_verdicts(session, {p.id: self._rules.judge(p.measures) for p in made.samples})
            checks.mark_judged(session, [made.sha256], self._rules.hash_before_settling)
            remember(session, made.samples)
            for file in flight.files:
                if videos.put_file(session, file.key, file.stat, made.sha256):
                    self._replaced.append(file.name)
            units.forget_attempts(session, flight.unit_id)
        self.made[made.status] += 1
        if made.reason == UNUSABLE:
            # Another copy of the video may have a transcript that can be used.
            self._done.discard(made.sha256)
            self._unusable[made.sha256] = (first.transcript_path, made.status)
            self._rivals += [(file, None) for file in flight.files[1:] if file.has_transcript]

    def settle(self) -> None:
        """Speakers, splits and the audit trail in one transaction: they depend on content, not on arrival."""
        with writing(self.project.engine) as session:
            self.settle_in(session)
        self._warn()

    def settle_in(self, session: Session, *, changed: bool = False) -> None:
        """The same in a transaction of the caller; `changed`: samples came, went or got other words or
        speakers without being cut, so that repeats are judged again."""
        settings = self.project.settings
        removal.keep_removed(session)
        self.found.warnings += rejudge(session, self._rules)
        fixed = groups.fixed_videos(session)
        # As long as every split can be drawn anew, no name is refused because of one.
        refused = groups.put_told(session, self.told, settings.splits.together if fixed else ())
        self._warn_of_refused(refused)
        settled = settle_splits(session, settings, fixed)
        self.moved = settled.moved
        self.found.warnings += settled.warnings
        settle_repeats(session, self._rules, moved=settled.changed or changed)
        if self.made or settled.given:
            made = {status.value: count for status, count in sorted(self.made.items())}
            detail = {"videos": made, "settled": settled.given, "moved": settled.moved}
            videos.add_event(session, "ingest", detail)

    def _warn_of_refused(self, refused: groups.Refused) -> None:
        because = "because the new one is in another split, and raters were asked already"
        for names, word in ((refused.speakers, "speaker"), (refused.episodes, "episode")):
            if names:
                keep = f"{counted(len(names), 'video')} {either(len(names), 'keeps its', 'keep their')}"
                self.found.warnings.append(f"{keep} old {word}, {because}: {some(names)}")
        if count := refused.samples:
            keep = f"{counted(count, 'sample')} {either(count, 'keeps its', 'keep their')}"
            self.found.warnings.append(f"{keep} old speaker, {because}")

    def _warn(self) -> None:
        warnings = self.found.warnings
        warnings += self._copies.warnings()
        if unused := self.voices.unused():
            warnings.append(
                f"{counted(len(unused), 'file')} of the speaker table "
                f"{either(len(unused), 'was', 'were')} not found: {some(unused)}"
            )
        if self._retired:
            with reading(self.project.engine) as session:
                judged = samples.judged_by_people(session, self._retired)
            warnings.append(
                f"{counted(len(self._retired), 'sample')} {either(len(self._retired), 'is', 'are')} "
                "retired, because the videos are cut otherwise now; "
                f"people have judged {judged} of them, and what they said is kept"
            )
        if self._replaced:
            warnings.append(
                f"{counted(len(self._replaced), 'file')} {either(len(self._replaced), 'holds', 'hold')} "
                "another video than before; "
                f"the samples of the old one stay: {some(sorted(self._replaced))}"
            )
        if self._kept_cuts:
            many = len(self._kept_cuts)
            warnings.append(
                f"{counted(many, 'video')} {either(many, 'keeps', 'keep')} the cut of an earlier version, "
                "because raters were asked about the samples; another setting in [ingest] would cut again, "
                "and retire the samples whose times change"
            )
        if self.gone:
            warnings.append(
                f"{counted(len(self.gone), 'video')} {either(len(self.gone), 'was', 'were')} cut again, "
                "because clips were missing"
            )


def cut_hash(plan: CutPlan) -> str:
    """Of everything that decides how videos are cut, their transcripts aside."""
    return _digest([CUT_VERSION, plan.decides()])


def earlier_cut_hashes(plan: CutPlan) -> frozenset[str]:
    """The `cut_hash` that earlier versions of this program gave to the same settings."""
    decides = plan.decides()
    if any(decides.get(name) for name in NEW_IN_CUT_3):
        return frozenset()
    return frozenset({_digest([2, {name: decides[name] for name in decides if name not in NEW_IN_CUT_3}])})


def _digest(decides: list[Any]) -> str:
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]


def settle_again(project: Project, session: Session) -> list[str]:
    """Give splits and judge repeats after samples changed without an ingest; returns warnings."""
    run = Run(project, Speakers(), Found(), SILENT)
    run.settle_in(session, changed=True)
    return run.found.warnings


def _moved_on(file: SourceFile) -> bool:
    if is_remote(file):
        # What was cut is the copy that was hashed; another object there is seen by the next run.
        return False
    try:
        now = stat_of(file.path, file.sidecar)
        if now is not None and file.transcript is not None:
            now = replace(now, sidecar_mtime_ns=file.stat.sidecar_mtime_ns)
        return now != file.stat
    except OSError:
        return True


def _hash(file: SourceFile, name: str, meter: Meter) -> str:
    """sha256 of the content, telling how far it got: a long film takes a while."""
    digest = hashlib.sha256()
    done = 0
    with Path(file.path).open("rb") as stream:
        while block := stream.read(HASH_BYTES):
            digest.update(block)
            done += len(block)
            meter.note(f"reading {name} {100 * done // max(file.stat.size, 1)} %")
    return digest.hexdigest()


def _hash_transcript(file: SourceFile, sidecar: Path | None) -> str:
    if file.transcript is not None:
        return fingerprint(file.transcript)
    if sidecar is None:
        return "none"
    return hashlib.sha256(sidecar.read_bytes()).hexdigest()[:16]
