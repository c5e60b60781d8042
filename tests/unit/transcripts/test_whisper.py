"""The JSON of every program of the Whisper family, in the shape that its own writer gives it."""

import json
from pathlib import Path
from typing import Any

import pytest
from faster_whisper.transcribe import Segment, Word
from hypothesis import given
from hypothesis import strategies as st

from annotate.transcripts.read import promises
from tests.support.transcript_files import cues, read, texts

LINES = [(0.0, 2.5, " Hello and welcome."), (2.5, 5.0, " So glad you came!"), (6.0, 9.5, " Me too.")]
READ = [(start, end, text.strip()) for start, end, text in LINES]


def openai(*, lines: list[tuple[float, float, str]] = LINES) -> dict[str, Any]:
    """As `whisper.utils.WriteJSON` writes what `transcribe` returns: the text first."""
    return {
        "text": "".join(text for _, _, text in lines),
        "segments": [
            {
                "id": n, "seek": 0, "start": start, "end": end, "text": text, "tokens": [50364, 1],
                "temperature": 0.0, "avg_logprob": -0.3, "compression_ratio": 1.2, "no_speech_prob": 0.1,
            }
            for n, (start, end, text) in enumerate(lines)
        ],
        "language": "en",
    }  # fmt: skip


def whisper_cpp() -> dict[str, Any]:
    """As whisper.cpp writes with `--output-json-full`."""

    def clock(s: float) -> str:
        return f"00:00:{int(s):02},{round(s % 1 * 1000):03}"

    def part(start: float, end: float, text: str) -> dict[str, Any]:
        return {
            "timestamps": {"from": clock(start), "to": clock(end)},
            "offsets": {"from": round(start * 1000), "to": round(end * 1000)}, "text": text,
        }  # fmt: skip

    segments = []
    for start, end, text in LINES:
        pieces = ["[_BEG_]", *(f" {word}" for word in text.split()), "[_TT_125]"]
        step = (end - start) / len(pieces)
        # The last word is two tokens.
        pieces[-2:-1] = [pieces[-2][:3], pieces[-2][3:]]
        tokens = [part(start + n * step, start + (n + 1) * step, piece) for n, piece in enumerate(pieces)]
        segments.append({**part(start, end, text), "tokens": tokens})
    return {"systeminfo": "", "model": {"type": "base"}, "params": {"language": "en"},
            "result": {"language": "en"}, "transcription": segments}  # fmt: skip


TRANSFORMERS = {
    "speakers": [], "chunks": [{"timestamp": [a, b], "text": text} for a, b, text in LINES],
    "text": "".join(text for _, _, text in LINES),
}  # fmt: skip
DIARISED = TRANSFORMERS | {
    "speakers": [{"speaker": "SPEAKER_00", "timestamp": [a, b], "text": text} for a, b, text in LINES]
}
TIMESTAMPED = openai() | {
    "segments": [
        {**s, "confidence": 0.9, "words": [{"text": s["text"].strip(), "start": s["start"], "end": s["end"]}]}
        for s in openai()["segments"]
    ]
}


