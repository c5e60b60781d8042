"""The candidates of a comparison and their fits, each of which is computed once and stored."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotate import temporary
from annotate.comparison.variants import ALWAYS, SHORTLIST, Variant, read_variants, unshared
from annotate.config.baselines import merge
from annotate.config.sections import TrainSettings
from annotate.config.settings import FILE_NAME, train_settings
from annotate.corpus.origins import read_origins
from annotate.errors import ConfigError, UsageError
from annotate.learning.requirements import trainable
from annotate.progress import SILENT, Bar, Progress
from annotate.project import Project
from annotate.rounds.expected_time import Expected, fewest_epochs, pace_of
from annotate.rounds.training_data import TrainingData, reader
from annotate.types import Task

if TYPE_CHECKING:
    from annotate.comparison.crossval import Assemble, EvaluationSet, Fold, FoldResult
    from annotate.learning.model_config import ModelConfig
    from annotate.learning.prepared import TrainingSet

FOLDER = "comparisons"
"""Folder of the project for finished fits, by a hash of their inputs."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One training configuration."""

    name: str
    train: TrainSettings
    """The settings that `--apply` would write."""
    config: "ModelConfig"


def make_candidates(project: Project, chosen: str | None, members: int | None) -> list[Candidate]:
    """The `chosen` variants, else the shortlist without duplicates, and those that always take part.

    Raises `UsageError` for an invalid variant.
    """
    present = project.settings.train
    variants = read_variants(",".join(SHORTLIST) if chosen is None else chosen)
    candidates = [_make_candidate(project, variant, present, members) for variant in variants]
    if chosen is not None:
        return candidates
    always = [candidate.config for candidate in candidates if candidate.name in ALWAYS]
    return [
        candidate for candidate in candidates if candidate.name in ALWAYS or candidate.config not in always
    ]


def _make_candidate(
    project: Project, variant: Variant, present: TrainSettings, members: int | None
) -> Candidate:
    from annotate.learning.model_config import ModelConfig
    from annotate.learning.validate import require_plugins

    below = {} if variant.from_default else present.network_options()
    try:
        # No variant changes where a training runs, or where it leaves its log.
        unchanged = {"device": present.device, "tensorboard": present.tensorboard}
        train = train_settings({**merge(variant.changes, below), **unchanged})
        if variant.apart:
            train = train.model_copy(update={"options": unshared(train.options)})
        chosen = None if "members" in variant.changes else members
        config = ModelConfig(**{**train.network_options(), "members": chosen or train.members})
        require_plugins(config, {task.dimension.kind for task in project.settings.tasks()})
    except ConfigError as error:
        names_the_file = FILE_NAME in error.hint or "[train" in error.hint
        hint = "use another value in --variants" if names_the_file else error.hint
        raise UsageError(f"the variant {variant.name!r} is not valid: {error}", hint=hint) from error
    return Candidate(variant.name, train, config)


def assembler(project: Project, data: TrainingData, evaluation: "EvaluationSet") -> "Assemble":
    """A function that makes training sets of the project's samples."""
    from annotate.learning.prepared import TrainingSet

    read, origins = reader(project), read_origins(project)

    def labelled(ids: Sequence[str], tasks: Sequence[Task]) -> list[str]:
        return [i for i in ids if any((i, task.id) in evaluation.labels for task in tasks)]

    def assemble(train: Sequence[str], valid: Sequence[str], tasks: Sequence[Task]) -> "TrainingSet":
        return TrainingSet(
            tuple(tasks), labelled(train, tasks), labelled(valid, tasks), evaluation.labels, read,
            data.extractors, origins,
        )  # fmt: skip

    return assemble


