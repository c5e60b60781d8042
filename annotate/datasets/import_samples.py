"""Plans and stores the samples of an imported corpus, with their videos and splits."""

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
from db import duplicates, groups, imports, removal, videos
from db.engine import Session
from db.imports import NewSample, NewVideo, StoredSample


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What importing a corpus would store; nothing is written yet."""

    corpus: str
    ids: list[str]
    """Sample id of each utterance; empty for one in a table of answers that is not in the corpus."""
    videos: list[NewVideo]
    samples: list[NewSample]
    known: Mapping[str, StoredSample]
    """By sample id: what is stored already."""
    retired: list[str]
    """Ids of samples that the corpus no longer has."""
    warnings: list[str]

    @property
    def new(self) -> int:
        """Number of samples that were not there, or were retired."""
        return sum(s.id not in self.known or self.known[s.id].retired for s in self.samples)


def sample_id(corpus: str, key: str) -> str:
    """16 hex digits, the same on every machine, from the names of the corpus and of the sample in it."""
    return hashlib.sha256(f"import:{corpus}:{key}".encode()).hexdigest()[:16]


def video_sha256(corpus: str, name: str) -> str:
    """Replaces the sha256 of a video whose file is not available."""
    return hashlib.sha256(f"import-video:{corpus}:{name}".encode()).hexdigest()


def make_plan(
    session: Session, settings: Settings, corpus: Corpus, name: str, *, adds: bool, regroup: bool
) -> ImportPlan:
    """What importing would store; with `adds` False, only answers about samples that exist.

    Raises `CorpusError` for a speaker or a video in two splits and for a split that would move, `UsageError`
    for a name that belongs to another corpus, or to none where one has to exist.
    """
    known = imports.corpus_samples(session, name)
    ids = [sample_id(name, utterance.key) for utterance in corpus.utterances]
    if not adds:
        return _plan_answers(session, name, ids, known)
    utterances = [u._replace(split=None) for u in corpus.utterances] if regroup else list(corpus.utterances)
    present = set(ids)
    retired = sorted(i for i, stored in known.items() if not stored.retired and i not in present)
    active = sum(not stored.retired for stored in known.values())
    if active and 2 * len(retired) > active:
        raise UsageError(
            f"{len(retired)} of {counted(active, 'sample')} that {name!r} had before "
            f"{either(len(retired), 'is', 'are')} not here",
            hint="say --name OTHER for another corpus, or `import table --into` for answers about this one",
        )
    _require_unmoved(utterances, ids, known)
    _require_one_split(utterances, "video", (utterance.video for utterance in utterances))
    if "speaker" in settings.splits.together:
        _require_one_split(utterances, "speaker", (utterance.speaker for utterance in utterances))
        _require_homes(utterances, groups.homes(session))
    new_videos, warnings = _videos(name, utterances, ids), []
    if not any(u.speaker for u in utterances) and not (corpus.has_splits and not regroup):
        warnings.append("no column names the speakers (--speaker): one person may be in two splits")
    by_name = {video.name: video for video in new_videos}
    new_samples = []
    for u, i in zip(utterances, ids, strict=True):
        video = by_name[u.video]
        speaker = "" if video.speaker == u.speaker else u.speaker
        new_samples.append(NewSample(i, video.sha256, u.start_us, u.end_us, u.text, speaker, video.split))
    return ImportPlan(name, ids, new_videos, new_samples, known, retired, warnings)


def _plan_answers(
    session: Session, name: str, ids: Sequence[str], known: Mapping[str, StoredSample]
) -> ImportPlan:
    if not known:
        listed = ", ".join(imports.corpora(session)) or "none yet"
        raise UsageError(f"no corpus called {name!r} was imported", hint=f"known: {listed}")
    present = [i if i in known and not known[i].retired else "" for i in ids]
    unknown = present.count("")
    if unknown == len(present):
        raise CorpusError(
            f"no id of the table is one of {name!r}",
            hint="check that both spell the ids in the same way; --id names the column",
        )
    warnings = (
        [f"answers about {counted(unknown, 'sample')} that {name!r} does not have were left out"]
        if unknown
        else []
    )
    return ImportPlan(name, present, [], [], known, [], warnings)


def _require_one_split(utterances: Sequence[Utterance], word: str, names: Iterable[str]) -> None:
    first: dict[str, Utterance] = {}
    for utterance, name in zip(utterances, names, strict=True):
        if not name or utterance.split is None:
            continue
        before = first.setdefault(name, utterance)
        if before.split is not None and before.split is not utterance.split:
            free = ', or take "speaker" out of splits.together' if word == "speaker" else ""
            raise CorpusError(
                f"the {word} {name!r} is in two splits: {before.key!r} in {before.split.value}, "
                f"{utterance.key!r} in {utterance.split.value}",
                hint=f"scores on such splits mean nothing: say --regroup for new ones{free}",
            )


def _require_homes(utterances: Sequence[Utterance], homes: Mapping[str, Split]) -> None:
    for utterance in utterances:
        split, home = utterance.split, homes.get(utterance.speaker)
        if split is not None and home is not None and home is not split:
            raise CorpusError(
                f"the speaker {utterance.speaker!r} is in {split.value} here, "
                f"in {home.value} in this project",
                hint="say --regroup to follow the project, or import into a project of its own",
            )


def _require_unmoved(
    utterances: Sequence[Utterance], ids: Sequence[str], known: Mapping[str, StoredSample]
) -> None:
    moved = [
        (utterance, before)
        for utterance, i in zip(utterances, ids, strict=True)
        if i in known and utterance.split and (before := known[i].split) and before is not utterance.split
    ]
    if moved:
        utterance, before = moved[0]
        raise CorpusError(
            f"{counted(len(moved), 'sample')} {either(len(moved), 'is', 'are')} in another split than "
            f"before, such as {utterance.key!r}, which was in "
            f"{before.value}; splits never move",
            hint="say --regroup to keep those that they have, or import into a project of its own",
        )


def _videos(corpus: str, utterances: Sequence[Utterance], ids: Sequence[str]) -> list[NewVideo]:
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, utterance in enumerate(utterances):
        members[utterance.video].append(index)
    new_videos = []
    for name, indices in members.items():
        sha256 = video_sha256(corpus, name)
        speakers = {utterances[i].speaker for i in indices}
        speaker = next(iter(speakers)) if len(speakers) == 1 else ""
        split = next((s for i in indices if (s := utterances[i].split) is not None), None)
        keys = {ids[i]: utterances[i].key for i in indices}
        new_videos.append(NewVideo(sha256, name, speaker or sha256, split, keys))
    return new_videos


def store_samples(session: Session, settings: Settings, plan: ImportPlan) -> list[str]:
    """Store the videos and samples of a plan, and give splits to those without; returns warnings."""
    warnings: list[str] = []
    before = {stored.video: stored.speaker for stored in plan.known.values()}
    imports.put_videos(session, plan.corpus, plan.videos)
    speakers = {
        v.sha256: v.speaker
        for v in plan.videos
        if v.speaker != v.sha256 and before.get(v.sha256, v.speaker) != v.speaker
    }
    tied = "speaker" in settings.splits.together
    if refused := groups.rename_speakers(session, speakers, tied=tied):
        warnings.append(
            f"{counted(len(refused), 'video')} {either(len(refused), 'keeps its', 'keep their')} old "
            f"speaker, because splits of a corpus never change: {some(refused)}"
        )
    imports.put_samples(session, plan.samples, plan.known)
    imports.retire(session, plan.retired)
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
        division = divide(groups.video_ties(session), duplicates.same_sound(session), counts, settings)
        _, kept_back = groups.give_splits(session, division.splits, division.groups.held)
        warnings += division.warnings(kept_back)
    empty = [split.value for split, n in videos.samples_per_split(session).items() if not n]
    if empty:
        warnings.append(
            f"no sample is in {' or '.join(empty)}, so it has no scores: name a --split, or, where "
            "speakers form too few groups, set splits.together = [] in annotate.toml first"
        )
    if plan.retired:
        warnings.append(
            f"{counted(len(plan.retired), 'sample')} that the corpus no longer has "
            f"{either(len(plan.retired), 'is', 'are')} retired"
        )
    return warnings
