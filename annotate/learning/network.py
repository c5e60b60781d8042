"""The multi-task network: what a recipe's plug-ins make together."""

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
    """Encoders, fusion and what is shared are the sharing's; one head per task on top."""

    def __init__(self, widths: Mapping[Modality, int], tasks: Sequence[Task], recipe: ModelConfig) -> None:
        """`widths`: of a condensed row, by modality with features.

        Raises `UnknownName` for a plug-in, `ConfigError` for its options.
        """
        super().__init__()
        self.returns_representations = False
        """Whether the output holds what the heads read; who asks turns it on for a while."""
        self.tasks = tuple(tasks)
        self.recipe = recipe
        self.common = nn.ModuleDict()
        heads = [make_head(task, recipe) for task in tasks]
        plan = NetworkPlan(
            tasks=self.tasks,
            widths={m.value: widths[m] for m in Modality if m in widths},
            hidden=recipe.hidden,
            dropout=recipe.dropout,
            encoder=partial(_make_encoder, widths, recipe, self.common),
            fusion=partial(_make_fusion, widths, recipe),
            outputs={head.task.id: head.outputs(head.task) for head in heads},
        )
        options = parse_options(SHARINGS, recipe.sharing, recipe.options_for(recipe.sharing))
        self.sharing = cast(Sharing, SHARINGS.get(recipe.sharing)(plan, options))
        self.heads = nn.ModuleDict({_key(head.task.id): head for head in heads})

    def forward(self, inputs: Inputs) -> Output:
        """Of n samples."""
        shared = self.sharing(inputs, self.say)
        raw = {t.id: self.say(t.id, shared.representations[t.id]) for t in self.tasks}
        return Output(
            raw, shared.fused, shared.penalty, shared.representations if self.returns_representations else {}
        )

    def say(self, task_id: str, representation: Tensor) -> Tensor:
        """(n, outputs) of one head, in float32 whatever the rest is computed in."""
        kind = representation.device.type
        if not torch.is_autocast_enabled(kind):
            return self.heads[_key(task_id)](representation)
        with torch.autocast(kind, enabled=False):
            return self.heads[_key(task_id)](representation.float())

    def head(self, task: Task) -> Head:
        """The head of `task`."""
        return cast(Head, self.heads[_key(task.id)])

    def rate(self, name: str) -> float:
        """By what the learning rate of the parameter `name` is multiplied."""
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
        """Whether a part looks at the other utterances of a video."""
        return any(part.needs_context for part in self.modules() if isinstance(part, Part))


def encoder_class(modality: Modality, recipe: ModelConfig) -> type[Encoder]:
    """The class of one modality's encoder, for what is done before there is a network.

    Raises `UnknownName`, or `ConfigError` when the encoder named in the recipe cannot serve the modality.
    """
    name = recipe.encoder_of(modality)
    chosen = cast(type[Encoder], ENCODERS.get(name))
    if modality not in chosen.modalities:
        served = " or ".join(m.word for m in chosen.modalities)
        raise ConfigError(
            f"the encoder {name!r} reads {served}, not {modality.word}",
            hint=f"set train.{chosen.modalities[0].word}_encoder to it, and train.encoder to another",
        )
    return chosen


def make_head(task: Task, recipe: ModelConfig) -> Head:
    """A new head.

    Raises `UnknownName`, or `ConfigError` when the head named in the recipe serves another kind.
    """
    name = recipe.head_of(task.dimension.kind)
    options = parse_options(HEADS, name, recipe.options_for(name))
    return cast(Head, HEADS.get(name)(recipe.hidden, task, options))


def bare_heads(tasks: Sequence[Task], recipe: ModelConfig) -> tuple[Head, ...]:
    """Heads for what needs no trained weights: encoding labels, reading outputs. Draws no random number."""
    with torch.device("meta"):
        return tuple(make_head(task, recipe) for task in tasks)


def _make_encoder(
    widths: Mapping[Modality, int], recipe: ModelConfig, common: nn.ModuleDict, key: str
) -> Encoder:
    modality = Modality(key)
    made = encoder_class(modality, recipe)
    name = recipe.encoder_of(modality)
    options = {**recipe.options_for(name), **recipe.options_for(modality.word)}
    encoder = made(widths[modality], recipe.hidden, recipe.dropout, parse_options(ENCODERS, name, options))
    encoder.stand_on(partial(_inner_encoder, recipe))
    for part in encoder.common:
        _share(encoder, part, common, f"{key}-{part}")
    return encoder


def _inner_encoder(recipe: ModelConfig, name: str, width: int) -> Encoder:
    options = parse_options(ENCODERS, name, recipe.options_for(name))
    return cast(Encoder, ENCODERS.get(name)(width, recipe.hidden, recipe.dropout, options))


def _share(encoder: Encoder, part: str, common: nn.ModuleDict, key: str) -> None:
    """Put the network's own module in the place of the encoder's, or take it from the first encoder. The
    encoder only points to it, so that its weights have one name."""
    own = encoder._modules.pop(part)
    assert own is not None
    if key not in common:
        common[key] = own
    object.__setattr__(encoder, part, common[key])


def _make_fusion(widths: Mapping[Modality, int], recipe: ModelConfig) -> Fusion:
    options = parse_options(FUSIONS, recipe.fusion, recipe.options_for(recipe.fusion))
    _require_readable(widths, recipe)
    ordered = {m.value: widths[m] for m in Modality if m in widths}
    return cast(Fusion, FUSIONS.get(recipe.fusion)(ordered, recipe.hidden, recipe.dropout, options))


def _require_readable(widths: Mapping[Modality, int], recipe: ModelConfig) -> None:
    reads_rows = cast(type[Fusion], FUSIONS.get(recipe.fusion)).reads_rows
    if reads_rows and any(encoder_class(m, recipe).reads_tokens for m in widths):
        raise ConfigError(
            f"the fusion {recipe.fusion!r} reads features directly, but the text features are token ids",
            hint="choose an encoder that reads no tokens, or another train.fusion",
        )


def _key(task_id: str) -> str:
    # torch keeps the dot for itself.
    return task_id.replace(".", "-")
