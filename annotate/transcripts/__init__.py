"""Readers of transcripts: one file per format, all of which give a `Transcript`."""
