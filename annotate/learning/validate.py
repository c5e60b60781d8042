"""Checks that a `ModelConfig` names existing plug-ins and options, before anything is computed."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from annotate.errors import ConfigError, UnknownName
from annotate.learning.model_config import ModelConfig
from annotate.options import parse_options
from annotate.registry import ENCODERS, ENSEMBLES, FUSIONS, HEADS, LEARNING, SHARINGS, WEIGHTINGS, Registry
from annotate.types import UNIMODAL, Kind

WORDS = tuple(m.word for m in UNIMODAL)


def require_plugins(config: ModelConfig, kinds: Iterable[Kind] = Kind) -> None:
    """Raises `ConfigError` for a plug-in or an option of `[train]` that does not exist, or for a head that
    serves another kind; `kinds` are those of the project's dimensions."""
    _require_names(config)
    for family in ("fusion", "sharing", "weighting", "ensemble"):
        name = getattr(config, family)
        _require(_FAMILIES[family], family, name, config.options_for(name))
    for modality in UNIMODAL:
        own = bool(getattr(config, f"{modality.word}_encoder"))
        name = config.encoder_of(modality)
        options = {**config.options_for(name), **config.options_for(modality.word)}
        _require(ENCODERS, f"{modality.word}_encoder" if own else "encoder", name, options)
    for kind in kinds:
        key, name = f"{kind.value}_head", config.head_of(kind)
        _require(HEADS, key, name, config.options_for(name))
        served = {n: getattr(HEADS.get(n), "kind", None) for n in HEADS.names()}
        if served[name] is not kind:
            fitting = ", ".join(n for n, of in served.items() if of is kind)
            raise ConfigError(
                f"train.{key}: the head {name!r} is not for {kind.value} dimensions", hint=f"known: {fitting}"
            )


_FAMILIES: Mapping[str, Registry[Any]] = {
    "fusion": FUSIONS,
    "sharing": SHARINGS,
    "weighting": WEIGHTINGS,
    "ensemble": ENSEMBLES,
}


def _require(registry: Registry[Any], key: str, name: str, options: Mapping[str, Any]) -> None:
    try:
        parse_options(registry, name, options)
    except UnknownName as error:
        raise ConfigError(f"train.{key}: {error}", hint=error.hint) from error


def _require_names(config: ModelConfig) -> None:
    """Raises `ConfigError` for options of an unknown plug-in; options of an unused one have no effect."""
    known = [*WORDS, *(name for registry in LEARNING for name in registry.names())]
    for name in config.options:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            raise ConfigError(
                f"train.options.{name}: no plug-in of the network is called {name!r}",
                hint=f"did you mean {close[0]!r}?" if close else "`annotate list` shows them",
            )
