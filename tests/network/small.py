"""A configuration of tiny networks."""

OPTIONS = {"waveform_channels": 8, "station_channels": 8, "grid_layers": 1, "dense_channels": 16}
SMALL = {
    "network": {"inputs": {"tile": 4, "n_bins": 64}, "options": OPTIONS},
    "training": {"epochs": 3, "batch_size": 32},
    "networks": {"a": {}},
}
