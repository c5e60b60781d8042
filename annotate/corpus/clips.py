"""Fetches the clips that a command needs, when they are stored behind a URL."""

from collections.abc import Collection, Iterable

from annotate.errors import StorageError
from annotate.progress import SILENT, Progress
from annotate.project import Project
from annotate.storage.clips import PASSES, ExpectedFile
from annotate.types import Modality
from db import outbox, samples
from db.engine import reading


def fetch_samples(
    project: Project,
    sample_ids: Collection[str],
    modalities: Collection[Modality],
    progress: Progress = SILENT,
) -> dict[str, str]:
    """Fetch the files of samples and modalities into the media folder.

    Returns by sample id why a file is not available. Raises `StorageError` when the store does not answer.
    """
    pairs = ((sample, modality) for sample in sample_ids for modality in modalities)
    return project.clips.fetch(_expected(project, pairs), progress) if project.clips.url else {}


def require_clips(project: Project, sample_ids: Collection[str], progress: Progress = SILENT) -> None:
    """Fetch the clip of each sample. Raises `StorageError`, which names one that is not available."""
    lost = fetch_samples(project, sample_ids, [Modality.MULTIMODAL], progress)
    if lost:
        first = lost[min(lost)]
        more = f", and {len(lost) - 1} more are lost" if len(lost) > 1 else ""
        raise StorageError(
            first + more, hint="delete what is damaged, then `annotate ingest` the videos again"
        )


def fetch_questions(project: Project, progress: Progress = SILENT) -> None:
    """Fetch the files that raters see: those of all questions that wait, or are open in Label Studio."""
    if not project.clips.url:
        return
    with reading(project.engine) as session:
        shown = outbox.shown(session)
    pairs = [(s, m) for s, m in shown if m in PASSES and not project.sample_media(s).of(m).exists()]
    project.clips.fetch(_expected(project, pairs), progress)


def send_again(project: Project, sample_ids: Collection[str]) -> set[str]:
    """Send clips that the store lost from the media folder; returns the samples that are whole again."""
    if not project.clips.url or not sample_ids:
        return set()
    return project.clips.restore(_expected(project, ((s, m) for s in sample_ids for m in PASSES)))


def _expected(project: Project, pairs: Iterable[tuple[str, Modality]]) -> list[ExpectedFile]:
    """The files of (sample id, pass) pairs with the hashes that they should have."""
    pairs = list(pairs)
    with reading(project.engine) as session:
        hashes = samples.media_hashes(session, sorted({sample for sample, _ in pairs}))
    return [ExpectedFile(s, m, hashes[s][m.value]) for s, m in pairs if m.value in hashes.get(s, {})]
