"""Turn every sample into features, one modality after the other."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
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
_AGAIN = "delete the clips named above, then `annotate ingest` the videos again: it cuts what is missing"


@dataclass(frozen=True, slots=True)
class ModalityReport:
    """What became of the samples of one modality."""

    extractor: str
    done: int
    unchanged: int
    failed: int


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """How many samples have features, per modality, and what to type next."""

    modalities: dict[str, ModalityReport]
    """By word: text, audio, vision."""
    failures: list[dict[str, str]]
    """Each sample that could not be read, with its modality and the reason; the next run tries it again."""
    seconds: float
    next: str


@dataclass(slots=True)
class _Work:
    """What is to be done for one modality."""

    modality: Modality
    extractor: FeatureExtractor
    name: str
    todo: list[tuple[SampleInput, str]]
    """With the hash of what the features are made from."""
    unchanged: int
    done: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)


def extract(project: Project, *, progress: Progress = SILENT) -> ExtractReport:
    """Extract what is missing or whose input, extractor or shard changed. Safe to kill and run again.

    Raises `NothingToDo` when there are no samples, `AnnotateError` when an extractor cannot be used.
    """
    started = time.monotonic()
    with project.writing():
        with reading(project.engine) as session:
            inputs = features.sample_inputs(session)
            if not inputs:
                raise no_samples(session)
        works = [_plan(project, modality) for modality in UNIMODAL]
        _mend(project, progress)
        for work in works:
            _fill(project, work, inputs)
            _run(project, work, progress)
    failures = [failure for work in works for failure in work.failures]
    return ExtractReport(
        modalities={work.modality.word: _report(work) for work in works},
        failures=failures,
        seconds=time.monotonic() - started,
        next=_AGAIN if failures else "annotate next-batch",
    )


def _plan(project: Project, modality: Modality) -> _Work:
    """Open every extractor before the first sample: a wrong setting shows itself at once."""
    extractor = open_extractor(project, modality)
    name = full_name(project.settings.features.extractor(modality), extractor)
    return _Work(modality, extractor, name, [], 0)


def _mend(project: Project, progress: Progress) -> None:
    """Forget shards that are gone, damaged or unused, and delete files that no row knows."""
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
        progress.say(f"feature shard {row.path} is missing or damaged; it is made again")
    store.sweep(known)


def _fill(project: Project, work: _Work, inputs: Sequence[SampleInput]) -> None:
    with reading(project.engine) as session:
        known = features.input_hashes(session, work.name)
    hashed = [(sample, _input_hash(sample, work.modality)) for sample in inputs]
    if work.extractor.made_elsewhere:
        work.todo = [(sample, digest) for sample, digest in hashed if sample.sample_id not in known]
    else:
        work.todo = [(sample, digest) for sample, digest in hashed if known.get(sample.sample_id) != digest]
    work.unchanged = len(inputs) - len(work.todo)


def _input_hash(sample: SampleInput, modality: Modality) -> str:
    if modality is Modality.TEXT:
        return hashlib.sha256(sample.transcript.encode()).hexdigest()
    return sample.media_sha256.get(modality.value, "")


def _run(project: Project, work: _Work, progress: Progress) -> None:
    """Shard by shard: what a kill can cost is the work on one of them."""
    _fetch(project, work, progress)
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
            work.done += len(items)
            if items:
                _store(project, work, items, {sample.sample_id: digest for sample, digest in chunk})


def _fetch(project: Project, work: _Work, progress: Progress) -> None:
    """Leave out the samples whose file cannot be had."""
    if work.modality is Modality.TEXT or not work.todo:
        return
    lost = fetch_samples(project, [sample.sample_id for sample, _ in work.todo], [work.modality], progress)
    work.failures += [
        {"sample": sample_id, "modality": work.modality.word, "reason": reason}
        for sample_id, reason in sorted(lost.items())
    ]
    work.todo = [(sample, digest) for sample, digest in work.todo if sample.sample_id not in lost]


def _store(
    project: Project,
    work: _Work,
    items: Sequence[tuple[str, NDArray[np.float32]]],
    digests: Mapping[str, str],
) -> None:
    """The file first, then its rows: a kill between them leaves an orphan that the next run sweeps."""
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
    """(sample id, features or why there are none), in the order given.

    Threads suffice: decoding, OpenCV, numpy and torch leave the interpreter while they compute.
    """

    def one(sample: SampleInput) -> NDArray[np.float32] | str:
        media = project.sample_media(sample.sample_id)
        try:
            found = extractor.extract(SampleSource(sample.sample_id, media, sample.transcript))
        except AnnotateError as error:
            return str(error)
        return found if np.isfinite(found).all() else "the extractor gave a number that is not finite"

    # The first one alone: packages are imported when first used, and OpenCV's import is not safe in threads.
    yield samples[0].sample_id, one(samples[0])
    with ThreadPoolExecutor(_THREADS) as pool:
        for sample, result in zip(samples[1:], pool.map(one, samples[1:]), strict=True):
            yield sample.sample_id, result


def _report(work: _Work) -> ModalityReport:
    return ModalityReport(work.name, work.done, work.unchanged, len(work.failures))
