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
"""Changes whenever the same files would mean something else."""
_WRONG = (
    OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError,
)  # fmt: skip
"""What reading says of files that are damaged or are no model."""
TENSORS, FACTS, UNCLAIMED = "model.safetensors", "model.json", ".annotate-unclaimed"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything a prediction needs, and what it was made from."""

    recipe: ModelConfig
    tasks: tuple[Task, ...]
    """Those that have a head; a task without enough labels has none."""
    extractors: Mapping[Modality, str]
    """``extractor@hash`` of the features it was trained with."""
    widths: Mapping[Modality, int]
    """Of a condensed row."""
    standardisers: Mapping[Modality, Standardiser]
    """Of the modalities whose encoder wants it."""
    targets: Mapping[str, Target]
    noise: Mapping[str, float]
    """By regression task id: standard deviation of label minus ensemble mean, on the scale."""
    members: tuple[Mapping[str, Tensor], ...]
    """Weights, on the CPU."""
    fitted: tuple[Fitted, ...]
    """How the training of each member went."""
    combination: Combination = field(default_factory=Combination)
    search: Search | None = None
    """How options of the sharing were chosen, where there was a choice."""
    notes: tuple[str, ...] = ()
    """Sentences for the user."""

    def load(self, device: str) -> Members:
        """The members on `device`, ready to be asked.

        Raises `ModelError` when weights and settings do not fit together, or name a plug-in that is not
        there; `ConfigError` when a pretrained model that they name is gone.
        """
        try:
            return restore(self.widths, self.tasks, self.recipe, self.members, device, self.combination.sees)
        except (RuntimeError, TypeError) as error:
            raise _damaged("its weights do not fit its settings") from error
        except UnknownName as error:
            raise _damaged(str(error)) from error


def write(checkpoint: Checkpoint, folder: Path, *, unclaimed: bool = False) -> None:
    """Make `folder`, which must not exist; a crash leaves at most a temporary folder beside it.

    `unclaimed` marks it as one that no record knows yet: `claim` takes the mark away, and
    `delete_unclaimed` deletes the folder while it has the mark.
    """
    make_folder(folder.parent)
    partial = folder.with_name(temporary_name())
    tensors = save(_tensors(checkpoint))
    facts = {**_facts(checkpoint), "sha256": hashlib.sha256(tensors).hexdigest()}
    write_whole(partial / TENSORS, tensors)
    write_whole(partial / FACTS, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    if unclaimed:
        write_whole(partial / UNCLAIMED, b"")
    partial.rename(folder)
    sync(folder.parent)


def claim(folder: Path) -> None:
    """Say that a record knows the checkpoint in `folder` now: nothing deletes it any more."""
    (folder / UNCLAIMED).unlink(missing_ok=True)


def delete_unclaimed(folder: Path) -> None:
    """Delete the checkpoint in `folder` if nobody has claimed it; whatever else lies in it stays."""
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


def _tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    tensors = {
        f"member.{k}.{name}": tensor.contiguous()
        for k, weights in enumerate(checkpoint.members)
        for name, tensor in weights.items()
    }
    for modality, standardiser in checkpoint.standardisers.items():
        tensors[f"mean.{modality.value}"] = torch.from_numpy(standardiser.mean)
        tensors[f"inverse_scale.{modality.value}"] = torch.from_numpy(standardiser.inverse_scale)
    return tensors


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "recipe": asdict(checkpoint.recipe),
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


def _task(facts: Mapping[str, Any]) -> Task:
    answers = tuple(Answer(value, label) for value, label in facts["answers"])
    return Task(Dimension(facts["dimension"], Kind(facts["kind"]), answers), Modality(facts["modality"]))


def _checkpoint(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Checkpoint:
    extractors = {Modality(key): name for key, name in facts["extractors"].items()}
    tasks = tuple(_task(task) for task in facts["tasks"])
    fitted = tuple(_fitted(member) for member in facts["fitted"])
    if not fitted:
        raise _damaged("it has no network")
    return Checkpoint(
        recipe=ModelConfig(**{**facts["recipe"], "balance": tuple(facts["recipe"]["balance"])}),
        tasks=tasks,
        extractors=extractors,
        widths={Modality(key): width for key, width in facts["widths"].items()},
        standardisers={Modality(key): _standardiser(tensors, Modality(key)) for key in facts["standardised"]},
        targets={task.id: Target(**facts["targets"][task.id]) for task in tasks},
        noise=facts["noise"],
        members=_members(tensors, len(fitted)),
        fitted=fitted,
        combination=_combination(facts["combination"]),
        search=_search(facts["search"]),
        notes=tuple(facts["notes"]),
    )


def _fitted(facts: Mapping[str, Any]) -> Fitted:
    conflicts = tuple(Conflict(**values) for values in facts.get("conflicts", ()))
    return Fitted(**{**facts, "conflicts": conflicts})


def _search(facts: Mapping[str, Any] | None) -> Search | None:
    if facts is None:
        return None
    return Search(**{**facts, "tried": tuple(Tried(**tried) for tried in facts["tried"])})


def _combination(facts: Mapping[str, Any]) -> Combination:
    shares = {task_id: tuple(values) for task_id, values in facts["shares"].items()}
    return Combination(**{**facts, "shares": shares, "sees": tuple(facts.get("sees", ()))})


def _standardiser(tensors: Mapping[str, Tensor], modality: Modality) -> Standardiser:
    key = modality.value
    return Standardiser(tensors[f"mean.{key}"].numpy(), tensors[f"inverse_scale.{key}"].numpy())


def _members(tensors: Mapping[str, Tensor], count: int) -> tuple[Mapping[str, Tensor], ...]:
    prefixes: Sequence[str] = [f"member.{k}." for k in range(count)]
    return tuple(
        {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)} for prefix in prefixes
    )
