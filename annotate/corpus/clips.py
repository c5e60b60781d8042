"""Sees to it that the clips a step is about to use are at hand, when they are kept behind a URL."""

from collections.abc import Collection, Iterable

from annotate.errors import StorageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.storage.clips import PASSES, Wanted
from annotate.types import Modality
from db import outbox, samples
from db.engine import reading


def fetch_samples(
    project: Project,
    sample_ids: Collection[str],
    modalities: Collection[Modality],
    progress: Progress = SILENT,
) -> dict[str, str]:
    """Have those files of those samples in the media folder. By sample id: why one cannot be had."""
    pairs = ((sample, modality) for sample in sample_ids for modality in modalities)
    return project.clips.fetch(_wanted(project, pairs), progress) if project.clips.url else {}


def require_clips(project: Project, sample_ids: Collection[str], progress: Progress = SILENT) -> None:
    """Have the clip of each of those samples. Raises `StorageError` naming one that cannot be had."""
    lost = fetch_samples(project, sample_ids, [Modality.MULTIMODAL], progress)
    if lost:
        first = lost[min(lost)]
        more = f", and {len(lost) - 1} more are lost" if len(lost) > 1 else ""
        raise StorageError(
            first + more, hint="delete what is damaged, then `annotate ingest` the videos again"
        )


def fetch_questions(project: Project, progress: Progress = SILENT) -> None:
    """Have what people are shown: the files of all questions that wait, or are open in Label Studio."""
    if not project.clips.url:
        return
    with reading(project.engine) as session:
        shown = outbox.shown(session)
    pairs = [(s, m) for s, m in shown if m in PASSES and not project.sample_media(s).of(m).exists()]
    project.clips.fetch(_wanted(project, pairs), progress)


def send_again(project: Project, sample_ids: Collection[str]) -> set[str]:
    """Send to the store what it lost and the media folder still holds; returns the samples it has again."""
    if not project.clips.url or not sample_ids:
        return set()
    return project.clips.mend(_wanted(project, ((s, m) for s in sample_ids for m in PASSES)))


def _wanted(project: Project, pairs: Iterable[tuple[str, Modality]]) -> list[Wanted]:
    """Samples and passes with the hashes that their files should have."""
    pairs = list(pairs)
    with reading(project.engine) as session:
        hashes = samples.media_hashes(session, sorted({sample for sample, _ in pairs}))
    return [Wanted(s, m, hashes[s][m.value]) for s, m in pairs if m.value in hashes.get(s, {})]
