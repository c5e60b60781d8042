"""Finds samples that repeat each other, so that no repeat sits in two splits."""

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
"""Numbers of two prints that must agree. Unrelated clips have up to 3 in common, the same sound coded anew or
with mild noise 10 and more (`benchmarks/_ingest_repeats.py`)."""
_INDEXED = 32
"""Of the print's numbers, how many are looked up: two recordings of the same sound share some of them."""
_ORDER = {Split.TEST: 0, Split.VALID: 1, Split.TRAIN: 2}
"""Of two copies, the one in the later split gives way: a test that was learned from tells nothing."""
_WITHOUT_SPACES = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)


def remember(session: Session, prepared: Sequence[PreparedSample]) -> None:
    """Store what the new samples of a video have in common with those of others."""
    prints = {p.id: p.audio_fingerprint for p in prepared}
    keys = {name: [key_of(number) for number in own[:_INDEXED]] for name, own in prints.items()}
    duplicates.put_keys(session, TEXT, {p.id: _text_key(p.segment.text) for p in prepared})
    duplicates.put_keys(session, SOUND, keys)
    found = duplicates.candidates(session, keys)
    others = duplicates.prints(session, {other for _, other in found})
    agreeing = {(one, other): in_common(prints[one], others[other]) for one, other in found}
    same = {pair: count for pair, count in agreeing.items() if count >= SAME_SOUND}
    duplicates.put_pairs(session, sorted(prints), same)


def remember_text(session: Session, sample_id: str, text: str) -> None:
    """Store what the corrected text of a sample has in common with those of others."""
    duplicates.put_keys(session, TEXT, {sample_id: _text_key(text)})


def judge_duplicates(session: Session, settings: DuplicateSettings) -> None:
    """Reject the less protected copy of every repeat in two splits; what repeats no more comes back."""
    found: dict[str, dict[str, Verdict]] = defaultdict(dict)
    if settings.sound:
        pairs = sorted(duplicates.sound_across_splits(session), key=lambda row: min(map(_rank, row[:2])))
        for one, other, agreeing in pairs:
            _refuse(found, checks.REPEATED_SOUND, [one, other], float(agreeing))
    if settings.text:
        for same in duplicates.text_across_splits(session):
            _refuse(
                found, checks.REPEATED_TEXT, [p for p in same if _long_enough(p.transcript, settings)], 1.0
            )
    checks.put_duplicate_verdicts(session, {sample: list(found[sample].values()) for sample in sorted(found)})


def _refuse(
    found: dict[str, dict[str, Verdict]], name: str, same: Iterable[SampleInSplit], value: float
) -> None:
    """A failed verdict for each sample that repeats one in a split that is better protected.

    The first verdict on a sample stays, so whoever calls this puts the best protected repeats in front.
    """
    ordered = sorted(same, key=_rank)
    for placed in ordered[1:]:
        kept = ordered[0]
        if placed.split != kept.split:
            reason = f"repeats {kept.sample_id} in {kept.split.value}"
            found[placed.sample_id].setdefault(name, Verdict(name, value, False, reason))


def _rank(placed: SampleInSplit) -> tuple[int, str]:
    return _ORDER[placed.split], placed.sample_id


def normal(text: str) -> str:
    """Words alone: without case, marks of punctuation, and forms of the same character."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded.replace("'", "").replace("\u2019", "")))


def _text_key(text: str) -> list[int]:
    """63 bits of a hash of the words; none of a text without words."""
    words = normal(text)
    return [int.from_bytes(hashlib.sha256(words.encode()).digest()[:8]) >> 1] if words else []


def _long_enough(text: str, settings: DuplicateSettings) -> bool:
    """Whether that many words, or characters of a script without spaces, do not come twice by chance."""
    signs = len(_WITHOUT_SPACES.findall(text))
    words = len(_WITHOUT_SPACES.sub(" ", normal(text)).split())
    return words / settings.text_words + signs / settings.text_characters >= 1
