"""A configuration of tiny generators."""

SMALL = {
    "array": {"columns": 9, "rows": 9},
    "showers": {"min_log10_energy_ev": 19.0},
    "generators": {
        "g": {"epochs": 2, "batch_size": 64, "options": {"channels": 16, "layers": 1, "steps": 2}}
    },
}
