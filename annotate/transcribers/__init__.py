"""Transcribers: one file each, looked up by name in `annotate.registry.TRANSCRIBERS`."""
