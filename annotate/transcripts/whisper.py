"""Reads the JSON of speech recognisers: segments, words, speakers and language.

Supported are openai-whisper and programs with the same format (faster-whisper, whisper-timestamped,
stable-ts, OpenAI's ``verbose_json``), WhisperX, whisper.cpp (``transcription``), the transformers pipeline
(``chunks``), youtube-transcript-api (``duration`` in place of ``end``), and AssemblyAI (milliseconds).

WhisperX leaves words that it cannot align (numbers, symbols) without times, and names speakers per word after
diarization: a segment in which they change becomes one cue per turn.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import median, median_low
from typing import Any

from annotate.transcripts._captions import DAMAGED
from annotate.transcripts._text import Malformed, language_code, plain
from annotate.transcripts._times import microseconds
from annotate.transcripts._words import TimedWord, by_pauses, is_cjk, joined, timed
from annotate.types import Cue, Dropped, Transcript, Word

_END_OF_VIDEO = 1e6
"""End, in seconds, of a last cue without one; it is later limited to the end of the video."""

_LONGEST_SECONDS = 60
"""No recogniser makes most of its segments longer than this."""
_NEVER_MS = 10**15
"""Milliseconds beyond every accepted time."""

_Placed = tuple[int, dict[str, Any]]
"""The start of a word in microseconds, and the word."""


def read(text: str) -> Transcript:
    """Every segment in file order, with its times as written.

    Raises `Malformed` when this is not JSON, or has no list of segments.
    """
    content = _load(text)
    whole = content if isinstance(content, dict) else {}
    loose = _dicts(whole.get("word_segments") or whole.get("words"))
    segments = _segments(content)
    by_word = segments is None
    if segments is None:
        if not loose:
            raise Malformed("there is no list of `segments` with `start`, `end` and `text`")
        segments = loose
    notes: tuple[str, ...] = ()
    if _has_milliseconds(segments):
        segments, loose = list(map(_in_seconds, segments)), list(map(_in_seconds, loose))
        notes = ("times of the transcript read as milliseconds",)
    if _single_words(segments) or by_word:
        words = [
            Word(word.text, word.start_us, word.end_us)
            for word in _given_words(segments, "")
            if word.start_us is not None and word.end_us is not None and word.end_us > word.start_us
        ]
        return Transcript(tuple(by_pauses(words)), "transcript", _language(whole), notes=notes)
    begins = ((microseconds(word.get("start")), word) for word in loose)
    placed = sorted(((at, word) for at, word in begins if at is not None), key=_begin)
    cues: list[Cue] = []
    dropped: list[Dropped] = []
    for number, segment in enumerate(segments, 1):
        where = f"segment {number}"
        start, end = microseconds(segment.get("start")), microseconds(segment.get("end"))
        if "end" not in segment and "duration" in segment:
            length = microseconds(segment["duration"])
            end = None if start is None or length is None else start + length
        if start is None or end is None:
            dropped.append(Dropped(DAMAGED, where))
        else:
            cues += (replace(cue, where=where) for cue in _cues(segment, start, end, placed))
    return Transcript(tuple(cues), "transcript", _language(whole), notes=notes, dropped=tuple(dropped))


def _has_milliseconds(segments: Sequence[dict[str, Any]]) -> bool:
    """Whether all times are whole numbers, and most segments would be longer than a minute in seconds."""
    times = [(segment.get("start"), segment.get("end")) for segment in segments]
    whole = [(a, b) for a, b in times if type(a) is int and type(b) is int]
    return bool(whole) and len(whole) == len(times) and median_low(b - a for a, b in whole) > _LONGEST_SECONDS


def _in_seconds(segment: dict[str, Any]) -> dict[str, Any]:
    whole = {name: segment[name] for name in ("start", "end") if type(segment.get(name)) is int}
    # An integer of hundreds of digits does not fit into a float.
    ends = {name: max(-_NEVER_MS, min(ms, _NEVER_MS)) / 1000 for name, ms in whole.items()}
    words = {"words": list(map(_in_seconds, _dicts(segment.get("words"))))} if "words" in segment else {}
    return segment | ends | words


def _language(whole: dict[str, Any]) -> str:
    result = whole.get("result")
    cpp = result.get("language") if isinstance(result, dict) else ""
    return language_code(whole.get("language")) or language_code(cpp)


def _segments(content: object) -> list[dict[str, Any]] | None:
    """The segments with `start`, `end` and `text` in any supported format; None without such a list."""
    if isinstance(content, list):
        return list(map(_dict, content)) if _are_segments(content) else None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("transcription"), list):
        return _of_whisper_cpp(content["transcription"])
    for key in ("segments", "utterances"):
        if isinstance(content.get(key), list):
            return list(map(_dict, content[key])) if _are_segments(content[key]) else None
    # The format of transformers; after diarization, `speakers` holds the same chunks with names.
    for key in ("speakers", "chunks"):
        items = _dicts(content.get(key))
        times = [item.get("timestamp") for item in items]
        if items and all(isinstance(pair, list) and len(pair) == 2 for pair in times):
            pairs = [item["timestamp"] for item in items]
            # Whisper gives no end to a word that is cut off by the end of the sound.
            following = [*(start for start, _ in pairs[1:]), _END_OF_VIDEO]
            return [
                {"start": start, "end": next_start if end is None else end}
                | {key: item.get(key, "") for key in ("text", "speaker")}
                for item, (start, end), next_start in zip(items, pairs, following, strict=True)
            ]
    return None


def _of_whisper_cpp(items: object) -> list[dict[str, Any]] | None:
    segments = [_dict(item) for item in items] if isinstance(items, list) else []
    if not all(isinstance(s.get("text"), str) and isinstance(s.get("offsets"), dict) for s in segments):
        return None
    return [
        _milliseconds(s["offsets"]) | {"text": s["text"], "speaker": s.get("speaker", "")} | _tokens(s)
        for s in segments
    ]


def _milliseconds(offsets: dict[str, Any]) -> dict[str, Any]:
    """`start` and `end` in seconds from the offsets of whisper.cpp, which are in milliseconds."""
    ends = {"start": offsets.get("from"), "end": offsets.get("to")}
    return {
        name: ms / 1000 if isinstance(ms, int | float) and not isinstance(ms, bool) else None
        for name, ms in ends.items()
    }


def _tokens(segment: dict[str, Any]) -> dict[str, Any]:
    """Words from the tokens of whisper.cpp; a token that begins with a space begins a word.

    Empty if the tokens do not spell the text: in many scripts they are parts of characters.
    """
    words: list[dict[str, Any]] = []
    for token in _dicts(segment.get("tokens")):
        text, offsets = _text(token.get("text")), _dict(token.get("offsets"))
        if re.fullmatch(r"\[_.*\]|<\|.*\|>", text.strip()) or not text:
            continue
        times = _milliseconds(offsets)
        if words and not text.startswith(" "):
            words[-1] |= {"word": words[-1]["word"] + text, "end": times["end"]}
        else:
            words.append({"word": text, **times})
    spelled = "".join(word["word"] for word in words).strip() == segment["text"].strip()
    return {"words": words} if spelled and len(words) > 1 else {}


def _single_words(segments: Sequence[dict[str, Any]]) -> bool:
    """Whether the segments are words, as with `return_timestamps="word"` (transformers) or `-ml 1`."""
    texts = [plain(_text(segment.get("text"))) for segment in segments]
    if (
        len(texts) < 4
        or any(" " in text or not text for text in texts)
        or any("words" in s for s in segments)
    ):
        return False
    # In scripts without spaces, sentences have none either.
    return median(2 * len(text) if any(map(is_cjk, text)) else 1 for text in texts) <= 4


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"this is not JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise Malformed("this JSON is nested too deeply") from error
    except ValueError as error:
        raise Malformed("this JSON holds a number of thousands of digits") from error


def _are_segments(items: object) -> bool:
    """Whether a list holds segments; single items may lack their times, or be something else."""
    if not isinstance(items, list):
        return False
    return not items or any("start" in segment and "text" in segment for segment in _dicts(items))


def _cues(segment: dict[str, Any], start: int, end: int, loose: Sequence[_Placed]) -> Iterator[Cue]:
    raw = _text(segment.get("text"))
    speaker = plain(_text(segment.get("speaker")))
    listed = segment.get("words")
    first_word = bisect_left(loose, start, key=_begin)
    within = loose[first_word : bisect_left(loose, end, lo=first_word, key=_begin)]
    given = _given_words(_dicts(listed) or [word for _, word in within], speaker)
    words = timed(given, start, end)
    turns = [
        (who, list(turn))
        for who, turn in groupby(zip(given, words, strict=True), lambda pair: pair[0].speaker)
    ]
    if len(turns) < 2:
        yield Cue(start, end, plain(raw), raw, turns[0][0] if turns else speaker, words)
        return
    edges = [start, *(turn[0][1].start_us for _, turn in turns[1:]), end]
    for (who, turn), first, last in zip(turns, edges, edges[1:], strict=False):
        text = joined([word.text for _, word in turn])
        yield Cue(first, last, text, text, who, tuple(word for _, word in turn))


def _text(value: object) -> str:
    """The value as text; lone surrogates, which JSON can spell but UTF-8 cannot, are replaced."""
    return str(value or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _dicts(items: object) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _begin(placed: _Placed) -> int:
    return placed[0]


def _given_words(items: Sequence[dict[str, Any]], speaker: str) -> list[TimedWord]:
    """Words with their times and speakers; a word without a speaker has that of the previous word."""
    words: list[TimedWord] = []
    named = next((who for word in items if (who := _speaker(word))), speaker)
    for word in items:
        named = _speaker(word) or named
        if text := plain(_text(word.get("word", word.get("text")))):
            words.append(
                TimedWord(text, microseconds(word.get("start")), microseconds(word.get("end")), named)
            )
    return words


def _speaker(word: dict[str, Any]) -> str:
    return plain(_text(word.get("speaker")))
