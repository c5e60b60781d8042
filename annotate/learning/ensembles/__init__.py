"""Ensembles: how several networks come about and become one answer, one file each."""
