"""All scores of a task against its labels, and the main score of each kind.

The scores are those of the MMSA framework: the bins of CH-SIMS for scales of [-1, 1], those of CMU-MOSI for
[-3, 3] (Yu et al. 2020, Mao et al. 2022; checked against MMSA 2.2.1). Concordance, the usual score for
affect, and calibration are added, because MMSA has neither. A score that a degenerate case leaves undefined
is absent.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from annotate.types import Kind, Label, Task, TaskPrediction

SIMS_BORDERS = {
    # Each bin holds its upper border: 0.0 is negative in Acc-2.
    "Acc-2": (0.0,),
    "Acc-3": (-0.1, 0.1),
    "Acc-5": (-0.7, -0.1, 0.1, 0.7),
}

MEASURES: Mapping[Kind, str] = {
    Kind.REGRESSION: "Corr",
    Kind.CLASSIFICATION: "Acc",
    Kind.MULTILABEL: "F1-micro",
}
"""Main score of each kind of task."""
BINS = 15
"""Number of equally wide bins of confidence (Guo et al. 2017, section 5)."""
LEVELS = np.arange(1, 20) / 20
"""Quantiles at which the coverage of a regression is checked."""

Scores = dict[str, float]
Values = NDArray[np.float32]
Ticks = NDArray[np.bool_]


def scores(task: Task, predicted: Values | Ticks, truth: Values | Ticks) -> Scores:
    """Every score of `task`, and ``n``. Both arrays are (n,): values on the scale, or indices of classes; of
    a multilabel task (n, answers), True where an answer is ticked. Raises `ValueError` for other shapes."""
    if len(truth) == 0:
        return {"n": 0}
    if task.dimension.kind is Kind.MULTILABEL:
        shape = (len(truth), len(task.dimension.answers))
        if not predicted.shape == truth.shape == shape:
            raise ValueError(f"{predicted.shape} and {truth.shape} are not {shape}")
        return {"n": len(truth), **multilabel(predicted.astype(bool), truth.astype(bool))}
    predicted, truth = np.asarray(predicted, np.float32), np.asarray(truth, np.float32)
    if task.dimension.kind is Kind.CLASSIFICATION:
        return {"n": len(truth), **classification(predicted, truth)}
    scale = (task.dimension.low, task.dimension.high)
    score = {(-1.0, 1.0): sims, (-3.0, 3.0): mosi}.get(scale, regression)
    return {"n": len(truth), **score(predicted, truth)}


def scores_of(prediction: TaskPrediction, labels: Sequence[Label]) -> Scores:
    """Every score of the prediction of n samples against their labels, one each and in the same order; with
    labels, also ``ece`` (see `calibration_error`)."""
    dimension = prediction.task.dimension
    if dimension.kind is Kind.REGRESSION:
        truth: Values | Ticks = np.array([label.value for label in labels], np.float32)
        result = scores(prediction.task, prediction.mean, truth)
    elif dimension.kind is Kind.CLASSIFICATION:
        position = {answer.value: i for i, answer in enumerate(dimension.answers)}
        truth = np.array([position[label.value] for label in labels], np.float32)
        result = scores(prediction.task, prediction.mean, truth)
    else:
        ticked = [set(dimension.ticked(str(label.value))) for label in labels]
        truth = np.array([[a.alias in ticks for a in dimension.answers] for ticks in ticked], bool)
        result = scores(prediction.task, prediction.ticked, truth)
    return {**result, "ece": calibration_error(prediction, truth)} if labels else result


def main_score(task: Task, scores: Mapping[str, float]) -> float:
    """The main score of `task` (see `MEASURES`), 0 if it is undefined."""
    return scores.get(MEASURES[task.dimension.kind], 0.0)


def constant_scores(task: Task, train: Sequence[Label], truth: Sequence[Label]) -> Scores:
    """``n`` and the main score of the best constant prediction: the most frequent of the `train` labels.

    A constant does not correlate with anything, so a regression task scores 0, as does any task without
    `train` labels.
    """
    kind = task.dimension.kind
    if kind is Kind.REGRESSION or not train:
        return {"n": len(truth), MEASURES[kind]: 0.0}
    counts = Counter(label.value for label in train)
    most_frequent = max(sorted(counts, key=str), key=lambda value: counts[value])
    if kind is Kind.MULTILABEL:
        aliases = [answer.alias for answer in task.dimension.answers]
        ticked = [task.dimension.ticked(str(label.value)) for label in truth]
        constant = task.dimension.ticked(str(most_frequent))
        ticks = np.array([[alias in answers for alias in aliases] for answers in ticked], bool)
        predicted = np.array([[alias in constant for alias in aliases]] * len(truth), bool)
        score = multilabel(predicted, ticks).get("F1-micro", 0.0)
    else:
        score = float(np.mean([label.value == most_frequent for label in truth]))
    return {"n": len(truth), MEASURES[kind]: score}


def calibration_error(prediction: TaskPrediction, truth: Values | Ticks) -> float:
    """Expected calibration error from 0 (perfect) to 1 over at least one sample; `truth` as in `scores`.

    Classification: Guo et al. 2017, section 2. Multilabel: the same for every answer, all in common bins.
    Regression: `coverage_error` of the normal around the ensemble's mean, whose variance is the members'
    disagreement plus the noise.
    """
    kind = prediction.task.dimension.kind
    if kind is Kind.REGRESSION:
        spread = np.sqrt(np.square(prediction.epistemic) + np.square(prediction.aleatoric))
        return coverage_error(prediction.mean, spread, np.asarray(truth))
    probs = prediction.probs
    if kind is Kind.CLASSIFICATION:
        return confidence_error(probs.max(axis=1), probs.argmax(axis=1) == truth)
    sure = np.maximum(probs, 1 - probs)
    return confidence_error(sure.ravel(), (prediction.ticked == truth).ravel())


def confidence_error(confidence: NDArray[np.floating], right: Ticks) -> float:
    """Expected calibration error: the distance between mean confidence and accuracy in `BINS` bins of
    confidence, averaged over the answers. Both (n,), n at least 1; a bin includes its upper border.
    """
    sure = np.asarray(confidence, np.float64)
    bins = np.ceil(np.round(sure * BINS, 6)).clip(1, BINS).astype(int)  # rounded: float32 is not exact
    gaps = np.bincount(bins, sure, BINS + 1) - np.bincount(bins, right, BINS + 1)
    return float(np.abs(gaps).sum() / len(sure))


def coverage_error(mean: Values, spread: Values, truth: Values) -> float:
    """Share of the labels below each of the quantiles `LEVELS` of their normals against the level itself: the
    mean absolute distance (Kuleshov et al. 2018, section 3.5, who square it).

    All (n,), n at least 1. A label at a quantile counts half there, because labels are answers on a scale.
    """
    deviation = (truth.astype(np.float64) - mean) / np.maximum(spread, 1e-12)
    quantiles = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    side = np.sign(quantiles - deviation[:, None])
    return float(np.abs((1 + side.mean(axis=0)) / 2 - LEVELS).mean())


def sims(predicted: Values, truth: Values) -> Scores:
    """CH-SIMS: everything after cutting both sides to [-1, 1]; F1 is that of Acc-2, weighted."""
    predicted, truth = predicted.clip(-1, 1), truth.clip(-1, 1)
    binned = {name: (_bins(predicted, b), _bins(truth, b)) for name, b in SIMS_BORDERS.items()}
    return {
        **_errors(predicted, truth),
        **{name: _agreement(*pair) for name, pair in binned.items()},
        "F1": _f1(*binned["Acc-2"], "weighted"),
    }


def mosi(predicted: Values, truth: Values) -> Scores:
    """CMU-MOSI: Has0 is negative against the rest; Non0 leaves labels of zero out.

    Acc-5 and Acc-7 round half to even, after cutting to [-2, 2] and [-3, 3].
    """
    result = _errors(predicted, truth)
    for name, most in (("Acc-5", 2), ("Acc-7", 3)):
        result[name] = _agreement(*(np.round(a.clip(-most, most)) for a in (predicted, truth)))
    result |= _binary("Has0", predicted >= 0, truth >= 0)
    charged = truth != 0
    return result | _binary("Non0", predicted[charged] > 0, truth[charged] > 0)


def regression(predicted: Values, truth: Values) -> Scores:
    """Any other scale: MAE, Corr, CCC and the share of variance explained."""
    result = _errors(predicted, truth)
    spread = np.square(truth - truth.mean(dtype=np.float64)).sum()
    if len(truth) > 1 and truth.min() < truth.max():
        result["R2"] = float(1 - np.square(truth.astype(np.float64) - predicted).sum() / spread)
    return result


def classification(predicted: Values, truth: Values) -> Scores:
    """Accuracy and F1 over the classes that occur on either side, their plain and their weighted mean."""
    return {
        "Acc": _agreement(predicted, truth),
        "F1-macro": _f1(predicted, truth, "macro"),
        "F1": _f1(predicted, truth, "weighted"),
    }


def multilabel(predicted: Ticks, truth: Ticks) -> Scores:
    """Exactly right sets of answers, and F1 of the ticks: pooled over the answers, and the mean over those
    that are ticked on either side (Tsoumakas, Katakis and Vlahavas 2010, section 7).

    Where nothing is ticked on either side there is no F1.
    """
    result = {"Acc-subset": float((predicted == truth).all(axis=1).mean())}
    # Counted here: scikit-learn would take the ticks of a single answer for two classes.
    hits, ticks = (predicted & truth).sum(axis=0), predicted.sum(axis=0) + truth.sum(axis=0)
    if ticks.any():
        result["F1-micro"] = float(2 * hits.sum() / ticks.sum())
        result["F1-macro"] = float((2 * hits[ticks > 0] / ticks[ticks > 0]).mean())
    return result


def concordance(predicted: NDArray[np.floating], truth: NDArray[np.floating]) -> float | None:
    """The concordance correlation coefficient (Lin 1989) of two (n,) arrays, n at least 1.

    It is Pearson's r, made smaller by a wrong level or a wrong spread: 1 only where both arrays are equal, 0
    where one of them is constant. None where both are the same constant.
    """
    x, y = predicted.astype(np.float64), truth.astype(np.float64)
    spread = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    return float(2 * np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else None


def _errors(predicted: Values, truth: Values) -> Scores:
    """Every score of a regression that does not depend on its scale."""
    errors = {"MAE": float(np.abs(predicted - truth).mean(dtype=np.float64))}
    # The correlation of a constant is undefined; what varies by rounding alone is a constant too.
    if len(truth) > 1 and min(np.ptp(predicted), np.ptp(truth)) > 1e-6:
        errors["Corr"] = float(np.corrcoef(predicted.astype(np.float64), truth.astype(np.float64))[0, 1])
    agreement = concordance(predicted, truth)
    return errors if agreement is None else {**errors, "CCC": agreement}


def _bins(values: Values, borders: tuple[float, ...]) -> NDArray[np.intp]:
    # float32 on both sides, as in MMSA: a label of 0.1 must not lie above the border 0.1.
    return np.searchsorted(np.array(borders, np.float32), values, side="left")


def _binary(name: str, predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Scores:
    if len(truth) == 0:
        return {}
    return {f"{name} Acc-2": _agreement(predicted, truth), f"{name} F1": _f1(predicted, truth, "weighted")}


def _agreement(predicted: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    return float(np.mean(predicted == truth))


def _f1(predicted: NDArray[np.generic], truth: NDArray[np.generic], average: str) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, average=average, zero_division=0))
