"""Sharings: what the tasks learn together and what each keeps to itself, one file each."""
