"""How a network is put together and how it learns: the settings of `[train]`, without the device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from annotate.types import Kind, Modality

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What to train; `annotate.config.sections.TrainSettings` explains each field."""

    hidden: int = 64
    members: int = 5
    epochs: int = 200
    patience: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    dropout: float = 0.3
    encoder: str = "mean-pool"
    text_encoder: str = ""
    audio_encoder: str = ""
    vision_encoder: str = ""
    fusion: str = "concat"
    sharing: str = "hard"
    weighting: str = "fixed"
    ensemble: str = "deep"
    regression_head: str = "mean"
    classification_head: str = "softmax"
    multilabel_head: str = "sigmoid"
    sampling: str = "joint"
    stopping: str = "joint"
    balance: tuple[str, ...] = ()
    unimodal_labels: bool = True
    precision: str = "auto"
    compile: bool = False
    options: Options = field(default_factory=dict)

    def encoder_of(self, modality: Modality) -> str:
        """The name of the encoder of one of T, A, V."""
        return str(getattr(self, f"{modality.word}_encoder")) or self.encoder

    def head_of(self, kind: Kind) -> str:
        """The name of the head for tasks of `kind`."""
        return str(getattr(self, f"{kind.value}_head"))

    def options_for(self, name: str) -> Mapping[str, Any]:
        """The options in `[train.options.NAME]`."""
        return self.options.get(name, {})
