"""Assigns splits at the end of an ingest, and draws those anew that nobody depends on yet."""

from dataclasses import dataclass, field

from annotate.config.settings import Settings
from annotate.corpus.splits import deviation, divide, free_videos, is_off, redraw
from annotate.types import Split
from annotate.wording import counted, either
from db import duplicates, groups, videos
from db.engine import Session


@dataclass(frozen=True, slots=True)
class Settled:
    """Which splits were assigned and changed."""

    given: int = 0
    """Videos that got a split, or another one."""
    changed: bool = False
    """Whether a sample got a split, or another one."""
    moved: int = 0
    """Active samples that were in another split before."""
    warnings: list[str] = field(default_factory=list)


def settle_splits(session: Session, settings: Settings, fixed: set[str]) -> Settled:
    """Assign a split to every group of videos without one, and possibly another one to other groups.

    `fixed` are the videos of `groups.fixed_videos`. While there are none, all splits are drawn anew, so that
    they depend on the content of the project and not on the order in which it came. Later, only groups
    without a fixed video may move, and only if a split deviates by more than a third from its target share
    (`is_off`) and drawing anew reduces the deviation."""
    shares = {split: settings.splits.share(split) for split in Split}
    counts = videos.samples_per_split(session)
    unsettled = groups.something_to_settle(session)
    if fixed and not unsettled and not is_off(deviation(counts, shares)):
        return Settled()
    ties, pairs = list(groups.video_ties(session)), list(duplicates.same_sound(session))
    division = divide(ties, pairs, counts, settings) if fixed else None
    warnings, moving, moved = [], list[str](), 0
    if division is None or is_off(division.deviation):
        free = free_videos(ties, pairs, fixed, settings.splits.together)
        drawn = redraw(ties, pairs, free, settings)
        if division is None or drawn.deviation < division.deviation - 1e-9:
            division = drawn
            before = {one.sha256: one for one in ties if one.split is not None and one.sha256 in free}
            moving = [sha256 for sha256, one in before.items() if drawn.splits.get(sha256) != one.split]
            moved = sum(before[sha256].samples - before[sha256].unsettled for sha256 in moving)
            groups.release_splits(session, moving)
    if moved and fixed:
        held = dict.fromkeys(Split, 0)
        for sha256, split in division.splits.items():
            held[split] += division.samples[sha256]
        now = ", ".join(f"{split.value} {n}" for split, n in held.items())
        warnings.append(
            f"{counted(moved, 'sample')} of {counted(len(moving), 'video')} that nobody was asked about "
            f"{either(moved, 'is', 'are')} in another split now, because a share was off by more than a "
            f"third of its target ({now})"
        )
    given, kept_back = groups.give_splits(session, division.splits, division.groups.held)
    changed = unsettled or bool(moving)
    return Settled(given, changed, moved, [*warnings, *division.warnings(kept_back)])