@pytest.mark.parametrize(
    "content",
    [openai(), whisper_cpp(), TRANSFORMERS, DIARISED, TIMESTAMPED, openai()["segments"]],
    ids=["openai", "whisper.cpp", "transformers", "diarised", "whisper-timestamped", "bare-list"],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_json_of_each_program_is_taken_and_read(
    content: object, ascii_only: bool, tmp_path: Path
) -> None:
    got = read(tmp_path, json.dumps(content, ensure_ascii=ascii_only, indent=2), "talk.json")
    assert cues(got) == READ
    assert promises(tmp_path / "talk.json")
    if content is DIARISED:
        assert {cue.speaker for cue in got.cues} == {"SPEAKER_00"}


def test_an_hour_whose_text_stands_in_front_of_its_segments_is_taken(tmp_path: Path) -> None:
    lines = [
        (n * 4.0, n * 4.0 + 3, f" This is sentence number {n} of a long talk about feelings.")
        for n in range(3000)
    ]
    content = json.dumps(openai(lines=lines))
    assert content.index('"segments"') > 1 << 17
    got = read(tmp_path, content, "talk.json", seconds=12_000)
    assert len(got.cues) == 3000
    assert promises(tmp_path / "talk.json")


def test_other_json_beside_a_video_is_no_transcript(tmp_path: Path) -> None:
    for content in ('{"title": "talk", "start": 3}', '{"streams": [], "format": {}}', "[1, 2]", ""):
        (tmp_path / "talk.json").write_text(content)
        assert not promises(tmp_path / "talk.json")


def test_the_tokens_of_whisper_cpp_give_words(tmp_path: Path) -> None:
    first = read(tmp_path, json.dumps(whisper_cpp()), "talk.json").cues[0]
    assert [word.text for word in first.words] == ["Hello", "and", "welcome."]
    assert not any(word.guessed for word in first.words)
    assert all(a.end_us <= b.start_us for a, b in zip(first.words, first.words[1:], strict=False))


def test_words_without_segments_are_grouped_by_their_pauses(tmp_path: Path) -> None:
    words = [("so", 0.0, 0.3), ("glad", 0.35, 0.8), ("you", 2.0, 2.2), ("came", 2.2, 2.6)]
    for content in (
        {"text": "", "words": [{"word": w, "start": a, "end": b} for w, a, b in words]},
        {"text": "", "chunks": [{"text": f" {w}", "timestamp": [a, b]} for w, a, b in words]},
    ):
        got = read(tmp_path, json.dumps(content), "talk.json")
        assert cues(got) == [(0, 0.8, "so glad"), (2, 2.6, "you came")]


def test_chinese_segments_are_no_words_though_they_hold_no_spaces(tmp_path: Path) -> None:
    lines = [
        (n * 1.0, n + 0.7, text) for n, text in enumerate(["今天见到你", "我也是", "真的很高兴", "好吧"])
    ]
    got = read(tmp_path, json.dumps(openai(lines=lines), ensure_ascii=False), "talk.json")
    assert texts(got) == [text for _, _, text in lines]


def test_a_segment_without_times_is_counted_and_the_others_are_read(tmp_path: Path) -> None:
    segments = [{"start": 0, "end": 1, "text": "a"}, {"text": "b"}, {"start": 2, "text": "c"}, {}]
    got = read(tmp_path, json.dumps({"segments": segments}), "talk.json")
    assert texts(got) == ["a"]
    assert got.notes == ("dropped 3 cues with damaged times (talk.json, segments 2, 3 and 4)",)


@pytest.mark.parametrize("odd", [None, 3, "b", []])
@pytest.mark.parametrize("key", ["segments", "utterances", ""])
def test_an_entry_that_is_no_segment_is_counted_and_the_others_are_read(
    odd: object, key: str, tmp_path: Path
) -> None:
    segments = [{"start": 0, "end": 1, "text": "a"}, odd, {"start": 2, "end": 3, "text": "c"}]
    got = read(tmp_path, json.dumps({key: segments} if key else segments), "talk.json")
    assert texts(got) == ["a", "c"]
    assert got.notes == ("dropped 1 cue with damaged times (talk.json, segment 2)",)


def test_a_chunk_that_does_not_end_ends_where_the_next_begins_or_the_video_ends(tmp_path: Path) -> None:
    chunks = [{"timestamp": [0.0, None], "text": "a b"}, {"timestamp": [2.0, 3.0], "text": "c d"},
              {"timestamp": [4.0, None], "text": "e f"}]  # fmt: skip
    got = read(tmp_path, json.dumps({"chunks": chunks, "text": ""}), "talk.json")
    assert cues(got) == [(0, 2, "a b"), (2, 3, "c d"), (4, 60, "e f")]


def test_what_youtube_transcript_api_saves_is_read(tmp_path: Path) -> None:
    content = [
        {"text": "so glad", "start": 0.5, "duration": 2.0},
        {"text": "you came", "start": 2.0, "duration": 1.5},
    ]
    got = read(tmp_path, json.dumps(content), "talk.json")
    assert cues(got) == [(0.5, 2.5, "so glad"), (2.5, 3.5, "you came")]
    assert promises(tmp_path / "talk.json")


@pytest.mark.parametrize("key", ["segments", "utterances", "words"])
def test_whole_milliseconds_are_read_as_such_with_their_words(key: str, tmp_path: Path) -> None:
    words = [{"text": "so", "start": 500, "end": 700}, {"text": "glad", "start": 700, "end": 1200}]
    whole = [{"text": "so glad", "start": 500, "end": 1200, "speaker": "A", "words": words}]
    content = {"text": "so glad", "utterances": None} | {key: words if key == "words" else whole}
    got = read(tmp_path, json.dumps(content), "talk.json")
    assert cues(got) == [(0.5, 1.2, "so glad")]
    assert [(w.start_us, w.end_us) for w in got.cues[0].words] == [(500_000, 700_000), (700_000, 1_200_000)]
    assert got.notes == ("times of the transcript read as milliseconds",)


def test_whole_seconds_stay_seconds(tmp_path: Path) -> None:
    got = read(tmp_path, json.dumps([{"text": "so glad", "start": 0, "end": 5}]), "talk.json")
    assert (cues(got), got.notes) == ([(0, 5, "so glad")], ())


WORD = st.text(st.characters(whitelist_categories=("Lu", "Ll", "Lo")), min_size=1, max_size=8)


@given(st.lists(st.lists(WORD, min_size=2, max_size=5), min_size=1, max_size=5))
def test_what_faster_whisper_returns_is_read_back_with_the_times_of_words(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[str]]
) -> None:
    segments = []
    for n, words in enumerate(said):
        timed = [Word(n * 6 + k, n * 6 + k + 0.75, f" {word}", 0.5) for k, word in enumerate(words)]
        segments.append(
            Segment(
                n,
                0,
                timed[0].start,
                timed[-1].end,
                "".join(w.word for w in timed),
                [],
                0.0,
                0.0,
                0.0,
                timed,
                0.0,
            )
        )
    written = json.dumps({"language": "en", "segments": [vars_of(segment) for segment in segments]})
    got = read(tmp_path_factory.mktemp("w"), written, "talk.json")
    from annotate.transcripts._text import plain

    assert texts(got) == [plain(" ".join(words)) for words in said]
    assert [[w.start_us for w in cue.words] for cue in got.cues] == [
        [(n * 6 + k) * 1_000_000 for k in range(len(words))] for n, words in enumerate(said)
    ]


def vars_of(segment: Segment) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(segment)
