"""What is measured, against which bar. `python -m benchmarks` runs them all."""
