"""Say what can be plugged in, and what each plug-in does."""

from annotate.registry import ALL

Descriptions = dict[str, dict[str, str]]


def list_plugins() -> dict[str, Descriptions]:
    """By kind, by name: ``{"description": ...}``, the first line of the plug-in's own, with its source."""
    return {
        registry.kind: {name: {"description": text} for name, text in registry.descriptions().items()}
        for registry in ALL
    }
