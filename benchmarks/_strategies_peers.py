"""Lets one peer choose a batch, in an environment that has the peers: CASE N B [WORTH].

Each peer is called as its documentation says, over predictions that are made already. `plain-badge` is our
own plain reading of the paper: no peer ends at a million.
"""

import collections
import collections.abc
import json
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks._strategies_data import (
    CLASSES,
    COMMITTEE,
    LABELLED,
    SAMPLES,
    WORTH,
    Numbers,
    measured,
    numbers,
)

Choose = Callable[[], Any]


class Said:
    """An estimator whose predictions are made already."""

    classes_ = np.arange(CLASSES)

    def __init__(self, probs: Any) -> None:
        self.probs = probs

    def fit(self, *_: Any, **__: Any) -> "Said":
        return self

    def predict_proba(self, *_: Any, **__: Any) -> Any:
        return self.probs

    def predict(self, *_: Any, **__: Any) -> Any:
        return self.probs.argmax(axis=1)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}


def modal_entropy(given: Numbers, b: int) -> Choose:
    from modAL.uncertainty import entropy_sampling

    said = Said(given.probs)
    return lambda: entropy_sampling(said, given.points, n_instances=b)[0]


def modal_votes(given: Numbers, b: int) -> Choose:
    from modAL.disagreement import vote_entropy_sampling
    from modAL.models import ActiveLearner, Committee

    committee = Committee([ActiveLearner(Said(probs)) for probs in given.members(COMMITTEE)])
    return lambda: vote_entropy_sampling(committee, given.points, n_instances=b)[0]


def baal_bald(given: Numbers, b: int) -> Choose:
    from baal.active.heuristics import BALD

    members = np.ascontiguousarray(np.moveaxis(given.members(SAMPLES), 0, -1))
    return lambda: BALD()(members)[:b]


def skactiveml(name: str, given: Numbers, b: int) -> Choose:
    import skactiveml.pool

    points = np.concatenate([given.labelled, given.points])
    labels = np.concatenate([given.labels, np.full(len(given.points), np.nan)])
    strategy = getattr(skactiveml.pool, name)(random_state=0)
    return lambda: strategy.query(points, labels, batch_size=b) - LABELLED


def alipy_coreset(given: Numbers, b: int) -> Choose:
    for name in ("Iterable", "Mapping", "Sequence"):  # alipy 1.2.5 was written for Python 3.9
        setattr(collections, name, getattr(collections.abc, name))
    from alipy.query_strategy import QueryInstanceCoresetGreedy

    points = np.concatenate([given.labelled, given.points])
    count = len(points)
    strategy = QueryInstanceCoresetGreedy(points, np.zeros(count, int), np.arange(count))
    pool, known = set(range(LABELLED, count)), list(range(LABELLED))
    return lambda: np.array(strategy.select(known, pool, batch_size=b)) - LABELLED


def bmdal(method: str, given: Numbers, b: int) -> Choose:
    np.Inf = np.inf  # bmdal_reg 3.0.2 was written for numpy 1
    import torch
    from bmdal_reg.bmdal.algorithms import select_batch
    from bmdal_reg.bmdal.feature_data import TensorFeatureData

    torch.set_num_threads(1)
    data = {
        "train": TensorFeatureData(torch.from_numpy(given.labelled)),
        "pool": TensorFeatureData(torch.from_numpy(given.points)),
    }

    def choose() -> Any:
        found, _ = select_batch(
            b, models=[None], data=data, y_train=None, base_kernel="linear", kernel_transforms=[],
            selection_method=method, verbosity=0,
        )  # fmt: skip
        return found.numpy()

    return choose


def plain_badge(given: Numbers, b: int) -> Choose:
    def choose() -> list[int]:
        rng, n = np.random.default_rng(0), len(given.points)
        error = given.probs.copy()
        error[np.arange(n), error.argmax(axis=1)] -= 1
        sizes = (error**2).sum(axis=1) * np.einsum("nd,nd->n", given.points, given.points)
        chosen = [int(sizes.argmax())]
        left = np.full(n, np.inf, np.float32)
        while len(chosen) < b:
            new = chosen[-1]
            shared = (error @ error[new]) * (given.points @ given.points[new])
            left = np.minimum(left, np.maximum(sizes + sizes[new] - 2 * shared, 0))
            left[new] = 0
            sums = np.cumsum(left, dtype=float)
            chosen.append(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")))
        return chosen

    return choose


CASES: dict[str, Callable[[Numbers, int], Choose]] = {
    "modal-entropy": modal_entropy,
    "modal-votes": modal_votes,
    "baal-bald": baal_bald,
    "skactiveml-coreset": partial(skactiveml, "CoreSet"),
    "skactiveml-typiclust": partial(skactiveml, "TypiClust"),
    "alipy-coreset": alipy_coreset,
    "bmdal-maxdist": partial(bmdal, "maxdist"),
    "bmdal-kmeanspp": partial(bmdal, "kmeanspp"),
    "bmdal-lcmd": partial(bmdal, "lcmd"),
    "plain-badge": plain_badge,
}


def main() -> None:
    case, n, b, worth = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    warnings.simplefilter("ignore")
    given = numbers(n)
    chosen, found = measured(CASES[case](given, b))
    distinct = len(set(chosen.tolist()))
    if distinct != b or not (chosen.min() >= 0 and chosen.max() < n):
        print(f"{case}: {distinct} different samples of {b}", file=sys.stderr)
    print(json.dumps({**found, "worth": WORTH[worth][0](given, chosen), "distinct": distinct}))


if __name__ == "__main__":
    main()
