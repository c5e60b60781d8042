"""Builds the dataset of a project, and imports datasets."""
