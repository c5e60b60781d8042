"""Reads the JSON of WhisperX, of openai-whisper and of what writes the same: segments, words, language.

WhisperX leaves words without times where it could not align them (numbers, symbols), and names speakers
per word after diarisation: a segment in which they change becomes one cue per turn.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from annotate.transcripts._text import Malformed, language_code, plain
from annotate.transcripts._times import microseconds
from annotate.transcripts._words import Heard, joined, timed
from annotate.types import Cue, Transcript


def read(text: str) -> Transcript:
    """Every segment in file order, times as written.

    Raises `Malformed` when this is no JSON, or holds no list of segments.
    """
    content = _load(text)
    whole = content if isinstance(content, dict) else {}
    segments = whole.get("segments", content)
    if not _are_segments(segments):
        raise Malformed("there is no list of `segments` with `start`, `end` and `text`")
    loose = [w for w in (whole.get("word_segments") or whole.get("words") or ()) if isinstance(w, dict)]
    cues = tuple(cue for segment in segments for cue in _cues(segment, loose))
    return Transcript(cues, "transcript", language_code(whole.get("language")))


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"this is no JSON: {error.msg}", error.lineno) from error
    except RecursionError as error:
        raise Malformed("this JSON is nested too deeply") from error


def _are_segments(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(s, dict) and "start" in s and "text" in s for s in found
    )


def _cues(segment: dict[str, Any], loose: Sequence[dict[str, Any]]) -> Iterator[Cue]:
    start, end = microseconds(segment.get("start")), microseconds(segment.get("end"))
    raw = str(segment.get("text") or "")
    speaker = plain(str(segment.get("speaker") or ""))
    if start is None or end is None:
        yield Cue(0, 0, plain(raw), raw, speaker)
        return
    listed = segment.get("words")
    found = [w for w in listed if isinstance(w, dict)] if isinstance(listed, list) else []
    heard = _heard(found or _within(loose, start, end), speaker)
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


def _within(loose: Sequence[dict[str, Any]], start_us: int, end_us: int) -> list[dict[str, Any]]:
    """The words of a list beside the segments that begin inside this one."""
    begins = ((microseconds(word.get("start")), word) for word in loose)
    return [word for at, word in begins if at is not None and start_us <= at < end_us]


def _heard(found: Sequence[dict[str, Any]], speaker: str) -> list[Heard]:
    """Words with the speaker of each; who is not named goes on talking."""
    heard: list[Heard] = []
    named = next((who for word in found if (who := _speaker(word))), speaker)
    for word in found:
        named = _speaker(word) or named
        if text := plain(str(word.get("word", word.get("text")) or "")):
            heard.append(Heard(text, microseconds(word.get("start")), microseconds(word.get("end")), named))
    return heard


def _speaker(word: dict[str, Any]) -> str:
    return plain(str(word.get("speaker") or ""))
