"""Corpora that others made, read as samples, answers and features."""
