"""Shared by the readers of ELAN and Praat: finds the tiers of utterances and words, and makes cues of them.

A tier holds the words of another only if it spells it. Labels (emotions, gestures, ids, glosses,
translations) and phones are never speech. Users can name the tiers instead.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from annotate.transcripts._captions import DAMAGED
from annotate.transcripts._text import Malformed, plain
from annotate.transcripts._tier_kinds import (
    Kind,
    Mark,
    Tier,
    kind,
    spells,
    within,
    words_per_mark,
)
from annotate.transcripts._tier_names import BACKCHANNELS
from annotate.transcripts._words import by_pauses, joined
from annotate.types import Cue, Dropped, Transcript, Word

_SAME_US = 10_000
"""Times that differ by at most this count as equal."""


@dataclass
class _Reading:
    """The tiers that are read, as utterances or as words."""

    utterances: list[Tier] = field(default_factory=list)
    words: list[Tier] = field(default_factory=list)
    """Words of those utterances, or words that are not grouped into utterances."""

    def partner(self, utterances: Tier) -> Tier | None:
        """The tier that spells `utterances`; a child of that tier is preferred."""
        spelling = [tier for tier in self.words if spells(tier, utterances)]
        spelling.sort(key=lambda tier: (tier.of != utterances.name, tier.stem != utterances.stem))
        return spelling[0] if spelling else None


def transcript(tiers: Sequence[Tier], wanted: Sequence[str] = ()) -> Transcript:
    """One cue per mark of every tier of utterances, with words from the tiers that spell them.

    `wanted` are names or patterns (``tx@*``) of the tiers to read; if empty, they are found by name and
    content. Words without a tier of utterances are grouped at pauses. The notes list the tiers that were
    read. Raises `Malformed` when no tier matches `wanted`, or none holds speech.
    """
    spoken = [tier for tier in tiers if tier.spoken]
    reading = _wanted(tiers, wanted) if wanted else _speech(spoken)
    if spoken and not reading.utterances and not reading.words:
        named = ", ".join(repr(tier.name) for tier in spoken)
        raise Malformed(f"no tier seems to hold speech: {named}; name the right one with --tier")
    cues: list[Cue] = []
    used: list[Tier] = []
    for tier in reading.utterances:
        words = reading.partner(tier)
        used += [tier, words] if words else [tier]
        # A word belongs to the mark that contains its middle.
        inside = {id(mark): marks for mark, marks in within(words, tier)} if words else {}
        cues += [
            Cue(
                mark.start_us, mark.end_us, mark.text, mark.raw, _speaker(tier),
                _words(inside.get(id(mark), ())), mark.where,
            )
            for mark in tier.marks
            if mark.text
        ]  # fmt: skip
    for tier in reading.words:
        if tier not in used:
            used.append(tier)
            cues += by_pauses(_words(tier.marks), _speaker(tier))
    dropped = tuple(Dropped(DAMAGED, where) for tier in used for where in tier.untimed)
    notes: tuple[str, ...] = ()
    if len(tiers) > 1:
        read = [repr(tier.name) for tier in tiers if tier in used]
        rest = [repr(tier.name) for tier in tiers if tier not in used and tier.marks]
        left_out = f", left out: {', '.join(rest)} (--tier names others)" if rest else ""
        notes = (f"{'tier' if len(read) == 1 else 'tiers'} read: {', '.join(read)}{left_out}",)
    return Transcript(tuple(cues), "transcript", notes=notes, dropped=dropped)


def _wanted(tiers: Sequence[Tier], names: Sequence[str]) -> _Reading:
    """The tiers called by one of `names`: the whole name, its part before an @, or a pattern."""
    wanted = [name.casefold().strip() for name in names]
    chosen = []
    for tier in tiers:
        called = tier.name.casefold().strip()
        before_at = called.partition("@")[0]
        if any(name in (called, before_at) or fnmatchcase(called, name) for name in wanted):
            chosen.append(tier)
    if not chosen:
        requested, names_of_tiers = (
            ", ".join(map(repr, some)) for some in (names, [tier.name for tier in tiers])
        )
        raise Malformed(f"no tier is called {requested}; its tiers are {names_of_tiers or 'none'}")
    rest = [tier for tier in tiers if tier not in chosen and kind(tier) in (Kind.WORDS, Kind.SPEECH)]
    words = [tier for tier in chosen if kind(tier) is Kind.WORDS]
    return _Reading([tier for tier in chosen if tier not in words], [*words, *_spelling(rest, chosen)])


def _spelling(tiers: Iterable[Tier], utterances: Sequence[Tier]) -> list[Tier]:
    return [
        tier
        for tier in tiers
        if tier.timed and words_per_mark(tier) <= 1.5 and any(spells(tier, of) for of in utterances)
    ]


def _speech(tiers: Sequence[Tier]) -> _Reading:
    """The tiers of speech, found by name and content."""
    kinds = [(tier, kind(tier)) for tier in tiers]
    sure = [tier for tier, holds in kinds if holds in (Kind.WORDS, Kind.SPEECH)]
    usable = sure or [tier for tier, holds in kinds if holds is Kind.MAYBE_LABELS]
    names = {tier.name for tier in tiers}
    roots = [tier for tier in tiers if not tier.of or tier.of not in names]
    top = [tier for root in roots for tier in _texts_of(root, tiers, usable)]
    words = [tier for tier in top if any(tier is each and holds is Kind.WORDS for each, holds in kinds)]
    whole = _without_layers([tier for tier in top if tier not in words])
    below = [tier for tier in usable if tier.of and tier not in top]
    words += _spelling((tier for tier in (*whole, *below)), whole)
    whole = [tier for tier in whole if tier not in words]
    whole = _finest(whole)
    whole = [tier for tier in whole if not _comments_on(tier, whole)]
    return _agreed(whole, words)


def _finest(tiers: Sequence[Tier]) -> list[Tier]:
    """Of tiers with the same text in turns and in sentences, the one with the shortest marks.

    One of them must be named after utterances: tiers named after people may well hold the same text.
    """
    kept: list[Tier] = []
    for tier in sorted(tiers, key=lambda tier: -len(tier.spoken)):
        for other in kept:
            named = tier.utterance_named or other.utterance_named
            if named and tier.speaker == other.speaker and _letters(tier) == _letters(other):
                break
        else:
            kept.append(tier)
    return [tier for tier in tiers if tier in kept]


def _letters(tier: Tier) -> str:
    return "".join(c for mark in tier.spoken for c in mark.text.casefold() if c.isalnum())


def _texts_of(root: Tier, tiers: Sequence[Tier], usable: Sequence[Tier]) -> list[Tier]:
    """The tier with the text of a tree of tiers: its root, else the best one below it.

    If there are only words below a root of ids, each mark of the root becomes an utterance of its words.
    """
    if root in usable:
        return [root]
    below = [tier for tier in usable if tier is not root and _root_of(tier, tiers) == root.name]
    texts = []
    for tier in below:
        several_per_mark = len(tier.spoken) > len(root.marks) and words_per_mark(tier) <= 1.5
        if kind(tier) is not Kind.WORDS and not several_per_mark:
            texts.append(tier)
    if texts:
        return [min(texts, key=lambda tier: (not tier.utterance_named, texts.index(tier)))]
    return [_gathered(below[0], root), *(tier for tier in below[:1] if tier.timed)] if below else []


def _root_of(tier: Tier, tiers: Sequence[Tier]) -> str:
    """The name of the root of the tier's tree, also when tiers refer to each other in a loop."""
    parents = {each.name: each.of for each in tiers}
    name = tier.name
    for _ in tiers:
        if parents.get(name, "") not in parents:
            break
        name = parents[name]
    return name


