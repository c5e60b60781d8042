"""Each of the light segmenters finds what it is made for."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annotate.ingest.prepare import prepare
from annotate.segmenters._sentences import sentence_ends
from annotate.segmenters.energy import Energy
from annotate.segmenters.fixed_window import FixedWindow
from annotate.segmenters.scenes import Scenes
from annotate.segmenters.transcript import Sentences
from annotate.types import Cue, CutPlan, Footage, LengthRules, Transcript, VideoJob, Word

SECOND = 1_000_000
NOTHING = np.zeros(0, np.float32)


def footage(seconds: float, *cues: Cue) -> Footage:
    return Footage(NOTHING, round(seconds * SECOND), Transcript(cues, "transcript") if cues else None)


def cue(start: float, end: float, text: str, speaker: str = "") -> Cue:
    return Cue(round(start * SECOND), round(end * SECOND), text, f"<{text}>", speaker)


def texts(seen: Footage) -> list[str]:
    return [s.text for s in Sentences().segment(seen, LengthRules()).segments]


def bursts(noise: float, level: float) -> NDArray[np.float32]:
    """Ten seconds of noise with louder noise from 2 to 4 and from 6 to 7 s."""
    rng = np.random.default_rng(0)
    wave = rng.normal(0, noise, 160_000)
    for first, last in ((2, 4), (6, 7)):
        wave[first * 16_000 : last * 16_000] += rng.normal(0, level, (last - first) * 16_000)
    return wave.astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.0003, 0.01])
def test_loudness_is_judged_above_the_background(noise: float) -> None:
    found = Energy().segment(Footage(bursts(noise, 0.1), 10 * SECOND), LengthRules()).segments
    assert [(round(s.start_us / SECOND, 1), round(s.end_us / SECOND, 1)) for s in found] == [(2, 4), (6, 7)]


def test_the_background_may_grow_louder() -> None:
    wave = np.concatenate([bursts(0.001, 0.1), bursts(0.02, 0.2), bursts(0.02, 0.2)])
    found = Energy().segment(Footage(wave, 30 * SECOND), LengthRules()).segments
    starts = [round(s.start_us / SECOND) for s in found]
    assert starts[:2] == [2, 6]
    assert starts[-2:] == [22, 26]


def test_windows_fill_the_video_and_a_short_rest_is_left() -> None:
    found = FixedWindow().segment(footage(25.5), LengthRules(1.0, 5.0)).segments
    assert [s.start_us // SECOND for s in found] == [0, 5, 10, 15, 20]
    assert len(FixedWindow().segment(footage(26), LengthRules(1.0, 5.0)).segments) == 6


def pictures(*shown: tuple[float, int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for at, colour in shown:
        yield round(at * SECOND), np.full((90, 160, 3), colour, np.uint8)


def test_a_scene_begins_where_the_colours_change() -> None:
    shown = [(0, 20), (2, 25), (4, 200), (6, 202), (6.5, 90), (7, 92)]
    seen = Footage(NOTHING, 12 * SECOND, pictures=lambda: pictures(*shown))
    found = Scenes().segment(seen, LengthRules(1.0, 10.0)).segments
    assert [(s.start_us / SECOND, s.end_us / SECOND) for s in found] == [(0, 4), (4, 6.5), (6.5, 12)]


def test_scenes_are_joined_when_short_and_divided_evenly_when_long() -> None:
    seen = Footage(NOTHING, 24 * SECOND, pictures=lambda: pictures((0, 0), (3, 90), (3.4, 200), (23.9, 0)))
    found = Scenes().segment(seen, LengthRules(1.0, 10.0)).segments
    assert [(s.start_us / SECOND, s.end_us / SECOND) for s in found] == [(0, 3), (3, 10), (10, 17), (17, 24)]


def test_a_video_without_pictures_is_divided_evenly() -> None:
    found = Scenes().segment(footage(15), LengthRules(1.0, 10.0)).segments
    assert [s.seconds for s in found] == [7.5, 7.5]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Mr. Li paid 3.5 dollars. Fine!", ["Mr. Li paid 3.5 dollars.", "Fine!"]),
        ("Well... maybe. Well... Maybe", ["Well... maybe.", "Well...", "Maybe"]),
        ("It was I. He left.", ["It was I.", "He left."]),
        ("J. Smith, e.g. at www.x.org today", ["J. Smith, e.g. at www.x.org today"]),
        ('"Stop!" he said; then: "Go."', ['"Stop!" he said;', 'then: "Go."']),
        ("你好。今天好吗？很好……真的", ["你好。", "今天好吗？", "很好……", "真的"]),
        ("他说：“走吧！”我们走。", ["他说：“走吧！”", "我们走。"]),
        ("", []),
    ],
)
def test_sentences_end_where_readers_end_them(text: str, sentences: list[str]) -> None:
    edges = [0, *sentence_ends(text), len(text)]
    found = [text[a:b].strip() for a, b in pairwise(edges)]
    assert [part for part in found if part] == sentences


def test_a_sentence_over_several_cues_of_one_speaker_is_one_utterance() -> None:
    seen = footage(10, cue(0, 1, "I went"), cue(1.2, 2, "home."), cue(2.1, 3, "Then I slept."))
    assert texts(seen) == ["I went home.", "Then I slept."]


def test_a_sentence_ends_with_its_speaker_a_long_pause_and_the_longest_utterance() -> None:
    seen = footage(
        60, cue(0, 1, "I went", "ann"), cue(1, 2, "so did", "bob"), cue(5, 6, "I.", "bob"),
        cue(10, 17, "and on", "ann"), cue(17, 24, "and on.", "ann"),
    )  # fmt: skip
    assert texts(seen) == ["I went", "so did", "I.", "and on", "and on."]


def test_cues_without_any_mark_stay_as_they_are() -> None:
    assert texts(footage(10, cue(0, 1, "我们"), cue(1, 2, "走吧"))) == ["我们", "走吧"]


def test_a_cue_with_several_sentences_is_divided_where_its_words_have_times() -> None:
    words = tuple(Word(w, n * SECOND, (n + 1) * SECOND) for n, w in enumerate(["Yes", "I", "know"]))
    timed = Cue(0, 3 * SECOND, "Yes. I know.", "Yes. <b>I</b> know.", "ann", words)
    found = Sentences().segment(footage(3, timed), LengthRules()).segments
    assert [(s.text, s.raw, s.start_us // SECOND, s.words) for s in found] == [
        ("Yes.", "Yes. <b>", 0, words[:1]),
        ("I know.", "I</b> know.", 1, words[1:]),
    ]
    assert texts(footage(3, cue(0, 3, "Yes. I know."))) == ["Yes. I know."]


def test_chinese_cues_are_joined_without_a_space() -> None:
    assert texts(footage(10, cue(0, 1, "我昨天"), cue(1, 2, "回家了。"))) == ["我昨天回家了。"]


@pytest.mark.parametrize(("name", "count"), [("scenes", 3), ("fixed-window", 3), ("energy", 1)])
def test_ingest_cuts_with_any_of_them_and_still_knows_where_voices_are(
    name: str, count: int, example_videos: Path, tmp_path: Path
) -> None:
    plan = CutPlan(segmenter=name, lengths=LengthRules(0.5, 1.0, 0.0))
    made = prepare(VideoJob(example_videos / "grid_sbia1a.mpg", "0" * 64, tmp_path, None, plan))
    assert len(made.samples) >= count, made.detail
    assert all(s.segment.seconds <= 1.1 for s in made.samples)
    assert any(float(s.measures["speech"] or 0) > 0.9 for s in made.samples)
    assert name == "energy" or any(float(s.measures["speech"] or 0) < 0.9 for s in made.samples)
