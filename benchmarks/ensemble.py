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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from annotate.config import TrainSettings
from annotate.learning.ensemble import TrainingSet, fit_ensemble
from annotate.learning.predict import predict
from annotate.learning.recipe import Recipe
from annotate.types import UNIMODAL, Answer, Dimension, Kind, Label, Modality, Task, TaskPrediction
from benchmarks._bars import Bars, arguments

DRAWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Corpus:
    """A labelled set with one task."""

    name: str
    task: Task
    features: Mapping[Modality, list[NDArray[np.float32]]]
    values: list[float | str]
    groups: NDArray[np.generic]
    held_out: frozenset[object]

    def read(self, modality: Modality, sample_ids: list[str]) -> list[NDArray[np.float32]]:
        return [self.features[modality][int(i)] for i in sample_ids]

    def training_set(self, train: list[str], valid: list[str]) -> TrainingSet:
        labels = {
            (i, self.task.id): Label(i, self.task.id, v, {str(v): 1.0}, 1)
            for i, v in zip(self.ids(), self.values, strict=True)
        }
        return TrainingSet(
            (self.task,), train, valid, labels, self.read, {m: m.word for m in UNIMODAL if m in self.features}
        )

    def ids(self) -> list[str]:
        return [f"{i:06d}" for i in range(len(self.values))]


def _scale(name: str, values: list[float], modality: Modality) -> Task:
    return Task(Dimension(name, Kind.REGRESSION, tuple(Answer(float(v), str(v)) for v in values)), modality)


def _classes(name: str, values: list[str], modality: Modality) -> Task:
    answers = tuple(Answer(v, v) for v in sorted(set(values)))
    return Task(Dimension(name, Kind.CLASSIFICATION, answers), modality)


def _rows(array: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    return list(array.astype(np.float32)[:, None])


def ravdess(folder: Path) -> Iterator[Corpus]:
    import pandas as pd

    clips = pd.read_csv(folder / "clips.csv", dtype=str)
    arrays = np.load(folder / "features.npz", allow_pickle=False)
    features = {Modality.AUDIO: _rows(arrays["audio"]), Modality.VISION: _rows(arrays["vision"])}
    actors = clips.speaker.str.extract(r"(\d+)")[0].astype(int).to_numpy()
    values = clips.emotion.to_list()
    task = _classes("emotion", values, Modality.MULTIMODAL)
    yield Corpus("ravdess-emotion", task, features, values, actors, frozenset({10, 11, 12}))


def emotiontalk(folder: Path) -> Iterator[Corpus]:
    import pandas as pd

    from annotate.registry import EXTRACTORS
    from annotate.types import SampleMedia, SampleSource

    rows = pd.read_parquet(folder / "utterances.parquet")
    extractor, media = EXTRACTORS.get("char-hash")(), SampleMedia.under(Path(), "00")
    features = {Modality.TEXT: [extractor.extract(SampleSource("00", media, text)) for text in rows.text]}
    groups = rows.group.to_numpy(str)
    held_out = frozenset({sorted(set(groups))[-1]})
    emotions = rows.emotion_T.to_list()
    task = _classes("emotion", emotions, Modality.TEXT)
    yield Corpus("emotiontalk-emotion", task, features, emotions, groups, held_out)
    task = _scale("sentiment", [-2, -1, 0, 1, 2], Modality.MULTIMODAL)
    yield Corpus("emotiontalk-sentiment", task, features, rows.label_M.to_list(), groups, held_out)


def generated() -> Iterator[Corpus]:
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
        features[modality] = _rows(seen + rng.normal(0, 0.1, seen.shape))
    task = _scale("sentiment", [-1, 0, 1], Modality.MULTIMODAL)
    groups = np.repeat(np.arange(speakers), each)
    values = truth.clip(-1, 1).tolist()
    yield Corpus("generated-sentiment", task, features, values, groups, frozenset(range(20, 30)))


def judged(corpus: Corpus, labels: int | None, seed: int, members: int) -> tuple[Array, Array, Array]:
    """(disagreement, error, wrong) of each held-out sample, after training on `labels` of the others."""
    rng = np.random.default_rng(seed)
    inside = np.array([g not in corpus.held_out for g in corpus.groups])
    ids = np.array(corpus.ids())
    drawn = rng.permutation(ids[inside])[:labels].tolist()
    cut = len(drawn) // 5
    training_set = corpus.training_set(sorted(drawn[cut:]), sorted(drawn[:cut]))
    recipe = Recipe(**TrainSettings(members=members).model_dump(exclude={"device"}))
    checkpoint = fit_ensemble(training_set, recipe, seed=seed, device="cpu")
    prediction = predict(checkpoint, corpus.read, ids[~inside].tolist())[0][corpus.task.id]
    error, wrong = _errors(prediction, [corpus.values[i] for i in np.flatnonzero(~inside)])
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


def measure(corpus: Corpus, labels: int | None, seeds: int, members: int, bars: Bars) -> None:
    """Print the table row and the bars of one set at one number of labels."""
    started = time.monotonic()
    found = [judged(corpus, labels, seed, members) for seed in range(seeds)]
    name = f"{corpus.name}-{labels or 'all'}"
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
    if corpus.task.dimension.kind is Kind.CLASSIFICATION:
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
    sources: list[Iterator[Corpus]] = [generated()]
    for folder, source in (("ravdess_au_mfcc", ravdess), ("emotiontalk_labels", emotiontalk)):
        if options.data is None or not (options.data / folder).is_dir():
            bars.long(folder, "needs --data")
        elif source is emotiontalk and find_spec("pyarrow") is None:
            bars.long(folder, "needs pyarrow")
        else:
            sources.append(source(options.data / folder))
    for source in sources:
        for corpus in source:
            for labels in (200,) if options.quick else (50, 200, None):
                measure(corpus, labels, 1 if options.quick else 3, options.members, bars)
    return bars.done(options.json)


if __name__ == "__main__":
    sys.exit(main())
