"""Stores imported corpora in bulk: videos, samples, features and answers, without clips."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.orm import Session

from annotate.types import Modality, Split, VideoStatus
from db.chunks import chunks
from db.models import (
    BY_HAND,
    Annotation,
    AnnotationState,
    Annotator,
    Base,
    Corpus,
    Feature,
    FeatureShard,
    Sample,
    SampleStatus,
    Video,
    VideoOrigin,
    now,
)

ROWS = 5_000
"""Rows per INSERT statement."""


@dataclass(frozen=True, slots=True)
class NewSample:
    """One sample of a corpus."""

    id: str
    video: str
    """sha256"""
    start_us: int
    end_us: int
    text: str
    speaker: str
    """Empty when it is that of the whole video."""
    split: Split | None


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video that samples of a corpus are part of."""

    sha256: str
    name: str
    speaker: str
    split: Split | None
    keys: Mapping[str, str]
    """The corpus's own name of each sample, by sample id."""


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample that an earlier import stored."""

    video: str
    speaker: str
    """Speaker of the whole video."""
    split: Split | None
    retired: bool
    text_by_hand: bool
    speaker_by_hand: bool
    """Somebody corrected it with `annotate samples`, so the value of the corpus is ignored."""
    content: tuple[int, int, str, str]
    """Start, end, text, and the sample's own speaker."""


def corpus_samples(session: Session, corpus: str) -> dict[str, StoredSample]:
    """Every sample of the corpus by id, retired ones included."""
    query = (
        select(
            Sample.id,
            Sample.video_sha256,
            Video.speaker,
            Sample.split,
            Sample.status,
            Sample.transcript_origin == BY_HAND,
            Sample.speaker_origin == BY_HAND,
            Sample.start_us,
            Sample.end_us,
            Sample.transcript,
            Sample.speaker,
        )
        .join(Video, Video.sha256 == Sample.video_sha256)
        .join(Corpus, Corpus.id == Video.corpus_id)
        .where(Corpus.name == corpus)
    )
    # SQLAlchemy types rows of up to ten columns only.
    rows: Iterable[Sequence[Any]] = session.execute(query)
    return {
        sample_id: StoredSample(
            video,
            speaker,
            Split(split) if split else None,
            status == SampleStatus.RETIRED,
            text_by_hand,
            speaker_by_hand,
            tuple(content),
        )
        for sample_id, video, speaker, split, status, text_by_hand, speaker_by_hand, *content in rows
    }


def corpora(session: Session) -> list[str]:
    """Names of the imported corpora, sorted."""
    return sorted(session.scalars(select(Corpus.name)))


def put_videos(session: Session, corpus: str, videos: Sequence[NewVideo]) -> None:
    """Add the videos that are not stored yet; of the others, update only the names of the samples."""
    row = session.scalar(select(Corpus).where(Corpus.name == corpus))
    if row is None:
        row = Corpus(name=corpus)
        session.add(row)
        session.flush()
    stored: dict[str, Mapping[str, Any]] = {}
    for some in chunks([video.sha256 for video in videos]):
        query = select(Video.sha256, Video.facts).where(Video.sha256.in_(some))
        stored |= {sha256: facts for sha256, facts in session.execute(query)}  # noqa: C416
    facts = {v.sha256: {"samples": dict(sorted(v.keys.items()))} for v in videos}
    _insert(
        session,
        Video,
        [
            {
                "sha256": v.sha256, "name": v.name, "status": VideoStatus.OK, "reason": "", "detail": "",
                "facts": facts[v.sha256], "settings_hash": "", "rules_hash": "", "speaker": v.speaker,
                "episode": "", "split": v.split, "origin": VideoOrigin.IMPORTED, "corpus_id": row.id,
            }
            for v in videos
            if v.sha256 not in stored
        ],
    )  # fmt: skip
    changed = [sha256 for sha256 in stored if stored[sha256] != facts[sha256]]
    if changed:
        session.execute(update(Video), [{"sha256": sha256, "facts": facts[sha256]} for sha256 in changed])


