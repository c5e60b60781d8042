"""Weightings: how much each task's loss moves what is shared, one file each."""
