"""Cascade, hierarchy, sub-networks and central processor where each of them has something to find.

Skill is 100 Pearson's r with the noiseless truth on held-out speakers, mean over tasks: points. Differences
are paired by seed (same corpus, same division), their mean is judged. Plans and configs were chosen on seeds
from 100 on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch

from annotate.learning.checkpoint import Checkpoint
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.folds import grouped_folds
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.learning.sharings.sparse import Sparse
from annotate.types import UNIMODAL, Label, Modality
from benchmarks._bars import Bars
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus, shares

SEEDS, QUICK_SEEDS = range(5), range(1)
RECIPE = ModelConfig(
    hidden=32, members=1, epochs=40, patience=15, batch_size=64, learning_rate=5e-3, dropout=0.0
)
# Three networks, because one alone sometimes finds no wave at all; at half the rate, none is done in time.
CHAINED = replace(RECIPE, members=3, learning_rate=1e-2)
# A fusion without a bend of its own: any other is one more layer for the multimodal task, and blurs which it
# stands at. Few columns, so that what a layer does for both tasks costs something.
LAYERED = replace(RECIPE, members=3, fusion="late", hidden=16)
RIGHT, WRONG = ("T", "A", "V", "M"), ("V", "A", "T", "M")

CHAIN = Plan(samples=500, causal_chain=True, directions=1, feature_noise=0.1, dims=dict.fromkeys(UNIMODAL, 4))
"""Audio's answer follows from text's, vision's from audio's; the features of one say nothing of the other."""
NESTED = Plan(
    samples=500, nested=True, own_view=True, tasks=("sentiment.T", "sentiment.M"), feature_noise=0.05,
    missing_labels={"sentiment.M": 0.8}, dims={Modality.TEXT: 4},
)  # fmt: skip
"""The multimodal task is a wave of the text task, with a fifth of its labels: layers 1 and 2 are planted."""
APART = Plan(
    samples=500, tasks=("a.M", "b.M", "c.M"), relatedness=0.0, feature_noise=0.2,
    dims={Modality.TEXT: 12, Modality.AUDIO: 12},
)  # fmt: skip
"""Three bends of three pairs of columns; b is then given the truth of a, see `_twins`."""
EIGHT = Plan(
    samples=500, tasks=tuple(f"{name}.{m}" for name in ("mood", "energy") for m in RIGHT), relatedness=0.8,
    own_view=True, noise=0.2, dims=dict.fromkeys(UNIMODAL, 64),
)  # fmt: skip
"""Eight tasks, as two dimensions have."""
ORDERED = Plan(
    samples=400, order_matters=True, frames=(8, 8), tasks=("sentiment.T", "sentiment.M"), feature_noise=0.2,
    dims={Modality.TEXT: 8, Modality.AUDIO: 8},
)  # fmt: skip
"""Which half of a sequence a frame stands in says its sign; the encoder looks at single frames."""


@dataclass(frozen=True)
class Made:
    """A trained model and its skill by task id."""

    checkpoint: Checkpoint
    skills: Mapping[str, float]

    @property
    def skill(self) -> float:
        """Points, mean over the tasks."""
        return float(np.mean(list(self.skills.values())))

    @property
    def valid_loss(self) -> float:
        """Mean over the networks, each at its best epoch."""
        return float(np.mean([fitted.valid_loss for fitted in self.checkpoint.fitted]))

    @property
    def parameters(self) -> int:
        """Of one network."""
        return sum(p.numel() for p in self.checkpoint.load("cpu").net.parameters())


def trained(corpus: Corpus, seed: int, sharing: str, config: ModelConfig = RECIPE, **options: Any) -> Made:
    """Of five parts of the speakers one is held out, one valid."""
    folds = grouped_folds(corpus.groups, 5, np.random.default_rng([seed, 1]))
    ids = np.array(corpus.ids())
    held_out, valid = (sorted(ids[fold].tolist()) for fold in folds[:2])
    train = sorted(ids[np.concatenate(folds[2:])].tolist())
    chosen = replace(config, sharing=sharing, options={**config.options, sharing: options})
    made = fit_ensemble(corpus.training_set(train, valid), chosen, seed=seed, device="cpu")
    predicted = predict(made, corpus.read, held_out).predictions
    rows = [int(i) for i in held_out]
    skills = {i: 100 * float(np.corrcoef(p.mean, corpus.truth[i][rows])[0, 1]) for i, p in predicted.items()}
    return Made(made, skills)


def run(bars: Bars, quick: bool) -> None:
    """Every bar; about four minutes of one core, `quick` under 40 seconds and of one seed."""
    torch.set_num_threads(1)
    seeds = QUICK_SEEDS if quick else SEEDS
    _cascade(bars, seeds, quick)
    _hierarchical(bars, seeds, quick)
    _central(bars, seeds)
    if quick:
        bars.long("structure.sparse", "three trainings of each task before the training itself")
    else:
        _sparse(bars, seeds)


def _corpora(plan: Plan, seeds: Sequence[int]) -> list[tuple[int, Corpus]]:
    return [(seed, generate(plan, np.random.default_rng(seed))) for seed in seeds]


def _mean(name: str, figures: Sequence[float]) -> float:
    """Printed with each seed's."""
    print(f"{name}: {' '.join(f'{figure:.2f}' for figure in figures)}", flush=True)
    return float(np.mean(figures))


