"""Encoders: the features of one modality become one representation, one file each."""
