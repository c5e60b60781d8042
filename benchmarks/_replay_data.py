"""The labelled sets as data that the loop is replayed on: pool, validation and test samples."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.batch.costs import PassCost
from annotate.batch.label_arrays import numbered
from annotate.config.sections import CostSettings
from annotate.corpus.embeddings import embed, pooled
from annotate.learning.folds import grouped_folds
from annotate.learning.model_config import ModelConfig
from annotate.simulation.replay_data import ReplayData
from annotate.types import UNIMODAL, Modality, Task
from benchmarks._sets import Corpus

TESTS, VALIDS = 5, 8
"""Folds: one in so many is test; of the rest, one in so many valid."""


def make_replay_data(
    corpus: Corpus, config: ModelConfig, *, pool: int = 1500, valid: int = 300, test: int = 1000,
    tests: Sequence[str] = (),
) -> ReplayData:  # fmt: skip
    """The corpus's learnable tasks, at most so many samples each, always the same ones.

    `tests` are the groups that are test; else a fold of them is.
    """
    tasks = tuple(task for task in corpus.tasks if _learnable(corpus, task))
    rng = np.random.default_rng(5)
    ids = corpus.ids()
    at = np.array([k for k, i in enumerate(ids) if all((i, t.id) in corpus.labels for t in tasks)])
    judged = at[np.isin(corpus.groups[at], list(tests))]
    if not len(judged):
        judged = at[grouped_folds(corpus.groups[at], TESTS, rng)[0]]
    rest = np.setdiff1d(at, judged)
    watching = rest[grouped_folds(corpus.groups[rest], VALIDS, rng)[0]]

    def some(rows: NDArray[np.intp], most: int) -> list[int]:
        return sorted(rng.permutation(rows)[:most].tolist())

    rows = some(np.setdiff1d(rest, watching), pool)
    groups = {"speaker": corpus.groups, "video": corpus.videos}
    features = [_mean_frames(corpus, m, rows) for m in UNIMODAL if m in corpus.features]
    return ReplayData(
        tasks=tasks,
        pool=tuple(ids[i] for i in rows),
        valid=tuple(ids[i] for i in some(watching, valid)),
        test=tuple(ids[i] for i in some(judged, test)),
        labels=corpus.labels,
        read=corpus.read,
        extractors={m: m.word for m in UNIMODAL if m in corpus.features},
        origins=corpus.origins,
        embeddings=embed(features),
        groups={word: numbered(names[rows].tolist()) for word, names in groups.items()},
        clip_seconds=np.full(len(rows), 4.0),
        costs={m: PassCost(*said) for m, said in CostSettings().by_pass(1).items()},
        config=config,
    )  # fmt: skip


def _learnable(corpus: Corpus, task: Task) -> bool:
    """Whether there are features of its modality."""
    return task.modality is Modality.MULTIMODAL or task.modality in corpus.features


def _mean_frames(corpus: Corpus, modality: Modality, rows: Sequence[int]) -> NDArray[np.float64]:
    """(rows, dim) zeros where the modality is missing."""
    found = [corpus.features[modality][i] for i in rows]
    width = found[0].shape[1]
    return pooled([frames if len(frames) else np.zeros((1, width), np.float32) for frames in found])
