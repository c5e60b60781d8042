"""The stored features of a project, and the model of a round that predicts from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from annotate.batch.predictions import (
    FeatureEmbedder,
    FeatureIndex,
    FeatureReader,
    ModelPredictor,
    Predictor,
)
from annotate.corpus.features import feature_names, open_extractor, outdated
from annotate.corpus.groups import group
from annotate.feature_store import FeatureStore
from annotate.project import Project
from annotate.types import UNIMODAL
from db import features
from db.clips import Clips
from db.duplicates import same_sound
from db.engine import Session
from db.groups import video_ties
from db.rounds import get_round


@dataclass(frozen=True, slots=True)
class PredictorSource:
    """Finds features and opens predictors; all database queries run in the session of the caller."""

    project: Project
    round_id: int | None
    """The round whose model predicts; None embeds the features alone."""
    device: str | None = None
    """None: that of the settings."""

    def locate(self, session: Session, sample_ids: Sequence[str]) -> FeatureIndex:
        """The locations of the features of these samples."""
        ids = sorted(set(sample_ids))
        index = FeatureIndex(FeatureStore(self.project.features), ids)
        for modality, name in feature_names(self.project).items():
            index.add(modality, features.locations(session, name, ids))
        return index

    def outdated(self) -> str:
        """A clause about stored features of other extractors; empty if there are none."""
        return outdated(self.project)

    def open(self, session: Session, index: FeatureIndex, clips: Clips) -> Predictor:
        """The predictor of the samples in `index`; it does not use the session afterwards.

        Raises `ModelError` when the round or its checkpoint is missing, damaged, or of other features.
        """
        if self.round_id is None:
            return feature_embedder(self.project, index.read)
        from annotate.learning.batches import Origin
        from annotate.learning.device import choose_device
        from annotate.rounds.find import open_checkpoint

        device = choose_device(self.device or self.project.settings.train.device)
        checkpoint = open_checkpoint(self.project, self.round_id, get_round(session, self.round_id))
        groups = group(video_ties(session), same_sound(session), self.project.settings.splits.together).of

        def origins(sample_ids: Sequence[str]) -> list[Origin]:
            rows = [clips.row[i] for i in sample_ids]
            videos = [clips.videos[row] for row in rows]
            starts = [int(clips.start_us[row]) for row in rows]
            return [
                Origin(video, start, groups.get(video, video))
                for video, start in zip(videos, starts, strict=True)
            ]

        return ModelPredictor(checkpoint, index.read, origins, device)


def feature_embedder(project: Project, read: FeatureReader) -> FeatureEmbedder:
    """Embeds samples by their features, which `read` reads."""
    extractors = {modality: open_extractor(project, modality) for modality in UNIMODAL}
    return FeatureEmbedder(read, frozenset(m for m, extractor in extractors.items() if extractor.tokens))
