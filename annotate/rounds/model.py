"""The model of the present labels: trained when they changed, found again when not, and asked."""

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotate import temporary
from annotate.config.sections import TrainSettings
from annotate.corpus.features import feature_names, read_features
from annotate.corpus.gaps import gap_warnings
from annotate.corpus.origins import read_places
from annotate.errors import ConfigError, ModelError
from annotate.learning.enough import learned
from annotate.permissions import make_folder
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.rounds.training_data import Material, read_material
from annotate.types import Kind, Split, Task
from annotate.variants import PRESETS, fill
from annotate.wording import counted, either
from db.engine import reading, writing
from db.rounds import add_round, get_round, model_folders, next_round_id, round_of

if TYPE_CHECKING:
    from annotate.learning.batches import FeatureReader
    from annotate.learning.checkpoint import Checkpoint
    from annotate.learning.predict import Seen
    from annotate.learning.recipe import Recipe

FEW_LABELS = 30
"""Labels below which a score says little."""
KEEP_SECONDS = 3600.0
"""How long a model that is trained waits for another writing command, rather than being lost."""
UNFINISHED = ".unfinished"
"""Folder beside the models: the states of trainings that run, or were killed."""
STALE_SECONDS = 86400.0
"""Age at which the state of an unfinished training is given up."""
SCORED = (Split.VALID, Split.TEST)


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """What is known about one trained model."""

    id: int
    seconds: float
    settings: Mapping[str, Any]
    """``device``, ``epochs`` per member, ``labels`` by task and split, ``extractors``, ``recipe``,
    ``warnings``, ``notes``, ``search``: how options of the sharing were chosen, if they were, and
    ``conflicts``: by two tasks that share weights, how far their gradients agreed."""
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    """By split, by task id, by score."""


def ensure_round(
    project: Project, *, device: str | None, seed: int | None, progress: Progress = SILENT
) -> int | None:
    """Id of the round that fits the present labels, features and settings, trained now if there is none.

    None when there are too few labels to train. The caller does not hold `project.writing()`: others
    may write while the model is trained. Raises `ModelError`, `FeatureError` and `ProjectBusy`.
    """
    recipe_of(project)  # what cannot be is said before anything is computed
    material = read_material(project, seed=seed_of(project, seed))
    if not material.trainable():
        return None
    found = find_round(project, material)
    if found is not None:
        return found.id
    return train_round(project, material, device=device, seed=seed, progress=progress).id


def view(
    project: Project, round_id: int, sample_ids: Sequence[str], *, device: str | None = None,
    codes: bool = False,
) -> "Seen":  # fmt: skip
    """What a round's model says about samples, in that order; what its heads read only with `codes`.

    Tasks that had too few labels are absent. Raises `ModelError` when the round or its checkpoint is
    missing, damaged, or made with other features; `FeatureError` when features are missing.
    """
    from annotate.learning.checkpoint import read, require_features
    from annotate.learning.device import choose_device
    from annotate.learning.predict import see

    chosen = choose_device(device or project.settings.train.device)
    with reading(project.engine) as session:
        row = get_round(session, round_id)
        if row is None:
            raise ModelError(f"there is no round {round_id}", hint="run `annotate train`")
        folder = project.models / row.model
    checkpoint = read(folder)
    require_features(checkpoint, feature_names(project))
    _require_tasks(checkpoint, project)
    return see(checkpoint, reader(project), sample_ids, chosen, read_places(project), codes=codes)


def _require_tasks(checkpoint: "Checkpoint", project: Project) -> None:
    """What the model answers has to mean what `annotate.toml` says."""
    present = {task.id: task for task in project.settings.tasks()}
    for task in checkpoint.tasks:
        now = present.get(task.id)
        if now is None or now.dimension.kind is not task.dimension.kind or _values(now) != _values(task):
            raise ModelError(
                f"the model was trained when {task.id} had other answers than annotate.toml has now",
                hint="run `annotate train`",
            )


def _values(task: Task) -> list[float | str]:
    return [answer.value for answer in task.dimension.answers]


def seed_of(project: Project, seed: int | None) -> int:
    """The seed asked for, else the project's."""
    return project.settings.project.seed if seed is None else seed


