"""Voices are told apart inside one video, and what is guessed is never taken for a name."""

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.media.audio import decode_audio
from annotate.speakers import guess
from annotate.speakers.guess import guess_speakers, is_numbered
from annotate.speakers.voice import cepstrum, voice_of

RATE = 16_000
Wave = NDArray[np.float32]


@pytest.fixture(scope="module")
def lecture() -> list[Wave]:
    """Pieces of 1.5 s of one man's voice; after 18 s he is silent."""
    return pieces("autoeditor_voice_noface_42s.mp4", 1.5)[:12]


@pytest.fixture(scope="module")
def sentence() -> list[Wave]:
    """Another voice."""
    return [pieces(name, 3.0)[0] for name in ("grid_sbia1a.mpg", "grid_sbwe5n.mpg")]


def pieces(name: str, seconds: float) -> list[Wave]:
    wave = decode_audio(Path(__file__).parents[3] / "examples" / "videos" / name).wave
    length = round(seconds * RATE)
    return [wave[at : at + length] for at in range(0, max(len(wave) - length, 1), length)]


def test_nothing_to_hear_is_nobody() -> None:
    silence = np.zeros(RATE, np.float32)
    assert guess_speakers([]) == []
    assert guess_speakers([silence[:0], silence[:100], silence[:3000]]) == ["", "", ""]
    assert guess_speakers([silence, silence]) == ["", ""]


def test_one_voice_alone_gets_no_name(lecture: list[Wave]) -> None:
    assert set(guess_speakers(lecture)) == {""}


def test_two_voices_are_numbered_as_they_are_first_heard(lecture: list[Wave], sentence: list[Wave]) -> None:
    heard = guess_speakers([sentence[0], *lecture[:4], sentence[1], lecture[4]])
    assert heard == ["voice 1", *["voice 2"] * 4, "voice 1", "voice 2"]
    assert guess_speakers([*lecture[:4], *sentence]) == [*["voice 1"] * 4, *["voice 2"] * 2]


def test_a_sample_with_next_to_no_voice_stays_unnamed(lecture: list[Wave], sentence: list[Wave]) -> None:
    heard = guess_speakers([*lecture[:4], lecture[5][:3000], *sentence])
    assert heard == [*["voice 1"] * 4, "", *["voice 2"] * 2]


def test_loudness_does_not_make_another_speaker(lecture: list[Wave]) -> None:
    quieter = [wave * np.float32(0.2 if i % 2 else 1.0) for i, wave in enumerate(lecture)]
    assert set(guess_speakers(quieter)) == {""}


def test_a_long_video_takes_seconds_and_its_rest_goes_to_the_nearest_voice(
    lecture: list[Wave], sentence: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guess, "COMPARED", 12)
    heard = guess_speakers([*lecture, *sentence, *(w[: 2 * RATE] for w in lecture), *lecture])
    assert set(heard[: len(lecture)]) == {"voice 1"} and set(heard[len(lecture) : len(lecture) + 2]) == {
        "voice 2"
    }
    assert set(heard[len(lecture) + 2 :]) == {"voice 1"}
    monkeypatch.undo()
    started = time.process_time()
    guess_speakers([*lecture, *sentence] * 60)
    assert time.process_time() - started < 20


def test_pauses_are_no_part_of_a_voice(lecture: list[Wave]) -> None:
    padded = np.concatenate([lecture[0], np.zeros(5 * RATE, np.float32)])
    assert abs(voice_of(padded).frames - voice_of(lecture[0]).frames) <= 3


def test_a_long_sample_is_heard_block_by_block_with_the_same_result(
    lecture: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = cepstrum(lecture[0])
    monkeypatch.setattr("annotate.speakers.voice.BLOCK", 7)
    np.testing.assert_allclose(cepstrum(lecture[0]), whole)


@pytest.mark.parametrize(
    "name", ["SPEAKER_00", "speaker 1", "Spk-2", "spkr3", "UNKNOWN", "?", "voice 2", "Speaker"]
)
def test_a_number_that_a_program_gave_is_no_name(name: str) -> None:
    assert is_numbered(name)


@pytest.mark.parametrize("name", ["Anna", "s1", "Speaker Pelosi", "A", "MEE068", "女1"])
def test_a_name_is_one(name: str) -> None:
    assert not is_numbered(name)