def _gathered(words: Tier, root: Tier) -> Tier:
    """A tier with the marks of `root` and the text of `words`."""
    frame = Tier(root.name, tuple(Mark(m.start_us, m.end_us, "x", m.guessed, m.where) for m in root.marks))
    marks = tuple(
        Mark(mark.start_us, mark.end_us, joined([word.text for word in inside]), mark.guessed, mark.where)
        for mark, inside in within(words, frame)
        if inside
    )
    name = f"{words.name} in {root.name}"
    speaker = words.speaker or root.speaker or words.stem or root.stem
    return Tier(name, marks, speaker, untimed=words.untimed)


def _without_layers(tiers: Sequence[Tier]) -> list[Tier]:
    """One of each set of tiers with the same times, which describe the same speech.

    A tier named after utterances wins, else one of several words per mark, else (of two languages) the first.
    """
    kept: list[Tier] = []
    for tier in tiers:
        same = next((n for n, other in enumerate(kept) if _same_marks(tier, other)), None)
        if same is None:
            kept.append(tier)
        elif tier.utterance_named != kept[same].utterance_named:
            kept[same] = tier if tier.utterance_named else kept[same]
        elif words_per_mark(tier) > 1.5 >= words_per_mark(kept[same]):
            kept[same] = tier
    return kept


