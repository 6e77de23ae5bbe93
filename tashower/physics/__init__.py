"""Formulas that the simulation and the reconstruction share."""
