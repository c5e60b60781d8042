"""Token ids of a pretrained language model, for an encoder that fine-tunes the model."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.features._pretrained import Pretrained
from annotate.features.hf_text import longest
from annotate.features.tokens import rows_of
from annotate.registry import extractor
from annotate.types import Modality, SampleSource


@extractor("hf-tokens")
class HfTokens(Pretrained):
    """Token ids of a pretrained text encoder, for `pretrained-text` (BERT family; Devlin et al. 2019)."""

    modality = Modality.TEXT
    revision = "1"
    tokens = True

    @cached_property
    def dim(self) -> int:
        """Two columns encode one token id."""
        return 2

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return self.load(AutoTokenizer)

    def hidden(self, source: SampleSource) -> NDArray[np.float32] | None:
        """(tokens, 2) token ids, one more than the model's, so that 0 means no token."""
        if not source.transcript.strip():
            return None
        config: Mapping[str, Any] = self._json("config.json")
        encoded = self._tokenizer(source.transcript, truncation=True, max_length=longest(config))
        return rows_of(number + 1 for number in encoded["input_ids"])
