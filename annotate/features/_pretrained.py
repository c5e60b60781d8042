"""Base of the pretrained extractors, whose version covers the weights."""

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
    """Version of our code around the model."""

    def __init__(self, model: str = "") -> None:
        """`model` is a folder or a hub name; nothing is loaded before it is needed."""
        self.model = model
        # Fast tokenizers cannot be used by two threads at once; torch has its own threads.
        self._lock = RLock()

    @property
    def _key(self) -> str:
        return f"features.{self.modality.word}_model"

    @cached_property
    def folder(self) -> Path:
        """The folder of the model's files.

        Raises `ConfigError` when no model is named or found, or `transformers` is missing.
        """
        return pretrained.find(self.model, self._key)

    @cached_property
    def version(self) -> str:
        """Covers the weights, so that another model counts as another extractor.

        Raises `ConfigError` like `folder`.
        """
        files = sorted({path for pattern in pretrained.FILES for path in self.folder.glob(pattern)})
        state = tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)
        return f"{self.revision}:{_digest(state)}"

    @cached_property
    def dim(self) -> int:
        """Width of the model's hidden layers."""
        config = self._json("config.json")
        # A two-tower model has the width of its image tower in a separate section.
        return int(config.get("hidden_size") or config["vision_config"]["hidden_size"])

    @cached_property
    def network(self) -> Any:
        """The model in evaluation mode, loaded on first use.

        Raises `ConfigError` when its files cannot be used.
        """
        return pretrained.load_network(self.folder, self._key)

    def load(self, kind: Any, **options: Any) -> Any:
        """Load the model's folder with `kind`, a class of `transformers`.

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
    """A hash of names and contents, cached by the state of the files, because weights are large."""
    whole = hashlib.sha256()
    for path, _, _ in state:
        with Path(path).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{Path(path).name}:{content}\n".encode())
    return whole.hexdigest()
