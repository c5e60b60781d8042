"""Checks: one file each, looked up by name in `annotate.registry.CHECKS`."""
