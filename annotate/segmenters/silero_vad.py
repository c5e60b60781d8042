"""Voice activity detection with the Silero network, many frames at a time.

The weights are those of the silero-vad package (MIT, https://github.com/snakers4/silero-vad); the forward
pass here gives the same probabilities as the package's own loop, about ten times faster.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.registry import segmenter
from annotate.segmenters._level import BLOCK, block_power, gains
from annotate.segmenters._runs import bridge, speech_runs
from annotate.types import Footage, LengthRules, Segment, Speech

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import LSTM

SAMPLE_RATE = 16_000
FRAME = BLOCK
"""Samples per probability: 32 ms."""
_CONTEXT = 64
"""Samples of the previous frame that are also input of the network."""
_CHUNK = 512
"""Frames per forward pass: fits the processor's cache, and limits memory to about 15 MB at any length."""
_LEVEL_DB = -14.0
"""Approximate level of all voices in the second pass, in dBFS."""
_SHA256 = "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720"


@dataclass(frozen=True, slots=True)
class Preset:
    """Thresholds of voice activity for one distance of the microphone."""

    on: float
    """Probability at which speech starts."""
    off: float
    """Probability below which speech ends."""
    bridge_seconds: float
    """Shorter gaps are bridged: the closure of a plosive, or words lost in reverberation."""
    faint: float
    """Probability down to which a voice fades in before it starts and out after it ends."""


PRESETS = {"near": Preset(0.4, 0.25, 0.1, 0.2), "far": Preset(0.25, 0.1, 0.5, 0.08)}
"""`far` was tuned on meetings recorded across a table, the gaps of `near` on read sentences."""

_MIN_SECONDS = 0.1
"""Shortest run of speech."""
_LATE = 1
"""Delay of the network in frames at the start and end of speech (measured on read sentences)."""


