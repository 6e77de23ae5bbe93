"""Several processes that train one network: what torchrun started, one GPU or some CPU threads
each.
"""

import os
from typing import Any, NamedTuple

import torch
from torch import distributed


class Processes(NamedTuple):
    """Which of how many this one is."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """This one reads, judges and writes."""
        return self.rank == 0


def join_processes(device: torch.device) -> Processes:
    """Meet the others, if torchrun started several (nccl on GPUs, else gloo)."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Processes()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Processes(distributed.get_rank(), world)


def leave_processes(processes: Processes) -> None:
    """The end of what `join_processes` began."""
    if processes.world > 1:
        distributed.destroy_process_group()


def together(
    network: torch.nn.Module, processes: Processes, device: torch.device
) -> torch.nn.Module:
    """The network whose gradients are means over the processes (DistributedDataParallel); on one
    process itself.
    """
    if processes.world == 1:
        return network
    if device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return torch.nn.parallel.DistributedDataParallel(
        network, device_ids=[device] if device.type == "cuda" else None
    )


def told(value: Any, processes: Processes) -> Any:
    """What the first process has, for all (a plain value); also: wait for each other."""
    if processes.world == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def mean_over(value: float, processes: Processes) -> float:
    """Mean of a number over the processes."""
    if processes.world == 1:
        return value
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    total = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return float(total) / processes.world
