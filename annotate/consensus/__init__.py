"""Aggregators: one file each, found by name through `annotate.registry.AGGREGATORS`."""
