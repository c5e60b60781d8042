"""A transcript over sound without voices: the sound is named as the fault, and never the words."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from annotate.config.settings import Rule
from annotate.corpus.rules import judge
from annotate.ingest.prepare import prepare
from annotate.registry import CHECKS
from annotate.types import CutPlan, Observed, Segment, VideoJob, VideoOutcome, VideoStatus
from tests.support.media_factory import RATE, speech, video_with_sound

TEXT = "eight long sentences of words that nobody in this recording ever said to anybody at all"


def video(path: Path, *tracks: np.ndarray) -> Path:
    """Six seconds of pictures, one sound track for each (samples,) of `tracks`, and a line of subtitles."""
    path.with_suffix(".srt").write_text(f"1\n00:00:00,500 --> 00:00:05,500\n{TEXT}\n", encoding="utf-8")
    return video_with_sound(path, *tracks)


def noise(level: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, 6 * RATE)


def prepared(path: Path, plan: CutPlan | None = None) -> VideoOutcome:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return prepare(VideoJob(path, digest, path.parent / "media", path.with_suffix(".srt"), plan or CutPlan()))


def tracks(name: str) -> list[np.ndarray]:
    return {
        "noise": [noise(0.05)],
        "hum": [0.2 * np.sin(2 * np.pi * 100 * np.arange(6 * RATE) / RATE)],
        "quiet": [noise(0.002)],
        "two tracks": [noise(0.05), speech(6)],
    }[name]


EXPECTED = {
    "noise": "noise, music or another recording",
    "hum": "noise, music or another recording",
    "quiet": "very quiet",
    "two tracks": "another of its 2 sound tracks",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_sound_is_blamed_where_a_transcript_meets_hardly_any_voice(name: str, tmp_path: Path) -> None:
    got = prepared(video(tmp_path / "a.mp4", *tracks(name)))
    assert got.status is VideoStatus.OK
    assert "hardly any voice is heard where the transcript has words" in got.detail
    assert EXPECTED[name] in got.detail
    (sample,) = got.samples
    rules = {"speaking-rate": Rule(max=15), "speech": Rule(min=0.3)}
    verdicts = {check: judge(check, sample.measures[check], rule) for check, rule in rules.items()}
    assert verdicts["speaking-rate"].passed
    assert verdicts["speech"].reason.startswith("hardly any voice heard: the wrong sound track, too quiet")


def test_where_the_ear_decides_the_sound_is_blamed_too(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", *tracks("two tracks"))
    got = prepared(path, CutPlan(segmenter_with_transcript="silero-vad"))
    assert (got.status, got.reason) == (VideoStatus.REJECTED, "no-speech")
    assert "its transcript has words, but no voice is heard: another of its 2 sound tracks" in got.detail
    assert "a transcript of the same name" not in got.detail


def test_a_transcript_over_speech_has_no_such_note(tmp_path: Path) -> None:
    got = prepared(video(tmp_path / "a.mp4", speech(6)))
    assert "hardly any voice" not in got.detail


@pytest.mark.parametrize(("voiced", "told"), [(1_200_000, False), (1_600_000, True), (4_000_000, True)])
def test_words_are_judged_only_where_a_voice_is_heard_for_a_third_of_the_sample(
    voiced: int, told: bool
) -> None:
    observed = Observed(Segment(0, 4_000_000, TEXT), np.zeros(64_000, np.float32), ((0, voiced),), ())
    assert (CHECKS.get("speaking-rate")().measure(observed) is not None) is told
