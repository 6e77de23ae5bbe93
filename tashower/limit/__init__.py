"""How well an array can reconstruct at all."""
