"""Keeps the state of a running training, so that one that was killed goes on where it was."""

import hashlib
import json
import platform
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from annotate import temporary
from annotate.durable import write_whole
from annotate.learning.batches import Batch
from annotate.learning.model_config import ModelConfig

FORMAT = 2
EVERY_SECONDS = 20.0
ENDED_SECONDS = 5.0
"""A training that ran for so long since it was last kept is kept at its end too: others may follow before
there is a model."""
LARGEST_SHARE = 0.02
"""Of the training's time that may go into keeping its state."""
SUFFIX = ".state"
_DIGEST = 32
_FACTS = "facts"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """The state of a training at the end of an epoch."""

    tensors: Mapping[str, Tensor]
    """On the CPU."""
    facts: Mapping[str, Any]
    """JSON."""


@dataclass
class Checkpointer:
    """Writes the states of trainings into a folder, each under the name of what is trained on what."""

    folder: Path
    say: Callable[[str], None] = lambda line: None
    _kept: float = field(default=0.0, init=False)
    """When a state was written last, or the present training began."""
    _rests: float = field(default=0.0, init=False)
    """Until when nothing more is written."""
    _told: bool = field(default=False, init=False)

    def find(self, name: str) -> TrainingState | None:
        """What was kept under `name`; None when there is nothing, or when it is damaged."""
        self._kept = time.monotonic()
        path = self.folder / f"{name}{SUFFIX}"
        try:
            kept = _parse(path.read_bytes())
        except FileNotFoundError:
            if any(self.folder.glob(f"*{SUFFIX}")):
                self._tell("an unfinished training of other labels, settings or versions is left aside")
            return None
        except OSError as error:
            self._tell(f"the unfinished training cannot be read and starts again: {error}")
            return None
        if kept is None:
            self._tell("the state of the unfinished training is damaged: it starts again")
        else:
            self._tell(f"an unfinished training is found: it goes on after epoch {kept.facts['epoch']}")
        return kept

    def keep(self, name: str, state: Callable[[], TrainingState], *, ended: bool = False) -> None:
        """Write the state if it is time to. A disk that is full costs the state, not the training."""
        started = time.monotonic()
        if started - self._kept < (ENDED_SECONDS if ended else EVERY_SECONDS) or started < self._rests:
            return
        try:
            write_whole(self.folder / f"{name}{SUFFIX}", _bytes(state()))
        except OSError as error:
            self.say(f"the state of the training could not be kept: {error}")
        self._told = True
        self._kept = time.monotonic()
        self._rests = self._kept + (self._kept - started) / LARGEST_SHARE

    def _tell(self, line: str) -> None:
        """Once: one model may take many trainings, each with a state of its own."""
        if not self._told:
            self.say(line)
        self._told = True


def delete_states(folder: Path) -> None:
    """Delete the states of trainings in `folder`, and the folder when it holds nothing else."""
    for path in folder.glob(f"*{SUFFIX}"):
        if re.fullmatch(r"[0-9a-f]{32}", path.name.removesuffix(SUFFIX)):
            path.unlink(missing_ok=True)
    temporary.sweep(folder.glob(temporary.PATTERN), ours_too=True)
    with suppress(OSError):
        folder.rmdir()


def name_of(
    recipe: ModelConfig, sees: Sequence[str], batches: Iterable[Batch | None], weights: Mapping[str, Tensor],
    others: Iterable[Tensor],
) -> str:  # fmt: skip
    """The name of a training: a hash of all that decides its result, torch's version among it.

    `sees` as in `Members`; `weights` are the first ones, `others` whatever else there is.
    """
    device = next(iter(weights.values())).device
    settings = [FORMAT, torch.__version__, machine(device), asdict(recipe), sees]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for batch in batches:
        tensors = {} if batch is None else _of_batch(batch)
        for name, tensor in tensors.items():
            _add(digest, name, tensor)
    for name, tensor in weights.items():
        _add(digest, name, tensor)
    for tensor in others:
        _add(digest, "", tensor)
    return digest.hexdigest()[:32]


def machine(device: torch.device) -> str:
    """What computes: another one may round otherwise."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _add(digest: Any, name: str, tensor: Tensor) -> None:
    digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())


def _of_batch(batch: Batch) -> dict[str, Tensor]:
    inputs = batch.inputs
    parts: dict[str, Mapping[str, Tensor]] = {
        "values": inputs.values, "masks": inputs.masks, "targets": batch.targets, "known": batch.known,
        "weights": batch.weights, "place": {"video": inputs.video, "position": inputs.position},
    }  # fmt: skip
    return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def _bytes(state: TrainingState) -> bytes:
    """A checksum, then the tensors; the facts are one of them."""
    facts = torch.frombuffer(bytearray(json.dumps(dict(state.facts)).encode()), dtype=torch.uint8)
    content = save({_FACTS: facts, **{name: tensor.contiguous() for name, tensor in state.tensors.items()}})
    return hashlib.sha256(content).digest() + content


def _parse(content: bytes) -> TrainingState | None:
    """None when it is damaged."""
    try:
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            return None
        tensors = load(content[_DIGEST:])
        return TrainingState(tensors, json.loads(tensors.pop(_FACTS).numpy().tobytes()))
    except (ValueError, KeyError, SafetensorError):
        return None
