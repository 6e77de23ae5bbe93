"""What networks can be computed on, in words."""

import torch


def describe_device() -> str:
    """The graphics card that `device: auto` takes; else that there is none."""
    built = torch.version.cuda or torch.version.hip or "none"
    if not torch.cuda.is_available():
        return f"none that torch can use (its build for cards: {built})"
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name(0)
    more = torch.cuda.device_count() - 1
    gib = 2.0**30
    return (
        f"{name}, {free / gib:.0f} of {total / gib:.0f} GiB free"
        f"{f', and {more} more' if more else ''} (CUDA {built})"
    )
