"""Learned generators of stations and showers, and what brings simulations nearer to data."""
