"""What stands in a waveform where nothing was read out."""

import numpy as np

from tashower.physics.compiled import formula


@formula
def pedestal_count(i, pedestal):
    """Count in bin i of a waveform that was not read out there, of a pedestal [counts per bin]:
    whole numbers whose sum over any bins is less than a count off.
    """
    return np.floor((i + 1) * pedestal + 0.5) - np.floor(i * pedestal + 0.5)
