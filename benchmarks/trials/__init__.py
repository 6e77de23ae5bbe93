"""Trials of networks, side by side on equal data and budget: `benchmarks/network_trials.py`."""
