"""Reads the JSON of WhisperX, of openai-whisper and of what writes the same: segments, words, language.

WhisperX leaves words without times where it could not align them (numbers, symbols), and names speakers
per word after diarisation: a segment in which they change becomes one cue per turn.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from annotate.transcripts._text import Malformed, language_code, plain
from annotate.transcripts._times import microseconds
from annotate.transcripts._words import Heard, joined, timed
from annotate.types import Cue, Transcript

_Placed = tuple[int, dict[str, Any]]
"""When a word begins, in microseconds, and the word."""


def read(text: str) -> Transcript:
    """Every segment in file order, times as written.

    Raises `Malformed` when this is no JSON, or holds no list of segments.
    """
    content = _load(text)
    whole = content if isinstance(content, dict) else {}
    segments = whole.get("segments", content)
    if not _are_segments(segments):
        raise Malformed("there is no list of `segments` with `start`, `end` and `text`")
    loose = _loose(whole.get("word_segments") or whole.get("words"))
    cues = tuple(cue for segment in segments for cue in _cues(segment, loose))
    return Transcript(cues, "transcript", language_code(whole.get("language")))


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"this is no JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise Malformed("this JSON is nested too deeply") from error
    except ValueError as error:
        raise Malformed("this JSON holds a number of thousands of digits") from error


def _are_segments(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(s, dict) and "start" in s and "text" in s for s in found
    )


def _cues(segment: dict[str, Any], loose: Sequence[_Placed]) -> Iterator[Cue]:
    start, end = microseconds(segment.get("start")), microseconds(segment.get("end"))
    raw = _text(segment.get("text"))
    speaker = plain(_text(segment.get("speaker")))
    if start is None or end is None:
        yield Cue(0, 0, plain(raw), raw, speaker)
        return
    listed = segment.get("words")
    heard = _heard(_dicts(listed) or _within(loose, start, end), speaker)
    words = timed(heard, start, end)
    turns = [
        (who, list(turn))
        for who, turn in groupby(zip(heard, words, strict=True), lambda pair: pair[0].speaker)
    ]
    if len(turns) < 2:
        yield Cue(start, end, plain(raw), raw, turns[0][0] if turns else speaker, words)
        return
    edges = [start, *(turn[0][1].start_us for _, turn in turns[1:]), end]
    for (who, turn), first, last in zip(turns, edges, edges[1:], strict=False):
        said = joined([word.text for _, word in turn])
        yield Cue(first, last, said, said, who, tuple(word for _, word in turn))


def _text(said: object) -> str:
    """As text; JSON can spell halves of characters, which nothing can store."""
    return str(said or "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _dicts(found: object) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _loose(found: object) -> list[_Placed]:
    """The words of a list beside the segments, by when they begin."""
    begins = ((microseconds(word.get("start")), word) for word in _dicts(found))
    return sorted(((at, word) for at, word in begins if at is not None), key=_begin)


def _begin(placed: _Placed) -> int:
    return placed[0]


def _within(loose: Sequence[_Placed], start_us: int, end_us: int) -> list[dict[str, Any]]:
    """Those that begin inside a segment."""
    first = bisect_left(loose, start_us, key=_begin)
    return [word for _, word in loose[first : bisect_left(loose, end_us, lo=first, key=_begin)]]


def _heard(found: Sequence[dict[str, Any]], speaker: str) -> list[Heard]:
    """Words with the speaker of each; who is not named goes on talking."""
    heard: list[Heard] = []
    named = next((who for word in found if (who := _speaker(word))), speaker)
    for word in found:
        named = _speaker(word) or named
        if text := plain(_text(word.get("word", word.get("text")))):
            heard.append(Heard(text, microseconds(word.get("start")), microseconds(word.get("end")), named))
    return heard


def _speaker(word: dict[str, Any]) -> str:
    return plain(_text(word.get("speaker")))