@dataclass(frozen=True, eq=False)
class Runs:
    """Fits every candidate in every fold; finished fits are stored in a folder and not repeated."""

    evaluation: "EvaluationSet"
    assemble: "Assemble"
    device: str
    folder: Path

    def of(
        self, candidates: Sequence[Candidate], folds: Sequence["Fold"], progress: Progress
    ) -> dict[str, list["FoldResult"]]:
        """By candidate: a result for each fold. Computed fold by fold, so that all candidates progress
        evenly."""
        results: dict[str, list[FoldResult]] = {candidate.name: [] for candidate in candidates}
        with progress.bar("compare", len(candidates) * len(folds)) as bar:
            for fold in folds:
                for candidate in candidates:
                    results[candidate.name].append(self._result(candidate, fold, bar))
                    bar.advance(1, note=f"{candidate.name}, fold {fold.number + 1}, seed {fold.seed}")
            bar.drop("fit")
        return results

    def expected(
        self, candidates: Sequence[Candidate], folds: Sequence["Fold"], progress: Progress
    ) -> Expected:
        """The time of the remaining fits, from two short ones of each candidate in the first fold."""
        count, least, most = 0, 0.0, 0.0
        with progress.bar("expected time", len(candidates)) as bar:
            for candidate in candidates:
                left = sum(not (self.folder / f"{self._key(candidate, t)}.json").exists() for t in folds)
                if left:
                    config = candidate.config
                    pace = pace_of(partial(self._fit, candidate, folds[0]))
                    least += left * pace.of(fewest_epochs(config.epochs, config.patience))
                    most += left * pace.of(config.epochs)
                count += left
                bar.advance(1, note=candidate.name)
        return Expected(count, least, most)

    def _fit(
        self, candidate: Candidate, fold: "Fold", epochs: int | None = None, progress: Progress = SILENT
    ) -> "FoldResult":
        from annotate.comparison.crossval import network_fit

        config = candidate.config if epochs is None else replace(candidate.config, epochs=epochs)
        return network_fit(self.evaluation, config, self.assemble, self.device, progress)(fold)

    def _result(self, candidate: Candidate, fold: "Fold", bar: Bar) -> "FoldResult":
        from annotate.comparison.crossval import read_result, write_result

        path = self.folder / f"{self._key(candidate, fold)}.json"
        result = read_result(path)
        if result is None:
            result = self._fit(candidate, fold, progress=_FitProgress(bar, candidate.name))
            with suppress(FileNotFoundError):  # a comparison of newer labels deleted the folder
                write_result(result, path)
        return result

    def _key(self, candidate: Candidate, fold: "Fold") -> str:
        """A hash of the inputs of a fit; labels of tasks that are not trained are left out."""
        tasks = trainable(self.evaluation.tasks, candidate.config.unimodal_labels)
        # Under the names that earlier versions hashed, so that their finished fits are still found.
        parts = {
            "seed": fold.seed, "fold": fold.number,
            "train": fold.train, "valid": fold.valid, "held_out": fold.held_out,
        }  # fmt: skip
        config = {**asdict(candidate.config), "unimodal_labels": True}
        return _hash([config, [task.id for task in tasks], parts, self.device])


def open_folder(project: Project, data: TrainingData, evaluation: "EvaluationSet") -> Path:
    """The folder for fits to the present labels and groups; fits to others are deleted."""
    root = project.root / FOLDER
    name = _hash([data.data_hash, evaluation.ids, evaluation.groups.tolist()])
    for other in root.iterdir() if root.is_dir() else ():
        if other.name == name or not re.fullmatch(_HASH, other.name):
            continue
        # Another comparison may delete the same files. Files that no comparison wrote stay.
        for path in other.glob("*.json"):
            if re.fullmatch(_HASH, path.stem):
                path.unlink(missing_ok=True)
        temporary.sweep(other.glob(temporary.PATTERN))
        with suppress(OSError):
            other.rmdir()
    return root / name


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


_HASH = "[0-9a-f]{24}"


class _FitProgress:
    """The progress of one fit, shown as a line below the bar of all fits."""

    def __init__(self, bar: Bar, name: str) -> None:
        self._bar, self._name = bar, name

    @contextmanager
    def bar(self, title: str, total: float | None, unit: str = "") -> Iterator[Bar]:
        """A line instead of a bar."""
        yield _FitBar(self._bar, self._name)

    def say(self, line: str) -> None:
        """Show the line below the bar."""
        self._bar.line("fit", f"{self._name}: {line}")


class _FitBar:
    def __init__(self, bar: Bar, name: str) -> None:
        self._bar, self._name = bar, name

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Only the note is shown."""
        self._bar.line("fit", f"{self._name}: {note}")

    def expect(self, total: float) -> None:
        """The bar counts fits."""

    def line(self, key: str, text: str) -> None:
        """Ignored: each fit has one line."""

    def drop(self, key: str) -> None:
        """Ignored, as `line` shows nothing."""
