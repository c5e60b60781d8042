"""What encoders that read tokens share: numbers out of features, and which features they go with."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from annotate.errors import ConfigError, ModelError, UnknownName
from annotate.learning.encoders.base import Encoder, absent
from annotate.learning.tensors import Frames
from annotate.registry import EXTRACTORS
from annotate.types import Modality

PAIR = 2048
"""Two columns make one number: ``high * PAIR + low``, each exact in the 16-bit floats that features are kept
in. 0 stands for no token."""
MOST_TOKENS = 128
"""That are read of a sample; what follows is left out."""


class TokenEncoder(Encoder):
    """Base of the encoders whose rows are token ids."""

    reads_tokens = True
    modalities = (Modality.TEXT,)

    @classmethod
    def condense(cls, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """(tokens, 2) -> (at most `MOST_TOKENS`, 1) numbers.

        Raises `ModelError` when these are no tokens.
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


def numbers(frames: Frames) -> Tensor:
    """(n, rows) whole numbers, 0 where no token is, whatever stands there."""
    return frames.values[..., 0].masked_fill(~frames.mask, 0.0).long()


def require_readable(encoder: type[Encoder], modality: Modality, extractor: str) -> None:
    """Raises `ConfigError` when the features of `extractor` (``name@hash``) are token ids and the
    encoder wants measurements."""
    try:
        tokens = EXTRACTORS.get(extractor.partition("@")[0]).tokens
    except UnknownName:
        return  # features of somebody who knows what they are
    if tokens and not encoder.reads_tokens:
        raise ConfigError(
            f"the {modality.word} features of {extractor} are tokens, which its encoder cannot read",
            hint=f'set train.{modality.word}_encoder = "lookup-table", or another features.{modality.word}',
        )
