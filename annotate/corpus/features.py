"""Reads the stored features of samples for training and batch selection."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from annotate.errors import ConfigError, FeatureError
from annotate.feature_store import FeatureStore
from annotate.features.imported import IMPORTED, Imported
from annotate.project import Project
from annotate.protocols import FeatureExtractor
from annotate.registry import EXTRACTORS
from annotate.types import UNIMODAL, Modality
from annotate.wording import counted, either
from db import features
from db.engine import reading


def open_extractor(project: Project, modality: Modality) -> FeatureExtractor:
    """The extractor that the settings name for one of T, A, V, or the placeholder for imported features.

    Raises `UnknownName`, or `ConfigError` for an extractor of another modality.
    """
    settings = project.settings.features
    name = settings.extractor(modality)
    if name == IMPORTED:
        return Imported(modality)
    extractor = EXTRACTORS.get(name)(model=settings.model(modality))
    if extractor.modality is not modality:
        raise ConfigError(
            f"features.{modality.word} names {name!r}, which reads {extractor.modality.word}",
            hint="`annotate list` shows which extractor reads what",
        )
    return extractor


def full_name(name: str, extractor: FeatureExtractor) -> str:
    """``name@hash``; the hash differs for every version that gives other features."""
    return f"{name}@{hashlib.sha256(f'{name}:{extractor.version}'.encode()).hexdigest()[:8]}"


def feature_names(project: Project) -> Mapping[Modality, str]:
    """``extractor@hash`` of the present settings, by unimodal modality."""
    return {
        m: full_name(project.settings.features.extractor(m), open_extractor(project, m)) for m in UNIMODAL
    }


def outdated(project: Project) -> str:
    """A clause about stored features of other versions or models of the present extractors.

    Empty if there are none. Such features stay on disk but do not count.
    """
    wanted = set(feature_names(project).values())
    bases = {name.partition("@")[0] for name in wanted}
    with reading(project.engine) as session:
        stored = features.extractors(session)
    old = [name for name in stored if name not in wanted and name.partition("@")[0] in bases]
    if not old:
        return ""
    return f"; {', '.join(old)} was made by another version or model of the extractor and does not count"


def featured(project: Project, sample_ids: Sequence[str]) -> set[str]:
    """The samples that have features of all three modalities."""
    ids = set(sample_ids)
    with reading(project.engine) as session:
        for name in feature_names(project).values():
            ids &= features.with_features(session, name, sample_ids)
    return ids


def read_features(
    project: Project, modality: Modality, sample_ids: Sequence[str]
) -> list[NDArray[np.float32]]:
    """(frames, dim) of each sample, in the order of `sample_ids`.

    Raises `FeatureError` when some are missing or their shard is damaged.
    """
    name = full_name(project.settings.features.extractor(modality), open_extractor(project, modality))
    with reading(project.engine) as session:
        locations = features.locations(session, name, sample_ids)
    missing = len(set(sample_ids) - locations.keys())
    if missing:
        raise FeatureError(
            f"{missing} of {counted(len(set(sample_ids)), 'sample')} {either(missing, 'has', 'have')} "
            f"no {modality.word} features of {name}" + outdated(project),
            hint="annotate extract",
        )
    store, arrays = FeatureStore(project.features), dict[str, NDArray[np.float32]]()
    for path in sorted({locations[i].path for i in sample_ids}):
        here = [i for i in dict.fromkeys(sample_ids) if locations[i].path == path]
        arrays |= zip(here, store.read(path, [locations[i].position for i in here]), strict=True)
    return [arrays[i] for i in sample_ids]
