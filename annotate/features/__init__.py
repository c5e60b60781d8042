"""Feature extractors: one file each, found by name through `annotate.registry.EXTRACTORS`."""
