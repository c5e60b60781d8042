"""Assigns groups of videos to splits; drawn anew until the first question, then kept."""

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
    """The splits of videos, including new ones."""

    splits: dict[str, Split]
    """Split of every video whose group has or gets one, by sha256."""
    groups: Groups
    shares: Mapping[Split, float]
    samples: Mapping[str, int]
    """Active samples of each video, by sha256."""

    @property
    def deviation(self) -> float:
        """See `deviation`."""
        held = dict.fromkeys(Split, 0)
        for sha256, split in self.splits.items():
            held[split] += self.samples[sha256]
        return deviation(held, self.shares)

    def warnings(self, kept_back: int) -> list[str]:
        """Warnings for people; `kept_back` samples get no split."""
        warnings = []
        if kept_back:
            held_names = self.groups.held.items()
            names = sorted({name or sha256[:12] for sha256, held in held_names for name in held})
            warnings.append(
                f"{counted(kept_back, 'sample')} {either(kept_back, 'gets', 'get')} no split, and "
                f"{either(kept_back, 'is', 'are')} not asked, because "
                f"{either(kept_back, 'it ties', 'they tie')} groups that are in different splits, "
                f"and these stay as they are: {some(names)}"
            )
        if count := len(self.groups.clashes):
            warnings.append(
                f"{counted(count, 'speaker, episode or video', 'speakers, episodes and videos')} "
                f"{either(count, 'is', 'are')} in two splits already, and "
                f"{either(count, 'stays', 'stay')} there: {some(list(self.groups.clashes))}"
            )
        sizes = self.groups.all
        name, most = max(sizes.items(), key=lambda item: (item[1], item[0]), default=("", 0))
        count = sum(of == name for of in self.groups.of.values())
        if count > 1 and most > max(self.shares.values()) * sum(sizes.values()):
            warnings.append(
                f"{counted(count, 'video')} share speakers, episodes or duplicates, so they stay in one "
                f"split; they hold {100 * most / sum(sizes.values()):.0f} % of the samples, so the splits "
                "cannot have their target shares. If the same people appear everywhere, set splits.together "
                '= ["episode"] in annotate.toml before raters are asked: then one person may be in several '
                "splits, and scores say less about unknown speakers"
            )
        return warnings


def divide(
    ties: Iterable[VideoTies],
    duplicates: Iterable[tuple[str, str]],
    counts: Mapping[Split, int],
    settings: Settings,
) -> Division:
    """Assign each video to a split; `duplicates` are pairs with the same sound, `counts` as for `assign`."""
    ties = list(ties)
    groups = group(ties, duplicates, settings.splits.together)
    shares = {split: settings.splits.share(split) for split in Split}
    chosen = assign(
        {name: new for name, new in groups.new.items() if new or name in groups.fixed},
        fixed=groups.fixed,
        counts=counts,
        shares=shares,
        seed=settings.project.seed,
    )
    splits = {
        sha256: chosen[name]
        for sha256, name in groups.of.items()
        if name in chosen and not groups.is_held(sha256)
    }
    return Division(splits, groups, shares, {one.sha256: one.samples for one in ties})


def free_videos(
    ties: Iterable[VideoTies],
    duplicates: Iterable[tuple[str, str]],
    fixed: Collection[str],
    together: Collection[str],
) -> set[str]:
    """The videos that nothing ties to one of `fixed` (sha256), so that their splits may change."""
    group_of = group((one.released() for one in ties), duplicates, together).of
    held = {group_of[sha256] for sha256 in fixed if sha256 in group_of}
    return {sha256 for sha256, name in group_of.items() if name not in held}


def redraw(
    ties: Sequence[VideoTies],
    duplicates: Iterable[tuple[str, str]],
    free: Collection[str],
    settings: Settings,
) -> Division:
    """`divide` as if the `free` videos had no split yet; all others keep theirs."""
    counts = dict.fromkeys(Split, 0)
    for one in ties:
        if one.split is not None and one.sha256 not in free:
            counts[one.split] += one.samples - one.unsettled
    released = [one.released() if one.sha256 in free else one for one in ties]
    return divide(released, duplicates, counts, settings)


FURTHEST = 1 / 3
"""Largest accepted relative deviation of a split's share of the samples from its target."""


def deviation(counts: Mapping[Split, int], shares: Mapping[Split, float]) -> float:
    """The largest relative deviation of a split from its target share."""
    total = sum(counts.values())
    if not total:
        return 0.0
    return max(deviation_of(counts.get(split, 0) / total, share) for split, share in shares.items())


def deviation_of(share: float, target: float) -> float:
    """The relative deviation of a share from its target."""
    return abs(share - target) / target


def is_off(deviation: float) -> bool:
    """Whether a deviation is too large."""
    return deviation > FURTHEST + 1e-9


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
    """The split of each of `groups` (samples by name).

    A group in `fixed` keeps its split. `counts` are the samples that each split has already, `shares` the
    target shares. New groups are assigned in the order of a hash of their name, so that neither arrival nor
    size matters; each goes to the split that lacks most samples. With three groups or more, no split stays
    empty.
    """
    chosen = {name: fixed[name] for name in groups if name in fixed}
    held = {split: counts.get(split, 0) for split in Split}
    for name, split in chosen.items():
        held[split] += groups[name]
    total = sum(counts.values()) + sum(groups.values())

    def order(name: str) -> str:
        return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).hexdigest()

    new = sorted(groups.keys() - chosen.keys(), key=order)
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