def put_samples(session: Session, samples: Sequence[NewSample], known: Mapping[str, StoredSample]) -> None:
    """Add new samples, and update text, times and speaker of those in `known`; a split never changes."""
    new = [_row(s) | {"split": s.split, **_BARE} for s in samples if s.id not in known]
    _insert(session, Sample, new)
    old = []
    for s in samples:
        stored = known.get(s.id)
        content = s.start_us, s.end_us, s.text, s.speaker
        if stored is None or (stored.content == content and not stored.retired):
            continue
        # Corrections by hand stay, and so does the status of a sample in use.
        kept = set() if stored.retired else {"status"}
        if stored.text_by_hand:
            kept |= {"transcript", "transcript_origin"}
        if stored.speaker_by_hand:
            kept |= {"speaker", "speaker_origin"}
        old.append({key: value for key, value in _row(s).items() if key not in kept})
    if old:
        session.execute(update(Sample), old)


_BARE = {"transcript_raw": "", "words": [], "sound_print": [], "media_sha256": {}}


def _row(sample: NewSample) -> dict[str, Any]:
    return {
        "id": sample.id, "video_sha256": sample.video, "start_us": sample.start_us, "end_us": sample.end_us,
        "transcript": sample.text, "transcript_origin": "transcript" if sample.text else "",
        "speaker": sample.speaker, "speaker_origin": "table" if sample.speaker else "",
        "status": SampleStatus.OK,
    }  # fmt: skip


def retire(session: Session, sample_ids: Sequence[str]) -> None:
    """Retire samples; their answers and labels stay."""
    for some in chunks(sample_ids):
        session.execute(
            update(Sample)
            .where(Sample.id.in_(some))
            .values(status=SampleStatus.RETIRED)
            .execution_options(synchronize_session=False)
        )


def _insert(
    session: Session,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    same: Mapping[str, Any] | None = None,
) -> None:
    """Add rows; `same` holds the columns that all of them share."""
    # The table and not the mapped class: no caller needs an object for each row.
    into = insert(cast(Table, model.__table__))
    for start in range(0, len(rows), ROWS):
        session.execute(into, [{**row, **(same or {})} for row in rows[start : start + ROWS]])


@dataclass(frozen=True, slots=True)
class NewShard:
    """A feature shard that is on disk."""

    sha256: str
    path: str
    modality: Modality
    extractor: str
    inputs: Sequence[tuple[str, str]]
    """(sample id, hash of its values), by position."""


