"""Heads: what a task says about a representation, how that is punished and how it is read, one file each."""