def _same_marks(one: Tier, other: Tier) -> bool:
    a, b = ([(m.start_us, m.end_us) for m in tier.spoken] for tier in (one, other))
    if one.speaker != other.speaker or min(len(a), len(b)) < 3:
        return False
    ends = sorted(b)
    same = 0
    for start, end in a:
        at = bisect_left(ends, (start - _SAME_US, 0))
        same += any(
            abs(other_start - start) <= _SAME_US and abs(other_end - end) <= _SAME_US
            for other_start, other_end in ends[at : at + 3]
        )
    return same > 0.8 * max(len(a), len(b))


def _comments_on(tier: Tier, others: Sequence[Tier]) -> bool:
    """Whether a tier holds labels: single words during the sentences of another tier, but not its words."""
    if words_per_mark(tier) > 1.5 or tier.utterance_named:
        return False
    texts = {mark.text.casefold() for mark in tier.spoken}
    for other in others:
        if other is tier or words_per_mark(other) < 2.5 or _two_people(tier, other):
            continue
        spoken = {token.strip(".,!?").casefold() for m in other.spoken for token in m.text.split()}
        during = sum(1 for _, inside in within(tier, other) for _ in inside)
        if during > 0.7 * len(tier.spoken) and len(texts & (spoken | BACKCHANNELS)) < 0.5 * len(texts):
            return True
    return False


def _two_people(one: Tier, other: Tier) -> bool:
    """Whether tiers are named after people: ``A`` and ``B``, ``spk1`` and ``spk2``, ``Ann`` and ``Bob``."""
    if one.speaker or other.speaker:
        return one.speaker != other.speaker
    names = one.name.strip(), other.name.strip()
    differences = sum(a != b for a, b in zip(*names, strict=False))
    numbered = len(names[0]) == len(names[1]) and differences == 1
    return numbered or (all(re.fullmatch(r"[A-Z][a-z]+", n) for n in names) and not other.utterance_named)


def _agreed(whole: Sequence[Tier], words: Sequence[Tier]) -> _Reading:
    """Resolve tiers of words and utterances of one speaker that disagree.

    Sentences win if the tier is named after utterances, else words.
    """
    utterances, loose = list(whole), list(words)
    for tier in whole:
        if any(spells(each, tier) for each in words):
            continue
        rivals = []
        for each in loose:
            overlap = any(inside for a, b in ((each, tier), (tier, each)) for _, inside in within(a, b))
            first, second = (one.speaker or one.stem for one in (each, tier))
            unnamed = not (first and second) or not each.stem
            if overlap and (each.of == tier.name or unnamed or first == second):
                rivals.append(each)
        if not rivals:
            continue
        if tier.utterance_named and words_per_mark(tier) > 1.5:
            loose = [each for each in loose if each not in rivals]
        else:
            utterances.remove(tier)
    return _Reading(utterances, _coarsest(loose))


def _coarsest(words: Sequence[Tier]) -> list[Tier]:
    """The tiers without those that divide the words of another one, such as phones and syllables."""

    def finer(tier: Tier) -> bool:
        return any(
            len(tier.spoken) > 1.2 * len(other.spoken)
            and sum(len(inside) for _, inside in within(tier, other)) > 0.9 * len(tier.spoken)
            for other in words
            if other is not tier and kind(other) is Kind.WORDS
        )

    return [tier for tier in words if not finer(tier)]


def _words(marks: Sequence[Mark]) -> tuple[Word, ...]:
    return tuple(
        Word(m.text, m.start_us, m.end_us, m.guessed) for m in marks if m.text and m.end_us > m.start_us
    )


def _speaker(tier: Tier) -> str:
    return plain(tier.speaker) or tier.stem
