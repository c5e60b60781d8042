"""Whether the plug-ins that `annotate.toml` names outside of `[train]` exist, and have what they need."""

from collections.abc import Callable, Iterator
from pathlib import Path

from annotate.batch.opening import make_strategy, require_usable
from annotate.config.sections import TranscribeSettings
from annotate.corpus.features import open_extractor
from annotate.errors import AnnotateError
from annotate.features.imported import IMPORTED
from annotate.project import Project
from annotate.registry import EXECUTORS, EXTRACTORS, SEGMENTERS, TRANSCRIBERS
from annotate.types import UNIMODAL, Modality


def wrong_names(project: Project) -> list[tuple[str, str]]:
    """What is wrong, with its key, and what to do; one for each key. Fetches nothing."""
    found = []
    for key, look in _looks(project):
        try:
            look()
        except AnnotateError as error:
            said = str(error)
            found.append((said if key in said else f"{key}: {said}", error.hint))
    return found


def _looks(project: Project) -> Iterator[tuple[str, Callable[[], object]]]:
    said = project.settings
    for key in ("segmenter", "segmenter_with_transcript"):
        yield f"ingest.{key}", lambda key=key: SEGMENTERS.get(getattr(said.ingest, key))  # type: ignore[misc]
    yield "ingest.executor", lambda: EXECUTORS.get(said.ingest.executor)(address=said.ingest.address)
    yield "transcribe.engine", lambda: _transcriber(said.transcribe)
    for m in UNIMODAL:
        yield f"features.{m.word}", lambda m=m: _extractor(project, m)  # type: ignore[misc]
    yield "batch.strategy", lambda: make_strategy(said.batch.strategy, said.batch.options)
    yield "batch.cold_start", lambda: require_usable(project, said.batch.cold_start)


def _transcriber(said: TranscribeSettings) -> None:
    engine = TRANSCRIBERS.get(said.engine)
    if _here(said.model):
        engine(model=said.model, language=said.language, device=said.device)


def _extractor(project: Project, modality: Modality) -> None:
    settings = project.settings.features
    if settings.extractor(modality) != IMPORTED:
        EXTRACTORS.get(settings.extractor(modality))
    if not settings.model(modality) or _here(settings.model(modality)):
        open_extractor(project, modality)


def _here(model: str) -> bool:
    """Whether it is a folder; another name would be fetched."""
    return bool(model) and Path(model).expanduser().is_dir()
