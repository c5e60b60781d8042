"""Clusters the samples of a video by voice."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.speakers.voice import COEFFICIENTS, Voice, voice_of, volumes

MIN_FRAMES = 2 * COEFFICIENTS
"""Four tenths of a second of voice; a sample with less gets no speaker."""
PENALTY = 1.75
"""Weight of the penalty for a second voice; 1 in theory, but frames 10 ms apart are correlated. Chosen on
recordings of single speakers joined at random."""
MOST_FRAMES = 1000
"""Ten seconds of voice, the most that counts of one speaker in a comparison. No voice is exactly normally
distributed, so with ever more frames the criterion would divide a long speech of one speaker."""
COMPARED = 300
"""Number of samples that are clustered; of a longer video every second, third, ... one. The others are
assigned to the nearest cluster."""

_NUMBERED = re.compile(r"(speaker|spk|spkr)[ _-]?[0-9]*|unknown|voice [0-9]+|\?+", re.IGNORECASE)


def is_numbered(name: str) -> bool:
    """Whether a program generated `name` (``SPEAKER_00``): it means another person in each video."""
    return _NUMBERED.fullmatch(name) is not None


def guess_speakers(waves: Sequence[NDArray[np.float32]]) -> list[str]:
    """A speaker per sample (16 kHz mono): ``voice 1``, ``voice 2``, ..., numbered in order of appearance.

    All are empty when there is only one voice; a sample with hardly any voice is empty too.
    """
    voices = [voice_of(wave) for wave in waves]
    usable = [i for i, voice in enumerate(voices) if voice.frames >= MIN_FRAMES]
    compared = usable[:: -(-len(usable) // COMPARED) or 1]
    clusters = [[compared[i] for i in members] for members in cluster([voices[i] for i in compared])]
    if len(clusters) < 2:
        return [""] * len(waves)
    centres = _Sums([sum((voices[i] for i in members[1:]), voices[members[0]]) for members in clusters])
    for i in sorted(set(usable) - set(compared)):
        clusters[int(np.argmin(centres.gains(voices[i])))].append(i)
    names = [""] * len(waves)
    for number, members in enumerate(sorted(clusters, key=min), 1):
        for i in members:
            names[i] = f"voice {number}"
    return names


def cluster(voices: Sequence[Voice]) -> list[list[int]]:
    """Clusters of `voices`, as lists of positions, one per speaker.

    Agglomerative: the two most similar clusters are merged until the Bayesian information criterion prefers
    separate models for every two (Chen and Gopalakrishnan 1998), with the frames of the two, instead of all,
    in the penalty.
    """
    sums, members = _Sums(voices), [[i] for i in range(len(voices))]
    gain = np.full((len(voices), len(voices)), np.inf)
    for i in range(len(voices)):
        gain[i, i + 1 :] = sums.gains(sums.voice(i))[i + 1 :]
    while len(voices) > 1:
        i, j = (int(k) for k in np.unravel_index(gain.argmin(), gain.shape))
        if gain[i, j] >= 0:
            break
        members[i] += members[j]
        members[j] = []
        sums.merge(i, j)
        gain[j, :] = gain[:, j] = np.inf
        alive = np.array([bool(m) for m in members])
        alive[i] = False
        row = np.where(alive, sums.gains(sums.voice(i)), np.inf)
        gain[i, i + 1 :], gain[:i, i] = row[i + 1 :], row[:i]
    return [m for m in members if m]


class _Sums:
    """Voices stacked, to compare one with all of them at once."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self._frames = np.array([v.frames for v in voices], np.float64)
        self._totals = np.array([v.total for v in voices]).reshape(-1, COEFFICIENTS)
        self._products = np.array([v.products for v in voices]).reshape(-1, COEFFICIENTS, COEFFICIENTS)
        self._volumes = volumes(self._frames, self._totals, self._products)

    def voice(self, i: int) -> Voice:
        return Voice(int(self._frames[i]), self._totals[i], self._products[i])

    def merge(self, i: int, j: int) -> None:
        """Add voice `j` to `i`; row `j` stays and must not be used any more."""
        for sums in (self._frames, self._totals, self._products):
            sums[i] += sums[j]
        one = slice(i, i + 1)
        self._volumes[one] = volumes(self._frames[one], self._totals[one], self._products[one])

    def gains(self, voice: Voice) -> NDArray[np.float64]:
        """(n,) gain of two models over one for `voice` and each of these; below 0 one model is better."""
        mine, own = np.minimum(self._frames, MOST_FRAMES), min(voice.frames, MOST_FRAMES)
        some, part = mine / self._frames, own / voice.frames
        both = volumes(
            mine + own,
            self._totals * some[:, None] + voice.total * part,
            self._products * some[:, None, None] + voice.products * part,
        )
        alone = volumes(np.array([float(voice.frames)]), voice.total[None], voice.products[None])
        better = 0.5 * (both - self._volumes * some - alone * part)
        parameters = COEFFICIENTS + COEFFICIENTS * (COEFFICIENTS + 1) / 2
        return np.asarray(better - PENALTY * 0.5 * parameters * np.log(mine + own))
