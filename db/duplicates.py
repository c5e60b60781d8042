"""Duplicates between videos: samples with the same sound or the same words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, aliased

from annotate.types import Split
from db import models
from db.chunks import chunks
from db.models import INACTIVE

SOUND, TEXT = "sound", "text"
"""Kinds of duplicate keys."""


@dataclass(frozen=True, slots=True)
class SampleInSplit:
    """A sample with its split and transcript."""

    sample_id: str
    split: Split
    transcript: str


def put_keys(session: Session, kind: str, keys: Mapping[str, Iterable[int]]) -> None:
    """Replace the keys of one kind of those samples; samples that share a key may be duplicates."""
    for chunk in chunks(sorted(keys)):
        own = models.DuplicateKey.sample_id.in_(chunk)
        session.execute(delete(models.DuplicateKey).where(models.DuplicateKey.kind == kind, own))
        session.add_all(
            models.DuplicateKey(kind=kind, key=key, sample_id=sample)
            for sample in chunk
            for key in sorted(set(keys[sample]))
        )
    session.flush()


def candidates(session: Session, keys: Mapping[str, Iterable[int]]) -> set[tuple[str, str]]:
    """Pairs (a sample in `keys`, a sample of another video) that share at least one sound key."""
    row, sample = models.DuplicateKey, models.Sample
    owners: defaultdict[int, list[str]] = defaultdict(list)
    for sample_id, own in keys.items():
        for key in own:
            owners[key].append(sample_id)
    video_of: dict[str, str] = {}
    for chunk in chunks(sorted(keys)):
        rows = session.execute(select(sample.id, sample.video_sha256).where(sample.id.in_(chunk)))
        video_of.update((sample_id, video) for sample_id, video in rows)
    pairs: set[tuple[str, str]] = set()
    for some in chunks(sorted(owners)):
        query = (
            select(row.key, row.sample_id, sample.video_sha256)
            .join(sample, sample.id == row.sample_id)
            .where(row.kind == SOUND, row.key.in_(some))
        )
        for key, other, video in session.execute(query):
            pairs.update((sample_id, other) for sample_id in owners[key] if video_of[sample_id] != video)
    return pairs


def prints(session: Session, sample_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """The audio fingerprint of each of those samples."""
    sample = models.Sample
    prints_of: dict[str, tuple[int, ...]] = {}
    for chunk in chunks(sorted(sample_ids)):
        rows = session.execute(select(sample.id, sample.sound_print).where(sample.id.in_(chunk)))
        prints_of.update((sample_id, tuple(numbers)) for sample_id, numbers in rows)
    return prints_of


def put_pairs(session: Session, sample_ids: Sequence[str], pairs: Mapping[tuple[str, str], int]) -> None:
    """Replace all pairs with the same sound of those samples; the values count the numbers that agree."""
    pair = models.AudioDuplicate
    for chunk in chunks(sorted(sample_ids)):
        session.execute(delete(pair).where(pair.first.in_(chunk) | pair.second.in_(chunk)))
    ordered = {(min(two), max(two)): count for two, count in pairs.items()}
    session.add_all(pair(first=a, second=b, agreeing=n) for (a, b), n in sorted(ordered.items()))
    session.flush()


def same_sound(session: Session) -> list[tuple[str, str]]:
    """Sorted pairs of videos (sha256, the smaller first) that share samples with the same sound."""
    one, other = aliased(models.Sample), aliased(models.Sample)
    query = (
        select(one.video_sha256, other.video_sha256)
        .select_from(models.AudioDuplicate)
        .join(one, one.id == models.AudioDuplicate.first)
        .join(other, other.id == models.AudioDuplicate.second)
        .where(one.status.not_in(INACTIVE), other.status.not_in(INACTIVE))
        .distinct()
    )
    return sorted({(min(a, b), max(a, b)) for a, b in session.execute(query)})


def sound_across_splits(session: Session) -> Iterator[tuple[SampleInSplit, SampleInSplit, int]]:
    """Pairs of samples with the same sound in two splits, and how many fingerprint numbers agree."""
    one, other = aliased(models.Sample), aliased(models.Sample)
    query = (
        select(
            one.id, one.split, one.transcript, other.id, other.split, other.transcript,
            models.AudioDuplicate.agreeing,
        )
        .join(one, one.id == models.AudioDuplicate.first)
        .join(other, other.id == models.AudioDuplicate.second)
        .where(one.status.not_in(INACTIVE), other.status.not_in(INACTIVE))
        .where(one.split != other.split)
    )  # fmt: skip
    for a, a_split, a_text, b, b_split, b_text, agreeing in session.execute(query):
        if a_split and b_split:
            yield SampleInSplit(a, Split(a_split), a_text), SampleInSplit(b, Split(b_split), b_text), agreeing


def text_across_splits(session: Session) -> Iterator[list[SampleInSplit]]:
    """Groups of samples with the same words that are in two or more splits."""
    row, sample = models.DuplicateKey, models.Sample
    takes_part = (row.kind == TEXT, sample.status.not_in(INACTIVE), sample.split.is_not(None))
    spread = (
        select(row.key)
        .join(sample, sample.id == row.sample_id)
        .where(*takes_part)
        .group_by(row.key)
        .having(func.count(sample.split.distinct()) > 1)
    )
    query = (
        select(row.key, sample.id, sample.split, sample.transcript)
        .join(sample, sample.id == row.sample_id)
        .where(*takes_part, row.key.in_(spread))
    )
    samples_of: defaultdict[int, list[SampleInSplit]] = defaultdict(list)
    for key, sample_id, split, transcript in session.execute(query):
        if split:
            samples_of[key].append(SampleInSplit(sample_id, Split(split), transcript))
    yield from (samples_of[key] for key in sorted(samples_of))
