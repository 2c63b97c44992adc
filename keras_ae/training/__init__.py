"""Experiment files, and what trains them: runs on disk, callbacks, the training loop, devices, results."""
