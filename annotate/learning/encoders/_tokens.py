"""Common parts of the encoders that read token ids."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from annotate.errors import ConfigError, ModelError, UnknownName
from annotate.learning.encoders.base import Encoder, absent
from annotate.learning.tensors import Frames
from annotate.registry import EXTRACTORS
from annotate.types import Modality

PAIR = 2048
"""Two columns make one token id: ``high * PAIR + low``, each exact in the 16-bit floats in which features are
stored. 0 means no token."""
MOST_TOKENS = 128
"""Tokens that are read of a sample; later ones are dropped."""


class TokenEncoder(Encoder):
    """Base of the encoders whose rows are token ids."""

    reads_tokens = True
    modalities = (Modality.TEXT,)

    @classmethod
    def pool_frames(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(tokens, 2) -> (at most `MOST_TOKENS`, 1) token ids.

        Raises `ModelError` when the features are not token ids.
        """
        kept = frames[:MOST_TOKENS]
        if frames.shape[1] != 2 or (kept < 0).any() or (kept >= PAIR).any() or (kept % 1 != 0).any():
            raise ModelError(
                "the text encoder needs token ids, but the text features are not token ids",
                hint='set features.text = "word-ids" or "hf-tokens" and run `annotate extract`, '
                "or set train.text_encoder to another encoder",
            )
        if absent(kept):
            return np.zeros((0, 1), np.float32)
        return (kept @ np.array([[PAIR], [1]], np.float32)).astype(np.float32)


def token_ids(frames: Frames) -> Tensor:
    """(n, rows) token ids, 0 where masked."""
    return frames.values[..., 0].masked_fill(~frames.mask, 0.0).long()


def require_readable(encoder: type[Encoder], modality: Modality, extractor: str) -> None:
    """Raises `ConfigError` when the features of `extractor` (``name@hash``) are token ids, and the encoder
    does not read token ids."""
    try:
        tokens = EXTRACTORS.get(extractor.partition("@")[0]).tokens
    except UnknownName:
        return  # imported features
    if tokens and not encoder.reads_tokens:
        raise ConfigError(
            f"the {modality.word} features of {extractor} are token ids, which its encoder cannot read",
            hint=f'set train.{modality.word}_encoder = "lookup-table", or another features.{modality.word}',
        )
