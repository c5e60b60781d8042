"""Segmenters: one file each, looked up by name in `annotate.registry.SEGMENTERS`."""
