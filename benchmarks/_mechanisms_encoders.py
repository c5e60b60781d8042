"""What each encoder sees that a mean over time cannot, and what tasks gain by reading words together.

Skill, differences and their intervals are those of `_mechanisms_sharing`. Plans and configs were chosen on
seeds from 100 on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from annotate.learning.model_config import ModelConfig
from annotate.types import Modality
from benchmarks._bars import Bars
from benchmarks._generated import SPREAD, STEPS, Plan, generate
from benchmarks._mechanisms_sharing import Made, gain, learned
from benchmarks._sets import UTTERANCE_US, Corpus, scale, told

SEEDS, QUICK_SEEDS = range(5), range(1)
RECIPE = ModelConfig(
    hidden=32, members=1, epochs=25, patience=25, batch_size=64, learning_rate=1e-2, dropout=0.0,
    encoder="mean-pool",
)  # fmt: skip
TRAIN = 16
"""Speakers of 34."""
ONE: Mapping[str, Any] = {
    "tasks": ("sentiment.T",), "samples": 680, "groups": 34, "dims": {Modality.TEXT: 6}, "feature_noise": 0.1,
}  # fmt: skip
PLANTED = Plan(frames=(8, 10), planted_frame=True, **ONE)
"""One frame among loud noise says it all, and is marked."""
ORDERED = Plan(frames=(4, 5), order_matters=True, **ONE)
"""The second half shows the opposite of the first."""
AROUND = Plan(context=True, **ONE)
"""Half of the truth stands in the utterances before and behind."""

WORDS, LENGTH, HIGH = 60, (4, 8), 2048
MAIN, AUX = "b.T", "a.T"
READING = replace(RECIPE, hidden=16, batch_size=32, text_encoder="lookup-table")


def run(bars: Bars, quick: bool) -> None:
    """Every bar; about three minutes of one core, `quick` under 20 seconds."""
    torch.set_num_threads(1)
    seeds = QUICK_SEEDS if quick else SEEDS
    if quick:
        for name in ("planted-frame", "lookup-table", "pretrained-text"):
            bars.long(f"encoders.{name}", "differences need five seeds")
    else:
        _table(bars, seeds)
        _pretrained(bars, seeds)
        names = ("temporal-cnn", "hierarchical-attention")
        blind = _against_the_mean(bars, seeds, "planted-frame", PLANTED, names)
        bars.bar("encoders.planted-frame.mean-pool.skill", blind, "<=", 25)
    _against_the_mean(bars, seeds, "context", AROUND, ("hierarchical-attention",))
    _against_the_mean(bars, seeds, "order", ORDERED, ("temporal-cnn", "bi-gru", "transformer"))


def _against_the_mean(bars: Bars, seeds: Sequence[int], what: str, plan: Plan, names: Sequence[str]) -> float:
    """Skill of `mean-pool`, over which every other has to gain."""
    corpora = [(seed, generate(plan, np.random.default_rng(seed))) for seed in seeds]

    def arm(name: str) -> list[Made]:
        return [learned(c, replace(RECIPE, encoder=name), seed, train=TRAIN) for seed, c in corpora]

    blind = arm("mean-pool")
    print(f"{what}: mean-pool {_skill(blind):.1f} points")
    for name in names:
        _, low, _ = _say(f"{what}: {name} - mean-pool", arm(name), blind)
        bars.bar(f"encoders.{what}.{name}-over-mean-pool.low", low, ">=", 0)
    return _skill(blind)


def sentences(seed: int, share: float) -> Corpus:
    """Texts whose words are each a little good or bad, judged by two raters; the other task has every label,
    the main one only a `share` of them."""
    rng = np.random.default_rng([seed, 7])
    n, groups = ONE["samples"], ONE["groups"]
    goodness = rng.standard_normal(WORDS)
    said = [rng.integers(1, WORDS + 1, rng.integers(LENGTH[0], LENGTH[1] + 1)) for _ in range(n)]
    truth = np.array([goodness[words - 1].mean() for words in said])
    truth = (truth - truth.mean()) / truth.std() / SPREAD
    tasks = [scale(name.removesuffix(".T"), STEPS, Modality.TEXT) for name in (AUX, MAIN)]
    labels = {}
    for task in tasks:
        judged = np.clip(truth + 0.2 / SPREAD * rng.standard_normal(n), -1, 1)
        labels.update(told(task, judged.tolist()))
    of_group = np.arange(n) * groups // n
    names = np.array([f"g{i:02d}" for i in of_group])
    kept = rng.permutation(n)[: max(1, round(share * n))]
    spared = {f"{i:06d}" for i in kept}
    labels = {key: label for key, label in labels.items() if key[1] != MAIN or key[0] in spared}
    tokens = [np.stack([w // HIGH, w % HIGH], axis=1).astype(np.float32) for w in said]
    starts = np.arange(n, dtype=np.int64) * UTTERANCE_US
    return Corpus(
        "sentences", tuple(tasks), {Modality.TEXT: tokens}, labels, names, names, starts,
        {task.id: truth for task in tasks},
    )  # fmt: skip


def _table(bars: Bars, seeds: Sequence[int]) -> None:
    """A table that all tasks fill, where each task has a network of its own (Collobert & Weston 2008)."""

    def arm(shared: bool) -> list[Made]:
        said = {"rows": 64, "columns": 8, "shared": shared}
        config = replace(READING, sharing="none", sampling="one-task", options={"lookup-table": said})
        return [learned(sentences(seed, 0.1), config, seed, train=TRAIN) for seed in seeds]

    _, low, _ = _say("a tenth of the labels: one table - a table each", arm(True), arm(False), [MAIN])
    bars.bar("encoders.lookup-table.shared-over-own.low", low, ">=", -0.5)


def _pretrained(bars: Bars, seeds: Sequence[int]) -> None:
    """One model that two tasks train further, against the main task alone (Liu et al. 2019, MT-DNN; without
    its second stage)."""
    if find_spec("transformers") is None:
        bars.long("encoders.pretrained-text", "needs transformers")
        return
    with TemporaryDirectory() as folder:
        model = _model(Path(folder))
        config = replace(
            READING, epochs=12, text_encoder="pretrained-text", sharing="hard",
            options={"pretrained-text": {"model": str(model), "rate": 0.3}},
        )  # fmt: skip
        for percent in (1, 10, 100):
            corpora = [(seed, sentences(seed, percent / 100)) for seed in seeds]
            # With all labels there is little left to gain: one network by itself moves by more.
            arm = replace(config, members=3 if percent == 100 else 1)
            joint = [learned(c, arm, seed, train=TRAIN) for seed, c in corpora]
            lone = [learned(c, arm, seed, [MAIN], train=TRAIN) for seed, c in corpora]
            _, low, _ = _say(f"{percent} % of the labels: two tasks - one alone", joint, lone, [MAIN])
            bars.bar(f"encoders.pretrained-text.{percent}-percent.over-single.low", low, ">=", -0.5)


def _model(folder: Path) -> Path:
    """A BERT of one layer, as small as can be; nobody has taught it anything."""
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    be_quiet: Any = logging.disable_progress_bar
    be_quiet()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def _skill(arms: Sequence[Made]) -> float:
    return float(np.mean([np.mean(list(found)) for made in arms for found in made.skills.values()]))


def _say(
    name: str, one: Sequence[Made], other: Sequence[Made], tasks: Sequence[str] | None = None
) -> tuple[float, float, float]:
    mean, low, high = found = gain(one, other, tasks)
    print(f"{name}: {mean:+.2f} [{low:+.2f}, {high:+.2f}] points", flush=True)
    return found
