"""Heads: what a task says about a code, how that is punished and how it is read, one file each."""
