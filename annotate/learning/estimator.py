"""The multi-task model as a scikit-learn estimator, for modAL, pipelines and cross-validation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from annotate.errors import ModelError
from annotate.learning.ensemble import fit_ensemble
from annotate.learning.model_config import ModelConfig
from annotate.learning.predict import predict
from annotate.learning.prepared import TrainingSet
from annotate.learning.requirements import FEWEST_VALID, missing_labels
from annotate.types import Answer, Dimension, Kind, Label, Modality, Task, TaskPrediction

CELLS = 9
"""Number of answers of a scale that was not given, from the lowest to the highest label."""
Columns = Mapping[Modality, Sequence[int]]


def _predicts_probabilities(model: "MultiTaskModel") -> bool:
    tasks = getattr(model, "tasks_", model.tasks)
    return tasks is None or any(task.dimension.kind is not Kind.REGRESSION for task in tasks)


class MultiTaskModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """An ensemble of multi-task networks over the columns of a table.

    `tasks` describe the columns of `y`. Without `tasks`, `y` is one task: regression if its numbers have
    decimals, else classification. `columns` gives the columns of `X` of each modality; by default, all are
    text. `valid` is the share of the samples for early stopping, which is off with fewer than ten of them.
    The same `seed` gives the same model on one device.
    """

    def __init__(
        self,
        tasks: Sequence[Task] | None = None,
        columns: Columns | None = None,
        config: ModelConfig | None = None,
        valid: float = 0.2,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.tasks = tasks
        self.columns = columns
        self.config = config
        self.valid = valid
        self.seed = seed
        self.device = device

    def fit(self, X: Any, y: Any) -> "MultiTaskModel":
        """Train on `X` (n, d) and `y` (n,) or (n, tasks): numbers, or aliases of answers, several joined by
        ``|``. NaN or None means no label.

        Raises `ModelError` for labels that are not answers of the task, or too few labels.
        """
        rows = _table(X)
        targets = np.asarray(y, dtype=object).reshape(len(rows), -1)
        self.tasks_ = tuple(self.tasks) if self.tasks is not None else (_task_of(np.asarray(y)),)
        if targets.shape[1] != len(self.tasks_):
            raise ModelError(
                f"y has {targets.shape[1]} columns for {len(self.tasks_)} tasks",
                hint="give y one column a task",
            )
        labels = {
            (_name(row), task.id): _label(_name(row), task, value)
            for row, values in enumerate(targets)
            for task, value in zip(self.tasks_, values, strict=True)
            if not _absent(value)
        }
        for task in self.tasks_:
            lacks = missing_labels(task, [label for (_, t), label in labels.items() if t == task.id])
            if lacks:
                raise ModelError(f"{task.id} cannot be learned yet", hint=f"it needs {lacks}")
        self.columns_ = self.columns or {Modality.TEXT: range(rows.shape[1])}
        self.n_features_in_ = rows.shape[1]
        names = [
            _name(row) for row in range(len(rows)) if any((_name(row), t.id) in labels for t in self.tasks_)
        ]
        train, valid = self._split(names)
        training = TrainingSet(
            self.tasks_, train, valid, labels, self._reader(rows), dict.fromkeys(self.columns_, "columns")
        )
        config = self.config or ModelConfig()
        self.checkpoint_ = fit_ensemble(training, config, seed=self.seed, device=self.device)
        if len(self.tasks_) == 1 and self.tasks_[0].dimension.kind is Kind.CLASSIFICATION:
            values = {str(value): value for value in np.asarray(y).ravel().tolist()}
            aliases = [a.alias for a in self.tasks_[0].dimension.answers]
            self.classes_ = np.array([values.get(alias, alias) for alias in aliases])
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """(n,) for one task, (n, tasks) for several: numbers, or aliases or classes as in `y`.

        With `return_std`, also the standard deviation between the members, for regression.
        """
        predictions = self.predictions(X)
        columns = [self._answers(predictions[task.id]) for task in self.tasks_]
        answers = columns[0] if len(columns) == 1 else np.stack([c.astype(object) for c in columns], axis=1)
        if not return_std:
            return answers
        spread = [predictions[task.id].epistemic for task in self.tasks_]
        return answers, spread[0] if len(spread) == 1 else np.stack(spread, axis=1)

    @available_if(_predicts_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """(n, answers) mean probabilities of the members; a list for several tasks. A scale is binned."""
        predictions = self.predictions(X)
        probabilities = [predictions[task.id].probs.astype(np.float64) for task in self.tasks_]
        return probabilities[0] if len(probabilities) == 1 else probabilities

    @available_if(_predicts_probabilities)  # type: ignore[untyped-decorator]
    def predict_members(self, X: Any) -> Any:
        """(members, n, answers) probabilities of each member; a list for several tasks."""
        predictions = self.predictions(X)
        members = [predictions[task.id].members for task in self.tasks_]
        return members[0] if len(members) == 1 else members

    def predictions(self, X: Any) -> dict[str, TaskPrediction]:
        """By task id, the full predictions for `X` (n, d).

        Raises scikit-learn's `NotFittedError` before `fit`, `ModelError` for another number of columns.
        """
        check_is_fitted(self, "checkpoint_")
        rows = _table(X)
        if rows.shape[1] != self.n_features_in_:
            raise ModelError(
                f"X has {rows.shape[1]} columns, but the model was fitted to {self.n_features_in_}",
                hint="give the columns that it was fitted to",
            )
        names = [_name(row) for row in range(len(rows))]
        return predict(self.checkpoint_, self._reader(rows), names, self.device).predictions

    def score(self, X: Any, y: Any) -> float:
        """Accuracy, or R² for regression; the mean over several tasks."""
        predicted = np.asarray(self.predict(X), dtype=object).reshape(len(np.asarray(y)), -1)
        truth = np.asarray(y, dtype=object).reshape(predicted.shape)
        return float(np.mean([_score(t, predicted[:, i], truth[:, i]) for i, t in enumerate(self.tasks_)]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier" if _predicts_probabilities(self) else "regressor"
        tags.target_tags.required = True
        return tags

    def _split(self, names: list[str]) -> tuple[list[str], list[str]]:
        """Train and valid names; no valid ones if they would be too few for early stopping."""
        share = round(self.valid * len(names))
        if share < FEWEST_VALID:
            return names, []
        drawn = set(np.random.default_rng(self.seed).permutation(len(names))[:share].tolist())
        parts: tuple[list[str], list[str]] = ([], [])
        for i, name in enumerate(names):
            parts[i in drawn].append(name)
        return parts

    def _reader(self, rows: NDArray[np.float32]) -> Any:
        def read(modality: Modality, names: Sequence[str]) -> list[NDArray[np.float32]]:
            wanted = np.asarray(self.columns_[modality])
            return [rows[int(name), wanted][None] for name in names]

        return read

    def _answers(self, prediction: TaskPrediction) -> NDArray[Any]:
        """(n,) predicted answers in the form of `y`."""
        dimension = prediction.task.dimension
        aliases = [answer.alias for answer in dimension.answers]
        if dimension.kind is Kind.REGRESSION:
            return prediction.mean.astype(np.float64)
        if dimension.kind is Kind.MULTILABEL:
            ticks = [[a for a, tick in zip(aliases, row, strict=True) if tick] for row in prediction.ticked]
            return np.array([dimension.joined(row) for row in ticks], dtype=object)
        names = getattr(self, "classes_", np.array(aliases, dtype=object))
        return np.asarray(names[prediction.mean.astype(np.intp)])


def _table(X: Any) -> NDArray[np.float32]:
    dense = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
    return np.asarray(dense, np.float32).reshape(len(dense), -1)


def _name(row: int) -> str:
    return f"{row:012d}"


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.floating) and bool(np.isnan(value)))


def _task_of(y: NDArray[Any]) -> Task:
    """A task inferred from its labels."""
    present = [value for value in y.ravel().tolist() if not _absent(value)]
    if present and all(isinstance(v, float) for v in present) and any(v != round(v) for v in present):
        low, high = min(present), max(present)
        answers = tuple(Answer(float(v), f"{v:g}") for v in np.linspace(low, high, CELLS))
        return Task(Dimension("y", Kind.REGRESSION, answers), Modality.MULTIMODAL)
    names = [str(value) for value in sorted(set(present))]
    classes = tuple(Answer(name, name) for name in names)
    return Task(Dimension("y", Kind.CLASSIFICATION, classes), Modality.MULTIMODAL)


def _label(name: str, task: Task, value: Any) -> Label:
    """Raises `ModelError` for a value that is not an answer of the task."""
    dimension = task.dimension
    if dimension.kind is Kind.REGRESSION:
        number = dimension.number(str(value))
        if number is None:
            raise _unknown_answer(task, value)
        return Label(name, task.id, number, dimension.near(number), 1)
    text = str(value)
    if not dimension.takes(text):
        raise _unknown_answer(task, value)
    if dimension.kind is Kind.CLASSIFICATION:
        return Label(name, task.id, text, {text: 1.0}, 1)
    ticked = dimension.ticked(text)
    return Label(name, task.id, text, {a.alias: float(a.alias in ticked) for a in dimension.answers}, 1)


def _unknown_answer(task: Task, value: Any) -> ModelError:
    known = ", ".join(answer.alias for answer in task.dimension.answers)
    return ModelError(f"{value!r} is not an answer of {task.id}", hint=f"its answers: {known}")


def _score(task: Task, predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    known = np.array([not _absent(value) for value in truth])
    if task.dimension.kind is not Kind.REGRESSION:
        return float(np.mean([str(a) == str(b) for a, b in zip(predicted[known], truth[known], strict=True)]))
    values = truth[known].astype(float)
    left = ((predicted[known].astype(float) - values) ** 2).sum()
    return float(1 - left / max(((values - values.mean()) ** 2).sum(), 1e-12))