def _cascade(bars: Bars, seeds: Sequence[int], quick: bool) -> None:
    gains, right = [], []
    for seed, corpus in _corpora(CHAIN, seeds):
        apart = trained(corpus, seed, "hard", CHAINED)
        chain = trained(corpus, seed, "cascade", CHAINED, order=RIGHT)
        gains.append(chain.skills["sentiment.M"] - apart.skills["sentiment.M"])
        if not quick:
            turned = trained(corpus, seed, "cascade", CHAINED, order=WRONG)
            right.append(turned.valid_loss - chain.valid_loss)
    bars.bar("structure.cascade.M_minus_parallel_heads", _mean("cascade M", gains), ">=", 0)
    if quick:
        bars.long("structure.cascade.order", "a training for the wrong order too")
    else:
        _mean("valid loss of the wrong order minus that of the right one", right)
        bars.bar("structure.cascade.wrong_order_detected_seeds", sum(r > 0 for r in right), ">=", 5)


def _hierarchical(bars: Bars, seeds: Sequence[int], quick: bool) -> None:
    gains, found = [], []
    for seed, corpus in _corpora(NESTED, seeds):
        top = trained(corpus, seed, "hierarchical", LAYERED, layers=2, T=2, M=2)
        planted = trained(corpus, seed, "hierarchical", LAYERED, layers=2, T=1, M=2)
        gains.append(planted.skill - top.skill)
        if not quick:
            search = trained(corpus, seed, "hierarchical", LAYERED, layers=2).checkpoint.search
            assert search is not None
            print(search.sentence(), flush=True)
            found.append(search.chosen == {"T": 1, "M": 2})
    bars.bar("structure.hierarchical.planted_minus_all_at_top", _mean("levels", gains), ">=", 0)
    if quick:
        bars.long("structure.hierarchical.planted_layer_found_seeds", "a search per seed")
    else:
        bars.bar("structure.hierarchical.planted_layer_found_seeds", sum(found), ">=", 4)


def _twins(corpus: Corpus, seed: int) -> Corpus:
    """Task b.M gets the truth of a.M, judged by another rater (0.1 standard deviations of noise)."""
    rng = np.random.default_rng([seed, 2])
    labels = dict(corpus.labels)
    for (sample, task_id), label in corpus.labels.items():
        if task_id == "b.M":
            value = float(np.clip(corpus.truth["a.M"][int(sample)] + 0.04 * rng.standard_normal(), -1, 1))
            shown = shares(corpus.task(task_id), value)
            labels[sample, task_id] = Label(sample, task_id, value, shown, label.raters)
    return replace(corpus, labels=labels, truth={**corpus.truth, "b.M": corpus.truth["a.M"]})


def _sparse(bars: Bars, seeds: Sequence[int]) -> None:
    config = replace(RECIPE, sampling="one-task", dropout=0.1)
    gains, used, closer = [], [], []
    for seed, plain in _corpora(APART, seeds):
        corpus = _twins(plain, seed)
        part = trained(corpus, seed, "sparse", config)
        gains.append(part.skill - trained(corpus, seed, "hard", replace(RECIPE, dropout=0.1)).skill)
        sharing = cast(Sparse, part.checkpoint.load("cpu").net.sharing)
        sharing.load_state_dict(
            {
                n.removeprefix("sharing."): t
                for n, t in part.checkpoint.members[0].items()
                if n.startswith("sharing.")
            }
        )
        common = sharing.overlap()
        used.append(sharing.used())
        closer.append(common["a.M", "b.M"] - (common["a.M", "c.M"] + common["b.M", "c.M"]) / 2)
    bars.bar("structure.sparse.minus_hard", _mean("sparse", gains), ">=", 0)
    bars.bar("structure.sparse.share_used", _mean("used", used), "<=", 0.6)
    bars.bar("structure.sparse.overlap_related_minus_unrelated", _mean("overlap", closer), ">=", 0.005)


def _central(bars: Bars, seeds: Sequence[int]) -> None:
    gains, sizes, cached = [], [], []
    for seed, corpus in _corpora(EIGHT, seeds):
        central, single = (trained(corpus, seed, name) for name in ("central-processor", "none"))
        gains.append(central.skill - single.skill)
        sizes.append(central.parameters / single.parameters)
    frames = replace(RECIPE, encoder="temporal-cnn", options={"temporal-cnn": {"kernels": (1,)}})
    for seed, corpus in _corpora(ORDERED, seeds):
        on, off = (trained(corpus, seed, "central-processor", frames, cache=c) for c in (True, False))
        cached.append(on.skill - off.skill)
    bars.bar("structure.central.share_of_single_task_parameters", _mean("size", sizes), "<=", 0.4)
    bars.bar("structure.central.minus_single_task", _mean("central", gains), ">=", -1)
    bars.bar("structure.central.cache_on_minus_off", _mean("cache", cached), ">=", 0)
