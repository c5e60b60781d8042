"""Which split each group of videos belongs to: drawn anew until somebody is asked, then kept."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from annotate.config.settings import Settings
from annotate.corpus.groups import Groups, group
from annotate.types import Split
from annotate.wording import counted, either
from db.groups import VideoTies


@dataclass(frozen=True, slots=True)
class Division:
    """The splits that new videos get."""

    splits: dict[str, Split]
    """By sha256, of every video whose group has or gets a split."""
    groups: Groups
    shares: Mapping[Split, float]
    samples: Mapping[str, int]
    """By sha256: how many samples take part."""

    @property
    def deviation(self) -> float:
        """See `deviation`."""
        held = dict.fromkeys(Split, 0)
        for sha256, split in self.splits.items():
            held[split] += self.samples[sha256]
        return deviation(held, self.shares)

    def warnings(self, kept_back: int) -> list[str]:
        """What people should know of it; `kept_back` samples get no split."""
        return [*_torn(self.groups, kept_back), *_too_large(self.groups, self.shares)]


def divide(
    ties: Iterable[VideoTies],
    repeats: Iterable[tuple[str, str]],
    counts: Mapping[Split, int],
    settings: Settings,
) -> Division:
    """Which split each video belongs to; `repeats` are pairs of the same sound, `counts` as for `assign`."""
    ties = list(ties)
    found = group(ties, repeats, settings.splits.together)
    shares = {split: settings.splits.share(split) for split in Split}
    chosen = assign(
        {name: new for name, new in found.new.items() if new or name in found.fixed},
        fixed=found.fixed,
        counts=counts,
        shares=shares,
        seed=settings.project.seed,
    )
    splits = {
        sha256: chosen[name]
        for sha256, name in found.of.items()
        if name in chosen and not found.is_held(sha256)
    }
    return Division(splits, found, shares, {one.sha256: one.samples for one in ties})


def free_videos(
    ties: Iterable[VideoTies],
    repeats: Iterable[tuple[str, str]],
    fixed: Collection[str],
    together: Collection[str],
) -> set[str]:
    """The videos that nothing ties to one of `fixed` (sha256), so that their splits may move."""
    group_of = group((one.released() for one in ties), repeats, together).of
    held = {group_of[sha256] for sha256 in fixed if sha256 in group_of}
    return {sha256 for sha256, name in group_of.items() if name not in held}


def redraw(
    ties: Sequence[VideoTies], repeats: Iterable[tuple[str, str]], free: Collection[str], settings: Settings
) -> Division:
    """What `divide` gives when the `free` videos have no split yet, and all others keep theirs."""
    counts = dict.fromkeys(Split, 0)
    for one in ties:
        if one.split is not None and one.sha256 not in free:
            counts[one.split] += one.samples - one.unsettled
    released = [one.released() if one.sha256 in free else one for one in ties]
    return divide(released, repeats, counts, settings)


FURTHEST = 1 / 3
"""A split is off when its share of the samples differs from its target by more than this part of it."""


def deviation(counts: Mapping[Split, int], shares: Mapping[Split, float]) -> float:
    """How far the split that is furthest off is from its target share, as a part of that target."""
    total = sum(counts.values())
    if not total:
        return 0.0
    return max(deviation_of(counts.get(split, 0) / total, share) for split, share in shares.items())


def deviation_of(share: float, target: float) -> float:
    """How far a share is from its target, as a part of that target."""
    return abs(share - target) / target


def is_off(deviation: float) -> bool:
    """Whether that is too far."""
    return deviation > FURTHEST + 1e-9


def _too_large(found: Groups, shares: Mapping[Split, float]) -> list[str]:
    """A warning when one group of several videos leaves the other splits short."""
    total = sum(found.all.values())
    name, most = max(found.all.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    count = sum(of == name for of in found.of.values())
    if count < 2 or most <= max(shares.values()) * total:
        return []
    return [
        f"{counted(count, 'video')} hang together by their speakers, episodes or repeats and hold "
        f"{100 * most / total:.0f} % of the samples, so the shares of the splits cannot be kept. Where a "
        'cast appears everywhere, say splits.together = ["episode"] in annotate.toml before raters '
        "are asked: then one person may be in several splits, and scores say less about strangers"
    ]


def _torn(found: Groups, kept_back: int) -> list[str]:
    warnings = []
    if kept_back:
        names = sorted({name or sha256[:12] for sha256, held in found.held.items() for name in held})
        warnings.append(
            f"{counted(kept_back, 'sample')} {either(kept_back, 'gets', 'get')} no split, and "
            f"{either(kept_back, 'is', 'are')} not asked, because {either(kept_back, 'it ties', 'they tie')} "
            f"groups that are in different splits, and these stay as they are: {some(names)}"
        )
    if count := len(found.clashes):
        warnings.append(
            f"{counted(count, 'speaker, episode or video', 'speakers, episodes and videos')} "
            f"{either(count, 'is', 'are')} in two splits already, and "
            f"{either(count, 'stays', 'stay')} there: {some(list(found.clashes))}"
        )
    return warnings


def some(names: list[str]) -> str:
    """The first of `names`, for a warning."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def assign(
    groups: Mapping[str, int],
    *,
    fixed: Mapping[str, Split],
    counts: Mapping[Split, int],
    shares: Mapping[Split, float],
    seed: int,
) -> dict[str, Split]:
    """The split of every group of `groups` (name -> samples).

    A group in `fixed` keeps its split. `counts` are the samples that each split holds already, `shares`
    what it should hold of all. New groups come in the order of a hash of their name, so neither arrival
    nor size decides; each goes where most samples are missing. With three groups or more, old and new,
    no split stays empty.
    """
    chosen = {name: fixed[name] for name in groups if name in fixed}
    held = {split: counts.get(split, 0) for split in Split}
    for name, split in chosen.items():
        held[split] += groups[name]
    total = sum(counts.values()) + sum(groups.values())
    new = sorted(groups.keys() - chosen.keys(), key=lambda name: _order(name, seed))
    used = set(fixed.values())
    for position, name in enumerate(new):
        empty = [split for split in Split if split not in used]
        spread = len(fixed) + len(new) >= len(Split) and len(new) - position <= len(empty)
        candidates = empty if spread else list(Split)
        split = max(candidates, key=lambda s: shares[s] * total - held[s])
        chosen[name] = split
        held[split] += groups[name]
        used.add(split)
    return chosen


def _order(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).hexdigest()
