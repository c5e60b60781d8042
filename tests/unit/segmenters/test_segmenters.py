"""Speech is found as the published network finds it, and cut into usable lengths."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from annotate.errors import AnnotateError
from annotate.segmenters import silero_vad
from annotate.segmenters._level import block_power, gains
from annotate.segmenters._runs import bridge, speech_runs
from annotate.segmenters.postprocess import utterances
from annotate.segmenters.silero_vad import SileroVad, speech_probability
from annotate.types import Footage, LengthRules
from tests.support.media_factory import decoded


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
    found = utterances(speech, None, lengths, 42_400_000)
    assert [round(s.start_us / 1e6, 1) for s in found if s.seconds > 1] == [1.3, 5.1, 10.7, 13.8]


def test_speech_starts_high_and_ends_low() -> None:
    assert speech_runs(floats(0.4, 0.6, 0.4, 0.36, 0.3, 0.4, 0.5), 0.5, 0.35) == [(1, 4), (6, 7)]


def test_short_gaps_are_bridged() -> None:
    assert bridge([(0, 5), (7, 9), (12, 20)], 3) == [(0, 9), (12, 20)]


def test_a_quiet_voice_beside_a_loud_one_is_heard(example_videos: Path) -> None:
    voice = decoded(example_videos / "grid_sbia1a.mpg", 16_000)
    wave = np.concatenate([voice, np.zeros(32_000, np.float32), voice * 0.003])
    speech = SileroVad().segment(Footage(wave, 8_000_000), LengthRules())
    later = [s for s in speech.segments if s.start_us > len(voice) * 1_000_000 / 16_000]
    assert sum(s.seconds for s in later) > 1.0


@pytest.mark.parametrize("level", [-70, -50, -30])
def test_noise_is_no_voice_however_quiet_it_is(level: int) -> None:
    noise = np.random.default_rng(0).normal(0, 10 ** (level / 20), 10 * 16_000).astype(np.float32)
    assert SileroVad(preset="far").segment(Footage(noise, 10_000_000), LengthRules()).segments == ()


def test_all_parts_are_made_about_as_loud_and_pauses_no_louder_than_their_voices() -> None:
    loud, quiet = np.full(50 * 512, 0.5, np.float32), np.full(50 * 512, 0.01, np.float32)
    wave = np.concatenate([loud, quiet, np.zeros(30 * 512, np.float32), quiet])
    found = gains(block_power(wave), -20.0)
    assert found[0] == pytest.approx(0.2, rel=0.01)
    assert found[-1] == pytest.approx(10.0, rel=0.01)
    assert found[115] == pytest.approx(10.0, rel=0.01)
    assert found.max() <= 100.0
