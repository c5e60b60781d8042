"""Sharings: which parameters the tasks share and which each task has alone, one file each."""
