"""Speech recognition with Whisper, run by faster-whisper (CTranslate2): the extra `asr`.

Model: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError
from annotate.registry import transcriber
from annotate.types import Cue, Transcript, Word

_PATH_LIKE = re.compile(r"[./~\\]|.*[/\\].*[/\\]")
"""Matches paths; a name on the hub has at most one slash and starts with a letter."""


@transcriber("faster-whisper")
class FasterWhisper:
    """Speech recognition by Whisper, with times of words; needs the extra `asr` and a model."""

    def __init__(self, *, model: str, language: str = "", device: str = "auto") -> None:
        """`model` is a folder, which never touches the network, or a name that is downloaded once.

        Raises `ConfigError` when the package, the model or the language is not available.
        """
        if find_spec("faster_whisper") is None:
            raise ConfigError(
                f"transcribe.model is {model!r}, but the package faster-whisper is missing",
                hint="pip install -e '.[asr]' in the checkout of annotate, or set transcribe.model to \"\"",
            )
        self._folder = _folder(model)
        from faster_whisper.tokenizer import _LANGUAGE_CODES

        if language and language not in _LANGUAGE_CODES:
            raise ConfigError(
                f"transcribe.language is {language!r}, which Whisper does not know",
                hint='two letters such as "zh" or "en"; empty: detected',
            )
        self._language = language
        self._device = device

    def transcribe(self, wave: NDArray[np.float32], alive: Callable[[], None]) -> Transcript:
        """One cue per segment of Whisper, in order; the same audio gives the same words.

        Raises `ConfigError` when the model cannot be loaded.
        """
        if not len(wave):
            return Transcript((), "asr", self._language)
        alive()
        engine = _loaded(str(self._folder), self._device)
        # Temperature 0 keeps the result repeatable. Without the previous text and without noise, Whisper
        # repeats itself and invents words less.
        segments, info = engine.transcribe(
            np.ascontiguousarray(wave, np.float32), language=self._language or None, word_timestamps=True,
            vad_filter=True, condition_on_previous_text=False, temperature=0.0,
        )  # fmt: skip
        cues = []
        for segment in segments:
            alive()
            if (cue := as_cue(segment)) is not None:
                cues.append(cue)
        return Transcript(tuple(sorted(cues, key=lambda cue: cue.start_us)), "asr", info.language)


def as_cue(segment: Any) -> Cue | None:
    """A segment with the words that have letters; None when it has no text."""
    text = " ".join(segment.text.split())
    if not text:
        return None
    words = [
        Word(text_of_word, round(word.start * 1e6), round(word.end * 1e6))
        for word in segment.words or ()
        if (text_of_word := word.word.strip())
    ]
    return Cue(round(segment.start * 1e6), round(segment.end * 1e6), text, segment.text, words=tuple(words))


def _folder(model: str) -> Path:
    hint = 'set transcribe.model to a folder with a model for faster-whisper, or to a name such as "small"'
    path = Path(model).expanduser()
    if not model or path.is_dir() or _PATH_LIKE.match(model):
        if model and (path / "model.bin").is_file():
            return path
        why = "is empty" if not model else f"is {model!r}, where there is no model.bin"
        raise ConfigError(f"transcribe.model {why}", hint=hint)
    return _fetched(model, hint)


def _fetched(name: str, hint: str) -> Path:
    """The folder of a model on the hub: from the cache, else downloaded once."""
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        try:
            return Path(download_model(name, local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(download_model(name))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"transcribe.model is {name!r}: not a local folder, and it cannot be downloaded: {error}",
            hint=hint,
        ) from error


@lru_cache(maxsize=1)
def _loaded(folder: str, device: str) -> Any:
    """The model, loaded once per process, because it may take gigabytes."""
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(folder, device=device, local_files_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the model in {folder} cannot be used on {device!r}: {error}",
            hint="set transcribe.model to a whole model for faster-whisper, and transcribe.device to cpu",
        ) from error
