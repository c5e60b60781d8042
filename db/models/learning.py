"""Features, trained models, and their predictions."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, now


class FeatureShard(Base):
    """One immutable safetensors file of features."""

    __tablename__ = "feature_shard"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    """Relative to the features folder."""
    modality: Mapped[str]
    extractor: Mapped[str]
    """``name@hash``."""
    samples: Mapped[int]


class Feature(Base):
    """Where the features of one sample and extractor are stored."""

    __tablename__ = "feature"

    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    extractor: Mapped[str] = mapped_column(primary_key=True)
    """``name@hash``; the modality follows from it."""
    shard_sha256: Mapped[str] = mapped_column(ForeignKey("feature_shard.sha256"), index=True)
    position: Mapped[int]
    """Row of the shard's index."""
    input_hash: Mapped[str]
    """Hash of the transcript or media that the features were made from; when it differs, extract again."""


class Round(Base):
    """One trained model with its settings, the hash of its training data, and its metrics."""

    __tablename__ = "round"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    seed: Mapped[int]
    labels_hash: Mapped[str]
    """Hash of labels, features and settings; with an equal hash no training is needed."""
    settings: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    """By split, by task id, by metric."""
    model: Mapped[str]
    """Folder relative to the models folder."""
    seconds: Mapped[float]


class Prediction(Base):
    """The model's prediction for a task when the sample was chosen; never shown to raters."""

    __tablename__ = "prediction"

    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    sample_id: Mapped[str] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    """``{"mean": ..., "probs": {alias: p}, "epistemic": ..., "aleatoric": ...}``"""
