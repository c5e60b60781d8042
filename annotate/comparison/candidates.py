"""The ways to train that take part in a comparison, and their fits: each done once and kept."""

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
from annotate.config.settings import train_settings
from annotate.corpus.origins import read_places
from annotate.errors import ConfigError, UsageError
from annotate.learning.enough import learned
from annotate.progress import Bar, Progress
from annotate.project import Project
from annotate.rounds.expected_time import Expected, fewest_epochs, pace_of
from annotate.rounds.training_data import Material, reader
from annotate.types import Task

if TYPE_CHECKING:
    from annotate.comparison.crossval import Assemble, Cell, Exam, Fit, Trial
    from annotate.learning.prepared import TrainingSet
    from annotate.learning.recipe import Recipe

FOLDER = "comparisons"
"""In the project: finished fits, by what they were made of."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train."""

    name: str
    train: TrainSettings
    """What `--apply` would write."""
    recipe: "Recipe"


def make_arms(project: Project, chosen: str | None, members: int | None) -> list[Arm]:
    """Those `chosen`, else the shortlist without what is the same twice; some always take part.

    Raises `UsageError` for a variant that cannot be read, `ConfigError` for what it names and is not there.
    """
    present = project.settings.train
    variants = read_variants(",".join(SHORTLIST) if chosen is None else chosen)
    arms = [_arm(project, variant, present, members) for variant in variants]
    if chosen is not None:
        return arms
    seen = [arm.recipe for arm in arms if arm.name in ALWAYS]
    return [arm for arm in arms if arm.name in ALWAYS or arm.recipe not in seen]


def _arm(project: Project, variant: Variant, present: TrainSettings, members: int | None) -> Arm:
    from annotate.learning.checked import require_parts
    from annotate.learning.recipe import Recipe

    below = {} if variant.from_default else present.recipe()
    try:
        train = train_settings({**merge(variant.changes, below), **_apart(present)})
        if variant.apart:
            train = train.model_copy(update={"options": unshared(train.options)})
        chosen = None if "members" in variant.changes else members
        recipe = Recipe(**{**train.recipe(), "members": chosen or train.members})
        require_parts(recipe, {task.dimension.kind for task in project.settings.tasks()})
    except ConfigError as error:
        hint = "say another value in --variants" if error.hint.startswith("mend ") else error.hint
        raise UsageError(f"the variant {variant.name!r} cannot be: {error}", hint=hint) from error
    return Arm(variant.name, train, recipe)


def _apart(present: TrainSettings) -> dict[str, Any]:
    """What no variant changes: where a training runs, and where it leaves its log."""
    return {"device": present.device, "tensorboard": present.tensorboard}


def assembler(project: Project, material: Material, exam: "Exam") -> "Assemble":
    """Makes training sets of the project's samples."""
    from annotate.learning.prepared import TrainingSet

    read, places = reader(project), read_places(project)

    def labelled(ids: Sequence[str], tasks: Sequence[Task]) -> list[str]:
        return [i for i in ids if any((i, task.id) in exam.labels for task in tasks)]

    def assemble(train: Sequence[str], valid: Sequence[str], tasks: Sequence[Task]) -> "TrainingSet":
        return TrainingSet(
            tuple(tasks), labelled(train, tasks), labelled(valid, tasks), exam.labels, read,
            material.extractors, places,
        )  # fmt: skip

    return assemble


