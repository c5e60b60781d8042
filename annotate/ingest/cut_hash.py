"""Hashes of everything that decides how videos are cut, so that a changed setting is noticed."""

import hashlib
import json
from typing import Any

from annotate.types import CutPlan

CUT_VERSION = 3
"""Raised whenever the same video would be cut into other samples or other files: then all are cut again."""

NEW_IN_VERSION_3 = ("read_subtitles", "transcripts")
"""Settings that version 2 did not have; it cut as version 3 does with their default values."""


def cut_hash(plan: CutPlan) -> str:
    """Hash of all settings that decide how videos are cut; transcripts are hashed separately."""
    return _digest([CUT_VERSION, plan.decides()])


def earlier_cut_hashes(plan: CutPlan) -> frozenset[str]:
    """The hashes that earlier versions of this program gave to the same settings."""
    decides = plan.decides()
    if any(decides.get(name) for name in NEW_IN_VERSION_3):
        return frozenset()
    return frozenset(
        {_digest([2, {name: decides[name] for name in decides if name not in NEW_IN_VERSION_3}])}
    )


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
