"""Placeholder for an extractor, for features that were imported with a corpus."""

import numpy as np
from numpy.typing import NDArray

from annotate.errors import FeatureError
from annotate.protocols import FeatureExtractor
from annotate.types import Modality, SampleSource

IMPORTED = "imported"
"""Name in ``[features]`` for features from `annotate import`."""


class Imported(FeatureExtractor):
    """Imported features of `modality`."""

    dim = 0
    """Unknown before the import."""
    made_elsewhere = True
    """Stored features stay when the text or the clip of a sample changes."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.version = modality.word

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """Always raises `FeatureError`."""
        raise FeatureError(
            f"no {self.modality.word} features were imported for it, and features.{self.modality.word} is "
            f'"{IMPORTED}"',
            hint="`annotate import` its corpus (again), or name an extractor",
        )
