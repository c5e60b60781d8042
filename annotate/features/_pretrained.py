"""What the pretrained extractors share: where weights lie, what they hash to, how they are loaded."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError
from annotate.types import Modality, SampleSource

_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""What may be in a model: numbers and tables, nothing that runs."""


class Pretrained(ABC):
    """A model in the folder format of `transformers`, by path or by hub name.

    Only safetensors weights are read and no code of the model's is run. A hub name is looked up in the
    local cache first and downloaded once; a path never touches the network.
    """

    modality: Modality
    revision: str
    """Of our own code around the model."""

    def __init__(self, model: str = "") -> None:
        """`model` is a folder or a hub name; nothing is loaded before it is needed."""
        self.model = model
        # Fast tokenizers refuse to be used by two threads at once; torch has threads of its own.
        self._lock = RLock()

    @cached_property
    def folder(self) -> Path:
        """Where the files lie.

        Raises `ConfigError` when no model is named, it cannot be had, or `transformers` is missing.
        """
        key = f"features.{self.modality.word}_model"
        if not self.model:
            raise ConfigError(f"{key} is empty", hint=f"set {key} in annotate.toml to a folder or a hub name")
        if find_spec("transformers") is None:
            raise ConfigError(
                f"{key} names {self.model!r}, but pretrained models need the package transformers",
                hint="pip install -e '.[pretrained]' in the checkout of annotate",
            )
        path = Path(self.model).expanduser()
        found = path if path.is_dir() else _from_hub(self.model, key)
        for needed in ("config.json", "*.safetensors"):
            if not any(found.glob(needed)):
                raise ConfigError(
                    f"{key}: {found} holds no {needed}", hint="save the model as safetensors there"
                )
        return found

    @cached_property
    def version(self) -> str:
        """Covers the weights: another model is another extractor.

        Raises `ConfigError` like `folder`.
        """
        files = sorted({path for pattern in _FILES for path in self.folder.glob(pattern)})
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
        from transformers import AutoModel
        from transformers.utils import logging

        be_quiet: Any = logging.disable_progress_bar
        be_quiet()  # its bars would tear ours
        loaded = self.load(AutoModel, use_safetensors=True)
        return getattr(loaded, "vision_model", loaded).float().eval()

    def load(self, kind: Any, **options: Any) -> Any:
        """What `kind`, a class of `transformers`, makes of the model's folder.

        Raises `ConfigError` when its files cannot be used.
        """
        from safetensors import SafetensorError

        try:
            return kind.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False, **options
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ConfigError(
                f"the model in {self.folder} cannot be used: {error}",
                hint=f"set features.{self.modality.word}_model to a complete one, in safetensors",
            ) from error

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(frames, dim); one row of zeros when the modality is absent.

        Raises `MediaError` when the clip cannot be read, `ConfigError` like `folder`.
        """
        import torch

        with self._lock, torch.inference_mode():
            found = self.hidden(source)
        return np.zeros((1, self.dim), np.float32) if found is None else found

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


def _from_hub(name: str, key: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        try:
            return Path(snapshot_download(name, allow_patterns=list(_FILES), local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{key}: {name!r} is no folder here, and the hub does not give it: {error}",
            hint="name a folder that holds the model, or check the spelling and the network",
        ) from error
