"""Tells the voices of one video apart, sample by sample."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.speakers.voice import COEFFICIENTS, Voice, voice_of, volumes

MIN_FRAMES = 2 * COEFFICIENTS
"""Four tenths of a second of voice: with less, nothing is said about a sample."""
PENALTY = 1.75
"""How much more two voices must explain than one; theory says 1, but frames 10 ms apart repeat each other.
Chosen on recordings of single speakers joined at random."""
MOST_FRAMES = 1000
"""Ten seconds of voice, that is as much as counts of one speaker in a comparison. No voice is quite normally
distributed, and with ever more frames the criterion would tell a long speech from itself."""
COMPARED = 300
"""Samples that are compared with each other; in a longer video every second, third, ...; the others go
to the nearest of the voices found."""

_NUMBERED = re.compile(r"(speaker|spk|spkr)[ _-]?[0-9]*|unknown|voice [0-9]+|\?+", re.IGNORECASE)


def is_numbered(name: str) -> bool:
    """Whether a program made up `name` (``SPEAKER_00``): in another video it is somebody else."""
    return _NUMBERED.fullmatch(name) is not None


def guess_speakers(waves: Sequence[NDArray[np.float32]]) -> list[str]:
    """For each sample (16 kHz mono, in order) ``voice 1``, ``voice 2``, ... as they are first heard.

    All are empty when only one voice is heard, and so is a sample with next to no voice in it.
    """
    voices = [voice_of(wave) for wave in waves]
    usable = [i for i, voice in enumerate(voices) if voice.frames >= MIN_FRAMES]
    compared = usable[:: -(-len(usable) // COMPARED) or 1]
    clusters = [[compared[i] for i in members] for members in cluster([voices[i] for i in compared])]
    if len(clusters) < 2:
        return [""] * len(waves)
    _add_rest(clusters, voices, sorted(set(usable) - set(compared)))
    names = [""] * len(waves)
    for number, members in enumerate(sorted(clusters, key=min), 1):
        for i in members:
            names[i] = f"voice {number}"
    return names


def _add_rest(clusters: list[list[int]], voices: Sequence[Voice], rest: Sequence[int]) -> None:
    """Put each sample of `rest` to the voice that it is most like."""
    heard = _Sums([sum((voices[i] for i in members[1:]), voices[members[0]]) for members in clusters])
    for i in rest:
        clusters[int(np.argmin(heard.gains(voices[i])))].append(i)


def cluster(voices: Sequence[Voice]) -> list[list[int]]:
    """Positions of `voices` in groups of one speaker each.

    The two that are most alike are made one again and again, until the Bayesian information criterion says
    that any two left are better told apart: Chen and Gopalakrishnan 1998, with the frames of the two, not of
    the whole, in the penalty.
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
        """Add voice `j` to `i`; `j` keeps its place and means nothing any more."""
        for sums in (self._frames, self._totals, self._products):
            sums[i] += sums[j]
        one = slice(i, i + 1)
        self._volumes[one] = volumes(self._frames[one], self._totals[one], self._products[one])

    def gains(self, voice: Voice) -> NDArray[np.float64]:
        """(n,) how much better two models explain `voice` and each of these than one does; below 0: one."""
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
