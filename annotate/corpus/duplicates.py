"""Finds duplicate samples, so that no duplicate is in two splits."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from annotate.config.sections import DuplicateSettings
from annotate.media.audio_fingerprint import in_common, key_of
from annotate.types import PreparedSample, Split, Verdict
from db import checks, duplicates
from db.duplicates import SOUND, TEXT, SampleInSplit
from db.engine import Session

SAME_SOUND = 6
"""How many numbers of two audio fingerprints must agree. Unrelated clips share up to 3; the same sound,
re-encoded or with mild noise, shares 10 and more (`benchmarks/_ingest_repeats.py`)."""
_INDEXED = 32
"""Numbers of a fingerprint that are indexed: two recordings of the same sound share some of them."""
_ORDER = {Split.TEST: 0, Split.VALID: 1, Split.TRAIN: 2}
"""Of two copies, the one in the later split is rejected, because training on test samples is a leak."""
_WITHOUT_SPACES = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


def remember(session: Session, prepared: Sequence[PreparedSample]) -> None:
    """Store the duplicate keys of the new samples of a video, and their pairs with the same sound."""
    prints = {p.id: p.audio_fingerprint for p in prepared}
    keys = {name: [key_of(number) for number in own[:_INDEXED]] for name, own in prints.items()}
    duplicates.put_keys(session, TEXT, {p.id: _text_key(p.segment.text) for p in prepared})
    duplicates.put_keys(session, SOUND, keys)
    pairs = duplicates.candidates(session, keys)
    others = duplicates.prints(session, {other for _, other in pairs})
    agreeing = {(sample_id, other): in_common(prints[sample_id], others[other]) for sample_id, other in pairs}
    same = {pair: count for pair, count in agreeing.items() if count >= SAME_SOUND}
    duplicates.put_pairs(session, sorted(prints), same)


def remember_text(session: Session, sample_id: str, text: str) -> None:
    """Store the duplicate key of the corrected text of a sample."""
    duplicates.put_keys(session, TEXT, {sample_id: _text_key(text)})


def judge_duplicates(session: Session, settings: DuplicateSettings) -> None:
    """Reject the less protected copy of every duplicate in two splits, and accept former duplicates again."""
    verdicts: dict[str, dict[str, Verdict]] = defaultdict(dict)
    if settings.sound:
        pairs = sorted(duplicates.sound_across_splits(session), key=lambda row: min(map(_rank, row[:2])))
        for one, other, agreeing in pairs:
            _refuse(verdicts, checks.REPEATED_SOUND, [one, other], float(agreeing))
    if settings.text:
        for same in duplicates.text_across_splits(session):
            _refuse(
                verdicts, checks.REPEATED_TEXT, [p for p in same if _long_enough(p.transcript, settings)], 1.0
            )
    checks.put_duplicate_verdicts(session, {i: list(verdicts[i].values()) for i in sorted(verdicts)})


def _refuse(
    verdicts: dict[str, dict[str, Verdict]], name: str, same: Iterable[SampleInSplit], value: float
) -> None:
    """Add a failed verdict for each sample that duplicates one in a better protected split.

    The first verdict on a sample stays, so callers must pass the best protected duplicates first.
    """
    ordered = sorted(same, key=_rank)
    for sample in ordered[1:]:
        kept = ordered[0]
        if sample.split != kept.split:
            reason = f"repeats {kept.sample_id} in {kept.split.value}"
            verdicts[sample.sample_id].setdefault(name, Verdict(name, value, False, reason))


def _rank(sample: SampleInSplit) -> tuple[int, str]:
    return _ORDER[sample.split], sample.sample_id


def normal(text: str) -> str:
    """The words of a text without case, punctuation and variants of characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded.replace("'", "").replace("\u2019", "")))


def _text_key(text: str) -> list[int]:
    """63 bits of a hash of the words; empty for a text without words."""
    words = normal(text)
    return [int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 1] if words else []


def _long_enough(text: str, settings: DuplicateSettings) -> bool:
    """Whether a text has so many words, or characters without spaces, that it hardly recurs by chance."""
    characters = len(_WITHOUT_SPACES.findall(text))
    words = len(_WITHOUT_SPACES.sub(" ", normal(text)).split())
    return words / settings.text_words + characters / settings.text_characters >= 1
