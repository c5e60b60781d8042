"""Corpora of others, stored in bulk: videos, samples, features and answers, without a clip."""

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
"""That one statement brings in."""


@dataclass(frozen=True, slots=True)
class NewSample:
    """One sample as a corpus tells of it."""

    id: str
    video: str
    """sha256"""
    start_us: int
    end_us: int
    text: str
    speaker: str
    """When not that of the whole video."""
    split: Split | None


@dataclass(frozen=True, slots=True)
class NewVideo:
    """What samples of a corpus are a part of."""

    sha256: str
    name: str
    speaker: str
    split: Split | None
    keys: Mapping[str, str]
    """By sample id: what the corpus calls it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A sample that is there already."""

    video: str
    speaker: str
    """Of the whole video."""
    split: Split | None
    retired: bool
    text_by_hand: bool
    speaker_by_hand: bool
    """Somebody corrected it with `annotate samples`: what the corpus says of it is not taken over."""
    content: tuple[int, int, str, str]
    """Start, end, text, and who talks in the sample alone."""


def corpus_samples(session: Session, corpus: str) -> dict[str, Stored]:
    """By id: every sample of that corpus, retired ones too."""
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
    # More columns than the types of a row can tell.
    rows: Iterable[Sequence[Any]] = session.execute(query)
    return {
        i: Stored(
            v,
            speaker,
            Split(split) if split else None,
            status == SampleStatus.RETIRED,
            text,
            named,
            tuple(content),
        )
        for i, v, speaker, split, status, text, named, *content in rows
    }


def corpora(session: Session) -> list[str]:
    """Names of the imported corpora, sorted."""
    return sorted(session.scalars(select(Corpus.name)))


def put_videos(session: Session, corpus: str, videos: Sequence[NewVideo]) -> None:
    """Add the videos that are not stored yet; of the others, update only the names of their samples."""
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


def put_samples(session: Session, samples: Sequence[NewSample], known: Mapping[str, Stored]) -> None:
    """Add the samples, or renew those `known` that changed: text, times and speaker; a split never moves."""
    new = [_row(s) | {"split": s.split, **_BARE} for s in samples if s.id not in known]
    _insert(session, Sample, new)
    old = [
        {key: value for key, value in _row(s).items() if key not in _kept(known[s.id])}
        for s in samples
        if s.id in known and _differs(s, known[s.id])
    ]
    if old:
        session.execute(update(Sample), old)


def _differs(sample: NewSample, stored: Stored) -> bool:
    return stored.retired or stored.content != (sample.start_us, sample.end_us, sample.text, sample.speaker)


def _kept(stored: Stored) -> set[str]:
    """The columns that a corpus does not change: what a person corrected, and whether a sample is in use."""
    text = {"transcript", "transcript_origin"} if stored.text_by_hand else set()
    speaker = {"speaker", "speaker_origin"} if stored.speaker_by_hand else set()
    return text | speaker | (set() if stored.retired else {"status"})


_BARE = {"transcript_raw": "", "words": [], "sound_print": [], "media_sha256": {}}


def _row(sample: NewSample) -> dict[str, Any]:
    return {
        "id": sample.id, "video_sha256": sample.video, "start_us": sample.start_us, "end_us": sample.end_us,
        "transcript": sample.text, "transcript_origin": "transcript" if sample.text else "",
        "speaker": sample.speaker, "speaker_origin": "table" if sample.speaker else "",
        "status": SampleStatus.OK,
    }  # fmt: skip


def retire(session: Session, sample_ids: Sequence[str]) -> None:
    """Have samples take no part any more; what was said about them stays."""
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
    """Add rows; `same` is what all of them have in common."""
    # Into the bare table: nobody needs an object for each.
    into = insert(cast(Table, model.__table__))
    for start in range(0, len(rows), ROWS):
        session.execute(into, [{**row, **(same or {})} for row in rows[start : start + ROWS]])


@dataclass(frozen=True, slots=True)
class NewShard:
    """A shard that lies on the disk."""

    sha256: str
    path: str
    modality: Modality
    extractor: str
    inputs: Sequence[tuple[str, str]]
    """(sample id, hash of its numbers), by position."""


