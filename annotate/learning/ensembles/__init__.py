"""Ensembles: how several networks are trained and combined into one prediction, one file each."""
