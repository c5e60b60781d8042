"""How good a model is on the real sets: one cell per set, number of labels, seed and fold, each kept.


A cell holds, per task and held-out group, the sums that its score is made of; so any mean over cells can be
drawn again with groups put back (a paired bootstrap), without any model.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.learning.ensemble import fit_ensemble
from annotate.learning.folds import grouped_folds
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.types import Kind, Task
from benchmarks._sets import Corpus

VALID_SHARE = 0.2
FOLDS = 3
HELD_OUT = 600
"""At most so many held-out samples are judged per fold: whole groups, as many as fit."""

Array = NDArray[np.float64]
Answers = Mapping[str, Array]
"""By task id: (n,) values on the scale, or indices of classes."""
Method = Callable[[Corpus, list[str], list[str], list[str], int], Answers]
"""(corpus, train ids, valid ids, held-out ids, seed) -> answers for the held-out."""


@dataclass(frozen=True)
class Cell:
    """One experiment that every method does alike."""

    corpus: str
    labels: int
    seed: int
    fold: int

    @property
    def name(self) -> str:
        return f"{self.corpus}-{self.labels}-{self.seed}-{self.fold}"


@dataclass(frozen=True)
class Division:
    """Who is learned from and who is judged."""

    train: list[str]
    valid: list[str]
    held_out: list[str]


def divide(corpus: Corpus, cell: Cell) -> Division:
    """The held-out fold is the `cell.fold`-th; of the rest so many samples are labelled, a fifth of
    them valid; no group is on two sides."""
    rng = np.random.default_rng([cell.seed, 17])
    folds = grouped_folds(corpus.groups, FOLDS, rng)
    rng = np.random.default_rng([cell.seed, cell.fold, cell.labels])
    held_out = _whole_groups(corpus, folds[cell.fold], HELD_OUT, rng)
    rest = np.concatenate([f for i, f in enumerate(folds) if i != cell.fold])
    valid_groups = _some_groups(corpus.groups[rest], VALID_SHARE, rng)
    valid = rest[np.isin(corpus.groups[rest], valid_groups)]
    train = np.setdiff1d(rest, valid)
    watched = round(cell.labels * VALID_SHARE)
    ids = np.array(corpus.ids())

    def drawn(rows: NDArray[np.intp], n: int) -> list[str]:
        return sorted(ids[rng.permutation(rows)[:n]].tolist())

    return Division(
        drawn(train, cell.labels - watched), drawn(valid, watched), sorted(ids[held_out].tolist())
    )


def _some_groups(groups: NDArray[np.str_], share: float, rng: np.random.Generator) -> NDArray[np.str_]:
    """Groups in random order until they hold `share` of the rows, one at least, never all."""
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names))
    needed = int(np.searchsorted(np.cumsum(sizes[order]), share * len(groups))) + 1
    return names[order[: min(needed, len(names) - 1)]]


def _whole_groups(
    corpus: Corpus, rows: NDArray[np.intp], most: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    names, sizes = np.unique(corpus.groups[rows], return_counts=True)
    order = rng.permutation(len(names))
    kept = names[order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), most, side="right")))]]
    return rows[np.isin(corpus.groups[rows], kept)]


def network(config: ModelConfig) -> Method:
    """The method of training `config`."""

    def run(corpus: Corpus, train: list[str], valid: list[str], held_out: list[str], seed: int) -> Answers:
        made = fit_ensemble(corpus.training_set(train, valid), config, seed=seed, device="cpu")
        predicted = predict(made, corpus.read, held_out, origins=corpus.origins).predictions
        return {task_id: p.mean.astype(float) for task_id, p in predicted.items()}

    return run


def truth(corpus: Corpus, task: Task, ids: Sequence[str]) -> Array:
    """(n,) as `Answers`; NaN without a label."""
    order = [a.value for a in task.dimension.answers]
    found = [corpus.labels.get((i, task.id)) for i in ids]
    regression = task.dimension.kind is Kind.REGRESSION
    return np.array(
        [np.nan if x is None else float(x.value) if regression else order.index(x.value) for x in found]
    )


def linear(corpus: Corpus, train: list[str], valid: list[str], held_out: list[str], seed: int) -> Answers:
    """scikit-learn's logistic regression and ridge on the features side by side, task by task; the
    strength of the penalty is chosen on valid."""
    from sklearn.linear_model import LogisticRegression, Ridge

    def fit(task: Task, strength: float) -> Any:
        if task.dimension.kind is Kind.REGRESSION:
            return Ridge(alpha=1 / strength)
        return LogisticRegression(C=strength, max_iter=300)

    return _chosen(corpus, train, valid, held_out, fit, [10.0**k for k in range(-5, 2)])


def boosting(corpus: Corpus, train: list[str], valid: list[str], held_out: list[str], seed: int) -> Answers:
    """scikit-learn's gradient boosting on the first 50 principal components; the number of rounds is
    chosen on valid."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    def fit(task: Task, rounds: float) -> Any:
        kind = (
            HistGradientBoostingRegressor
            if task.dimension.kind is Kind.REGRESSION
            else HistGradientBoostingClassifier
        )
        return kind(
            max_iter=int(rounds), learning_rate=0.1, max_leaf_nodes=8, random_state=seed, early_stopping=False
        )

    return _chosen(corpus, train, valid, held_out, fit, [10, 40, 160], components=50)


