"""Dataset formats: one file each, found by name through `annotate.registry.EXPORTERS`."""