@dataclass(frozen=True, eq=False)
class Runs:
    """Fits every arm in every trial; what is done lies in a folder, and is not done again."""

    exam: "Exam"
    assemble: "Assemble"
    device: str
    folder: Path

    def of(
        self, arms: Sequence[Arm], trials: Sequence["Trial"], progress: Progress
    ) -> dict[str, list["Cell"]]:
        """By arm: a cell for each trial. Trial by trial, so that all arms get on alike."""
        found: dict[str, list[Cell]] = {arm.name: [] for arm in arms}
        with progress.bar("compare", len(arms) * len(trials)) as bar:
            for trial in trials:
                for arm in arms:
                    found[arm.name].append(self._cell(arm, trial, bar))
                    bar.advance(1, note=f"{arm.name}, fold {trial.fold + 1}, seed {trial.seed}")
            bar.drop("fit")
        return found

    def expected(self, arms: Sequence[Arm], trials: Sequence["Trial"], progress: Progress) -> Expected:
        """How long the fits that are left will take, by two short ones of each arm in the first trial."""
        count, least, most = 0, 0.0, 0.0
        with progress.bar("expected time", len(arms)) as bar:
            for arm in arms:
                left = sum(not (self.folder / f"{self._key(arm, t)}.json").exists() for t in trials)
                if left:
                    recipe = arm.recipe
                    pace = pace_of(partial(self._short, arm, trials[0]))
                    least += left * pace.of(fewest_epochs(recipe.epochs, recipe.patience))
                    most += left * pace.of(recipe.epochs)
                count += left
                bar.advance(1, note=arm.name)
        return Expected(count, least, most)

    def _short(self, arm: Arm, trial: "Trial", epochs: int) -> None:
        from annotate.comparison.crossval import network_fit

        network_fit(self.exam, replace(arm.recipe, epochs=epochs), self.assemble, self.device)(trial)

    def _cell(self, arm: Arm, trial: "Trial", bar: Bar) -> "Cell":
        from annotate.comparison.crossval import network_fit, read_cell, write_cell

        path = self.folder / f"{self._key(arm, trial)}.json"
        found = read_cell(path)
        if found is None:
            fit: Fit = network_fit(self.exam, arm.recipe, self.assemble, self.device, _Within(bar, arm.name))
            found = fit(trial)
            with suppress(FileNotFoundError):  # a comparison of newer labels threw the folder away
                write_cell(found, path)
        return found

    def _key(self, arm: Arm, trial: "Trial") -> str:
        """The same for what gives the same: without tasks of one modality their labels change nothing."""
        tasks = learned(self.exam.tasks, arm.recipe.unimodal_labels)
        recipe = {**asdict(arm.recipe), "unimodal_labels": True}
        return _hash([recipe, [task.id for task in tasks], asdict(trial), self.device])


def open_folder(project: Project, material: Material, exam: "Exam") -> Path:
    """Where the fits to the present labels and groups lie; those to others are thrown away."""
    root = project.root / FOLDER
    name = _hash([material.evidence, exam.ids, exam.groups.tolist()])
    for other in root.iterdir() if root.is_dir() else ():
        if other.name != name and re.fullmatch(_HASH, other.name):
            _delete_fits(other)
    return root / name


def _delete_fits(folder: Path) -> None:
    """Another comparison may do the same at once. What no comparison wrote stays."""
    for path in folder.glob("*.json"):
        if re.fullmatch(_HASH, path.stem):
            path.unlink(missing_ok=True)
    temporary.sweep(folder.glob(temporary.PATTERN))
    with suppress(OSError):
        folder.rmdir()


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


_HASH = "[0-9a-f]{24}"


class _Within:
    """The progress of one fit, shown below the bar of all."""

    def __init__(self, bar: Bar, name: str) -> None:
        self._bar, self._name = bar, name

    @contextmanager
    def bar(self, title: str, total: float | None, unit: str = "") -> Iterator[Bar]:
        """Not one more bar: a line."""
        yield _Line(self._bar, self._name)

    def say(self, line: str) -> None:
        """Shown below the bar too."""
        self._bar.line("fit", f"{self._name}: {line}")


class _Line:
    def __init__(self, bar: Bar, name: str) -> None:
        self._bar, self._name = bar, name

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Only the note is shown."""
        self._bar.line("fit", f"{self._name}: {note}")

    def expect(self, total: float) -> None:
        """The bar counts fits."""

    def line(self, key: str, text: str) -> None:
        """One line is enough."""

    def drop(self, key: str) -> None:
        """Nothing was shown."""
