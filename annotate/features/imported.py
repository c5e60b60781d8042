"""Stands where an extractor would, for features that came with a corpus. No plug-in: it extracts nothing."""

import numpy as np
from numpy.typing import NDArray

from annotate.errors import FeatureError
from annotate.protocols import FeatureExtractor
from annotate.types import Modality, SampleSource

IMPORTED = "imported"
"""What ``[features]`` names where features come from `annotate import`."""


class Imported(FeatureExtractor):
    """Features of `modality` that others made."""

    dim = 0
    """As wide as those of the corpus: nobody knows before it is imported."""
    made_elsewhere = True
    """What is stored stays, whatever the sample's text or clip is."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality
        self.version = modality.word

    def extract(self, source: SampleSource) -> NDArray[np.float32]:
        """Nothing: raises `FeatureError`."""
        raise FeatureError(
            f"no {self.modality.word} features were imported for it, and features.{self.modality.word} is "
            f'"{IMPORTED}"',
            hint="`annotate import` its corpus (again), or name an extractor",
        )
