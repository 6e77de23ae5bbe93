"""What single stations say of a shower, learned from simulated stations."""
