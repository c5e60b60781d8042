"""Which samples a corpus has, in which splits, and how they join those that are there."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from annotate.config.settings import Settings
from annotate.corpus.splits import divide, some
from annotate.errors import CorpusError, UsageError
from annotate.importing.corpus import Corpus, Utterance
from annotate.types import Split
from annotate.wording import counted, either
from db import groups, imports, removal, repeats, videos
from db.engine import Session
from db.imports import NewSample, NewVideo, Stored


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of each utterance of a corpus; nothing is written yet."""

    corpus: str
    ids: list[str]
    """By utterance: its sample id; empty for one that a table of answers names and nobody knows."""
    videos: list[NewVideo]
    samples: list[NewSample]
    known: Mapping[str, Stored]
    """By sample id: what is there already."""
    gone: list[str]
    """Ids of samples that the corpus does not have any more."""
    warnings: list[str]

    @property
    def new(self) -> int:
        """Samples that were not there, or not any more."""
        return sum(s.id not in self.known or self.known[s.id].retired for s in self.samples)


def sample_id(corpus: str, key: str) -> str:
    """16 hex digits, the same on every machine: an imported sample is known by what its corpus calls it."""
    return hashlib.sha256(f"import:{corpus}:{key}".encode()).hexdigest()[:16]


def video_sha256(corpus: str, name: str) -> str:
    """Stands for the sha256 of footage that nobody has."""
    return hashlib.sha256(f"import-video:{corpus}:{name}".encode()).hexdigest()


def plan_of(
    session: Session, settings: Settings, corpus: Corpus, name: str, *, adds: bool, regroup: bool
) -> Plan:
    """What importing would do; `adds` False: the corpus brings answers about samples that are there.

    Raises `CorpusError` for a speaker or a video in two splits and for a split that would move, `UsageError`
    for a name that belongs to another corpus, or to none where one has to be there.
    """
    known = imports.corpus_samples(session, name)
    ids = [sample_id(name, one.key) for one in corpus.utterances]
    if not adds:
        return _answers_only(session, name, ids, known)
    utterances = (
        [one._replace(split=None) for one in corpus.utterances] if regroup else list(corpus.utterances)
    )
    here = set(ids)
    gone = sorted(i for i, stored in known.items() if not stored.retired and i not in here)
    _require_same_corpus(name, known, gone)
    _require_unmoved(utterances, ids, known)
    tied = "speaker" in settings.splits.together
    _require_one_split(utterances, "video", (one.video for one in utterances))
    if tied:
        _require_one_split(utterances, "speaker", (one.speaker for one in utterances))
        _require_homes(utterances, groups.homes(session))
    found, warnings = _videos(name, utterances, ids), []
    if not any(one.speaker for one in utterances) and not (corpus.tells_split and not regroup):
        warnings.append("nobody says who talks (--speaker): one person may be in two splits")
    return Plan(name, ids, found, _samples(utterances, ids, found), known, gone, warnings)


def _answers_only(session: Session, name: str, ids: Sequence[str], known: Mapping[str, Stored]) -> Plan:
    if not known:
        listed = ", ".join(imports.corpora(session)) or "none yet"
        raise UsageError(f"no corpus called {name!r} was imported", hint=f"known: {listed}")
    found = [i if i in known and not known[i].retired else "" for i in ids]
    unknown = found.count("")
    if unknown == len(found):
        raise CorpusError(
            f"no id of the table is one of {name!r}",
            hint="see that both write ids alike; --id names the column",
        )
    warnings = (
        [f"answers about {counted(unknown, 'sample')} that {name!r} does not have were left out"]
        if unknown
        else []
    )
    return Plan(name, found, [], [], known, [], warnings)


def _require_same_corpus(name: str, known: Mapping[str, Stored], gone: Sequence[str]) -> None:
    present = sum(not stored.retired for stored in known.values())
    if present and 2 * len(gone) > present:
        raise UsageError(
            f"{len(gone)} of {counted(present, 'sample')} that {name!r} had before "
            f"{either(len(gone), 'is', 'are')} not here",
            hint="say --name OTHER for another corpus, or `import table --into` for answers about this one",
        )


def _require_one_split(utterances: Sequence[Utterance], word: str, names: Iterable[str]) -> None:
    first: dict[str, Utterance] = {}
    for one, name in zip(utterances, names, strict=True):
        if not name or one.split is None:
            continue
        before = first.setdefault(name, one)
        if before.split is not None and before.split is not one.split:
            free = ', or take "speaker" out of splits.together' if word == "speaker" else ""
            raise CorpusError(
                f"the {word} {name!r} is in two splits: {before.key!r} in {before.split.value}, "
                f"{one.key!r} in {one.split.value}",
                hint=f"scores on such splits mean nothing: say --regroup for others{free}",
            )