def find_round(project: Project, material: Material) -> RoundRecord | None:
    """The newest round of exactly this material whose model still lies in its folder."""
    with reading(project.engine) as session:
        row = round_of(session, material.hash)
        if row is None or not (project.models / row.model).is_dir():
            return None
        return RoundRecord(row.id, row.seconds, row.settings, row.metrics)


def train_round(
    project: Project, material: Material, *, device: str | None, seed: int | None, progress: Progress,
    force: bool = False,
) -> RoundRecord:  # fmt: skip
    """Train on `material`, which has a trainable task, and take the writer lock only to keep the model.

    A round of the same material that another command wrote meanwhile is taken instead, unless `force`.
    The model's folder is in place before its row, so that no row lacks its model; a folder without a row
    is what a crash left and is swept by the next training.
    """
    from annotate.learning.checkpoint import claim, write
    from annotate.learning.device import choose_device

    chosen = choose_device(device or project.settings.train.device)
    make_folder(project.models)  # where that cannot be, it is said before the work is done
    started = time.monotonic()
    keep = project.models / UNFINISHED / material.hash
    checkpoint = _fit(project, material, seed_of(project, seed), chosen, progress, keep)
    metrics = _scores(project, checkpoint, material, chosen)
    seconds = time.monotonic() - started
    settings = _settings(project, checkpoint, material, chosen)
    with project.writing(wait_seconds=KEEP_SECONDS):
        found = None if force else find_round(project, material)
        if found is not None:
            return found
        name = _sweep(project)
        write(checkpoint, project.models / name, unclaimed=True)
        with writing(project.engine) as session:
            round_id = add_round(
                session,
                seed=seed_of(project, seed),
                labels_hash=material.hash,
                settings=settings,
                metrics=metrics,
                model=name,
                seconds=seconds,
            )
        claim(project.models / name)
    _forget_unfinished(project, keep)
    return RoundRecord(round_id, seconds, settings, metrics)


def _forget_unfinished(project: Project, done: Path) -> None:
    """Remove what was kept of this training, and of those that nobody took up again."""
    from annotate.learning.resume import delete_states

    for folder in (project.models / UNFINISHED).glob("*"):
        if folder == done or time.time() - folder.stat().st_mtime > STALE_SECONDS:
            delete_states(folder)
    with suppress(OSError):  # another training keeps its state there, or nothing was ever kept
        (project.models / UNFINISHED).rmdir()


def _fit(
    project: Project, material: Material, seed: int, device: str, progress: Progress, keep: Path
) -> "Checkpoint":
    from annotate.learning.ensemble import fit_ensemble
    from annotate.learning.prepared import TrainingSet

    recipe = recipe_of(project)
    tasks = learned(material.trainable(), recipe.unimodal_labels)
    training_set = TrainingSet(
        tasks=tasks,
        train=material.sample_ids(Split.TRAIN, tasks),
        valid=material.sample_ids(Split.VALID, tasks),
        labels={**material.labels[Split.TRAIN], **material.labels[Split.VALID]},
        read=reader(project),
        extractors=material.extractors,
        places=read_places(project),
    )
    events = _events(project, keep.name[:12])
    return fit_ensemble(
        training_set, recipe, seed=seed, device=device, progress=progress, keep=keep, events=events
    )


def _events(project: Project, name: str) -> Path | None:
    """The folder for the log of one training, made before anything is learned; None when none is wanted."""
    said = project.settings.train.tensorboard
    if not said:
        return None
    folder = project.root / said / name
    try:
        make_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"train.tensorboard: the folder {folder} cannot be made: {error.strerror}",
            hint='name another folder, or set it to ""',
        ) from error
    return folder


def recipe_of(project: Project) -> "Recipe":
    """What `[train]` says.

    Raises `ConfigError` for a plug-in or an option that does not exist, or a package that is missing.
    """
    from annotate.learning.checked import require_parts
    from annotate.learning.recipe import Recipe

    if project.settings.train.tensorboard:
        from annotate.learning.events import require_tensorboard

        require_tensorboard()
    recipe = Recipe(**project.settings.train.recipe())
    require_parts(recipe, {task.dimension.kind for task in project.settings.tasks()})
    return recipe


def overruled(train: TrainSettings) -> list[str]:
    """The keys of `[train]` that its preset would have otherwise."""
    said = train.recipe()
    wanted = fill(PRESETS.get(train.preset, {}), said)
    return [key for key in said if wanted[key] != said[key]]