@segmenter("silero-vad")
class SileroVad:
    """Voice activity detection by a neural network: utterances end where a voice pauses (Silero Team 2024).

    It runs twice, on the audio as it is and with all voices brought to a similar loudness, because it
    misses quiet voices. The network is part of a package; nothing is downloaded.
    """

    def __init__(self, *, preset: str = "near") -> None:
        self.preset = PRESETS[preset]

    def segment(self, footage: Footage, lengths: LengthRules) -> Speech:
        """The spans with voice activity in 16 kHz mono, and the probability of each 32 ms."""
        wave, step = footage.wave, FRAME / SAMPLE_RATE
        probability = voicing(wave)
        active = speech_runs(probability, self.preset.on, self.preset.off)
        runs = bridge(active, ceil(self.preset.bridge_seconds / step))
        # The last frame may be incomplete.
        edges_us = [
            [min(frame * FRAME, len(wave)) * 1_000_000 // SAMPLE_RATE for frame in run]
            for run in runs
            if (run[1] - run[0]) * step >= _MIN_SECONDS
        ]
        segments = tuple(Segment(start, end) for start, end in edges_us)
        step_us = FRAME * 1_000_000 // SAMPLE_RATE
        return Speech(segments, voicing=probability, step_us=step_us, faint=self.preset.faint)


def voicing(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) of 16 kHz mono -> (ceil(samples / 512),) probability of a voice in each 32 ms.

    It is the larger of the probabilities of the original and of a recording with levelled voices, because the
    network misses quiet voices. The network is one frame late, so the last value is repeated.
    """
    levelling = gains(block_power(wave), _LEVEL_DB)
    likely = _probabilities(wave, np.stack([np.ones_like(levelling), levelling], axis=1)).max(axis=1)
    return np.concatenate([likely[_LATE:], likely[-_LATE:]])


def speech_probability(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) of 16 kHz mono -> (ceil(samples / 512),) probability of speech in each 32 ms."""
    return _probabilities(wave, np.ones((-(-len(wave) // FRAME), 1), np.float32))[:, 0]


def _probabilities(wave: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    """(samples,) and gains (frames, ways) -> (frames, ways) probabilities of each frame at each gain."""
    import torch

    if not len(wave):
        return gain[:0]
    threads = torch.get_num_threads()
    # One thread: workers share the processor, and the network is too small to gain from more.
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return _forward(wave, gain)
    finally:
        torch.set_num_threads(threads)


def _forward(wave: NDArray[np.float32], gain: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    lstm, weights = _lstm(), _weights()
    weight, bias = weights["decoder.decoder.2.weight"].reshape(-1), weights["decoder.decoder.2.bias"]
    # One way at a time: the recurrent layer is faster on single rows than on a batch of two.
    states: list[tuple[Tensor, Tensor] | None] = [None] * gain.shape[1]
    probabilities = []
    for first in range(0, len(wave), _CHUNK * FRAME):
        product = _first_layer(wave, first)
        by_way = []
        for way, loudness in enumerate(gain[first // FRAME :][: len(product)].T):
            codes = _encode(product, torch.from_numpy(np.ascontiguousarray(loudness)))
            hidden, states[way] = lstm(codes, states[way])
            by_way.append((hidden.relu() @ weight + bias).sigmoid().numpy())
        probabilities.append(np.stack(by_way, axis=1))
    return np.concatenate(probabilities)


def _first_layer(wave: NDArray[np.float32], first: int) -> "Tensor":
    """(at most `_CHUNK` frames, 4, 128): magnitudes times the weights of the first convolution.

    The frames begin at sample `first`, and each comes with its context; outside of the wave there is silence.
    The network's own basis is that of a Fourier transform under a Hann window. All of this is proportional to
    how loud a frame is, so a frame that is processed at several gains goes through it once.
    """
    import torch

    part = wave[max(0, first - _CONTEXT) : first + _CHUNK * FRAME]
    before = max(0, _CONTEXT - first)
    missing = -(before + len(part) - _CONTEXT) % FRAME
    sound = np.pad(np.asarray(part, np.float32), (before, missing))
    frames = torch.from_numpy(sound).unfold(0, _CONTEXT + FRAME, FRAME)
    padded = torch.nn.functional.pad(frames.unsqueeze(1), (0, 64), mode="reflect").squeeze(1)
    spectrum = torch.fft.rfft(padded.unfold(1, 256, 128) * torch.hann_window(256)).abs()
    return _convolved(spectrum, _weights()["encoder.0.reparam_conv.weight"], stride=1)


def _encode(product: "Tensor", gain: "Tensor") -> "Tensor":
    """(frames, 4, 128) and (frames,) -> (frames, 128): the rest of the four convolutions."""
    weights = _weights()
    bias = weights["encoder.0.reparam_conv.bias"]
    x = (product * gain[:, None, None] + bias).relu()
    for layer, stride in ((1, 2), (2, 2), (3, 1)):
        name = f"encoder.{layer}.reparam_conv"
        x = (_convolved(x, weights[f"{name}.weight"], stride) + weights[f"{name}.bias"]).relu()
    return x.squeeze(1)


def _convolved(x: "Tensor", weight: "Tensor", stride: int) -> "Tensor":
    """(frames, steps, channels) under a convolution of width three, without its bias.

    One matrix product of all frames: these convolutions are too short to be quick as such.
    """
    from torch.nn.functional import pad

    patches = pad(x, (0, 0, 1, 1)).unfold(1, 3, stride)
    product = patches.reshape(-1, weight[0].numel()) @ weight.flatten(1).T
    return product.reshape(*patches.shape[:2], -1)


@cache
def _lstm() -> "LSTM":
    import torch

    lstm = torch.nn.LSTM(128, 128)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(lstm, f"{name}_l0").copy_(_weights()[f"decoder.rnn.{name}"])
    return lstm.eval()


@cache
def _weights() -> "dict[str, Tensor]":
    """Weights of the 16 kHz network, from the file whose content is known."""
    import torch

    raw = (files("silero_vad") / "data" / "silero_vad.jit").read_bytes()
    if hashlib.sha256(raw).hexdigest() != _SHA256:
        raise AnnotateError(
            "the installed silero-vad has other weights than those this program was tested with",
            hint="pip install silero-vad==6.2.3",
        )
    with warnings.catch_warnings():
        # torch wants its archives replaced by another kind; this one is what the package ships.
        warnings.simplefilter("ignore", DeprecationWarning)
        state = torch.jit.load(io.BytesIO(raw)).state_dict()  # type: ignore[no-untyped-call]
    return {k.removeprefix("_model."): v for k, v in state.items() if k.startswith("_model.")}
