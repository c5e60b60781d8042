"""Writes the features of a corpus into shards, where they differ from what is stored."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate import temporary
from annotate.corpus.features import full_name, open_extractor
from annotate.errors import CorpusError
from annotate.feature_store import FeatureStore
from annotate.features.imported import IMPORTED
from annotate.importing.corpus import Corpus, Frames
from annotate.progress import Progress
from annotate.project import Project
from annotate.types import UNIMODAL, Modality
from annotate.wording import counted, either
from db import features, imports
from db.engine import reading
from db.imports import NewShard

Stored = Mapping[str, tuple[str, str]]
"""By sample: hash of its features, and hash of the shard that holds them."""
SHARD_SAMPLES = 4096
SHARD_BYTES = 1 << 25
"""Most bytes of 32-bit numbers in one shard, and so in memory at once."""


@dataclass(frozen=True, slots=True)
class WrittenFeatures:
    """Shards that are written to disk, and not in the database yet."""

    shards: list[NewShard]
    summary: dict[str, str]
    """By modality: what was stored, for the user."""
    warnings: list[str]


def write_features(
    project: Project, corpus: Corpus, ids: Sequence[str], progress: Progress
) -> WrittenFeatures:
    """Write the features of samples (`ids` in the order of the corpus), for every imported modality.

    For a modality that the corpus does not have, each sample gets a frame of zeros, as from an extractor;
    samples that have features of it keep them. Raises `CorpusError` for numbers that are not finite, and for
    another width than that of the features before.
    """
    temporary.sweep(project.features.rglob(temporary.PATTERN))
    written = WrittenFeatures([], {}, [])
    for modality in UNIMODAL:
        if project.settings.features.extractor(modality) == IMPORTED:
            _write(project, modality, corpus.features.get(modality), ids, written, progress)
    return written


def _write(
    project: Project, modality: Modality, frames: Frames | None, ids: Sequence[str], written: WrittenFeatures,
    progress: Progress,
) -> None:  # fmt: skip
    store, name = FeatureStore(project.features), full_name(IMPORTED, open_extractor(project, modality))
    with reading(project.engine) as session:
        stored = imports.stored_features(session, name)
    blank: list[str] = []
    if frames is None:
        # Somebody who leaves out --features later does not mean to lose the earlier ones.
        count, ids = len(ids), [i for i in ids if i not in stored]
        kept = count - len(ids)
        written.summary[modality.word] = (
            f"none here; {counted(kept, 'sample')} {either(kept, 'keeps', 'keep')} earlier features"
            if kept
            else "absent"
        )
    else:
        # Samples of corpora without the modality have a single zero, whatever the width.
        single_zero = _digest(np.zeros((1, 1), np.float32))
        present = set(ids)
        blank = sorted(i for i, (digest, _) in stored.items() if digest == single_zero and i not in present)
    intact = _intact_features(project, store, stored)
    width = _width(project, store, modality, name, frames, {*ids, *blank})
    zeros = np.zeros((1, width), np.float32)
    if width > 1:
        for start in range(0, len(blank), SHARD_SAMPLES):
            batch = blank[start : start + SHARD_SAMPLES]
            digest = _digest(zeros)
            _flush(store, modality, name, [(i, zeros) for i in batch], [(i, digest) for i in batch], written)
    missing = buffered_bytes = 0
    buffer: list[tuple[str, NDArray[np.float32]]] = []
    digests: list[tuple[str, str]] = []
    with progress.bar(f"reading {modality.word}", len(ids)) as bar:
        for index, sample_id in enumerate(ids):
            array = None if frames is None else frames.of(index)
            missing += array is None
            array = zeros if array is None else array
            digest = _digest(array)
            if intact.get(sample_id) != digest:
                buffer.append((sample_id, array))
                digests.append((sample_id, digest))
                buffered_bytes += array.nbytes
            if len(buffer) >= SHARD_SAMPLES or buffered_bytes >= SHARD_BYTES:
                _flush(store, modality, name, buffer, digests, written)
                buffered_bytes = 0
            bar.advance()
        _flush(store, modality, name, buffer, digests, written)
    if frames is None:
        return
    written.summary[modality.word] = f"{counted(len(ids) - missing, 'sample')}, {width} wide"
    if missing:
        written.warnings.append(
            f"{counted(missing, 'sample')} {either(missing, 'has', 'have')} no {modality.word} "
            "features: they get zeros"
        )


def _flush(
    store: FeatureStore, modality: Modality, name: str, buffer: list[tuple[str, NDArray[np.float32]]],
    digests: list[tuple[str, str]], written: WrittenFeatures,
) -> None:  # fmt: skip
    if buffer:
        shard = store.write(modality, name, buffer)
        written.shards.append(NewShard(shard.sha256, shard.path, modality, name, list(digests)))
        buffer.clear()
        digests.clear()


def _digest(array: NDArray[np.float32]) -> str:
    return hashlib.sha256(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _intact_features(project: Project, store: FeatureStore, stored: Stored) -> dict[str, str]:
    """By sample: hash of its stored features, where their shard is intact."""
    with reading(project.engine) as session:
        shards = {row.sha256: row.path for row in features.shards(session)}
    intact = {
        sha256 for sha256 in {shard for _, shard in stored.values()} if store.intact(shards[sha256], sha256)
    }
    return {sample_id: digest for sample_id, (digest, shard) in stored.items() if shard in intact}


def _width(
    project: Project, store: FeatureStore, modality: Modality, name: str, frames: Frames | None, ids: set[str]
) -> int:
    """Numbers per frame of a modality, which are the same in the whole project."""
    with reading(project.engine) as session:
        other = imports.one_feature_outside(session, name, ids)
        location = None if other is None else features.locations(session, name, [other])[other]
    if location is None:
        return 1 if frames is None else frames.dim
    width = int(store.read(location.path, [location.position])[0].shape[1])
    if frames is not None and frames.dim != width:
        raise CorpusError(
            f"{modality.word} has {frames.dim} numbers per frame here, and {width} in earlier imports",
            hint="import both from one table, or into projects of their own",
        )
    return width
