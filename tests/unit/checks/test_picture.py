"""Checks on pictures: what they say of frame_samples that are known."""

import tomllib
from importlib.resources import files

import numpy as np
import pytest

from annotate.registry import CHECKS
from annotate.types import Box, FrameSample, Observed, Segment
from benchmarks._ingest_checks import LIMITS

FACE = Box(0.3, 0.2, 0.3, 0.4)
STEP = 80_000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def measure(name: str, samples: tuple[FrameSample, ...], wave: np.ndarray | None = None) -> float | None:
    end = (samples[-1].time_us + STEP) if samples else 1_000_000
    sound = np.zeros(end * 16 // 1000, np.float32) if wave is None else wave
    value = CHECKS.get(name)().measure(Observed(Segment(0, end), sound, (), samples))
    assert not isinstance(value, str)
    return value


def faces(*counts: int | None) -> tuple[FrameSample, ...]:
    return tuple(
        FrameSample(n * STEP, 0.5, 0.2, faces=None if count is None else (FACE,) * count)
        for n, count in enumerate(counts)
    )


@pytest.mark.parametrize(("name", "expected"), [("face", 0.75), ("one-face", 0.5), ("faces", 1.0)])
def test_faces_are_counted_over_the_searched_pictures_only(name: str, expected: float) -> None:
    assert measure(name, faces(1, None, 2, 0, None, 1)) == expected


@pytest.mark.parametrize(
    "name", ["face", "one-face", "faces", "burnt-in-text", "black", "frozen", "mouth-moves-with-voice"]
)
def test_nothing_is_said_without_a_picture(name: str) -> None:
    assert measure(name, ()) is None


def changes(*values: float | None) -> tuple[FrameSample, ...]:
    return tuple(FrameSample(n * STEP, 0.5, 0.2, change=value) for n, value in enumerate(values))


def test_a_still_stretch_counts_from_its_beginning() -> None:
    assert measure("frozen", changes(None, *[0.1] * 10, *[0.0] * 10)) == pytest.approx(0.5)


def test_a_moment_of_holding_still_does_not_count() -> None:
    assert measure("frozen", changes(None, *[0.1, 0.0, 0.0, 0.0] * 5)) == 0


def test_two_key_pictures_that_are_the_same_are_a_still_picture() -> None:
    assert measure("frozen", (FrameSample(0, 0.5, 0.2), FrameSample(2_000_000, 0.5, 0.2, change=0.0))) == 1


def test_black_is_dark_and_even() -> None:
    black, night = FrameSample(0, 0.06, 0.001), FrameSample(STEP, 0.1, 0.09)
    assert measure("black", (black, night, FrameSample(2 * STEP, 0.5, 0.2))) == pytest.approx(1 / 3)


def test_text_is_the_share_of_looks_that_show_lines() -> None:
    found = ((FACE,), (), None, (FACE,))
    looked = tuple(FrameSample(n * STEP, 0.5, 0.2, onscreen_text=lines) for n, lines in enumerate(found))
    assert measure("burnt-in-text", looked) == pytest.approx(2 / 3)


def talk(rng: np.random.Generator, frame_samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Syllables: (frame_samples,) how loud, and the wave."""
    loud = np.convolve(rng.random(frame_samples + 4), np.ones(5) / 5, "valid") ** 4
    loud /= loud.max()
    wave = np.repeat(loud, STEP * 16 // 1000) * rng.normal(0, 0.2, frame_samples * STEP * 16 // 1000)
    return loud, wave.astype(np.float32)


def mouths(moved: np.ndarray, count: int = 1) -> tuple[FrameSample, ...]:
    seen = dict.fromkeys(range(0, len(moved), 6), (FACE,) * count)
    return tuple(
        FrameSample(n * STEP, 0.5, 0.2, faces=seen.get(n), mouth=float(m) if n else None)
        for n, m in enumerate(moved)
    )


def test_a_mouth_that_moves_with_the_voice_is_told_from_one_that_is_late(rng: np.random.Generator) -> None:
    loud, wave = talk(rng)
    own = measure("mouth-moves-with-voice", mouths(0.05 + 0.4 * loud), wave)
    late = measure("mouth-moves-with-voice", mouths(0.05 + 0.4 * np.roll(loud, 17)), wave)
    assert own is not None and late is not None
    assert own > 0.7
    assert late < own - 0.3


def test_a_mouth_that_rests_does_not_move_with_the_voice(rng: np.random.Generator) -> None:
    _, wave = talk(rng)
    assert measure("mouth-moves-with-voice", mouths(np.full(40, 0.05)), wave) == pytest.approx(0)


def test_with_two_faces_nobody_knows_whose_voice_it_is(rng: np.random.Generator) -> None:
    loud, wave = talk(rng)
    assert measure("mouth-moves-with-voice", mouths(loud, count=2), wave) is None


def test_too_short_a_look_at_a_mouth_says_nothing(rng: np.random.Generator) -> None:
    loud, wave = talk(rng, 12)
    assert measure("mouth-moves-with-voice", mouths(loud), wave) is None


@pytest.mark.parametrize("preset", ["ch-sims", "mosi", "emotion"])
def test_presets_ask_what_the_benchmark_judges(preset: str) -> None:
    path = files("annotate") / "presets" / f"{preset}.toml"
    asked = tomllib.loads(path.read_text(encoding="utf-8"))["checks"]
    judged = {name: (asked[name].get("min"), asked[name].get("max")) for name in LIMITS if name in asked}
    assert judged == {name: LIMITS[name] for name in judged}
    assert "one-face" in judged
    assert "mouth-moves-with-voice" not in asked, "it rejects too much real talk to be asked of everybody"
