"""Whatever a segmenter found becomes ordered utterances of usable length that cut no word and lose none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.segmenters.postprocess import joined_short, pad, utterances
from annotate.types import Cue, LengthRules, Segment, Speech, Transcript, Word

STEP = 32_000
SECOND = 1_000_000
TIGHT = LengthRules(1.0, 10.0, 0.0, 0.3)


def heard(voicing: list[float], *spans: tuple[int, int]) -> Speech:
    """Spans in frames."""
    found = tuple(Segment(a * STEP, b * STEP) for a, b in spans)
    return Speech(found, voicing=np.asarray(voicing, np.float32), step_us=STEP)


def told(*words: Word, text: str = "", speaker: str = "", origin: str = "asr") -> Transcript:
    whole = text or " ".join(w.text for w in words)
    return Transcript((Cue(words[0].start_us, words[-1].end_us, whole, whole, speaker, words),), origin)


def even_words(count: int, seconds: float, gap: float = 0.0, start: float = 0.0) -> tuple[Word, ...]:
    starts = [round((start + n * (seconds + gap)) * SECOND) for n in range(count)]
    return tuple(Word(f"w{n}", s, s + round(seconds * SECOND)) for n, s in enumerate(starts))


def seconds(segments: list[Segment]) -> list[tuple[float, float]]:
    return [(round(s.start_us / SECOND, 2), round(s.end_us / SECOND, 2)) for s in segments]


def spoken(*spans: tuple[float, float]) -> Speech:
    return Speech(tuple(Segment(round(a * SECOND), round(b * SECOND)) for a, b in spans))


def test_short_pauses_are_bridged_and_a_lone_short_stretch_stays() -> None:
    speech = spoken((0, 1), (1.2, 2), (4, 4.7))
    assert seconds(utterances(speech, None, TIGHT, 5 * SECOND)) == [(0, 2), (4, 4.7)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 2), (2.4, 2.6)], [(0, 2.6)]),
        ([(1, 1.2), (1.6, 4)], [(1, 4)]),
        ([(0, 2), (2.45, 2.6), (2.95, 5)], [(0, 2), (2.45, 5)]),
        ([(0, 0.2), (0.6, 0.8), (1.2, 1.4)], [(0, 1.4)]),
        ([(0, 0.2), (0.6, 0.8), (1.2, 1.4), (1.7, 3)], [(0, 0.8), (1.2, 3)]),
        ([(0, 2), (2.6, 2.8), (4, 6)], [(0, 2), (2.6, 2.8), (4, 6)]),
        ([(0, 9.7), (10.1, 10.4)], [(0, 9.7), (10.1, 10.4)]),
        ([(0, 2), (2.4, 3)], [(0, 2), (2.4, 3)]),
    ],
    ids=[
        "to-the-left", "to-the-right", "to-the-nearer", "all-in-one", "each-to-one", "out-of-reach",
        "too-long-together", "half-the-least-stands-alone",
    ],
)  # fmt: skip
def test_a_stretch_too_short_to_stand_alone_is_joined_to_a_neighbour_in_reach_or_stays(
    spans: list[tuple[float, float]], expected: list[tuple[float, float]]
) -> None:
    speech = spoken(*spans)
    found = utterances(speech, None, TIGHT, 20 * SECOND)
    assert seconds(found) == expected
    short = [(a, b) for a, b in spans if b - a < 0.5 and (a, b) not in expected]
    assert [(a / SECOND, b / SECOND) for a, b in joined_short(speech, found, TIGHT)] == short


def test_a_short_stretch_of_another_speaker_is_not_joined() -> None:
    cues = (Cue(0, 2 * SECOND, "I think so.", speaker="ann"), Cue(2_300_000, 2_600_000, "No!", speaker="bob"))
    found = utterances(spoken((0, 2), (2.3, 2.6)), Transcript(cues, "asr"), TIGHT, 4 * SECOND)
    assert [(s.speaker, s.text) for s in found] == [("ann", "I think so."), ("bob", "No!")]


def test_padding_ends_where_nothing_of_a_voice_is_left() -> None:
    voicing = [0.01] * 8 + [0.3, 0.3] + [0.9] * 50 + [0.21, 0.1] + [0.01] * 40
    speech = replace(heard(voicing, (10, 60)), faint=0.2)
    lengths = LengthRules(1.0, 10.0, 0.1)
    assert utterances(speech, None, lengths, 102 * STEP) == [Segment(8 * STEP, 61 * STEP)]
    loud = replace(speech, voicing=np.full(102, 0.9, np.float32))
    assert seconds(utterances(loud, None, lengths, 102 * STEP)) == [(0.22, 2.02)]
    unheard = replace(speech, faint=0.0)
    assert seconds(utterances(unheard, None, lengths, 102 * STEP)) == [(0.22, 2.02)]


def test_a_long_stretch_is_cut_in_its_longest_pause() -> None:
    voicing = [0.9] * 400
    for frame in (241, 260, 261, 262):
        voicing[frame] = 0.1
    found = utterances(heard(voicing, (0, 400)), None, TIGHT, 400 * STEP)
    assert [(s.start_us // STEP, s.end_us // STEP) for s in found] == [(0, 260), (263, 400)]


def test_a_long_stretch_without_pause_is_cut_where_a_voice_is_least_likely() -> None:
    voicing = [0.9] * 400
    voicing[250] = 0.5
    found = utterances(heard(voicing, (0, 400)), None, TIGHT, 400 * STEP)
    assert [s.end_us // STEP for s in found] == [250, 400]


def test_what_nobody_listened_to_is_divided_as_well() -> None:
    found = utterances(Speech((Segment(0, 25 * SECOND),)), None, TIGHT, 25 * SECOND)
    assert seconds(found) == [(0, 10), (10, 20), (20, 25)]


def test_no_cut_lies_in_a_word_though_the_voice_is_lowest_there() -> None:
    voicing = [0.9] * 400
    voicing[250] = 0.5  # 8.0 s, inside the word from 7.5 to 9
    transcript = told(*even_words(8, 1.5, 0.1))
    found = utterances(heard(voicing, (0, 400)), transcript, TIGHT, 400 * STEP)
    assert all(not w.start_us < s.end_us < w.end_us for s in found for w in transcript.cues[0].words)


def test_the_end_of_a_sentence_is_preferred_to_a_pause() -> None:
    voicing = [0.9] * 400
    voicing[255:260] = [0.1] * 5
    words = even_words(12, 1.0, 0.06)
    transcript = told(*words, text="w0 w1 w2 w3 w4; w5 w6 w7 w8 w9 w10 w11.")
    found = utterances(heard(voicing, (0, 400)), transcript, TIGHT, 400 * STEP)
    assert found[0].end_us == words[4].end_us
    assert found[0].text == "w0 w1 w2 w3 w4;"


def test_a_word_at_the_edge_of_a_stretch_is_kept_whole() -> None:
    speech = Speech((Segment(1_500_000, 3_500_000),))
    found = utterances(speech, told(*even_words(4, 1.0)), TIGHT, 5 * SECOND)
    assert seconds(found) == [(1, 4)]
    assert found[0].text == "w1 w2 w3"


def test_padding_ends_where_a_word_outside_begins() -> None:
    words = (Word("a", 0, 400_000), Word("b", 450_000, 2_000_000), Word("c", 2_060_000, 2_100_000))
    lengths = LengthRules(1.0, 10.0, 0.1, 0.0)
    speech = Speech((Segment(450_000, 2_000_000),))
    assert seconds(utterances(speech, told(*words), lengths, 3 * SECOND)) == [(0.4, 2.06)]


def test_speakers_do_not_share_an_utterance_when_turns_are_known() -> None:
    cues = (
        Cue(0, 2 * SECOND, "I think so.", speaker="ann"),
        Cue(2_100_000, 4 * SECOND, "I do not.", speaker="bob"),
    )
    speech = Speech((Segment(0, 4 * SECOND),))
    found = utterances(speech, Transcript(cues, "asr"), TIGHT, 4 * SECOND)
    assert [(s.speaker, s.text) for s in found] == [("ann", "I think so."), ("bob", "I do not.")]
    assert seconds(found) == [(0, 2.05), (2.05, 4)]


def test_a_cue_that_is_too_long_is_divided_and_its_words_stay_with_their_parts() -> None:
    words = even_words(30, 0.5)
    cue = Segment(0, 15 * SECOND, " ".join(w.text for w in words), "<i>raw</i>", "ann", words)
    found = utterances(Speech((cue,), meant=True), None, TIGHT, 15 * SECOND)
    assert len(found) == 2
    assert sum((s.words for s in found), ()) == words
    assert " ".join(s.text for s in found) == cue.text
    assert all(s.speaker == "ann" and s.seconds <= 10 for s in found)


def test_a_long_cue_without_word_times_is_kept_whole() -> None:
    cue = Segment(0, 15 * SECOND, "all of it")
    assert utterances(Speech((cue,), meant=True), None, TIGHT, 15 * SECOND) == [cue]


def test_padding_makes_no_cue_longer_than_the_longest_utterance() -> None:
    cue = Segment(SECOND, 10_900_000, "nearly ten seconds")
    (found,) = utterances(Speech((cue,), meant=True), None, LengthRules(), 20 * SECOND)
    assert found.seconds == pytest.approx(10.0)


def test_windows_end_between_words_and_get_their_text() -> None:
    windows = Speech((Segment(0, 2_200_000), Segment(2_200_000, 4 * SECOND)), meant=True)
    found = utterances(windows, told(*even_words(4, 1.0)), TIGHT, 4 * SECOND)
    assert seconds(found) == [(0, 2), (2, 4)]
    assert [s.text for s in found] == ["w0 w1", "w2 w3"]


def test_chinese_words_are_joined_without_spaces() -> None:
    words = tuple(Word(c, n * SECOND, (n + 1) * SECOND) for n, c in enumerate("你好世界"))
    transcript = told(*words, text="你好，世界。")
    found = utterances(Speech((Segment(0, 4 * SECOND),)), transcript, TIGHT, 4 * SECOND)
    assert [s.text for s in found] == ["你好，世界。"]


def test_words_that_the_text_does_not_hold_are_joined_themselves() -> None:
    words = even_words(3, 1.0)
    found = utterances(Speech((Segment(0, 3 * SECOND),)), told(*words, text="quite else"), TIGHT, 3 * SECOND)
    assert found[0].text == "w0 w1 w2"


def test_padding_stops_half_way_to_a_neighbour_and_at_the_ends() -> None:
    padded = pad([Segment(50, 1_000, "a"), Segment(1_100, 1_990, "b")], 100, 2_000)
    assert padded == [Segment(0, 1_050), Segment(1_050, 2_000)]
    assert [s.text for s in padded] == ["a", "b"]


@dataclass(frozen=True)
class Case:
    """Speech of any shape, disjoint words and rules, made of a number so that it is quickly drawn."""

    seed: int
    stretches: int
    words: int
    lengths: LengthRules
    listened: bool

    @cached_property
    def made(self) -> tuple[Speech, Transcript, LengthRules, int]:
        rng = np.random.default_rng(self.seed)
        edges = np.cumsum(rng.integers(1, rng.choice([20, 200, 900]), 2 * self.stretches)).tolist()
        frames = edges[-1] + int(rng.integers(0, 50))
        spans = list(zip(edges[::2], edges[1::2], strict=True))
        speech = Speech(tuple(Segment(a * STEP, b * STEP) for a, b in spans))
        if self.listened:
            speech = heard(rng.random(frames).tolist(), *spans)
        duration = frames * STEP
        return speech, Transcript(tuple(self._cues(rng, duration)), "asr"), self.lengths, duration

    def _cues(self, rng: np.random.Generator, duration: int) -> Iterator[Cue]:
        gaps = rng.integers(0, rng.choice([1, 9, 900_000]), self.words)
        lasts = rng.integers(1, 900_000, self.words)
        ends = np.cumsum(gaps + lasts)
        words = [
            Word(f"w{n}", int(end - last), int(end))
            for n, (end, last) in enumerate(zip(ends, lasts, strict=True))
            if end <= duration
        ]
        size = int(rng.integers(1, 9))
        for group in (tuple(words[i : i + size]) for i in range(0, len(words), size)):
            text = " ".join(w.text for w in group) + str(rng.choice(["", ".", "?"]))
            who = str(rng.choice(["", "ann", "bob"]))
            yield Cue(group[0].start_us, group[-1].end_us, text, text, who, group)


RULES = [LengthRules(least, most, pad) for least in (0.5, 1.0) for most in (3.0, 10.0) for pad in (0.0, 0.1)]
CASES = st.builds(
    Case, st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 60), st.sampled_from(RULES), st.booleans()
)


@given(CASES)
def test_utterances_are_ordered_disjoint_inside_and_no_longer_than_the_rules_say(case: Case) -> None:
    speech, transcript, lengths, duration = case.made
    found = utterances(speech, transcript, lengths, duration)
    assert all(0 <= s.start_us < s.end_us <= duration for s in found)
    assert all(a.end_us <= b.start_us for a, b in pairwise(found))
    assert all(s.seconds <= lengths.max_seconds + 1e-6 for s in found)


@given(CASES)
def test_nothing_that_was_heard_is_lost(case: Case) -> None:
    speech, transcript, lengths, duration = case.made
    # With room enough nothing is divided, where a pause could be left out.
    found = utterances(speech, transcript, replace(lengths, max_seconds=1e5), duration)
    for stretch in speech.segments:
        common = sum(max(0, min(stretch.end_us, s.end_us) - max(stretch.start_us, s.start_us)) for s in found)
        assert common == min(stretch.end_us, duration) - stretch.start_us


def test_words_longer_than_an_utterance_leave_no_splinters_beside_them() -> None:
    words = (Word("aaah", 20_000, 2_500_000), Word("oooh", 3_000_000, 5_900_000))
    speech = heard([0.5] * 188, (0, 188))
    found = utterances(speech, told(*words), LengthRules(0.5, 1.5, 0.0), 6 * SECOND)
    assert seconds(found) == [(0, 2.5), (2.5, 3), (3, 5.9), (5.9, 6)]


@given(CASES)
def test_an_utterance_is_shorter_than_half_the_least_only_without_a_neighbour_to_join(case: Case) -> None:
    speech, _, lengths, duration = case.made
    rules = replace(lengths, pad_seconds=0.0)
    found = utterances(speech, None, rules, duration)
    for at, short in enumerate(found):
        if short.seconds >= lengths.min_seconds / 2:
            continue
        for left, right in pairwise(found[max(0, at - 1) : at + 2]):
            apart = right.start_us - left.end_us > 500_000 or right.start_us == left.end_us
            assert apart or right.end_us - left.start_us > lengths.max_seconds * SECOND


@given(CASES)
def test_no_end_lies_in_a_word_and_no_word_inside_is_lost_or_doubled(case: Case) -> None:
    speech, transcript, lengths, duration = case.made
    words = [w for cue in transcript.cues for w in cue.words]
    found = utterances(speech, transcript, lengths, duration)
    for s in found:
        assert not any(w.start_us < edge < w.end_us for edge in (s.start_us, s.end_us) for w in words)
        inside = [w for w in words if s.start_us <= w.start_us and w.end_us <= s.end_us]
        assert s.words == tuple(inside)
        assert s.text.replace(".", "").replace("?", "").split() == [w.text for w in inside]


@given(CASES)
def test_utterances_of_utterances_are_the_same(case: Case) -> None:
    speech, transcript, lengths, duration = case.made
    rules = LengthRules(lengths.min_seconds, lengths.max_seconds, 0.0)
    once = utterances(speech, transcript, rules, duration)
    again = utterances(Speech(tuple(once), meant=True), transcript, rules, duration)
    assert [(s.start_us, s.end_us, s.text) for s in again] == [(s.start_us, s.end_us, s.text) for s in once]


@given(CASES)
def test_long_cues_keep_all_their_words_in_order(case: Case) -> None:
    _, transcript, lengths, duration = case.made
    cues = tuple(Segment(c.start_us, c.end_us, c.text, c.text, c.speaker, c.words) for c in transcript.cues)
    found = utterances(Speech(cues, meant=True), transcript, lengths, duration)
    assert [w for s in found for w in s.words] == [w for c in transcript.cues for w in c.words]
    assert all(s.seconds <= lengths.max_seconds + 1e-6 for s in found)
