"""Hashed character n-grams: text features that need no vocabulary, no download and no word boundaries."""

import math
import unicodedata
import zlib
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_BUCKETS = 2048
_LONGEST = 4
"""Characters of the longest n-gram: about two Chinese words, or an English stem."""
_MARKS = ("!！", "?？", ",，、", ".。", "…", "~～", "\"'“”‘’「」", "—-")


@extractor("char-hash")
class CharHash:
    """Hashed character 1- to 4-grams and punctuation, for any language (Weinberger et al. 2009).

    One row: 2048 signed buckets, length, punctuation, and the shares of wide and of capital characters.
    """

    modality = Modality.TEXT
    dim = _BUCKETS + 4 + len(_MARKS)
    version = "1"

    def __init__(self, model: str = "") -> None:
        """`model` is not used: nothing here is pretrained."""

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """(1, dim); zeros for an empty transcript."""
        text = " ".join(unicodedata.normalize("NFC", source.transcript).split())
        if not text:
            return np.zeros((1, self.dim), np.float32)
        return np.concatenate([_ngrams(text.lower()), _shape(text)])[None]


def _ngrams(text: str) -> NDArray[np.float32]:
    """(buckets,) signed log counts with unit norm; the signs make collisions cancel out on average."""
    padded = f" {text} "
    counts = Counter(
        padded[start : start + n] for n in range(1, _LONGEST + 1) for start in range(len(padded) - n + 1)
    )
    buckets = np.zeros(_BUCKETS, np.float64)
    for ngram, count in counts.items():
        digest = zlib.crc32(ngram.encode("utf-8", "surrogatepass"))
        buckets[(digest >> 1) % _BUCKETS] += (1 if digest & 1 else -1) * (1 + math.log(count))
    length = float(np.linalg.norm(buckets))
    return (buckets / length if length else buckets).astype(np.float32)


def _shape(text: str) -> NDArray[np.float32]:
    """Log counts of characters, words and punctuation, and shares of wide and capital characters."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    counts = [len(text), len(text.split()), *(sum(text.count(c) for c in mark) for mark in _MARKS)]
    shares = [wide / len(text), sum(c.isupper() for c in text) / len(text)]
    return np.array([*(math.log1p(c) for c in counts), *shares], np.float32)
