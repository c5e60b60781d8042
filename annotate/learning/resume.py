"""Saves the state of a running training, so that a killed training can be resumed."""

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
"""At its end, a training is saved too if it ran this long since the last save: other trainings may follow
before the model is complete."""
LARGEST_SHARE = 0.02
"""Largest share of the training time that may be spent on saving its state."""
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
    """Writes the states of trainings into a folder, each under a hash of everything that decides its
    result."""

    folder: Path
    say: Callable[[str], None] = lambda line: None
    _kept: float = field(default=0.0, init=False)
    """When a state was last written, or the current training began."""
    _rests: float = field(default=0.0, init=False)
    """Earliest time of the next write."""
    _reported: bool = field(default=False, init=False)

    def find(self, name: str) -> TrainingState | None:
        """The saved state of the training `name`; None if there is none, or it is damaged."""
        self._kept = time.monotonic()
        path = self.folder / f"{name}{SUFFIX}"
        try:
            kept = _parse(path.read_bytes())
        except FileNotFoundError:
            if any(self.folder.glob(f"*{SUFFIX}")):
                self._report("an unfinished training with other labels, settings or versions is not resumed")
            return None
        except OSError as error:
            self._report(f"the unfinished training cannot be read and starts again: {error}")
            return None
        if kept is None:
            self._report("the state of the unfinished training is damaged: it starts again")
        else:
            self._report(f"resuming an unfinished training after epoch {kept.facts['epoch']}")
        return kept

    def keep(self, name: str, state: Callable[[], TrainingState], *, ended: bool = False) -> None:
        """Write the state if it is due. On a full disk the training continues without it."""
        started = time.monotonic()
        if started - self._kept < (ENDED_SECONDS if ended else EVERY_SECONDS) or started < self._rests:
            return
        try:
            write_whole(self.folder / f"{name}{SUFFIX}", _serialise(state()))
        except OSError as error:
            self.say(f"the state of the training could not be saved: {error}")
        self._reported = True
        self._kept = time.monotonic()
        self._rests = self._kept + (self._kept - started) / LARGEST_SHARE

    def _report(self, line: str) -> None:
        """Report a line once: one model may need many trainings, each with its own state."""
        if not self._reported:
            self.say(line)
        self._reported = True


def delete_states(folder: Path) -> None:
    """Delete the states of trainings in `folder`, and the folder when it holds nothing else."""
    for path in folder.glob(f"*{SUFFIX}"):
        if re.fullmatch(r"[0-9a-f]{32}", path.name.removesuffix(SUFFIX)):
            path.unlink(missing_ok=True)
    temporary.sweep(folder.glob(temporary.PATTERN), ours_too=True)
    with suppress(OSError):
        folder.rmdir()


def name_of(
    config: ModelConfig, sees: Sequence[str], batches: Iterable[Batch | None], weights: Mapping[str, Tensor],
    others: Iterable[Tensor],
) -> str:  # fmt: skip
    """The name of a training: a hash of everything that decides its result, including torch's version.

    `sees` as in `Members`; `weights` are the initial ones, `others` all other tensors.
    """
    device = next(iter(weights.values())).device
    settings = [FORMAT, torch.__version__, machine(device), asdict(config), sees]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for batch in batches:
        if batch is None:
            continue
        inputs = batch.inputs
        parts: dict[str, Mapping[str, Tensor]] = {
            "values": inputs.values, "masks": inputs.masks, "targets": batch.targets, "known": batch.known,
            "weights": batch.weights, "place": {"video": inputs.video, "position": inputs.position},
        }  # fmt: skip
        for part, tensors in parts.items():
            for name, tensor in tensors.items():
                _add(digest, f"{part}.{name}", tensor)
    for name, tensor in weights.items():
        _add(digest, name, tensor)
    for tensor in others:
        _add(digest, "", tensor)
    return digest.hexdigest()[:32]


def machine(device: torch.device) -> str:
    """The processor; another one may round differently."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _add(digest: Any, name: str, tensor: Tensor) -> None:
    digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())


def _serialise(state: TrainingState) -> bytes:
    """A checksum followed by the tensors, of which one holds the facts."""
    facts = torch.frombuffer(bytearray(json.dumps(dict(state.facts)).encode()), dtype=torch.uint8)
    content = save({_FACTS: facts, **{name: tensor.contiguous() for name, tensor in state.tensors.items()}})
    return hashlib.sha256(content).digest() + content


def _parse(content: bytes) -> TrainingState | None:
    """None if the content is damaged."""
    try:
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            return None
        tensors = load(content[_DIGEST:])
        return TrainingState(tensors, json.loads(tensors.pop(_FACTS).numpy().tobytes()))
    except (ValueError, KeyError, SafetensorError):
        return None
