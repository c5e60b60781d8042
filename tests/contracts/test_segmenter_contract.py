"""What every segmenter promises, whoever wrote it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from annotate.registry import SEGMENTERS
from tests.media_factory import decoded

pytestmark = pytest.mark.parametrize("name", SEGMENTERS.names())


@pytest.fixture(scope="module")
def talk(example_videos: Path) -> np.ndarray:
    return decoded(example_videos / "autoeditor_voice_noface_42s.mp4", 16_000)


def test_silence_and_nothing_give_no_utterance(name: str) -> None:
    segmenter = SEGMENTERS.get(name)(min_seconds=1.0, max_seconds=10.0)
    assert segmenter.segment(np.zeros(0, np.float32)) == []
    assert segmenter.segment(np.zeros(48_000, np.float32)) == []


@pytest.mark.parametrize(("least", "most"), [(1.0, 10.0), (0.5, 3.0)])
def test_utterances_are_ordered_disjoint_inside_and_of_the_asked_length(
    name: str, least: float, most: float, talk: np.ndarray
) -> None:
    found = SEGMENTERS.get(name)(min_seconds=least, max_seconds=most).segment(talk)
    assert found
    assert all(0 <= s.start_us < s.end_us <= len(talk) * 1_000_000 // 16_000 for s in found)
    assert all(least <= s.seconds <= most for s in found)
    assert all(a.end_us <= b.start_us for a, b in pairwise(found))
    assert not any(s.text for s in found)


def test_the_same_sound_gives_the_same_utterances(name: str, talk: np.ndarray) -> None:
    one, two = (SEGMENTERS.get(name)(min_seconds=1.0, max_seconds=10.0).segment(talk) for _ in range(2))
    assert one == two


def test_it_says_what_it_is(name: str) -> None:
    assert SEGMENTERS.descriptions()[name]
