"""Speech is found as the published network finds it, and cut into usable lengths."""

import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import AnnotateError
from annotate.segmenters import silero_vad
from annotate.segmenters._postprocess import bridge, divide, pad, speech_runs, utterances
from annotate.segmenters.silero_vad import SileroVad, speech_probability
from annotate.types import Footage, LengthRules, Segment
from tests.media_factory import decoded


def floats(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def test_no_sound_holds_no_speech() -> None:
    for wave in (np.zeros(0, np.float32), np.zeros(16_000, np.float32)):
        assert SileroVad().segment(Footage(wave, 1_000_000), LengthRules()).segments == ()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_vad._weights.cache_clear()
    monkeypatch.setattr(silero_vad, "_SHA256", "0" * 64)
    with pytest.raises(AnnotateError) as caught:
        silero_vad._weights()
    assert "pip install silero-vad" in caught.value.hint


def test_probabilities_are_those_of_the_published_network(example_videos: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from silero_vad import load_silero_vad

        official = load_silero_vad()
    wave = decoded(example_videos / "grid_bbaf2n.mpg", 16_000)
    padded = torch.from_numpy(np.pad(wave, (0, -len(wave) % 512)))
    with torch.no_grad():
        expected = [official(frame, 16_000).item() for frame in padded.split(512)]
    np.testing.assert_allclose(speech_probability(wave), expected, atol=1e-4)


def test_the_size_of_a_chunk_changes_nothing(example_videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = decoded(example_videos / "grid_bbaf2n.mpg", 16_000)
    whole = speech_probability(wave)
    monkeypatch.setattr(silero_vad, "_CHUNK", 7)
    np.testing.assert_allclose(speech_probability(wave), whole, atol=1e-5)


def test_sound_of_any_length_is_heard_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 7 * 512 + 1).astype(np.float32)
    for samples in (1, 511, 512, 513, 7 * 512, 7 * 512 + 1):
        monkeypatch.setattr(silero_vad, "_CHUNK", 1024)
        whole = speech_probability(noise[:samples])
        monkeypatch.setattr(silero_vad, "_CHUNK", 1)
        assert len(whole) == -(-samples // 512)
        np.testing.assert_allclose(speech_probability(noise[:samples]), whole, atol=1e-5)


def test_the_talk_is_cut_at_its_pauses(example_videos: Path) -> None:
    wave = decoded(example_videos / "autoeditor_voice_noface_42s.mp4", 16_000)
    lengths = LengthRules(pad_seconds=0.0)
    speech = SileroVad().segment(Footage(wave, 42_400_000), lengths)
    starts = [round(s.start_us / 1e6, 1) for s in utterances(speech, None, lengths, 42_400_000)]
    assert starts == [1.3, 10.7, 13.9]


def test_speech_starts_high_and_ends_low() -> None:
    assert speech_runs(floats(0.4, 0.6, 0.4, 0.36, 0.3, 0.4, 0.5), 0.5, 0.35) == [(1, 4), (6, 7)]


def test_short_gaps_are_bridged() -> None:
    assert bridge([(0, 5), (7, 9), (12, 20)], 3) == [(0, 9), (12, 20)]


def test_a_long_run_is_cut_in_its_longest_pause() -> None:
    probability = np.full(100, 0.9, np.float32)
    probability[[41, 44, 45, 46]] = 0.1
    assert divide((0, 100), probability, (5, 60), 0.35) == [(0, 44), (47, 100)]


def test_a_long_run_without_pause_is_cut_where_speech_is_least_likely() -> None:
    probability = np.full(100, 0.9, np.float32)
    probability[50] = 0.5
    assert divide((0, 100), probability, (5, 60), 0.35) == [(0, 50), (50, 100)]


def test_padding_stops_half_way_to_a_neighbour_and_at_the_ends() -> None:
    padded = pad([Segment(50, 1_000, "a"), Segment(1_100, 1_990, "b")], 100, 2_000)
    assert padded == [Segment(0, 1_050), Segment(1_050, 2_000)]
    assert [s.text for s in padded] == ["a", "b"]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300), st.integers(1, 10), st.integers(20, 60))
def test_parts_are_ordered_disjoint_and_never_too_long(
    values: list[float], shortest: int, longest: int
) -> None:
    probability = floats(*values)
    runs = bridge(speech_runs(probability, 0.5, 0.35), 3)
    parts = [p for run in runs for p in divide(run, probability, (shortest, longest), 0.35)]
    assert all(0 <= a <= b <= len(values) and b - a <= longest for a, b in parts)
    assert all(before[1] <= after[0] for before, after in pairwise(parts))