def _require_homes(utterances: Sequence[Utterance], homes: Mapping[str, Split]) -> None:
    for one in utterances:
        home = homes.get(one.speaker)
        if one.split is not None and home is not None and home is not one.split:
            raise CorpusError(
                f"the speaker {one.speaker!r} is in {one.split.value} here, in {home.value} in this project",
                hint="say --regroup to follow the project, or import into a project of its own",
            )


def _require_unmoved(
    utterances: Sequence[Utterance], ids: Sequence[str], known: Mapping[str, Stored]
) -> None:
    moved = [
        (one, before)
        for one, i in zip(utterances, ids, strict=True)
        if i in known and one.split and (before := known[i].split) and before is not one.split
    ]
    if moved:
        one, before = moved[0]
        raise CorpusError(
            f"{counted(len(moved), 'sample')} {either(len(moved), 'is', 'are')} in another split than "
            f"before, such as {one.key!r}, which was in "
            f"{before.value}; splits never move",
            hint="say --regroup to keep those that they have, or import into a project of its own",
        )


def _videos(corpus: str, utterances: Sequence[Utterance], ids: Sequence[str]) -> list[NewVideo]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(utterances):
        members[one.video].append(index)
    found = []
    for name, places in members.items():
        sha256 = video_sha256(corpus, name)
        speakers = {utterances[i].speaker for i in places}
        speaker = next(iter(speakers)) if len(speakers) == 1 else ""
        split = next((s for i in places if (s := utterances[i].split) is not None), None)
        keys = {ids[i]: utterances[i].key for i in places}
        found.append(NewVideo(sha256, name, speaker or sha256, split, keys))
    return found


def _samples(
    utterances: Sequence[Utterance], ids: Sequence[str], found: Sequence[NewVideo]
) -> list[NewSample]:
    of = {video.name: video for video in found}
    samples = []
    for one, i in zip(utterances, ids, strict=True):
        video = of[one.video]
        speaker = "" if video.speaker == one.speaker else one.speaker
        samples.append(NewSample(i, video.sha256, one.start_us, one.end_us, one.text, speaker, video.split))
    return samples


def add_to(session: Session, settings: Settings, plan: Plan) -> list[str]:
    """Write videos and samples, give splits to those without; returns warnings."""
    warnings: list[str] = []
    before = {stored.video: stored.speaker for stored in plan.known.values()}
    imports.put_videos(session, plan.corpus, plan.videos)
    said = {
        v.sha256: v.speaker
        for v in plan.videos
        if v.speaker != v.sha256 and before.get(v.sha256, v.speaker) != v.speaker
    }
    tied = "speaker" in settings.splits.together
    if refused := groups.rename_speakers(session, said, tied=tied):
        warnings.append(
            f"{counted(len(refused), 'video')} {either(len(refused), 'keeps its', 'keep their')} old "
            f"speaker, because splits of a corpus never move: {some(refused)}"
        )
    imports.put_samples(session, plan.samples, plan.known)
    imports.retire(session, plan.gone)
    session.expire_all()
    removal.keep_removed(session)
    if removed := removal.removed(session, [video.sha256 for video in plan.videos]):
        names = sorted(video.name for video in plan.videos if video.sha256 in removed)
        warnings.append(
            f"removed by hand, so kept out (annotate remove --undo VIDEO restores one): "
            f"{counted(len(names), 'video')}: {some(names)}"
        )
    if groups.something_to_settle(session):
        counts = videos.samples_per_split(session)
        division = divide(groups.video_ties(session), repeats.same_sound(session), counts, settings)
        _, kept_back = groups.give_splits(session, division.splits, division.groups.held)
        warnings += division.warnings(kept_back)
    empty = [split.value for split, n in videos.samples_per_split(session).items() if not n]
    if empty:
        warnings.append(
            f"no sample is in {' or '.join(empty)}, so no score can be told there: name a --split, or, where "
            "speakers hang together in too few groups, say splits.together = [] in annotate.toml first"
        )
    if plan.gone:
        warnings.append(
            f"{counted(len(plan.gone), 'sample')} that the corpus does not have any more "
            f"{either(len(plan.gone), 'is', 'are')} retired"
        )
    return warnings
