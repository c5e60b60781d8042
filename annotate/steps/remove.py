"""Remove videos from the project, or restore them: nothing that was cut or answered is deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotate.corpus.lookup import one_video
from annotate.errors import AnnotateError, NothingToDo
from annotate.ingest.settle import settle
from annotate.labelling.take_down import take_down_if_reachable
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.steps._next import next_command
from annotate.types import Split
from annotate.wording import counted
from db import groups, removal, videos, withdrawals
from db.engine import reading, writing
from db.explain import FoundVideo


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """What was removed or restored; in a dry run, what would be."""

    removed: list[str]
    """Paths of the videos."""
    restored: list[str]
    unchanged: list[str]
    """Videos that were removed already, or that were not removed and so cannot be restored."""
    samples: int
    """Samples of the removed or restored videos, including rejected ones."""
    labels: int
    """Labels of these samples: kept, but out of use after a removal."""
    answers: int
    """Answers about these samples, which are kept."""
    withdrawn: int
    """Questions about these samples that nobody has to answer any more."""
    splits: Mapping[Split, int]
    """Samples of the whole project that are in use, per split."""
    warnings: list[str]
    dry_run: bool
    next: str


def remove(
    project: Project,
    names: Sequence[str],
    *,
    undo: bool = False,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> RemoveReport:
    """Take the videos out of the pool, splits and exports until `undo` restores them with all they had.

    A name is a path, a file name or the beginning of a sha256. Open questions are withdrawn, in Label Studio
    too as soon as it can be reached; answers and labels are kept. A removed video stays removed when its
    folder is ingested again. A dry run changes nothing.

    Raises `UnknownName` or `UsageError` for a name that means no video or several, and then nothing is
    changed; `NothingToDo` when no video would change; `ProjectBusy` while another command writes.
    """
    with reading(project.engine) as session:
        by_sha256: dict[str, FoundVideo] = {}
        for name in names:
            video = one_video(session, name)
            if not video.sha256:
                raise AnnotateError(
                    f"{video.path} could not be read and has no samples, so there is nothing to remove or "
                    "restore",
                    hint=f"annotate explain {name}",
                )
            by_sha256[video.sha256] = video
        named = list(by_sha256.values())
        removed_before = removal.removed(session, [video.sha256 for video in named])
        chosen = [video for video in named if (video.sha256 in removed_before) is undo]
        if not chosen:
            listed = ", ".join(video.path for video in named)
            if undo:
                hint = "annotate status counts the videos that are removed"
                raise NothingToDo(f"not removed: {listed}", hint=hint)
            raise NothingToDo(
                f"removed already: {listed}", hint="annotate remove --undo VIDEO restores a video"
            )
        holdings = removal.holding(session, [video.sha256 for video in chosen])
        unanswered = 0 if undo else withdrawals.count_unanswered(session, [video.sha256 for video in chosen])
    warnings: list[str] = []
    if not dry_run:
        sha256s = [video.sha256 for video in chosen]
        with project.writing():
            warnings = _restore(project, sha256s) if undo else _remove(project, sha256s)
            if not undo:
                warnings += take_down_if_reachable(project, progress)
    paths = [video.path for video in chosen]
    with reading(project.engine) as session:
        splits = videos.samples_per_split(session)
    return RemoveReport(
        removed=[] if undo else paths,
        restored=paths if undo else [],
        unchanged=[video.path for video in named if video not in chosen],
        samples=holdings.samples,
        labels=holdings.labels,
        answers=holdings.answers,
        withdrawn=unanswered,
        splits=splits,
        warnings=warnings,
        dry_run=dry_run,
        next="run the same without --dry-run" if dry_run else next_command(project),
    )


def _remove(project: Project, sha256s: Sequence[str]) -> list[str]:
    with writing(project.engine) as session:
        ids = removal.remove(session, sha256s)
        counts = withdrawals.withdraw_of_samples(session, ids, "its video was removed")
        detail = {"videos": sorted(sha256s), "samples": len(ids), "withdrawn": sum(counts.values())}
        videos.add_event(session, "remove", detail)
        return settle(project, session, changed=True).warnings


def _restore(project: Project, sha256s: Sequence[str]) -> list[str]:
    with writing(project.engine) as session:
        homes = groups.homes(session), groups.episode_homes(session)
        ids = removal.restore(session, sha256s)
        moved = groups.leave_lost_homes(session, sha256s, *homes, project.settings.splits.together)
        videos.add_event(session, "restore", {"videos": sorted(sha256s), "samples": len(ids)})
        warnings = settle(project, session, changed=True).warnings
    if moved:
        warnings.insert(
            0,
            f"{counted(len(moved), 'restored video')} shared a speaker or an episode with videos that are in "
            f"another split now, so the old split could not be kept: {', '.join(moved[:5])}",
        )
    return warnings
