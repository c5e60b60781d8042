"""Whether the ensemble knows where it is wrong: its members' disagreement against its error, held-out groups.

    python -m benchmarks.ensemble --data DIR [--quick] [--members N] [--json FILE]

DIR (or ANNOTATE_DATA) may hold, each in its folder: ravdess_au_mfcc (RAVDESS: action units and MFCC, eight
emotions; actors 10 to 12 held out) and emotiontalk_labels (EmotionTalk transcripts, seven emotions as read
from text alone, and sentiment from -2 to 2; one of two speaker pairs held out; needs pyarrow). Always: a
generated regression with three modalities and held-out speakers.

`rho` is Spearman's between disagreement and error, `auroc` how well disagreement tells wrong answers from
right ones; intervals are 95 % bootstraps over samples, the mean of the seeds in each draw.

Known to be short: sentiment of EmotionTalk from text. The words say little about it (a linear model with all
labels reaches r = .32), so nearly all of the error is noise that no disagreement can foresee; what is left is
small enough for five members to miss. More members (--members 15) see more of it; no dropout or a wider
network did not.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.config.sections import TrainSettings
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.types import UNIMODAL, Kind, Modality, Task, TaskPrediction
from benchmarks import _sets
from benchmarks._bars import Bars, arguments
from benchmarks._sets import Corpus

DRAWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One task of a set, and the groups that nothing is learned from."""

    corpus: Corpus
    task: Task
    held_out: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.corpus.name}-{self.task.dimension.name}"


def ravdess(folder: Path) -> Iterator[Case]:
    corpus = _sets.ravdess(folder)
    yield Case(corpus, corpus.task("emotion.M"), frozenset({"actor_10", "actor_11", "actor_12"}))


def emotiontalk(folder: Path) -> Iterator[Case]:
    corpus = _sets.emotiontalk(folder)
    for task_id in ("emotion.T", "sentiment.M"):
        yield Case(corpus, corpus.task(task_id), frozenset({str(max(corpus.groups))}))


def generated() -> Iterator[Case]:
    """Each speaker talks in a corner of their own; some held-out corners lie far from every train corner."""
    rng = np.random.default_rng(0)
    speakers, each = 30, 30
    corners = rng.normal(0, 1, (speakers, 6)) * rng.choice([0.5, 2.0], (speakers, 1))
    hidden = np.repeat(corners, each, axis=0) + rng.normal(0, 0.7, (speakers * each, 6))
    truth = np.tanh(hidden[:, 0] * hidden[:, 2] / 2 + np.sin(hidden[:, 4])) + rng.normal(0, 0.05, len(hidden))
    features = {}
    for i, modality in enumerate(UNIMODAL):
        way = rng.normal(size=(2, 12))
        seen = hidden[:, 2 * i : 2 * i + 2] @ way
        features[modality] = _sets.rows(seen + rng.normal(0, 0.1, seen.shape))
    task = _sets.scale("sentiment", [-1, 0, 1], Modality.MULTIMODAL)
    labels = _sets.told(task, truth.clip(-1, 1).tolist())
    groups = np.repeat([f"{i:02d}" for i in range(speakers)], each)
    corpus = Corpus(
        "generated", (task,), features, labels, groups, groups, np.tile(np.arange(each), speakers)
    )
    yield Case(corpus, task, frozenset(f"{i:02d}" for i in range(20, 30)))


def judged(case: Case, labels: int | None, seed: int, members: int) -> tuple[Array, Array, Array]:
    """(disagreement, error, wrong) of each held-out sample, after training on `labels` of the others."""
    corpus, task_id = case.corpus, case.task.id
    rng = np.random.default_rng(seed)
    inside = np.array([g not in case.held_out for g in corpus.groups])
    ids = np.array(corpus.ids())
    drawn = rng.permutation(ids[inside])[:labels].tolist()
    cut = len(drawn) // 5
    training_set = corpus.training_set(drawn[cut:], drawn[:cut], (case.task,))
    config = ModelConfig(**TrainSettings(members=members).network_options())
    checkpoint = fit_ensemble(training_set, config, seed=seed, device="cpu")
    prediction = predict(checkpoint, corpus.read, ids[~inside].tolist()).predictions[task_id]
    error, wrong = _errors(prediction, [corpus.labels[i, task_id].value for i in ids[~inside]])
    return prediction.epistemic.astype(float), error, wrong


