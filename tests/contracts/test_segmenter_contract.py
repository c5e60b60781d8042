"""What every segmenter promises, whoever wrote it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from annotate.registry import SEGMENTERS
from annotate.segmenters.postprocess import utterances
from annotate.types import Cue, Footage, LengthRules, Transcript
from tests.support.media_factory import decoded

pytestmark = pytest.mark.parametrize("name", SEGMENTERS.names())


@pytest.fixture(scope="module")
def talk(example_videos: Path) -> Footage:
    wave = decoded(example_videos / "autoeditor_voice_noface_42s.mp4", 16_000)
    cues = (Cue(1_000_000, 4_000_000, "one"), Cue(5_000_000, 9_000_000, "two"))
    return Footage(wave, len(wave) * 1_000_000 // 16_000, Transcript(cues, "subtitles"))


@pytest.mark.parametrize("preset", ["near", "far"])
def test_silence_and_nothing_give_no_utterance(name: str, preset: str) -> None:
    segmenter = SEGMENTERS.get(name)(preset=preset)
    assert segmenter.segment(Footage(np.zeros(0, np.float32), 0), LengthRules()).segments == ()
    quiet = segmenter.segment(Footage(np.zeros(48_000, np.float32), 3_000_000), LengthRules())
    assert quiet.segments == () or quiet.meant


@pytest.mark.parametrize(("least", "most"), [(1.0, 10.0), (0.5, 3.0)])
def test_utterances_are_ordered_disjoint_inside_not_too_long_and_hold_all_that_was_heard(
    name: str, least: float, most: float, talk: Footage
) -> None:
    lengths = LengthRules(least, most)
    speech = SEGMENTERS.get(name)(preset="near").segment(talk, lengths)
    found = utterances(speech, talk.transcript, lengths, talk.duration_us)
    assert found
    assert all(0 <= s.start_us < s.end_us <= talk.duration_us for s in found)
    assert all(s.seconds <= most + 1e-6 or s.text for s in found)
    # What is heard is never dropped because it is short: rules decide on it.
    assert speech.meant or all(
        any(s.start_us <= h.start_us < s.end_us for s in found) for h in speech.segments
    )
    assert all(a.end_us <= b.start_us for a, b in pairwise(found))


def test_the_same_footage_gives_the_same_speech(name: str, talk: Footage) -> None:
    one, two = (SEGMENTERS.get(name)(preset="near").segment(talk, LengthRules()) for _ in range(2))
    assert (one.segments, one.meant, one.step_us) == (two.segments, two.meant, two.step_us)


def test_what_is_found_is_ordered_disjoint_and_has_voicing_on_a_grid_or_none(
    name: str, talk: Footage
) -> None:
    speech = SEGMENTERS.get(name)(preset="near").segment(talk, LengthRules())
    assert speech.segments
    assert all(a.end_us <= b.start_us for a, b in pairwise(speech.segments))
    if speech.voicing is not None:
        assert 0 <= len(speech.voicing) * speech.step_us - talk.duration_us < speech.step_us + 1000
        assert speech.voicing.min() >= 0 and speech.voicing.max() <= 1


def test_it_says_what_it_is(name: str) -> None:
    assert SEGMENTERS.descriptions()[name]
