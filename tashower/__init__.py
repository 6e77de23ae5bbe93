"""Air-shower simulation, analytic and neural reconstruction on surface-detector grids."""

__version__ = "0.1.0"
