"""Extract features of every sample, one modality after the other."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from annotate.corpus.clips import fetch_samples
from annotate.corpus.features import full_name, open_extractor
from annotate.corpus.no_samples import no_samples
from annotate.errors import AnnotateError
from annotate.feature_store import FeatureStore
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.protocols import FeatureExtractor
from annotate.types import UNIMODAL, Modality, SampleSource
from db import features
from db.engine import reading, writing
from db.features import SampleInput
from db.videos import add_event

SAMPLES_PER_SHARD = 256
_THREADS = 2
_RETRY = "delete the clips named above, then `annotate ingest` the videos again: it cuts missing clips"


@dataclass(frozen=True, slots=True)
class ModalityReport:
    """The number of samples per outcome, for one modality."""

    extractor: str
    done: int
    unchanged: int
    failed: int


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """How many samples have features, per modality, and the next command."""

    modalities: dict[str, ModalityReport]
    """Keys: text, audio, vision."""
    failures: list[dict[str, str]]
    """Samples that could not be read, with modality and reason; the next run tries them again."""
    seconds: float
    next: str


@dataclass(slots=True)
class _Work:
    """The work on one modality."""

    modality: Modality
    extractor: FeatureExtractor
    name: str
    todo: list[tuple[SampleInput, str]]
    """Each sample, with the hash of the extractor's input."""
    unchanged: int
    done: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


def extract(project: Project, *, progress: Progress = SILENT) -> ExtractReport:
    """Extract features that are missing or whose input, extractor or shard changed. Safe to run again.

    Raises `NothingToDo` when there are no samples, `AnnotateError` when an extractor cannot be used.
    """
    started = time.monotonic()
    with project.writing():
        with reading(project.engine) as session:
            inputs = features.sample_inputs(session)
            if not inputs:
                raise no_samples(session)
        works = []
        for modality in UNIMODAL:
            # Opens every extractor before the first sample, so that a wrong setting fails at once.
            extractor = open_extractor(project, modality)
            name = full_name(project.settings.features.extractor(modality), extractor)
            works.append(_Work(modality, extractor, name, [], 0))
        _drop_bad_shards(project, progress)
        for work in works:
            _find_todo(project, work, inputs)
            _run(project, work, progress)
    failures = [failure for work in works for failure in work.failures]
    return ExtractReport(
        modalities={
            work.modality.word: ModalityReport(work.name, work.done, work.unchanged, len(work.failures))
            for work in works
        },
        failures=failures,
        seconds=time.monotonic() - started,
        next=_RETRY if failures else "annotate next-batch",
    )


def _drop_bad_shards(project: Project, progress: Progress) -> None:
    """Forget shards that are missing, damaged or unused, and delete files without a row."""
    store = FeatureStore(project.features)
    with reading(project.engine) as session:
        rows = features.shards(session)
    damaged = []
    with progress.bar("checking shards", len(rows)) as bar:
        for row in rows:
            if not store.intact(row.path, row.sha256):
                damaged.append(row)
            bar.advance()
    with writing(project.engine) as session:
        features.forget_shards(session, [row.sha256 for row in damaged])
        features.forget_unused_shards(session)
        known = {row.path for row in features.shards(session)}
    for row in damaged:
        progress.say(f"feature shard {row.path} is missing or damaged; it is extracted again")
    store.sweep(known)


def _find_todo(project: Project, work: _Work, inputs: Sequence[SampleInput]) -> None:
    with reading(project.engine) as session:
        known = features.input_hashes(session, work.name)
    hashed = [
        (
            sample,
            hashlib.sha256(sample.transcript.encode()).hexdigest()
            if work.modality is Modality.TEXT
            else sample.media_sha256.get(work.modality.value, ""),
        )
        for sample in inputs
    ]
    if work.extractor.made_elsewhere:
        work.todo = [(sample, digest) for sample, digest in hashed if sample.sample_id not in known]
    else:
        work.todo = [(sample, digest) for sample, digest in hashed if known.get(sample.sample_id) != digest]
    work.unchanged = len(inputs) - len(work.todo)


def _run(project: Project, work: _Work, progress: Progress) -> None:
    """Extract shard by shard, so that a killed run loses at most the work on one."""
    if work.todo and work.modality is not Modality.TEXT:
        ids = [sample.sample_id for sample, _ in work.todo]
        lost = fetch_samples(project, ids, [work.modality], progress)
        work.failures += [
            {"sample": sample_id, "modality": work.modality.word, "reason": reason}
            for sample_id, reason in sorted(lost.items())
        ]
        work.todo = [(sample, digest) for sample, digest in work.todo if sample.sample_id not in lost]
    if not work.todo:
        return
    with progress.bar(f"extracting {work.modality.word}", len(work.todo)) as bar:
        for start in range(0, len(work.todo), SAMPLES_PER_SHARD):
            chunk = work.todo[start : start + SAMPLES_PER_SHARD]
            items = []
            for sample_id, result in _extract_all(project, work.extractor, [s for s, _ in chunk]):
                bar.advance()
                if isinstance(result, str):
                    failure = {"sample": sample_id, "modality": work.modality.word, "reason": result}
                    work.failures.append(failure)
                else:
                    items.append((sample_id, result))
            if not items:
                continue
            work.done += len(items)
            digests = {sample.sample_id: digest for sample, digest in chunk}
            # The file before its rows: a kill in between leaves an orphan, which the next run deletes.
            shard = FeatureStore(project.features).write(work.modality, work.name, items)
            with writing(project.engine) as session:
                features.add_shard(
                    session,
                    sha256=shard.sha256,
                    path=shard.path,
                    modality=work.modality,
                    extractor=work.name,
                    inputs=[(sample_id, digests[sample_id]) for sample_id in shard.samples],
                )
                add_event(session, "extract", {"extractor": work.name, "samples": len(shard.samples)})


def _extract_all(
    project: Project, extractor: FeatureExtractor, samples: Sequence[SampleInput]
) -> Iterator[tuple[str, NDArray[np.float32] | str]]:
    """(sample id, features or the reason why there are none), in the given order.

    Threads suffice, because decoding, OpenCV, numpy and torch release the interpreter lock.
    """

    def one(sample: SampleInput) -> NDArray[np.float32] | str:
        media = project.sample_media(sample.sample_id)
        try:
            frames = extractor.extract(SampleSource(sample.sample_id, media, sample.transcript))
        except AnnotateError as error:
            return str(error)
        return frames if np.isfinite(frames).all() else "the extractor gave a number that is not finite"

    # The first one without threads: it imports packages, and the import of OpenCV is not thread-safe.
    yield samples[0].sample_id, one(samples[0])
    with ThreadPoolExecutor(_THREADS) as pool:
        for sample, result in zip(samples[1:], pool.map(one, samples[1:]), strict=True):
            yield sample.sample_id, result
