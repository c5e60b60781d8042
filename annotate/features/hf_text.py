"""Features of a pretrained language model."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.features._pretrained import Pretrained
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_LONGEST = 512
"""Most tokens; later ones are cut off."""


@extractor("hf-text")
class HfText(Pretrained):
    """Last layer of a pretrained text encoder, one row per token (BERT family; Devlin et al. 2019).

    It reads 512 tokens at most.
    """

    modality = Modality.TEXT
    revision = "1"

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return self.load(AutoTokenizer)

    def hidden(self, source: SampleSource) -> NDArray[np.float32] | None:
        """(tokens, dim), or None for an empty transcript."""
        if not source.transcript.strip():
            return None
        most = longest(self._json("config.json"))
        tokens = self._tokenizer(source.transcript, truncation=True, max_length=most, return_tensors="pt")
        return self.network(**tokens).last_hidden_state[0].numpy()


def longest(config: Mapping[str, Any]) -> int:
    """Largest number of tokens that a model with this configuration can read."""
    # RoBERTa counts positions from 2, so two of its positions cannot be used.
    return min(_LONGEST, int(config.get("max_position_embeddings", _LONGEST)) - 2)
