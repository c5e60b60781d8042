"""The multi-task model: network, training, prediction and scores."""
