"""Heads: the output layer, loss and predictions of a task, one file each."""
