"""Words as numbers, in their order, for encoders that learn what each means."""

import re
import unicodedata
import zlib

import numpy as np
from numpy.typing import NDArray

from annotate.features.tokens import MOST, rows_of
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: no space tells where a word ends."""
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)*|[^\w\s]")


@extractor("word-ids")
class WordIds:
    """Hashed ids of words, for `lookup-table` (Weinberger et al. 2009).

    One row per word, or per character in scripts without spaces. There is no vocabulary.
    """

    modality = Modality.TEXT
    dim = 2
    version = "1"
    tokens = True

    def __init__(self, model: str = "") -> None:
        """`model` is not used: there is no vocabulary."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(tokens, 2), see `rows_of`; zeros for an empty transcript."""
        words = _TOKEN.findall(unicodedata.normalize("NFKC", source.transcript).lower())
        ids = (1 + zlib.crc32(word.encode("utf-8", "surrogatepass")) % (MOST - 1) for word in words)
        return rows_of(ids) if words else np.zeros((1, self.dim), np.float32)