def reader(project: Project) -> "FeatureReader":
    """Reads the features of the present settings."""
    return lambda modality, sample_ids: read_features(project, modality, sample_ids)


def _scores(
    project: Project, checkpoint: "Checkpoint", material: Material, device: str
) -> dict[str, dict[str, dict[str, float]]]:
    """By split, by task id: every score against that task's own labels; without labels it is absent."""
    from annotate.learning.metrics import scores_of
    from annotate.learning.predict import predict

    found: dict[str, dict[str, dict[str, float]]] = {}
    places = read_places(project)
    for split in SCORED:
        ids = material.sample_ids(split, checkpoint.tasks)
        position = {sample_id: i for i, sample_id in enumerate(ids)}
        predictions, _ = predict(checkpoint, reader(project), ids, device, places)
        found[split.value] = {}
        for task in checkpoint.tasks:
            labels = material.of_task(task, split)
            if labels:
                rows = [position[label.sample_id] for label in labels]
                found[split.value][task.id] = scores_of(predictions[task.id].of(rows), labels)
    return found


def _settings(project: Project, checkpoint: "Checkpoint", material: Material, device: str) -> dict[str, Any]:
    from annotate.learning.conflict import together

    return {
        "device": device,
        "epochs": [fitted.epochs for fitted in checkpoint.fitted],
        "labels": material.counts(),
        "extractors": {m.value: name for m, name in material.extractors.items()},
        "recipe": project.settings.train.recipe(),
        "warnings": [*_warnings(checkpoint, material), *_warnings_of_project(project, material)],
        "notes": list(checkpoint.notes),
        "conflicts": [asdict(found) for found in together(one.conflicts for one in checkpoint.fitted)],
        "search": None if checkpoint.search is None else asdict(checkpoint.search),
    }


def _warnings(checkpoint: "Checkpoint", material: Material) -> list[str]:
    found = [
        f"{t.id} has no head: it needs {material.missing(t)}" for t in material.tasks if material.missing(t)
    ]
    tasks = checkpoint.tasks
    if any(fitted.valid_loss is None for fitted in checkpoint.fitted):
        found.append("too few valid labels to tell when to stop: trained for a fixed number of epochs")
    if material.without_features:
        found.append(
            f"{counted(material.without_features, 'labelled sample')} "
            f"{either(material.without_features, 'has', 'have')} no features: run `annotate extract`"
        )
    found += _odd_labels(material, tasks)
    for task in tasks:
        count = len(material.of_task(task, Split.TEST))
        if count == 0:
            found.append(f"{task.id} has no test labels, so no test scores")
        elif count < FEW_LABELS:
            found.append(f"{task.id} has {counted(count, 'test label')}: these scores say little")
    return found


def _warnings_of_project(project: Project, material: Material) -> list[str]:
    found, train = [], project.settings.train
    over = overruled(train)
    if over:
        found.append(f"the preset {train.preset} is said over for {', '.join(over)}: see `annotate doctor`")
    ids = material.sample_ids(Split.TRAIN, material.trainable())
    if len({place.group for place in read_places(project)(ids)}) < 2:
        found.append("all train labels are of one group, such as one speaker: of others nothing is known")
    with reading(project.engine) as session:
        return [*found, *gap_warnings(project, session)]


def _odd_labels(material: Material, tasks: Sequence[Task]) -> list[str]:
    return [
        f"all train labels of {task.id} are the same: its head can learn nothing else"
        for task in tasks
        if task.dimension.kind is Kind.REGRESSION
        and len({label.value for label in material.of_task(task, Split.TRAIN)}) < 2
    ]


def _sweep(project: Project) -> str:
    """Remove what killed trainings left, which no round knows; the name of the next model's folder."""
    from annotate.learning.checkpoint import claim, delete_unclaimed

    with reading(project.engine) as session:
        owned = model_folders(session)
        name = f"{next_round_id(session):04d}"
    make_folder(project.models)
    temporary.sweep(project.models.glob(temporary.PATTERN))
    for folder in project.models.iterdir():
        if folder.name in owned:
            claim(folder)  # killed between its row and this
        else:
            delete_unclaimed(folder)
    # A folder without our mark may be anybody's, or a model that an older copy of the database does not know.
    return name if not (project.models / name).exists() else f"{name}-{secrets.token_hex(4)}"
