"""What every transcriber promises, whoever wrote it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from annotate.errors import AnnotateError
from annotate.registry import TRANSCRIBERS
from annotate.types import Transcript
from tests.support.media_factory import decoded
from tests.support.tiny_whisper import save_whisper

pytestmark = pytest.mark.parametrize("name", TRANSCRIBERS.names())

MODELS = {"faster-whisper": save_whisper}
"""What makes a small model for each."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name) / "model") for name, make in MODELS.items()}


def written(name: str, model: Path, wave: np.ndarray) -> tuple[Transcript, int]:
    signs: list[int] = []
    engine = TRANSCRIBERS.get(name)(model=str(model), language="", device="cpu")
    return engine.transcribe(wave, lambda: signs.append(1)), len(signs)


def test_without_its_model_it_says_what_to_do(name: str, tmp_path: Path) -> None:
    for model in ("", str(tmp_path / "nowhere")):
        with pytest.raises(AnnotateError, match=r"transcribe\.model") as caught:
            TRANSCRIBERS.get(name)(model=model, language="", device="cpu")
        assert caught.value.hint


def test_a_language_that_does_not_exist_is_an_error(name: str, models: dict[str, Path]) -> None:
    with pytest.raises(AnnotateError, match="'klingon'"):
        TRANSCRIBERS.get(name)(model=str(models[name]), language="klingon", device="cpu")


def test_nothing_and_silence_give_a_transcript_too(name: str, models: dict[str, Path]) -> None:
    for wave in (np.zeros(0, np.float32), np.zeros(32_000, np.float32)):
        got, _ = written(name, models[name], wave)
        assert got.origin == "asr"


def test_a_voice_gives_the_same_ordered_words_each_time_and_signs_of_life(
    name: str, models: dict[str, Path], example_videos: Path
) -> None:
    wave = decoded(example_videos / "grid_bbaf2n.mpg", 16_000)
    got, signs = written(name, models[name], wave)
    assert got.cues
    assert signs
    assert all(0 <= a.start_us <= b.start_us for a, b in pairwise(got.cues))
    assert all(word.text == word.text.strip() != "" for cue in got.cues for word in cue.words)
    assert all(word.start_us <= word.end_us for cue in got.cues for word in cue.words)
    assert written(name, models[name], wave)[0] == got


def test_it_says_what_it_is(name: str) -> None:
    assert TRANSCRIBERS.descriptions()[name]
