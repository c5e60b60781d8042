"""What the checks of sound and words measure, on real speech with planted faults."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.checks.language import language
from annotate.checks.speaking_rate import syllables
from annotate.registry import CHECKS
from annotate.types import Observed, Segment, Word
from tests.support.media_factory import EXAMPLES, decoded

CLEAN = ("grid_lbbc2a", "grid_lwbsza", "grid_sbia1a")


@cache
def spoken(name: str) -> NDArray[np.float32]:
    return decoded(EXAMPLES / f"{name}.mpg", 16_000)


def observed(wave: NDArray[np.float32], text: str = "", **more: object) -> Observed:
    end = round(len(wave) / 16_000 * 1e6)
    return Observed(Segment(0, end, text), wave.astype(np.float32), ((0, end),), **more)  # type: ignore[arg-type]


def measure(check: str, wave: NDArray[np.float32], **more: object) -> float:
    value = CHECKS.get(check)().measure(observed(wave, **more))  # type: ignore[arg-type]
    assert isinstance(value, float)
    return value


def noisy(wave: NDArray[np.float32], decibel: float) -> NDArray[np.float32]:
    """White noise so far below the louder half of the speech."""
    powers = np.square(wave[: len(wave) // 320 * 320]).reshape(-1, 320).mean(axis=1)
    loud = powers[powers >= np.median(powers)].mean()
    noise = np.random.default_rng(0).normal(size=len(wave))
    return np.asarray(wave + noise * np.sqrt(loud / 10 ** (decibel / 10)), np.float32)


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("planted", [0.0, 10.0, 20.0])
def test_noise_is_measured_to_two_decibel(name: str, planted: float) -> None:
    assert measure("snr", noisy(spoken(name), planted)) == pytest.approx(planted, abs=2)


def without_pauses(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    frames = wave[: len(wave) // 320 * 320].reshape(-1, 320)
    powers = np.square(frames).mean(axis=1)
    return frames[powers >= np.median(powers)].ravel()


def test_speech_without_a_pause_is_not_taken_for_its_own_background() -> None:
    busy = without_pauses(noisy(spoken("grid_lbbc2a"), 25))
    alone, with_video = (
        measure("snr", busy),
        measure("snr", busy, noise=float(np.sqrt(np.square(busy).mean()) / 20)),
    )
    assert alone < 20 < with_video


def test_music_elsewhere_in_the_video_does_not_make_a_clean_sample_noisy() -> None:
    assert measure("snr", spoken("grid_lbbc2a"), noise=0.2) > 25


@pytest.mark.parametrize("check", ["snr", "clipping"])
@pytest.mark.parametrize("wave", [np.zeros(16_000), np.zeros(0)], ids=["silence", "nothing"])
def test_what_cannot_be_heard_cannot_be_judged(check: str, wave: NDArray[np.float32]) -> None:
    silent = Observed(Segment(0, 1_000_000), wave.astype(np.float32), ())
    assert CHECKS.get(check)().measure(silent) is None


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("level", [1.0, 0.1])
def test_clipped_speech_is_told_from_clean_at_any_level(name: str, level: float) -> None:
    wave = spoken(name)
    clipped = np.clip(wave, *np.array([-0.3, 0.3]) * np.abs(wave).max())
    assert measure("clipping", level * wave) < 0.01
    assert measure("clipping", level * clipped) > 0.02


SENTENCES = {
    "en": "I don't know what you were thinking when you did that.",
    "de": "Ich weiß nicht, was du dir dabei gedacht hast.",
    "fr": "Je ne sais pas ce que tu voulais faire avec ça.",
    "es": "No sé qué estabas pensando cuando lo hiciste.",
    "it": "Non so che cosa hai pensato quando sono andato via.",
    "pt": "Eu não sei o que você estava pensando, mas está bem.",
    "nl": "Ik weet niet wat je dacht toen je dat deed.",
    "sv": "Jag vet inte vad du tänkte när du gjorde det.",
    "pl": "Nie wiem, co ty sobie myślałeś, kiedy to było.",
    "tr": "Ne düşündüğünü bilmiyorum ama bu çok güzel bir şey.",
    "ru": "Я не знаю, о чём ты думал, когда это было.",
    "uk": "Я не знаю, про що ти думав, коли це було.",
    "zh": "我不知道你当时在想什么。",
    "ja": "何を考えていたのか分かりません。",
    "ko": "무슨 생각을 했는지 모르겠어요.",
    "ar": "لا أعرف ماذا كنت تفكر",
    "fa": "نمی‌دانم چه فکر می‌کردی",
    "hi": "मुझे नहीं पता तुम क्या सोच रहे थे",
    "el": "Δεν ξέρω τι σκεφτόσουν",
    "he": "אני לא יודע מה חשבת",
    "th": "ฉันไม่รู้ว่าคุณคิดอะไรอยู่",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_tells_its_language(code: str) -> None:
    assert language(SENTENCES[code]) == code


@pytest.mark.parametrize("text", ["Okay.", "Phoebe!", "12 345", "... !", "Bin blau", "no"])
def test_too_short_a_text_is_undetermined_and_never_guessed(text: str) -> None:
    assert language(text) == "und"


def test_a_foreign_name_does_not_change_the_language_of_a_sentence() -> None:
    assert language("我昨天在 Starbucks 看到 Michael 了。") == "zh"
    assert language("The word 爱 means love, and that is what I like.") == "en"


@pytest.mark.parametrize(("said", "code"), [("zh-CN", "zh"), ("EN", "en"), ("pt_BR", "pt")])
def test_what_the_transcript_says_of_its_language_wins(said: str, code: str) -> None:
    spoken_text = observed(np.zeros(16_000), "Ich weiß nicht, was das ist.", language=said)
    assert CHECKS.get("language")().measure(spoken_text) == code


def test_without_a_transcript_there_is_no_language() -> None:
    assert CHECKS.get("language")().measure(observed(np.zeros(16_000), " ", language="en")) is None


def test_guessed_words_are_counted_only_where_words_have_times() -> None:
    words = tuple(Word(text, 0, 1, guessed) for text, guessed in (("a", True), ("b", False), ("c", False)))
    check = CHECKS.get("guessed-words")()
    assert check.measure(Observed(Segment(0, 10, "a b c", words=words), np.zeros(1), ())) == pytest.approx(
        1 / 3
    )
    assert check.measure(Observed(Segment(0, 10, "a b c"), np.zeros(1), ())) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("bin blue at f two now", 6),
        ("我不知道", 4),
        ("ありがとう", 5),
        ("très étonné", 4),
        ("", 0),
        ("ขอบคุณ", 0),
    ],
)
def test_syllables_are_counted_in_each_script(text: str, count: int) -> None:
    assert syllables(text) == count


def test_a_transcript_of_another_clip_is_told_by_its_rate() -> None:
    def rate(text: str) -> object:
        return CHECKS.get("speaking-rate")().measure(observed(spoken("grid_lbbc2a")[8000:36_000], text))

    right, wrong = rate("lay blue by c two again"), rate("lay blue by c two again and then some more " * 4)
    assert isinstance(right, float) and isinstance(wrong, float)
    assert 3 < right < 8 and wrong > 12
