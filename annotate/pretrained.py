"""Finds and loads pretrained models in the folder format of `transformers`.

Only safetensors weights are read, and no code of the model is run. A hub name is looked up in the local cache
first and downloaded once; a folder never needs the network.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from annotate.errors import ConfigError

FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""Files of a model that are downloaded: weights and tables, but no code."""
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def find(model: str, key: str) -> Path:
    """The folder of `model`, a path or a hub name; `key` is the setting that holds it.

    Raises `ConfigError` when `model` is empty or cannot be found, or when `transformers` is missing.
    """
    if not model:
        raise ConfigError(f"{key} is empty", hint=f"set {key} in annotate.toml to a folder or a hub name")
    if find_spec("transformers") is None:
        raise ConfigError(
            f"{key} names {model!r}, but pretrained models need the package transformers",
            hint="pip install -e '.[pretrained]' in the checkout of annotate",
        )
    path = Path(model).expanduser()
    folder = path if path.is_dir() else _from_hub(model, key)
    for needed in ("config.json", "*.safetensors"):
        if not any(folder.glob(needed)):
            raise ConfigError(
                f"{key}: {folder} holds no {needed}", hint="save the model as safetensors there"
            )
    return folder


def load(kind: Any, folder: Path, key: str, **options: Any) -> Any:
    """Load the model in `folder` with `kind`, a class of `transformers`.

    Raises `ConfigError` when its files cannot be used.
    """
    from safetensors import SafetensorError

    try:
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ConfigError(
            f"the model in {folder} cannot be used: {error}",
            hint=f"set {key} to a complete one, in safetensors",
        ) from error


def load_network(folder: Path, key: str) -> Any:
    """Load the network in 32-bit floats and evaluation mode; of a two-tower model, the vision tower.

    Raises `ConfigError` like `load`.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    be_quiet: Any = logging.disable_progress_bar
    be_quiet()  # its progress bars would disturb ours
    loaded = load(AutoModel, folder, key, use_safetensors=True)
    return getattr(loaded, "vision_model", loaded).float().eval()


def _from_hub(name: str, key: str) -> Path:
    if name.startswith((".", "~")) or not _HUB_NAME.fullmatch(name):
        raise ConfigError(
            f"{key}: there is no folder {name!r}", hint="put the model back there, or name where it lies now"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        try:
            return Path(snapshot_download(name, allow_patterns=list(FILES), local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{key}: {name!r} is no folder here, and the hub does not give it: {error}",
            hint="name a folder that holds the model, or check the spelling and the network",
        ) from error
