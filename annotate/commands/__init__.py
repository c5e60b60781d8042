"""The commands, one file per group: each parses its options, calls one step and prints the report."""
