"""Projects that are ready to be trained: samples with features and labels, without videos."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.corpus.features import feature_names
from annotate.feature_store import FeatureStore
from annotate.project import Project
from annotate.types import UNIMODAL, Modality, Split
from benchmarks._sets import Corpus, sample_id
from db import models
from db.engine import writing
from db.features import add_shard
from tests.support.factories import add_label, add_sample, add_video

DIMS = {Modality.TEXT: 4, Modality.AUDIO: 6, Modality.VISION: 3}
EVERY = ("sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M")

Frames = NDArray[np.float32]


def fill(
    project: Project,
    *,
    speakers: int = 10,
    each: int = 8,
    labelled: Sequence[str] = EVERY,
    split: Split | None = None,
    change: Callable[[Modality, int, Frames], Frames] = lambda modality, k, frames: frames,
) -> dict[Split, list[str]]:
    """Samples whose features carry the labels, last speaker test, the one before valid; ids by split.

    `split` puts them all into one; `change` may spoil the features of the k-th sample.
    """
    rng = np.random.default_rng(0)
    ways = {m: np.random.default_rng([3, d]).normal(size=d) for m, d in DIMS.items()}
    found: dict[Split, list[str]] = {s: [] for s in Split}
    items: dict[Modality, list[tuple[str, Frames]]] = {m: [] for m in UNIMODAL}
    with writing(project.engine) as session:
        for k in range(speakers):
            where = split or {speakers - 1: Split.TEST, speakers - 2: Split.VALID}.get(k, Split.TRAIN)
            video = add_video(session, f"video {k}", speaker=f"s{k}", split=where)
            for i in range(each):
                sample = add_sample(session, video, start=float(3 * i))
                found[where].append(sample.id)
                truth = {m: float(rng.choice([-1.0, -0.4, 0.0, 0.6, 1.0])) for m in UNIMODAL}
                truth[Modality.MULTIMODAL] = round(float(np.mean([truth[m] for m in UNIMODAL])), 2)
                for m in UNIMODAL:
                    frames = (truth[m] * ways[m] + rng.normal(0, 0.1, (3, DIMS[m]))).astype(np.float32)
                    items[m].append((sample.id, change(m, k * each + i, frames)))
                for task_id in labelled:
                    add_label(session, sample, task_id, truth[Modality(task_id[-1])])
    store(project, items)
    return found


def pour(project: Project, corpus: Corpus, *, aside: int = 0) -> dict[Split, list[str]]:
    """The samples, features and labels of a made-up corpus; the last `aside` groups
    are test, the rest train."""
    names = list(dict.fromkeys(corpus.groups.tolist()))
    tests = set(names[len(names) - aside :])
    found: dict[Split, list[str]] = {s: [] for s in Split}
    ids: list[str] = []
    with writing(project.engine) as session:
        videos: dict[str, models.Video] = {}
        for i, (name, group) in enumerate(zip(corpus.videos, corpus.groups, strict=True)):
            where = Split.TEST if group in tests else Split.TRAIN
            if name not in videos:
                videos[name] = add_video(session, str(name), speaker=str(group), split=where)
            sample = add_sample(session, videos[name], start=corpus.starts[i] / 1e6)
            found[where].append(sample.id)
            for task in corpus.tasks:
                label = corpus.labels.get((sample_id(i), task.id))
                if label is not None:
                    add_label(session, sample, task.id, label.value)
            ids.append(sample.id)
    store(project, {m: list(zip(ids, rows, strict=True)) for m, rows in corpus.features.items()})
    return found


def store(
    project: Project, items: Mapping[Modality, Sequence[tuple[str, Frames]]], made_from: str = "h"
) -> None:
    """Features, as `annotate extract` would keep them; in place of those that the samples have."""
    shards, names = FeatureStore(project.features), feature_names(project)
    with writing(project.engine) as session:
        for m, pairs in items.items():
            ids = [sample_id for sample_id, _ in pairs]
            rows = session.query(models.Feature).filter(models.Feature.sample_id.in_(ids))
            rows.filter(models.Feature.extractor == names[m]).delete()
            shard = shards.write(m, names[m], pairs)
            add_shard(
                session, sha256=shard.sha256, path=shard.path, modality=m, extractor=names[m],
                inputs=[(sample_id, made_from) for sample_id, _ in pairs],
            )  # fmt: skip


def relabel(project: Project, sample_id: str, task_id: str, value: float) -> None:
    """Another value for a label that is there."""
    with writing(project.engine) as session:
        label = session.get(models.Label, (sample_id, task_id, "human"))
        assert label is not None
        label.number = value
