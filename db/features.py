"""The record of stored features: their shard, and the hash of the input they were made from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from annotate.types import Modality
from db.chunks import rows_of
from db.models import Feature, FeatureShard, Sample, SampleStatus


@dataclass(frozen=True, slots=True)
class SampleInput:
    """The inputs that the features of a sample are made from."""

    sample_id: str
    transcript: str
    media_sha256: Mapping[str, str]
    """By pass: hash of the file."""


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One shard on record."""

    sha256: str
    path: str
    """Relative to the features folder."""


@dataclass(frozen=True, slots=True)
class FeatureLocation:
    """The shard and the row that hold the features of one sample."""

    path: str
    position: int


def sample_inputs(session: Session) -> list[SampleInput]:
    """Every active sample, ordered by id."""
    query = (
        select(Sample.id, Sample.transcript, Sample.media_sha256)
        .where(Sample.status == SampleStatus.OK)
        .order_by(Sample.id)
    )
    return [SampleInput(*row) for row in session.execute(query)]


def input_hashes(session: Session, extractor: str) -> dict[str, str]:
    """Hash of the input that the stored features of ``name@hash`` were made from, by sample id."""
    query = select(Feature.sample_id, Feature.input_hash).where(Feature.extractor == extractor)
    return {row.sample_id: row.input_hash for row in session.execute(query)}


def locations(session: Session, extractor: str, sample_ids: Sequence[str]) -> dict[str, FeatureLocation]:
    """Where the features of the samples are stored; samples without features are absent."""
    query = (
        select(Feature.sample_id, FeatureShard.path, Feature.position)
        .join(FeatureShard, FeatureShard.sha256 == Feature.shard_sha256)
        .where(Feature.extractor == extractor)
    )
    rows = rows_of(session, query, Feature.sample_id, sample_ids)
    return {row.sample_id: FeatureLocation(row.path, row.position) for row in rows}


def with_features(session: Session, extractor: str, sample_ids: Sequence[str]) -> set[str]:
    """Those of the samples that have features."""
    query = select(Feature.sample_id).where(Feature.extractor == extractor)
    return {row[0] for row in rows_of(session, query, Feature.sample_id, sample_ids)}


def extractors(session: Session) -> list[str]:
    """Every ``name@hash`` with stored features, sorted."""
    return list(session.scalars(select(Feature.extractor).distinct().order_by(Feature.extractor)))


def shards(session: Session) -> list[ShardRow]:
    """Every shard on record, by path."""
    query = select(FeatureShard.sha256, FeatureShard.path).order_by(FeatureShard.path)
    return [ShardRow(*row) for row in session.execute(query)]


def add_shard(
    session: Session,
    *,
    sha256: str,
    path: str,
    modality: Modality,
    extractor: str,
    inputs: Sequence[tuple[str, str]],
) -> None:
    """Record a shard; `inputs` are its (sample id, input hash) by position.

    It replaces older features of the same samples and extractor.
    """
    session.merge(
        FeatureShard(
            sha256=sha256, path=path, modality=modality.value, extractor=extractor, samples=len(inputs)
        )
    )
    session.flush()
    ids = [sample_id for sample_id, _ in inputs]
    session.execute(delete(Feature).where(Feature.extractor == extractor, Feature.sample_id.in_(ids)))
    session.add_all(
        Feature(
            sample_id=sample_id,
            extractor=extractor,
            shard_sha256=sha256,
            position=position,
            input_hash=input_hash,
        )
        for position, (sample_id, input_hash) in enumerate(inputs)
    )


def forget_shards(session: Session, sha256s: Iterable[str]) -> None:
    """Delete shards from the record together with their features."""
    for sha256 in sha256s:
        session.execute(delete(Feature).where(Feature.shard_sha256 == sha256))
        session.execute(delete(FeatureShard).where(FeatureShard.sha256 == sha256))


def forget_unused_shards(session: Session) -> None:
    """Delete every shard from the record whose features were all replaced."""
    used = exists().where(Feature.shard_sha256 == FeatureShard.sha256)
    session.execute(delete(FeatureShard).where(~used))
