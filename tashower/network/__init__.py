"""From hits to a correction of the reconstruction."""
