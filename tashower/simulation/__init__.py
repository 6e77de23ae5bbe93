"""From shower parameters to triggered waveforms."""
