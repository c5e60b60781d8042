"""Whether the plug-ins that `annotate.toml` names outside of `[train]` exist, and have what they need."""

from collections.abc import Callable
from functools import partial
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
    """The problem with each wrong key, and its remedy. Downloads nothing."""
    settings = project.settings
    ingest, batch = settings.ingest, settings.batch
    checks: list[tuple[str, Callable[[], object]]] = [
        ("ingest.segmenter", lambda: SEGMENTERS.get(ingest.segmenter)),
        ("ingest.segmenter_with_transcript", lambda: SEGMENTERS.get(ingest.segmenter_with_transcript)),
        ("ingest.executor", lambda: EXECUTORS.get(ingest.executor)(address=ingest.address)),
        ("transcribe.engine", lambda: _transcriber(settings.transcribe)),
        *((f"features.{m.word}", partial(_extractor, project, m)) for m in UNIMODAL),
        ("batch.strategy", lambda: make_strategy(batch.strategy, batch.options)),
        ("batch.cold_start", lambda: require_usable(project, batch.cold_start)),
    ]
    problems = []
    for key, check in checks:
        try:
            check()
        except AnnotateError as error:
            message = str(error)
            problems.append((message if key in message else f"{key}: {message}", error.hint))
    return problems


def _transcriber(settings: TranscribeSettings) -> None:
    engine = TRANSCRIBERS.get(settings.engine)
    if _is_folder(settings.model):
        engine(model=settings.model, language=settings.language, device=settings.device)


def _extractor(project: Project, modality: Modality) -> None:
    settings = project.settings.features
    if settings.extractor(modality) != IMPORTED:
        EXTRACTORS.get(settings.extractor(modality))
    if not settings.model(modality) or _is_folder(settings.model(modality)):
        open_extractor(project, modality)


def _is_folder(model: str) -> bool:
    """Whether `model` is a local folder; any other name would be downloaded."""
    return bool(model) and Path(model).expanduser().is_dir()
