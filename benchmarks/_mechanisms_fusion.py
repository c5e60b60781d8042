"""What each fusion finds that codes side by side do not, and what it costs; on generated sets.

Each pair is trained on the same folds with the same seeds, groups held out. The score is R2 of the multimodal
task against the truth without noise, on the held-out groups; an interval is 95 % of a bootstrap over seeds
and their groups. `costs` prints parameters and times. Plans and config were chosen on other seeds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from annotate.learning.ensemble import fit_ensemble
from annotate.learning.folds import grouped_folds
from annotate.learning.fusions.concat import Concat
from annotate.learning.members import Members
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.learning.prepared import prepare
from annotate.learning.trainer import fit
from annotate.registry import FUSIONS, fusion
from annotate.types import UNIMODAL, Modality
from benchmarks._bars import Bars
from benchmarks._generated import Plan, generate
from benchmarks._sets import Corpus, Rows

Array = NDArray[np.float64]

SEEDS, QUICK_SEEDS = 5, 1
FOLDS = 4
DRAWS = 1000
TASK = "sentiment.M"
RECIPE = ModelConfig(hidden=32, members=2, epochs=40, patience=10, dropout=0.1, learning_rate=3e-3)
INTERACTION = Plan(samples=480, groups=20, tasks=(TASK,), directions=1, interaction=True)
"""The truth is the sum of the products of what two modalities show."""
CONTEXT = Plan(samples=480, groups=20, tasks=(TASK,), context=True, feature_noise=1.0, missing_modalities=0.1)
"""The truth is the sum of what an utterance and its neighbours show; 12 utterances per video."""

LOOKING = ("co-attention", "contextual", "cross-modal")
DIMS = {Modality.TEXT: 256, Modality.AUDIO: 94, Modality.VISION: 159}
MOST_PARAMETERS = 300_000
ROUNDS, STEPS = 3, 12


@fusion("linear side by side")
class Linear(Concat):
    """For comparison only: codes side by side under one layer without a bend."""

    def __init__(self, widths: Mapping[str, int], hidden: int, dropout: float, options: Any) -> None:
        super().__init__(widths, hidden, dropout, options)
        self.layers = nn.Sequential(nn.Linear(len(widths) * (hidden + 1), hidden))


class Said(NamedTuple):
    """Of the held-out samples of one seed."""

    answers: Array
    truth: Array
    groups: NDArray[np.str_]


def run(bars: Bars, quick: bool) -> None:
    """Every bar; about three minutes, `quick` under 20 seconds."""
    torch.set_num_threads(1)
    if quick:
        costs(bars, rounds=1, several=False)
        _context(bars, QUICK_SEEDS, against=("concat",))
        bars.long("fusion.interaction", f"trains {5 * SEEDS} networks")
    else:
        costs(bars)
        _context(bars, SEEDS)
        _interaction(bars, SEEDS)


def _interaction(bars: Bars, seeds: int) -> None:
    sets = corpora(INTERACTION, seeds)
    names = ("tensor", "low-rank", "gated", "concat", "linear side by side")
    said = {name: [trained(c, name, seed)[()] for seed, c in enumerate(sets)] for name in names}
    print("products of two modalities, R2: " + ", ".join(f"{n} {mean(s):.3f}" for n, s in said.items()))
    bars.bar("fusion.interaction.tensor.r2", mean(said["tensor"]), ">=", 0.7)
    bars.bar("fusion.interaction.low-rank.r2", mean(said["low-rank"]), ">=", 0.7)
    bars.bar("fusion.interaction.linear.r2", mean(said["linear side by side"]), "<=", 0.1)
    for name in ("tensor", "low-rank"):
        low = _gain(said[name], said["concat"], f"of {name} over concat")
        bars.bar(f"fusion.interaction.{name}-concat.low", low, ">=", -0.005)


def _context(bars: Bars, seeds: int, against: Sequence[str] = ("concat", "late")) -> None:
    sets = corpora(CONTEXT, seeds)
    gone: list[tuple[Modality, ...]] = [(), *((m,) for m in UNIMODAL)]
    found = [trained(c, "contextual", seed, gone) for seed, c in enumerate(sets)]
    said = {which: [one[which] for one in found] for which in gone}
    whole = said[()]
    for name in against:
        other = [trained(c, name, seed)[()] for seed, c in enumerate(sets)]
        print(f"truth in the neighbours, R2: contextual {mean(whole):.3f}, {name} {mean(other):.3f}")
        bars.bar(
            f"fusion.contextual-{name}.low", _gain(whole, other, f"of contextual over {name}"), ">=", -0.005
        )
    kept = {which: mean(rows) / mean(whole) for which, rows in said.items() if which}
    for which, share in kept.items():
        print(f"contextual without {which[0].word}: R2 {mean(said[which]):.3f}, {share:.0%} of the whole")
    bars.bar("fusion.contextual.one-missing.share-kept", min(kept.values()), ">=", 0.5)


def corpora(plan: Plan, seeds: int) -> list[Corpus]:
    """One per seed."""
    return [generate(plan, np.random.default_rng([seed, 4])) for seed in range(seeds)]


def trained(
    corpus: Corpus, name: str, seed: int, gone: Sequence[tuple[Modality, ...]] = ((),)
) -> dict[tuple[Modality, ...], Said]:
    """What a network with that fusion says of the held-out groups, by the modalities that they lack."""
    folds = grouped_folds(corpus.groups, FOLDS, np.random.default_rng([seed, 1]))
    ids = np.array(corpus.ids())
    held_out, valid, train = (
        sorted(ids[f].tolist()) for f in (folds[0], folds[1], np.concatenate(folds[2:]))
    )
    config = replace(RECIPE, fusion=name)
    made = fit_ensemble(corpus.training_set(train, valid), config, seed=seed, device="cpu")
    rows = [int(i) for i in held_out]
    found = {}
    for lacking in gone:
        predicted = predict(made, _lacking(corpus, lacking), held_out, origins=corpus.origins).predictions[
            TASK
        ]
        found[lacking] = Said(predicted.mean.astype(float), corpus.truth[TASK][rows], corpus.groups[rows])
    return found


def _lacking(corpus: Corpus, gone: Sequence[Modality]) -> Callable[[Modality, Sequence[str]], Rows]:
    def read(modality: Modality, wanted: Sequence[str]) -> Rows:
        frames = corpus.read(modality, wanted)
        return [f[:0] for f in frames] if modality in gone else frames

    return read


def r2(answers: Array, truth: Array) -> float:
    """1 - squared error / variance."""
    return 1 - float(np.mean((answers - truth) ** 2) / np.var(truth))


def mean(said: Sequence[Said]) -> float:
    """R2, averaged over the seeds."""
    return float(np.mean([r2(s.answers, s.truth) for s in said]))


def _gain(one: Sequence[Said], other: Sequence[Said], name: str) -> float:
    """Low end of the interval of R2 of one minus that of the other, paired; seeds and groups drawn again."""
    rng = np.random.default_rng(0)
    places = [[np.flatnonzero(s.groups == g) for g in np.unique(s.groups)] for s in one]

    def drawn(k: int) -> float:
        rows = np.concatenate([places[k][j] for j in rng.integers(len(places[k]), size=len(places[k]))])
        truth = one[k].truth[rows]
        return r2(one[k].answers[rows], truth) - r2(other[k].answers[rows], truth)

    draws = [np.mean([drawn(k) for k in rng.integers(len(one), size=len(one))]) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    print(f"  gain {name}: {mean(one) - mean(other):.3f} [{low:.3f}, {high:.3f}]")
    return float(low)


# What a fusion costs.


def costs(bars: Bars, rounds: int = ROUNDS, *, several: bool = True) -> None:
    """CPU time of a step of five members with hidden 64, against one with `concat`; and parameters."""
    torch.set_num_threads(1)
    names = [name for name in FUSIONS.names() if name != "linear side by side"]
    single = _relative(names, ModelConfig(encoder="mean-pool", epochs=STEPS), 1, rounds)
    longer = ModelConfig(encoder="transformer", epochs=STEPS // 4)
    many = _relative(names, longer, 16, rounds) if several else dict.fromkeys(names, np.nan)
    print("| fusion | parameters | network | step, one row | step, 16 rows |\n|---|---|---|---|---|")
    for name in names:
        own, whole = _parameters(name)
        print(f"| `{name}` | {own:,} | {whole:,} | {single[name]:.1f} | {many[name]:.1f} |")
    for name in names:
        bars.bar(f"fusion.{name}.parameters", _parameters(name)[1], "<=", MOST_PARAMETERS)
        bars.bar(f"fusion.{name}.step", single[name], "<=", 8 if name in LOOKING else 3)


def _parameters(name: str) -> tuple[int, int]:
    """Of the fusion, and of the network around it with one row per modality."""
    net = _prepared(ModelConfig(fusion=name), 1).network(0)
    counts = {key: p.numel() for key, p in net.named_parameters()}
    return sum(n for key, n in counts.items() if ".fusion." in key), sum(counts.values())


def _prepared(config: ModelConfig, rows: int) -> Any:
    plan = Plan(samples=32, groups=2, videos=2, dims=DIMS, frames=(rows, rows))
    corpus = generate(plan, np.random.default_rng(0))
    return prepare(corpus.training_set(corpus.ids(), []), config, "cpu")


def _relative(names: Sequence[str], config: ModelConfig, rows: int, rounds: int) -> dict[str, float]:
    """By fusion: median over the rounds of its CPU seconds by those of `concat` in the same round."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    made = {name: _prepared(replace(config, fusion=name), rows) for name in names}
    for _ in range(rounds + 1):  # the first one warms up
        for name in names:
            seconds[name].append(_seconds(made[name]))
    concat = np.array(seconds["concat"][1:])
    return {name: float(np.median(np.array(found[1:]) / concat)) for name, found in seconds.items()}


def _seconds(prepared: Any) -> float:
    """CPU seconds of one training of five members, one step per epoch."""
    members = Members([prepared.network(k) for k in range(5)])
    generators = [torch.Generator().manual_seed(k) for k in range(5)]
    start = time.process_time()
    fit(members, prepared.train, None, prepared.config, generators)
    return time.process_time() - start