def put_shards(session: Session, shards: Iterable[NewShard]) -> None:
    """Put shards on record; older rows of the same samples and extractor point there afterwards."""
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
class Said:
    """One answer of a corpus."""

    sample_id: str
    task_id: str
    rater: str
    """Empty for the corpus as a whole."""
    value: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file that gives answers, and what is its own to change."""

    name: str
    sha256: str
    """Of its content; the beginning names the annotators."""
    samples: Collection[str]
    """Ids of those of its corpus; a file of the same name may have spoken of another."""
    tasks: Collection[str]
    """Ids of those that it speaks of; its earlier answers to others stay."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of the answers of a corpus."""

    new: int
    changed: int
    taken_back: int
    """That it does not give any more."""
    unchanged: int
    kept: Mapping[str, int]
    """By task that it does not speak of any more: earlier answers that stay."""
    touched: frozenset[str]
    """Ids of the samples whose answers changed."""


def put_answers(session: Session, source: Source, said: Iterable[Said], about: Mapping[str, Any]) -> Answers:
    """Store the answers that `source` gives now; rows are only added, and equal answers add none.

    Those to its tasks that it does not give any more are taken back; `about` is kept with every row.
    """
    latest, kept = _latest(session, source)
    prefix, moment = source.sha256[:12], now()
    annotators = _Annotators(session, prefix)
    rows: list[dict[str, Any]] = []
    counts = {"new": 0, "changed": 0, "taken_back": 0, "unchanged": 0}
    for one in said:
        origin = f"{_origin(source.name)}{one.rater}#{one.sample_id}"
        before = latest.pop((origin, one.task_id), None)
        if before is not None and before.value == one.value and before.state == AnnotationState.ANSWERED:
            counts["unchanged"] += 1
            continue
        counts["new" if before is None else "changed"] += 1
        rows.append(
            {
                "sample_id": one.sample_id, "task_id": one.task_id, "annotator_id": annotators.of(one.rater),
                "state": AnnotationState.ANSWERED, "value": one.value, "origin": origin,
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
    """Of a file that comes back after another one, too, nothing is stored twice under one name."""
    return prefix if before is None else f"{prefix}>{before.id}"


@dataclass(frozen=True, slots=True)
class _Latest:
    id: int
    sample_id: str
    annotator_id: int
    state: str
    value: str | None


def _latest(session: Session, source: Source) -> tuple[dict[tuple[str, str], _Latest], dict[str, int]]:
    """By origin and task: what `source` said last; and how many answers to each other task it gave."""
    row = Annotation
    query = (
        select(row.origin, row.task_id, row.id, row.sample_id, row.annotator_id, row.state, row.value)
        .where(row.origin.startswith(_origin(source.name), autoescape=True))
        .order_by(row.id)
    )
    # More columns than the types of a row can tell.
    rows: Iterable[Sequence[Any]] = session.execute(query)
    found = {(origin, task_id): _Latest(*rest) for origin, task_id, *rest in rows}
    own = {key: last for key, last in found.items() if last.sample_id in source.samples}
    other = (
        task_id
        for (_, task_id), last in own.items()
        if task_id not in source.tasks and last.state == AnnotationState.ANSWERED
    )
    return {key: last for key, last in own.items() if key[1] in source.tasks}, dict(Counter(other))


class _Annotators:
    """Ids of the annotators of one file, made when first asked for."""

    def __init__(self, session: Session, prefix: str) -> None:
        self._session, self._prefix = session, prefix
        self._ids: dict[str, int] = {}

    def of(self, rater: str) -> int:
        """Of ``import:<prefix>``, or of one of its raters."""
        if rater not in self._ids:
            name = f"import:{self._prefix}:{rater}" if rater else f"import:{self._prefix}"
            found = self._session.scalar(select(Annotator).where(Annotator.name == name))
            if found is None:
                found = Annotator(name=name)
                self._session.add(found)
                self._session.flush()
            self._ids[rater] = found.id
        return self._ids[rater]


def one_feature_outside(session: Session, extractor: str, sample_ids: Collection[str]) -> str | None:
    """A sample that has features of that extractor and is none of these, if there is any."""
    query = select(Feature.sample_id).where(Feature.extractor == extractor)
    return min((i for i in session.scalars(query) if i not in sample_ids), default=None)


def stored_features(session: Session, extractor: str) -> dict[str, tuple[str, str]]:
    """By sample: hash of its numbers, and of the shard that they lie in."""
    query = select(Feature.sample_id, Feature.input_hash, Feature.shard_sha256).where(
        Feature.extractor == extractor
    )
    return {sample_id: (digest, shard) for sample_id, digest, shard in session.execute(query)}
