"""Figures: functions that return a `matplotlib.figure.Figure`, and `save`; a file for each idea."""

from tashower.evaluation.figures.surroundings import import_matplotlib

import_matplotlib()