def put_shards(session: Session, shards: Iterable[NewShard]) -> None:
    """Record shards; they replace older features of the same samples and extractor."""
    for shard in shards:
        session.merge(
            FeatureShard(
                sha256=shard.sha256, path=shard.path, modality=shard.modality.value,
                extractor=shard.extractor, samples=len(shard.inputs),
            )
        )  # fmt: skip
        session.flush()
        for some in chunks([sample_id for sample_id, _ in shard.inputs]):
            session.execute(
                delete(Feature).where(Feature.extractor == shard.extractor, Feature.sample_id.in_(some))
            )
        _insert(
            session,
            Feature,
            [
                {
                    "sample_id": sample_id, "extractor": shard.extractor, "shard_sha256": shard.sha256,
                    "position": position, "input_hash": digest,
                }
                for position, (sample_id, digest) in enumerate(shard.inputs)
            ],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """One answer of a corpus."""

    sample_id: str
    task_id: str
    rater: str
    """Empty for the corpus as a whole."""
    value: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file with answers, and the samples and tasks whose answers it may change."""

    name: str
    sha256: str
    """Of its content; the annotators are named after its first digits."""
    samples: Collection[str]
    """Ids of the samples of its corpus; a file of the same name may have belonged to another corpus."""
    tasks: Collection[str]
    """Ids of the tasks that it answers; its earlier answers to other tasks stay."""


@dataclass(frozen=True, slots=True)
class Answers:
    """How many answers an import added, changed and deleted."""

    new: int
    changed: int
    taken_back: int
    """Answers that the file does not contain any more."""
    unchanged: int
    kept: Mapping[str, int]
    """Earlier answers that stay, by task that the file does not answer any more."""
    touched: frozenset[str]
    """Ids of the samples whose answers changed."""


def put_answers(
    session: Session, source: Source, answers: Iterable[ImportedAnswer], about: Mapping[str, Any]
) -> Answers:
    """Store the present answers of `source`; rows are only added, and unchanged answers add none.

    Earlier answers to its tasks that it does not contain any more are marked as deleted. `about` is stored
    with every row.
    """
    latest, kept = _latest(session, source)
    prefix, moment = source.sha256[:12], now()
    annotators = _Annotators(session, prefix)
    rows: list[dict[str, Any]] = []
    counts = {"new": 0, "changed": 0, "taken_back": 0, "unchanged": 0}
    for answer in answers:
        origin = f"{_origin(source.name)}{answer.rater}#{answer.sample_id}"
        before = latest.pop((origin, answer.task_id), None)
        if before is not None and before.value == answer.value and before.state == AnnotationState.ANSWERED:
            counts["unchanged"] += 1
            continue
        counts["new" if before is None else "changed"] += 1
        rows.append(
            {
                "sample_id": answer.sample_id, "task_id": answer.task_id,
                "annotator_id": annotators.of(answer.rater),
                "state": AnnotationState.ANSWERED, "value": answer.value, "origin": origin,
                "revision": _revision(prefix, before), "supersedes_id": None if before is None else before.id,
            }
        )  # fmt: skip
    for (origin, task_id), before in latest.items():
        if before.state == AnnotationState.ANSWERED:
            counts["taken_back"] += 1
            rows.append(
                {
                    "sample_id": before.sample_id, "task_id": task_id, "annotator_id": before.annotator_id,
                    "state": AnnotationState.DELETED, "value": None, "origin": origin,
                    "revision": _revision(prefix, before), "supersedes_id": before.id,
                }
            )  # fmt: skip
    same = {
        "seconds": None,
        "batch_item_id": None,
        "created_at": moment,
        "stored_at": moment,
        "raw": dict(about),
    }
    _insert(session, Annotation, rows, same)
    return Answers(**counts, kept=kept, touched=frozenset(row["sample_id"] for row in rows))


def _origin(source: str) -> str:
    return f"import:{source}:"


def _revision(prefix: str, before: "_Latest | None") -> str:
    """A revision that is unique even when an earlier version of the file is imported again."""
    return prefix if before is None else f"{prefix}>{before.id}"


@dataclass(frozen=True, slots=True)
class _Latest:
    id: int
    sample_id: str
    annotator_id: int
    state: str
    value: str | None


def _latest(session: Session, source: Source) -> tuple[dict[tuple[str, str], _Latest], dict[str, int]]:
    """The latest rows of `source` by origin and task, and how many answers it gave to each other task."""
    row = Annotation
    query = (
        select(row.origin, row.task_id, row.id, row.sample_id, row.annotator_id, row.state, row.value)
        .where(row.origin.startswith(_origin(source.name), autoescape=True))
        .order_by(row.id)
    )
    # SQLAlchemy types rows of up to ten columns only.
    rows: Iterable[Sequence[Any]] = session.execute(query)
    stored = {(origin, task_id): _Latest(*rest) for origin, task_id, *rest in rows}
    own = {key: last for key, last in stored.items() if last.sample_id in source.samples}
    other = (
        task_id
        for (_, task_id), last in own.items()
        if task_id not in source.tasks and last.state == AnnotationState.ANSWERED
    )
    return {key: last for key, last in own.items() if key[1] in source.tasks}, dict(Counter(other))


class _Annotators:
    """Ids of the annotators of one file, created on first use."""

    def __init__(self, session: Session, prefix: str) -> None:
        self._session, self._prefix = session, prefix
        self._ids: dict[str, int] = {}

    def of(self, rater: str) -> int:
        """The id of the annotator ``import:<prefix>``, or of one of its raters."""
        if rater not in self._ids:
            name = f"import:{self._prefix}:{rater}" if rater else f"import:{self._prefix}"
            annotator = self._session.scalar(select(Annotator).where(Annotator.name == name))
            if annotator is None:
                annotator = Annotator(name=name)
                self._session.add(annotator)
                self._session.flush()
            self._ids[rater] = annotator.id
        return self._ids[rater]


def one_feature_outside(session: Session, extractor: str, sample_ids: Collection[str]) -> str | None:
    """The first sample with features of that extractor that is not among these; None without one."""
    query = select(Feature.sample_id).where(Feature.extractor == extractor)
    return min((i for i in session.scalars(query) if i not in sample_ids), default=None)


def stored_features(session: Session, extractor: str) -> dict[str, tuple[str, str]]:
    """(hash of the values, sha256 of the shard) of the stored features, by sample id."""
    query = select(Feature.sample_id, Feature.input_hash, Feature.shard_sha256).where(
        Feature.extractor == extractor
    )
    return {sample_id: (digest, shard) for sample_id, digest, shard in session.execute(query)}
