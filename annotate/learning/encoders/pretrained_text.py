"""A pretrained text encoder, fine-tuned with the rest of the network."""

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from annotate import pretrained
from annotate.errors import ConfigError, ModelError
from annotate.learning._part import Part
from annotate.learning.encoders._tokens import TokenEncoder, token_ids
from annotate.learning.encoders.base import masked
from annotate.learning.tensors import Frames, Representation
from annotate.registry import encoder

_KEY = "train.options.pretrained-text.model"


@encoder("pretrained-text")
class PretrainedText(TokenEncoder):
    """Pretrained text encoder that is fine-tuned on the tasks (MT-DNN; Liu et al. 2019).

    It reads the features of `hf-tokens` of the same model. The checkpoint holds the weights but not the
    architecture, so the folder that `model` names has to stay. The second stage of MT-DNN, which trains on
    for each task alone, is not implemented.
    """

    vectorised = False

    @dataclass(frozen=True, slots=True)
    class Options:
        """Options of `pretrained-text`."""

        model: str = ""
        """Folder or hub name, the same as `features.text_model`."""
        rate: float = 0.02
        """Factor of the learning rate inside the pretrained model."""
        shared: bool = False
        """Whether all tasks share one model, even where the sharing gives each task its own encoder."""

    def __init__(self, width: int, hidden: int, dropout: float, options: Options) -> None:
        super().__init__(width, hidden, dropout, options)
        if options.rate < 0:
            raise ConfigError(
                f"train.options.pretrained-text.rate cannot be {options.rate}",
                hint="0 keeps the pretrained model as it is, 1 trains it like the rest",
            )
        self.body = Body(pretrained.find(options.model, _KEY), options.rate)
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(self.body.columns, hidden))
        self.common = ("body",) if options.shared else ()

    def forward(self, frames: Frames) -> Representation:
        """The vector is the state of the first token, which represents the sentence in such models.

        Raises `ModelError` when the token ids do not belong to the model.
        """
        used = max(1, int(frames.mask.sum(dim=1).max()))  # padding is expensive here
        mask = frames.mask[:, :used]
        rows = self.layers(self.body(token_ids(frames)[:, :used], mask))
        states = functional.pad(masked(rows, mask), (0, 0, 0, frames.mask.shape[1] - used))
        return Representation(states[:, 0], states, frames.mask)


class Body(Part, nn.Module):
    """The pretrained model."""

    def __init__(self, folder: Path, rate: float) -> None:
        super().__init__()
        state = tuple(sorted((p.name, p.stat().st_mtime_ns) for p in folder.glob("*.safetensors")))
        self.network = deepcopy(_load(folder, state))
        self._rate = rate
        config = self.network.config
        self.vocabulary, self.columns = int(config.vocab_size), int(config.hidden_size)
        self.longest = int(getattr(config, "max_position_embeddings", None) or 1_000_000)

    def rate(self, name: str) -> float:
        """Lower than for the other parameters, to keep what was learned in pretraining."""
        return self._rate

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(n, rows) token ids from 1 on -> (n, rows, columns)."""
        if int(tokens.max()) > self.vocabulary or tokens.shape[1] > self.longest:
            raise ModelError(
                "the text features are not the tokens of the pretrained model",
                hint='set features.text = "hf-tokens", features.text_model to what '
                f"{_KEY} names, and run `annotate extract`",
            )
        # The first token is never masked: attention over no token would be NaN.
        attended = mask | (torch.arange(mask.shape[1], device=mask.device) == 0)
        hidden: Tensor = self.network(
            input_ids=(tokens - 1).clamp(min=0), attention_mask=attended.long()
        ).last_hidden_state
        return hidden


@lru_cache(maxsize=1)
def _load(folder: Path, state: tuple[tuple[str, int], ...]) -> Any:
    """The model as it was saved, loaded once for all members, and again when its files have changed."""
    network = pretrained.load_network(folder, _KEY)
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # unused: the first token is read directly
    for module in network.modules():
        # So that checkpoints contain every buffer.
        module._non_persistent_buffers_set.clear()
    return network