def _chosen(
    corpus: Corpus,
    train: list[str],
    valid: list[str],
    held_out: list[str],
    fit: Callable[[Task, float], Any],
    strengths: Sequence[float],
    components: int | None = None,
) -> Answers:
    rows = [_flat(corpus, ids) for ids in (train, valid, held_out)]
    centre, scale = rows[0].mean(axis=0), rows[0].std(axis=0)
    rows = [np.clip((r - centre) / np.where(scale > 1e-6, scale, np.inf), -5, 5) for r in rows]
    if components is not None:
        from sklearn.decomposition import PCA

        pca = PCA(min(components, len(train) - 1), random_state=0).fit(rows[0])
        rows = [pca.transform(r) for r in rows]
    answers = {}
    for task in corpus.tasks:
        y, watched = truth(corpus, task, train), truth(corpus, task, valid)
        known, seen = ~np.isnan(y), ~np.isnan(watched)
        if len(np.unique(y[known])) < 2:
            answers[task.id] = np.full(len(held_out), y[known][0] if known.any() else 0.0)
            continue
        fitted = [fit(task, s).fit(rows[0][known], y[known]) for s in strengths]
        losses = [_loss(task, f.predict(rows[1][seen]), watched[seen]) for f in fitted]
        answers[task.id] = fitted[int(np.argmin(losses))].predict(rows[2]).astype(float)
    return answers


def _loss(task: Task, said: Array, true: Array) -> float:
    if task.dimension.kind is Kind.REGRESSION:
        return float(np.square(said - true).mean())
    return float((said != true).mean())


def _flat(corpus: Corpus, ids: list[str]) -> NDArray[np.float32]:
    """(n, columns) mean and maximum over time of every modality; zeros where one is missing."""
    from annotate.learning.encoders.mean_pool import MeanPool

    parts = []
    for modality in corpus.features:
        rows = [MeanPool.pool_frames(f) for f in corpus.read(modality, ids)]
        width = rows[0].shape[1]
        parts.append(np.stack([r[0] if len(r) else np.zeros(width, np.float32) for r in rows]))
    return np.concatenate(parts, axis=1)


# -- scores -------------------------------------------------------------------------------------------


def sums(corpus: Corpus, ids: list[str], answers: Answers) -> dict[str, list[list[float]]]:
    """By task id, per held-out group (in the order of their names): n, and what the score is made of."""
    groups = np.array([group for _, _, group in corpus.origins(ids)])
    found = {}
    for task in corpus.tasks:
        true, said = truth(corpus, task, ids), answers[task.id]
        known = ~np.isnan(true)
        rows = []
        for name in np.unique(groups):
            x, y = said[known & (groups == name)], true[known & (groups == name)]
            if task.dimension.kind is Kind.REGRESSION:
                rows.append([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])
            else:
                rows.append([len(x), float((x == y).sum())])
        found[task.id] = [[float(v) for v in row] for row in rows]
    return found


def points(total: Array) -> Array:
    """(...,) 100 x accuracy or Pearson's r, from (..., 2 or 6) summed over groups."""
    n = np.maximum(total[..., 0], 1)
    if total.shape[-1] == 2:
        return 100 * total[..., 1] / n
    _, x, y, xx, yy, xy = np.moveaxis(total, -1, 0)
    spread = np.sqrt(np.maximum(xx - x * x / n, 0) * np.maximum(yy - y * y / n, 0))
    return 100 * np.divide(xy - x * y / n, spread, out=np.zeros_like(spread), where=spread > 1e-9)


Sums = Mapping[str, list[list[float]]]


def cell_scores(found: Sums, weights: Array) -> Array:
    """(draws,) mean score over the tasks; `weights` (draws, groups): how often each group was drawn."""
    return np.mean([points(weights @ np.array(rows)) for rows in found.values()], axis=0)


def difference(
    one: Mapping[str, Sums], other: Mapping[str, Sums], draws: int = 1000
) -> tuple[float, float, float]:
    """Mean over cells of `one` minus `other`, and its 95 % interval; both by the cells' names.

    Groups are drawn with replacement inside each cell, the same for both; the sets are fixed.
    """
    rng = np.random.default_rng(0)
    means = np.zeros(draws + 1)
    for name in sorted(one):
        groups = len(next(iter(one[name].values())))
        drawn = rng.multinomial(groups, np.full(groups, 1 / groups), draws).astype(float)
        weights = np.vstack([np.ones(groups), drawn])
        means += (cell_scores(one[name], weights) - cell_scores(other[name], weights)) / len(one)
    low, high = np.quantile(means[1:], [0.025, 0.975])
    return float(means[0]), float(low), float(high)


def score(found: Mapping[str, Sums]) -> float:
    """Mean over cells."""
    return float(np.mean([cell_scores(s, np.ones((1, len(next(iter(s.values())))))) for s in found.values()]))


# -- running ------------------------------------------------------------------------------------------


class Keeper:
    """Finished cells as JSON files, by method and cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, method: str, cell: Cell, make: Callable[[], Sums]) -> Sums:
        """The kept one, or made now and kept."""
        path = self.folder / method / f"{cell.name}.json"
        if path.exists():
            return json.loads(path.read_text())
        found = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(found))
        partial.rename(path)
        return found


def method_key(name: str, config: ModelConfig | None) -> str:
    """A folder name that changes with the config."""
    said = "" if config is None else json.dumps(asdict(config), sort_keys=True, default=list)
    return f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def run_method(
    corpus: Corpus, cells: Sequence[Cell], keeper: Keeper, name: str, method: ModelConfig | Method
) -> Iterator[tuple[str, Sums]]:
    """Each cell's sums by its name; a config is trained, anything else called."""
    config = method if isinstance(method, ModelConfig) else None
    fit = network(method) if isinstance(method, ModelConfig) else method
    for cell in cells:
        yield cell.name, keeper.get(method_key(name, config), cell, partial(_judge, corpus, cell, fit))


def _judge(corpus: Corpus, cell: Cell, fit: Method) -> Sums:
    division = divide(corpus, cell)
    said = fit(corpus, division.train, division.valid, division.held_out, cell.seed)
    return sums(corpus, division.held_out, said)
