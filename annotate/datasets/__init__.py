"""Builds the dataset of a project, and takes in those that others made."""
