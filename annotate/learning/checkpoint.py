"""A trained ensemble as a folder of safetensors and JSON, written whole or not at all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from annotate.durable import sync, write_whole
from annotate.errors import ModelError, UnknownName
from annotate.learning.batches import Standardiser
from annotate.learning.conflict import Conflict
from annotate.learning.ensembles.base import Combination
from annotate.learning.heads.base import Target
from annotate.learning.members import Members, restore
from annotate.learning.model_config import ModelConfig
from annotate.learning.results import Fitted, Search, Tried
from annotate.permissions import make_folder
from annotate.temporary import temporary_name
from annotate.types import Answer, Dimension, Kind, Modality, Task

FORMAT = 2
"""Version of the file format."""
_WRONG = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError,
)  # fmt: skip
"""Errors that damaged files, or files that are not a model, cause."""
TENSORS, FACTS, UNCLAIMED = "model.safetensors", "model.json", ".annotate-unclaimed"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a prediction needs, and the inputs of the training."""

    config: ModelConfig
    tasks: tuple[Task, ...]
    """The tasks that have a head; a task without enough labels has none."""
    extractors: Mapping[Modality, str]
    """``extractor@hash`` of the features it was trained with."""
    widths: Mapping[Modality, int]
    """Width of a pooled row."""
    standardisers: Mapping[Modality, Standardiser]
    """Only of modalities whose encoder reads standardised features."""
    targets: Mapping[str, Target]
    noise: Mapping[str, float]
    """By regression task id: standard deviation of label minus ensemble mean, on the scale."""
    members: tuple[Mapping[str, Tensor], ...]
    """Weights, on the CPU."""
    fitted: tuple[Fitted, ...]
    """Result of the training of each member."""
    combination: Combination = field(default_factory=Combination)
    search: Search | None = None
    """How options of the sharing were chosen, if there was a choice."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""

    def load(self, device: str) -> Members:
        """The members on `device`, in evaluation mode.

        Raises `ModelError` when weights and settings do not fit together or name an unknown plug-in,
        `ConfigError` when a pretrained model is missing.
        """
        try:
            return restore(self.widths, self.tasks, self.config, self.members, device, self.combination.sees)
        except (RuntimeError, TypeError) as error:
            raise _damaged("its weights do not fit its settings") from error
        except UnknownName as error:
            raise _damaged(str(error)) from error


def write(checkpoint: Checkpoint, folder: Path, *, unclaimed: bool = False) -> None:
    """Make `folder`, which must not exist; a crash leaves at most a temporary folder beside it.

    `unclaimed` marks it as not recorded yet: `claim` removes the mark, and `delete_unclaimed` deletes the
    folder while it has the mark.
    """
    make_folder(folder.parent)
    partial = folder.with_name(temporary_name())
    weights = {
        f"member.{k}.{name}": tensor.contiguous()
        for k, member in enumerate(checkpoint.members)
        for name, tensor in member.items()
    }
    for modality, standardiser in checkpoint.standardisers.items():
        weights[f"mean.{modality.value}"] = torch.from_numpy(standardiser.mean)
        weights[f"inverse_scale.{modality.value}"] = torch.from_numpy(standardiser.inverse_scale)
    tensors = save(weights)
    facts = {**_facts(checkpoint), "sha256": hashlib.sha256(tensors).hexdigest()}
    write_whole(partial / TENSORS, tensors)
    write_whole(partial / FACTS, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    if unclaimed:
        write_whole(partial / UNCLAIMED, b"")
    partial.rename(folder)
    sync(folder.parent)


def claim(folder: Path) -> None:
    """Mark the checkpoint in `folder` as recorded, so that `delete_unclaimed` keeps it."""
    (folder / UNCLAIMED).unlink(missing_ok=True)


def delete_unclaimed(folder: Path) -> None:
    """Delete the checkpoint in `folder` if it is unclaimed; other files in the folder stay."""
    if not (folder / UNCLAIMED).is_file():
        return
    for name in (TENSORS, FACTS, UNCLAIMED):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def read(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`.

    Raises `ModelError` when it is missing, damaged, or of another format.
    """
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        content = (folder / TENSORS).read_bytes()
        if facts["format"] != FORMAT:
            raise _damaged(f"it has format {facts['format']}, this version reads {FORMAT}")
        if hashlib.sha256(content).hexdigest() != facts["sha256"]:
            raise _damaged(f"the checksum of {TENSORS} is wrong")
        return _checkpoint(facts, load(content))
    except _WRONG as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error


