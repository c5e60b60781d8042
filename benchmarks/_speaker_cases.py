"""Corpora that are divided by speakers, and the skill of networks on them: what the benchmarks of weightings
and of labels share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.learning.batches import Batch
from annotate.learning.ensemble import fit_members
from annotate.learning.ensembles.base import State
from annotate.learning.folds import grouped_folds
from annotate.learning.members import ask, restore
from annotate.learning.model_config import ModelConfig
from annotate.learning.prepared import Prepared, prepare
from annotate.types import Kind, Modality, Task
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus

Array = NDArray[np.float64]

NETWORKS = 3
"""Of each arm of the grid and per seed, from other first weights: one alone moves by a point."""
RECIPE = ModelConfig(
    hidden=32, members=1, epochs=40, patience=10, batch_size=64, learning_rate=5e-3, dropout=0.1
)

TWO = dict.fromkeys((Modality.TEXT, Modality.AUDIO), 12)
KINDS = Plan(
    samples=400, relatedness=0.7, dims=TWO, tasks=("sentiment.T", "sentiment.A", "sentiment.M"),
    kinds={"sentiment.A": Kind.CLASSIFICATION, "sentiment.M": Kind.CLASSIFICATION},
)  # fmt: skip
"""Numbers and classes, whose losses are of different size."""


@dataclass(frozen=True)
class Case:
    """A corpus of which one part of five in whole speakers is held out, and one is valid."""

    corpus: Corpus
    seed: int
    train: list[str]
    valid: list[str]
    held_out: list[str]

    @classmethod
    def of(cls, corpus: Corpus, seed: int) -> "Case":
        """Divided by `seed`."""
        folds = grouped_folds(corpus.groups, 5, np.random.default_rng([seed, 1]))
        ids = np.array(corpus.ids())
        held_out, valid = (sorted(ids[fold].tolist()) for fold in folds[:2])
        return cls(corpus, seed, sorted(ids[np.concatenate(folds[2:])].tolist()), valid, held_out)

    def prepared(self, config: ModelConfig) -> Prepared:
        """To be trained on."""
        return prepare(self.corpus.training_set(self.train, self.valid), config, "cpu")

    def exam(self, config: ModelConfig) -> Batch:
        """The held-out samples as the networks read them."""
        found = prepare(self.corpus.training_set(self.train, self.held_out), config, "cpu").valid
        assert found is not None
        return found

    def skills(self, config: ModelConfig, states: Sequence[State]) -> Array:
        """(networks,) points of each, mean over the tasks; of classes, 100 times the share that is right."""
        made = self.prepared(config)
        members = restore(made.widths, made.tasks, config, states, "cpu")
        predicted = ask(members, self.exam(config).inputs).heads
        rows = [int(i) for i in self.corpus.labelled(self.held_out)]
        found = [_points(t, predicted[t.id].numpy(), self.corpus.truth[t.id][rows]) for t in made.tasks]
        return np.asarray(np.mean(found, axis=0))


def _points(task: Task, said: NDArray[np.float32], truth: Array) -> list[float]:
    """Of each network; `said` is (networks, n, outputs)."""
    if task.dimension.kind is Kind.CLASSIFICATION:
        return [100 * float((one.argmax(axis=1) == truth).mean()) for one in said]
    return [100 * float(np.corrcoef(one[:, 0], truth)[0, 1]) for one in said]


def cases(plan: Plan, seeds: Iterable[int]) -> list[Case]:
    """One for each seed."""
    return [Case.of(generate(plan, np.random.default_rng(seed)), seed) for seed in seeds]


def mean_of(name: str, figures: Sequence[float]) -> float:
    """Printed with each seed's."""
    mean = float(np.mean(figures))
    print(f"{name}: {mean:.2f}, by seed {' '.join(f'{figure:.2f}' for figure in figures)}", flush=True)
    return mean


def firsts(case: Case) -> list[int]:
    """Seeds of the first weights."""
    return [100 * case.seed + k for k in range(NETWORKS)]


def skill(case: Case, config: ModelConfig) -> float:
    """Points, the mean over networks from other first weights."""
    states, _ = fit_members(case.prepared(config), firsts(case))
    return float(case.skills(config, states).mean())


def gain(ones: Sequence[float], others: Sequence[float], name: str = "difference") -> float:
    """The mean difference; printed."""
    return mean_of(name, [a - b for a, b in zip(ones, others, strict=True)])
