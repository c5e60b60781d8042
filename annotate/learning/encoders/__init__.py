"""Encoders: the features of one modality become one code, one file each."""