def require_features(checkpoint: Checkpoint, extractors: Mapping[Modality, str]) -> None:
    """Raises `ModelError` when the features are no longer those the model was trained with."""
    for modality, trained_with in checkpoint.extractors.items():
        present = extractors.get(modality, "none")
        if present != trained_with:
            raise ModelError(
                f"the model was trained with {modality.word} features of {trained_with}, not of {present}",
                hint="run `annotate train`",
            )


def _damaged(reason: str) -> ModelError:
    return ModelError(f"the model cannot be read: {reason}", hint="run `annotate train --force`")


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": asdict(checkpoint.config),
        "tasks": [describe_task(task) for task in checkpoint.tasks],
        "extractors": {m.value: name for m, name in checkpoint.extractors.items()},
        "widths": {m.value: width for m, width in checkpoint.widths.items()},
        "standardised": [m.value for m in checkpoint.standardisers],
        "targets": {task_id: asdict(target) for task_id, target in checkpoint.targets.items()},
        "noise": dict(checkpoint.noise),
        "fitted": [asdict(fitted) for fitted in checkpoint.fitted],
        "combination": asdict(checkpoint.combination),
        "search": None if checkpoint.search is None else asdict(checkpoint.search),
        "notes": list(checkpoint.notes),
    }


def describe_task(task: Task) -> dict[str, Any]:
    """A task as JSON."""
    dimension = task.dimension
    answers = [[answer.value, answer.label] for answer in dimension.answers]
    return {
        "modality": task.modality.value,
        "dimension": dimension.name,
        "kind": dimension.kind.value,
        "answers": answers,
    }


def _checkpoint(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Checkpoint:
    extractors = {Modality(key): name for key, name in facts["extractors"].items()}
    tasks = []
    for task in facts["tasks"]:
        answers = tuple(Answer(value, label) for value, label in task["answers"])
        dimension = Dimension(task["dimension"], Kind(task["kind"]), answers)
        tasks.append(Task(dimension, Modality(task["modality"])))
    fitted = tuple(
        Fitted(**{**member, "conflicts": tuple(Conflict(**values) for values in member.get("conflicts", ()))})
        for member in facts["fitted"]
    )
    if not fitted:
        raise _damaged("it has no network")
    standardisers = {
        Modality(key): Standardiser(tensors[f"mean.{key}"].numpy(), tensors[f"inverse_scale.{key}"].numpy())
        for key in facts["standardised"]
    }
    combination = facts["combination"]
    shares = {task_id: tuple(values) for task_id, values in combination["shares"].items()}
    search = None
    if facts["search"] is not None:
        tried = tuple(Tried(**candidate) for candidate in facts["search"]["tried"])
        search = Search(**{**facts["search"], "tried": tried})
    return Checkpoint(
        config=ModelConfig(**{**facts["recipe"], "balance": tuple(facts["recipe"]["balance"])}),
        tasks=tuple(tasks),
        extractors=extractors,
        widths={Modality(key): width for key, width in facts["widths"].items()},
        standardisers=standardisers,
        targets={task.id: Target(**facts["targets"][task.id]) for task in tasks},
        noise=facts["noise"],
        members=_members(tensors, len(fitted)),
        fitted=fitted,
        combination=Combination(
            **{**combination, "shares": shares, "sees": tuple(combination.get("sees", ()))}
        ),
        search=search,
        notes=tuple(facts["notes"]),
    )


def _members(tensors: Mapping[str, Tensor], count: int) -> tuple[Mapping[str, Tensor], ...]:
    prefixes: Sequence[str] = [f"member.{k}." for k in range(count)]
    return tuple(
        {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)} for prefix in prefixes
    )
