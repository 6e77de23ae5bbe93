"""What a trained network looks at: filters, maps, attributions, permutations, shifts, as arrays."""
