"""From waveforms to core, direction, S800 and energy."""
