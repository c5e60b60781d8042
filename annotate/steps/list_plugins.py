"""List the plug-ins with their descriptions."""

from annotate.registry import ALL

Descriptions = dict[str, dict[str, str]]


def list_plugins() -> dict[str, Descriptions]:
    """By kind and name: ``{"description": ...}``, the first line of the docstring, with its source."""
    return {
        registry.kind: {name: {"description": text} for name, text in registry.descriptions().items()}
        for registry in ALL
    }
