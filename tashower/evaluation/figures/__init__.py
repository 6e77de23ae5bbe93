"""Figures: functions that return a `matplotlib.figure.Figure`, and `save`; a file for each idea."""
