"""How much memory there still is, so that what cannot fit is refused before it is tried."""

from pathlib import Path

try:
    import resource
except ImportError:  # not on every system
    resource = None

#: Share of the free memory that may be planned with (choice): what is left is for copies.
USABLE = 0.8
_UNKNOWN = float("inf")
_GROUPS = Path("/sys/fs/cgroup")


def _number(path: Path | str, key: str = "") -> float:
    """The number in a file, or that after `key`, times 1024 where it is in kB; inf where there is
    none.
    """
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(key):
                words = line.removeprefix(key).split()
                return float(words[0]) * (1024.0 if words[1:] == ["kB"] else 1.0)
    except (OSError, ValueError, IndexError):
        pass
    return _UNKNOWN


def _of_groups() -> list[float]:
    """Bytes that the control groups of this process leave, in which a container or a cluster may
    keep it; what they hold of files can be dropped and counts as free.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    free = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            names, root = ("memory.max", "memory.current", "file "), _GROUPS
        elif controllers == "memory":
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache ")
            root = _GROUPS / "memory"
        else:
            continue
        for folder in {root, root / path.lstrip("/")}:
            most, now = (_number(folder / name) for name in names[:2])
            files = _number(folder / "memory.stat", names[2])
            if now < _UNKNOWN:
                free.append(most - now + (files if files < _UNKNOWN else 0.0))
    return free


def free_memory() -> float:
    """Bytes that this process may still take: what the machine, its control groups, and its limit
    of address space (`ulimit -v`) leave; inf where nothing is known.
    """
    free = [_number("/proc/meminfo", "MemAvailable:"), *_of_groups()]
    now = _number("/proc/self/status", "VmSize:")
    if resource and now < _UNKNOWN:
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        free.append(_UNKNOWN if most == resource.RLIM_INFINITY else most - now)
    return max(min(free), 0.0)


def too_large(needed: float) -> str:
    """Words that say how much is missing for so many bytes; empty where they fit."""
    free = free_memory()
    if needed <= USABLE * free:
        return ""
    return f"{needed / 1e9:.3g} GB are needed and {free / 1e9:.3g} GB of memory are free"