def _errors(prediction: TaskPrediction, truth: list[float | str]) -> tuple[Array, Array]:
    dimension = prediction.task.dimension
    if dimension.kind is Kind.REGRESSION:
        error = np.abs(prediction.mean - np.array(truth, float))
        return error, np.zeros_like(error)
    classes = [a.value for a in dimension.answers]
    index = np.array([classes.index(v) for v in truth])
    return 1 - prediction.probs[np.arange(len(index)), index].astype(float), (prediction.mean != index) * 1.0


def rho(disagreement: Array, error: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(disagreement, error).statistic)


def auroc(disagreement: Array, wrong: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(wrong, disagreement))


def interval(figure: Callable[[Array, Array], float], runs: list[tuple[Array, Array]]) -> tuple[float, ...]:
    """Mean over the runs, and the 95 % interval of that mean over draws of the held-out samples."""
    rng = np.random.default_rng(0)
    n = len(runs[0][0])
    means = []
    for _ in range(DRAWS):
        rows = rng.integers(0, n, n)
        means.append(np.mean([figure(a[rows], b[rows]) for a, b in runs]))
    return float(np.mean([figure(*run) for run in runs])), *np.quantile(means, [0.025, 0.975]).tolist()


def fifths(runs: list[tuple[Array, Array]]) -> list[float]:
    """Mean error in each fifth of the samples, from agreement to disagreement."""
    parts = [[e[part].mean() for part in np.array_split(np.argsort(d), 5)] for d, e in runs]
    return np.mean(parts, axis=0).tolist()


def measure(case: Case, labels: int | None, seeds: int, members: int, bars: Bars) -> None:
    """Print the table row and the bars of one set at one number of labels."""
    started = time.monotonic()
    found = [judged(case, labels, seed, members) for seed in range(seeds)]
    name = f"{case.name}-{labels or 'all'}"
    errors = [(d, e) for d, e, _ in found]
    value, low, high = interval(rho, errors)
    steps = fifths(errors)
    print(
        f"{name:<28} rho {value:.3f} [{low:.3f}, {high:.3f}]  error by fifth of disagreement "
        f"{' '.join(f'{s:.3f}' for s in steps)}  ({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    bars.figures[f"{name}-table"] = {"rho": value, "low": low, "high": high, "fifths": steps}
    bars.bar(f"{name}-rho-low", low, ">=", 0)
    if case.task.dimension.kind is Kind.CLASSIFICATION:
        value, low, high = interval(auroc, [(d, w) for d, _, w in found])
        accuracy = 1 - np.mean([w.mean() for _, _, w in found])
        print(f"{name:<28} auroc {value:.3f} [{low:.3f}, {high:.3f}]  accuracy {accuracy:.3f}", flush=True)
        bars.bar(f"{name}-auroc-low", low, ">=", 0.5)


def main() -> int:
    """Measure every set there is."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--members", type=int, default=TrainSettings().members, help="networks per ensemble")
    options = parser.parse_args()
    bars = Bars()
    sources: list[Iterator[Case]] = [generated()]
    for folder, source in (("ravdess_au_mfcc", ravdess), ("emotiontalk_labels", emotiontalk)):
        if options.data is None or not (options.data / folder).is_dir():
            bars.long(folder, "needs --data")
        elif source is emotiontalk and find_spec("pyarrow") is None:
            bars.long(folder, "needs pyarrow")
        else:
            sources.append(source(options.data / folder))
    for cases in sources:
        for case in cases:
            for labels in (200,) if options.quick else (50, 200, None):
                measure(case, labels, 1 if options.quick else 3, options.members, bars)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
