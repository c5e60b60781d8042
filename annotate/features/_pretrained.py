"""What the pretrained extractors share: what their weights hash to, and how they are asked."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate import pretrained
from annotate.types import Modality, SampleSource


class Pretrained(ABC):
    """A model in the folder format of `transformers`, by path or by hub name (see `annotate.pretrained`)."""

    modality: Modality
    revision: str
    """Of our own code around the model."""

    def __init__(self, model: str = "") -> None:
        """`model` is a folder or a hub name; nothing is loaded before it is needed."""
        self.model = model
        # Fast tokenizers refuse to be used by two threads at once; torch has threads of its own.
        self._lock = RLock()

    @property
    def _key(self) -> str:
        return f"features.{self.modality.word}_model"

    @cached_property
    def folder(self) -> Path:
        """Where the files lie.

        Raises `ConfigError` when no model is named, it cannot be had, or `transformers` is missing.
        """
        return pretrained.find(self.model, self._key)

    @cached_property
    def version(self) -> str:
        """Covers the weights: another model is another extractor.

        Raises `ConfigError` like `folder`.
        """
        files = sorted({path for pattern in pretrained.FILES for path in self.folder.glob(pattern)})
        state = tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)
        return f"{self.revision}:{_digest(state)}"

    @cached_property
    def dim(self) -> int:
        """Width of the model's hidden layers."""
        config = self._json("config.json")
        # A two-tower model keeps its picture half in a section of its own.
        return int(config.get("hidden_size") or config["vision_config"]["hidden_size"])

    @cached_property
    def network(self) -> Any:
        """The model, ready to be asked; the first call loads it.

        Raises `ConfigError` when its files cannot be used.
        """
        return pretrained.load_network(self.folder, self._key)

    def load(self, kind: Any, **options: Any) -> Any:
        """What `kind`, a class of `transformers`, makes of the model's folder.

        Raises `ConfigError` when its files cannot be used.
        """
        return pretrained.load(kind, self.folder, self._key, **options)

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim); one row of zeros when the modality is absent.

        Raises `MediaError` when the clip cannot be read, `ConfigError` like `folder`.
        """
        import torch

        with self._lock, torch.inference_mode():
            rows = self.hidden(source)
        return np.zeros((1, self.dim), np.float32) if rows is None else rows

    @abstractmethod
    def hidden(self, source: SampleSource) -> NDArray[np.float32] | None:
        """(frames, dim) of the model's last layer, or None when the modality is absent."""

    def _json(self, name: str) -> Mapping[str, Any]:
        path = self.folder / name
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@lru_cache
def _digest(state: tuple[tuple[str, int, int], ...]) -> str:
    """Of names and contents; asked for once per state of the files, because weights are large."""
    whole = hashlib.sha256()
    for path, _, _ in state:
        with Path(path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{Path(path).name}:{content}\n".encode())
    return whole.hexdigest()
