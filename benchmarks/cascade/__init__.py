"""A hadronic cascade for the arrival times of muons (`benchmarks/hadronic_cascade.py`)."""
