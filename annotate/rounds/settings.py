"""The settings that decide a training: seed, model and preset."""

from typing import TYPE_CHECKING

from annotate.config.baselines import PRESETS, merge
from annotate.config.sections import TrainSettings
from annotate.project import Project

if TYPE_CHECKING:
    from annotate.learning.model_config import ModelConfig


def seed_of(project: Project, seed: int | None) -> int:
    """`seed`, or the seed of the project if it is None."""
    return project.settings.project.seed if seed is None else seed


def model_config_of(project: Project) -> "ModelConfig":
    """The model configuration of `[train]`.

    Raises `ConfigError` for an unknown plug-in or option, or a missing package.
    """
    from annotate.learning.model_config import ModelConfig
    from annotate.learning.validate import require_plugins

    if project.settings.train.tensorboard:
        from annotate.learning.events import require_tensorboard

        require_tensorboard()
    config = ModelConfig(**project.settings.train.network_options())
    require_plugins(config, {task.dimension.kind for task in project.settings.tasks()})
    return config


def overruled(train: TrainSettings) -> list[str]:
    """The keys of `[train]` that override its preset."""
    explicit = train.network_options()
    wanted = merge(PRESETS.get(train.preset, {}), explicit)
    return [key for key in explicit if wanted[key] != explicit[key]]
