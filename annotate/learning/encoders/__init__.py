"""Encoders: from the features of one modality to a representation, one file each."""
