"""Features of a pretrained speech model."""

import numpy as np
from numpy.typing import NDArray

from annotate.features._pretrained import Pretrained
from annotate.features.voice_stats import has_sound, read_wave
from annotate.registry import extractor
from annotate.types import Modality, SampleSource

_POOLED = 5
"""Frames of 20 ms that are averaged: ten rows per second."""
_LEAST = 1600
"""Fewest audio samples; shorter sounds are padded, because of the model's convolutions."""


@extractor("hf-audio")
class HfAudio(Pretrained):
    """Last layer of a pretrained speech encoder, 10 rows per second (wav2vec 2.0; Baevski et al. 2020)."""

    modality = Modality.AUDIO
    revision = "1"

    def hidden(self, source: SampleSource) -> NDArray[np.float32] | None:
        """(frames, dim), or None for silence."""
        import torch

        wave = read_wave(source)
        if not has_sound(wave):
            return None
        if self._json("preprocessor_config.json").get("do_normalize", True):
            wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        padded = np.pad(wave, (0, max(0, _LEAST - len(wave))))
        rows = self.network(torch.from_numpy(padded)[None]).last_hidden_state[0]
        return torch.stack([part.mean(dim=0) for part in rows.split(_POOLED)]).numpy()
