"""What the offline extractors promise about the numbers themselves."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from annotate.errors import MediaError
from annotate.features.char_hash import CharHash
from annotate.features.face_motion import FaceMotion
from annotate.features.voice_stats import VoiceStats
from annotate.types import SampleMedia, SampleSource

MELS = 40


def words(text: str) -> np.ndarray:
    return CharHash().extract(SampleSource("0" * 16, SampleMedia.under(Path(), "0" * 16), text))[0]


def sound(path: Path, wave: np.ndarray, rate: int = 16_000) -> np.ndarray:
    soundfile.write(path, wave, rate)
    return VoiceStats().extract(SampleSource("0" * 16, SampleMedia(path, path, path), ""))


def buzz(hertz: float, seconds: float = 1.0, loudness: float = 0.2) -> np.ndarray:
    """A sound with overtones, as vocal folds make it."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    return loudness * sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))


@pytest.mark.parametrize(
    "text", ["我真的很生气，你为什么不告诉我？", "Why did you not tell me?", "🙂", "\ud800"]
)
def test_any_script_gives_numbers(text: str) -> None:
    assert np.isfinite(words(text)).all() and words(text).any()


@pytest.mark.parametrize(
    ("first", "near", "far"),
    [
        ("我今天很高兴", "我今天非常高兴", "天气预报说明天有雨"),
        ("I am so happy today", "I am very happy today", "The train leaves at nine"),
    ],
)
def test_sentences_that_share_words_lie_closer(first: str, near: str, far: str) -> None:
    a, b, c = (words(text)[:2048] for text in (first, near, far))
    assert a @ b > a @ c + 0.2


def test_the_way_accents_are_encoded_does_not_matter() -> None:
    text = "C'est très gênant, é"
    np.testing.assert_array_equal(words(text), words(unicodedata.normalize("NFD", text)))


def test_full_width_marks_count_as_marks() -> None:
    np.testing.assert_array_equal(words("好!")[2048:-2], words("好！")[2048:-2])


def test_text_numbers_are_the_same_on_every_machine() -> None:
    found = words("hello 你好")
    assert np.flatnonzero(found[:2048])[:5].tolist() == [55, 113, 141, 208, 261]


@pytest.mark.parametrize("hertz", [80, 120, 210, 350])
def test_the_pitch_of_a_voice_is_found(tmp_path: Path, hertz: float) -> None:
    octaves = sound(tmp_path / "a.wav", buzz(hertz))[1:-1, MELS]
    np.testing.assert_allclose(60 * 2**octaves, hertz, rtol=0.03)


def test_noise_has_little_voicing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000)
    assert sound(tmp_path / "a.wav", noise)[:, MELS + 1].mean() < 0.4
    assert sound(tmp_path / "b.wav", buzz(150))[1:-1, MELS + 1].mean() > 0.8


def test_a_louder_voice_has_more_energy(tmp_path: Path) -> None:
    soft, loud = (sound(tmp_path / "a.wav", buzz(150, loudness=x))[:, MELS + 2].mean() for x in (0.02, 0.2))
    assert loud - soft == pytest.approx(2 * np.log(10), rel=0.01)


@pytest.mark.parametrize(("seconds", "frames"), [(0.01, 1), (0.1, 1), (0.11, 2), (3.0, 30), (61.0, 610)])
def test_sound_gives_ten_frames_a_second(tmp_path: Path, seconds: float, frames: int) -> None:
    assert sound(tmp_path / "a.wav", buzz(150, seconds)).shape == (frames, VoiceStats.dim)


def test_an_empty_wav_is_an_absent_voice(tmp_path: Path) -> None:
    assert not sound(tmp_path / "a.wav", np.zeros(0)).any()


def test_another_sample_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="44100 samples per second"):
        sound(tmp_path / "a.wav", buzz(150), 44_100)


def test_a_talking_face_is_found_in_every_frame_and_moves(example_videos: Path) -> None:
    video = example_videos / "grid_swiz3n.mpg"
    found = FaceMotion().extract(SampleSource("0" * 16, SampleMedia(video, video, video), ""))
    assert len(found) == 15, "three seconds at five frames a second"
    assert (found[:, 0] == 1).all()
    assert np.abs(found[:, 1:3]).max() < 0.5, "the centre lies in the picture"
    assert not found[0, -8:].any() and (found[1:, -2] > 0).all(), "speed of the lower half"


def test_footage_without_a_face_is_an_absent_modality(example_videos: Path) -> None:
    video = example_videos / "autoeditor_voice_noface_42s.mp4"
    found = FaceMotion().extract(SampleSource("0" * 16, SampleMedia(video, video, video), ""))
    assert found.shape == (1, FaceMotion.dim) and not found.any()
