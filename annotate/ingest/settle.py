"""Decides again what depends on all samples of a project: verdicts, speakers, splits and duplicates."""

from collections.abc import Mapping
from dataclasses import dataclass

from annotate.corpus.rules import Rules, rejudge, settle_duplicates
from annotate.corpus.settle_splits import settle_splits
from annotate.corpus.splits import some
from annotate.project import Project
from annotate.types import VideoMetadata, VideoStatus
from annotate.wording import counted, either
from db import groups, removal, videos
from db.engine import Session


@dataclass(frozen=True, slots=True)
class SettleReport:
    """What settling changed."""

    moved: int
    """Samples that are in another split than before."""
    warnings: list[str]


def settle(
    project: Project,
    session: Session,
    metadata: Mapping[str, VideoMetadata] | None = None,
    *,
    cut: Mapping[VideoStatus, int] | None = None,
    changed: bool = False,
) -> SettleReport:
    """Judge samples again, store `metadata` (by sha256), give splits, and judge duplicates.

    The result depends on what the project holds, not on the order in which it arrived. `cut` counts the
    videos that were just cut, by status. `changed` means that samples were added, removed or edited without
    being cut, so that duplicates have to be judged again.

    Raises `UnknownName` or `ConfigError` for a rule that cannot be used.
    """
    settings, rules = project.settings, Rules(project.settings)
    removal.keep_removed(session)
    warnings = rejudge(session, rules)
    fixed = groups.fixed_videos(session)
    # While every split can still be drawn again, no name conflicts with one.
    refused = groups.put_metadata(session, metadata or {}, settings.splits.together if fixed else ())
    because = "because the new one is in another split, and raters were asked already"
    for names, word in ((refused.speakers, "speaker"), (refused.episodes, "episode")):
        if names:
            keep = f"{counted(len(names), 'video')} {either(len(names), 'keeps its', 'keep their')}"
            warnings.append(f"{keep} old {word}, {because}: {some(names)}")
    if count := refused.samples:
        keep = f"{counted(count, 'sample')} {either(count, 'keeps its', 'keep their')}"
        warnings.append(f"{keep} old speaker, {because}")
    settled = settle_splits(session, settings, fixed)
    warnings += settled.warnings
    settle_duplicates(session, rules, moved=settled.changed or changed)
    if cut or settled.given:
        counts = {status.value: count for status, count in sorted((cut or {}).items())}
        detail = {"videos": counts, "settled": settled.given, "moved": settled.moved}
        videos.add_event(session, "ingest", detail)
    return SettleReport(settled.moved, warnings)
