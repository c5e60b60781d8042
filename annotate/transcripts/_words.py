"""Words and their times; missing times are interpolated between the neighbouring words."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotate.types import Cue, Word

PAUSE_US = 500_000
"""A pause of this length between two words ends an utterance, in files that hold only words."""

_CJK = ("\u3040", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a file with both of its times, one of them or none."""

    text: str
    start_us: int | None = None
    end_us: int | None = None
    speaker: str = ""


def timed(timed_words: Sequence[TimedWord], start_us: int, end_us: int) -> tuple[Word, ...]:
    """Words in order within their cue; missing and impossible times are interpolated and flagged.

    Words without times share the time between their timed neighbours in proportion to their letters.
    """
    words: list[Word] = []
    waiting: list[TimedWord] = []
    at = start_us
    for word in timed_words:
        backwards = word.start_us is not None and word.end_us is not None and word.end_us < word.start_us
        if word.start_us is None or word.start_us < at or backwards:
            waiting.append(word)
            continue
        words += _spread(waiting, at, word.start_us)
        waiting = []
        if word.end_us is None:
            waiting = [word]
            at = word.start_us
        else:
            words.append(Word(word.text, word.start_us, word.end_us))
            at = word.end_us
    return tuple(words + _spread(waiting, at, max(at, end_us)))


def _spread(words: Sequence[TimedWord], start_us: int, end_us: int) -> list[Word]:
    letters = [max(1, len(word.text)) for word in words]
    edges = (
        [start_us + (end_us - start_us) * sum(letters[:n]) // sum(letters) for n in range(len(words) + 1)]
        if words
        else []
    )
    return [Word(w.text, a, b, guessed=True) for w, a, b in zip(words, edges, edges[1:], strict=False)]


def joined(texts: Sequence[str]) -> str:
    """The words joined by spaces, except in scripts that are written without spaces."""
    line = ""
    for text in texts:
        tight = not line or (is_cjk(line[-1]) and is_cjk(text[:1]))
        line += text if tight else f" {text}"
    return line


def is_cjk(character: str) -> bool:
    return any(low <= character <= high for low, high in _CJK) or character in "，。！？；：、“”…"


def by_pauses(words: Sequence[Word], speaker: str = "") -> list[Cue]:
    """Group words into cues, divided at pauses of half a second or more."""
    groups: list[list[Word]] = []
    for word in sorted(words, key=lambda w: w.start_us):
        if groups and word.start_us - groups[-1][-1].end_us < PAUSE_US:
            groups[-1].append(word)
        else:
            groups.append([word])
    cues = []
    for group in groups:
        text = joined([word.text for word in group])
        cues.append(Cue(group[0].start_us, group[-1].end_us, text, text, speaker, tuple(group)))
    return cues
