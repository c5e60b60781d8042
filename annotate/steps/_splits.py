"""Which split each group (speaker, or video without a known speaker) belongs to."""

import hashlib
from collections.abc import Mapping

from annotate.types import Split


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
