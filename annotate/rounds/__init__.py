"""The model of the present labels: training data, training, and stored models."""
