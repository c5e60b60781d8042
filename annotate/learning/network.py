"""The multi-task network, made of the plug-ins that a `ModelConfig` names."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from annotate.errors import ConfigError
from annotate.learning._part import Part
from annotate.learning.encoders.base import Encoder
from annotate.learning.fusions.base import Fusion
from annotate.learning.heads.base import Head
from annotate.learning.model_config import ModelConfig
from annotate.learning.sharings.base import NetworkPlan, Sharing
from annotate.learning.tensors import Inputs, Output
from annotate.options import parse_options
from annotate.registry import ENCODERS, FUSIONS, HEADS, SHARINGS
from annotate.types import Modality, Task


class MultiTaskNet(nn.Module):
    """A sharing, which contains the encoders and the fusion, and one head per task on top."""

    def __init__(self, widths: Mapping[Modality, int], tasks: Sequence[Task], config: ModelConfig) -> None:
        """`widths`: width of a pooled row of each modality that has features.

        Raises `UnknownName` for a plug-in, `ConfigError` for its options.
        """
        super().__init__()
        self.returns_representations = False
        """Whether the output contains the inputs of the heads; callers switch it on while they need them."""
        self.tasks = tuple(tasks)
        self.config = config
        self.common = nn.ModuleDict()
        heads = [make_head(task, config) for task in tasks]
        plan = NetworkPlan(
            tasks=self.tasks,
            widths={m.value: widths[m] for m in Modality if m in widths},
            hidden=config.hidden,
            dropout=config.dropout,
            encoder=partial(_make_encoder, widths, config, self.common),
            fusion=partial(_make_fusion, widths, config),
            outputs={head.task.id: head.outputs(head.task) for head in heads},
        )
        options = parse_options(SHARINGS, config.sharing, config.options_for(config.sharing))
        self.sharing = cast(Sharing, SHARINGS.get(config.sharing)(plan, options))
        self.heads = nn.ModuleDict({_key(head.task.id): head for head in heads})

    def forward(self, inputs: Inputs) -> Output:
        """The output for n samples."""
        shared = self.sharing(inputs, self.say)
        raw = {t.id: self.say(t.id, shared.representations[t.id]) for t in self.tasks}
        return Output(
            raw, shared.fused, shared.penalty, shared.representations if self.returns_representations else {}
        )

    def say(self, task_id: str, representation: Tensor) -> Tensor:
        """(n, outputs) of one head, always in float32."""
        kind = representation.device.type
        if not torch.is_autocast_enabled(kind):
            return self.heads[_key(task_id)](representation)
        with torch.autocast(kind, enabled=False):
            return self.heads[_key(task_id)](representation.float())

    def head(self, task: Task) -> Head:
        """The head of `task`."""
        return cast(Head, self.heads[_key(task.id)])

    def rate(self, name: str) -> float:
        """Factor of the learning rate for the parameter `name`."""
        return math.prod(
            module.rate(name.removeprefix(f"{place}."))
            for place, module in self.named_modules()
            if isinstance(module, Part) and name.startswith(f"{place}.")
        )

    @property
    def vectorised(self) -> bool:
        """Whether every part can run under `torch.vmap`."""
        return all(part.vectorised for part in self.modules() if isinstance(part, Part))

    @property
    def needs_context(self) -> bool:
        """Whether a part reads the other utterances of a video."""
        return any(part.needs_context for part in self.modules() if isinstance(part, Part))


def encoder_class(modality: Modality, config: ModelConfig) -> type[Encoder]:
    """The class of the encoder of one modality.

    Raises `UnknownName`, or `ConfigError` when the encoder cannot read the modality.
    """
    name = config.encoder_of(modality)
    chosen = cast(type[Encoder], ENCODERS.get(name))
    if modality not in chosen.modalities:
        served = " or ".join(m.word for m in chosen.modalities)
        raise ConfigError(
            f"the encoder {name!r} reads {served}, not {modality.word}",
            hint=f"set train.{chosen.modalities[0].word}_encoder to it, and train.encoder to another",
        )
    return chosen


def make_head(task: Task, config: ModelConfig) -> Head:
    """A new head.

    Raises `UnknownName`, or `ConfigError` when the head named in the config serves another kind.
    """
    name = config.head_of(task.dimension.kind)
    options = parse_options(HEADS, name, config.options_for(name))
    return cast(Head, HEADS.get(name)(config.hidden, task, options))


def bare_heads(tasks: Sequence[Task], config: ModelConfig) -> tuple[Head, ...]:
    """Heads without weights, to encode labels and interpret outputs; draws no random numbers."""
    with torch.device("meta"):
        return tuple(make_head(task, config) for task in tasks)


def _make_encoder(
    widths: Mapping[Modality, int], config: ModelConfig, common: nn.ModuleDict, key: str
) -> Encoder:
    modality = Modality(key)
    made = encoder_class(modality, config)
    name = config.encoder_of(modality)
    options = {**config.options_for(name), **config.options_for(modality.word)}
    encoder = made(widths[modality], config.hidden, config.dropout, parse_options(ENCODERS, name, options))

    def make(inner: str, width: int) -> Encoder:
        inner_options = parse_options(ENCODERS, inner, config.options_for(inner))
        return cast(Encoder, ENCODERS.get(inner)(width, config.hidden, config.dropout, inner_options))

    encoder.make_inner(make)
    for part in encoder.common:
        # The network owns the module of the first encoder. Encoders only refer to it, without registering it,
        # so that its weights have one name.
        own = encoder._modules.pop(part)
        assert own is not None
        name = f"{key}-{part}"
        if name not in common:
            common[name] = own
        object.__setattr__(encoder, part, common[name])
    return encoder


def _make_fusion(widths: Mapping[Modality, int], config: ModelConfig) -> Fusion:
    options = parse_options(FUSIONS, config.fusion, config.options_for(config.fusion))
    reads_rows = cast(type[Fusion], FUSIONS.get(config.fusion)).reads_rows
    if reads_rows and any(encoder_class(m, config).reads_tokens for m in widths):
        raise ConfigError(
            f"the fusion {config.fusion!r} reads features directly, but the text features are token ids",
            hint="choose an encoder that reads no tokens, or another train.fusion",
        )
    ordered = {m.value: widths[m] for m in Modality if m in widths}
    return cast(Fusion, FUSIONS.get(config.fusion)(ordered, config.hidden, config.dropout, options))


def _key(task_id: str) -> str:
    # torch does not allow dots in names of modules.
    return task_id.replace(".", "-")
