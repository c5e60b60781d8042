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
"""By sample: hash of its numbers, and of the shard that they lie in."""
SHARD_SAMPLES = 4096
SHARD_BYTES = 1 << 25
"""Of 32-bit numbers: what one shard has at most, and so what is in memory at once."""


@dataclass(frozen=True, slots=True)
class Written:
    """Shards that lie on the disk, and are on no record yet."""

    shards: list[NewShard]
    told: dict[str, str]
    """By modality: what was stored, for people."""
    warnings: list[str]


def write_features(project: Project, corpus: Corpus, ids: Sequence[str], progress: Progress) -> Written:
    """Store the features of samples (ids in the order of the corpus), of every modality that is imported.

    A modality that the corpus does not have gets a row of zeros per sample, as extractors give for one that
    is absent; samples that have features of it keep them. Raises `CorpusError` for numbers that are not
    finite, and another width than others have.
    """
    temporary.sweep(project.features.rglob(temporary.PATTERN))
    written = Written([], {}, [])
    for modality in UNIMODAL:
        if project.settings.features.extractor(modality) == IMPORTED:
            _write(project, modality, corpus.features.get(modality), ids, written, progress)
    return written


def _write(
    project: Project, modality: Modality, frames: Frames | None, ids: Sequence[str], written: Written,
    progress: Progress,
) -> None:  # fmt: skip
    store, name = FeatureStore(project.features), full_name(IMPORTED, open_extractor(project, modality))
    with reading(project.engine) as session:
        stored = imports.stored_features(session, name)
    if frames is None:
        ids = _without(stored, ids, modality, written)
    known = _known(project, store, stored)
    blank = [] if frames is None else _blank(stored, set(ids))
    width = _width(project, store, modality, name, frames, {*ids, *blank})
    absent = np.zeros((1, width), np.float32)
    _widen(store, modality, name, blank, absent, written)
    missing = held = 0
    buffer: list[tuple[str, NDArray[np.float32]]] = []
    digests: list[tuple[str, str]] = []
    with progress.bar(f"reading {modality.word}", len(ids)) as bar:
        for index, sample_id in enumerate(ids):
            found = None if frames is None else frames.of(index)
            missing += found is None
            found = absent if found is None else found
            digest = _digest(found)
            if known.get(sample_id) != digest:
                buffer.append((sample_id, found))
                digests.append((sample_id, digest))
                held += found.nbytes
            if len(buffer) >= SHARD_SAMPLES or held >= SHARD_BYTES:
                _flush(store, modality, name, buffer, digests, written)
                held = 0
            bar.advance()
        _flush(store, modality, name, buffer, digests, written)
    if frames is None:
        return
    written.told[modality.word] = f"{counted(len(ids) - missing, 'sample')}, {width} wide"
    if missing:
        written.warnings.append(
            f"{counted(missing, 'sample')} {either(missing, 'has', 'have')} no {modality.word} "
            "features: zeros stand for them"
        )


def _blank(stored: Stored, ids: set[str]) -> list[str]:
    """Samples of corpora that came without the modality: one zero stands for each, and says no width."""
    nothing = _digest(np.zeros((1, 1), np.float32))
    return sorted(i for i, (digest, _) in stored.items() if digest == nothing and i not in ids)


def _widen(
    store: FeatureStore, modality: Modality, name: str, blank: Sequence[str], absent: NDArray[np.float32],
    written: Written,
) -> None:  # fmt: skip
    """Store as many zeros for what is absent as others have numbers."""
    if absent.shape[1] == 1:
        return
    for start in range(0, len(blank), SHARD_SAMPLES):
        some = blank[start : start + SHARD_SAMPLES]
        _flush(
            store, modality, name, [(i, absent) for i in some], [(i, _digest(absent)) for i in some], written
        )


def _without(stored: Stored, ids: Sequence[str], modality: Modality, written: Written) -> list[str]:
    """Samples that have no features yet: who leaves out `--features` later does not mean to lose them."""
    found = [i for i in ids if i not in stored]
    kept = len(ids) - len(found)
    written.told[modality.word] = (
        "absent"
        if not kept
        else f"none here; {counted(kept, 'sample')} {either(kept, 'keeps', 'keep')} earlier features"
    )
    return found


def _flush(
    store: FeatureStore, modality: Modality, name: str, buffer: list[tuple[str, NDArray[np.float32]]],
    digests: list[tuple[str, str]], written: Written,
) -> None:  # fmt: skip
    if buffer:
        shard = store.write(modality, name, buffer)
        written.shards.append(NewShard(shard.sha256, shard.path, modality, name, list(digests)))
        buffer.clear()
        digests.clear()


def _digest(array: NDArray[np.float32]) -> str:
    return hashlib.sha256(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _known(project: Project, store: FeatureStore, stored: Stored) -> dict[str, str]:
    """By sample: hash of the features that are stored, and whole."""
    with reading(project.engine) as session:
        shards = {row.sha256: row.path for row in features.shards(session)}
    whole = {
        sha256 for sha256 in {shard for _, shard in stored.values()} if store.intact(shards[sha256], sha256)
    }
    return {sample_id: digest for sample_id, (digest, shard) in stored.items() if shard in whole}


def _width(
    project: Project, store: FeatureStore, modality: Modality, name: str, frames: Frames | None, ids: set[str]
) -> int:
    """Of a frame: one project has one width per modality."""
    with reading(project.engine) as session:
        other = imports.one_feature_outside(session, name, ids)
        place = None if other is None else features.places(session, name, [other])[other]
    if place is None:
        return 1 if frames is None else frames.dim
    present = int(store.read(place.path, [place.position])[0].shape[1])
    if frames is not None and frames.dim != present:
        raise CorpusError(
            f"{modality.word} has {frames.dim} numbers per frame here, and {present} in what came before",
            hint="import both from one table, or into projects of their own",
        )
    return present
