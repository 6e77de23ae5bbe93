"""What is too large for the memory is refused before it is tried."""

import resource

import pytest

from tashower import memory
from tashower.memory import USABLE, free_memory, too_large


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that sets what a made-up machine says: {file: text}."""
    real = memory._number

    def read(path, key=""):
        return real(tmp_path / str(path).lstrip("/"), key)

    monkeypatch.setattr(memory, "_number", read)

    def says(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return says


def test_of_the_machine(machine):
    assert free_memory() == float("inf")
    machine({"proc/meminfo": "MemTotal:  9 kB\nMemAvailable:   2000 kB\nSwapFree: 1 kB\n"})
    assert free_memory() == 2000 * 1024
    assert too_large(USABLE * 2000 * 1024) == ""
    assert too_large(4e6) == "0.004 GB are needed and 0.00205 GB of memory are free"


@pytest.mark.parametrize(
    ("line", "files"),
    [
        (
            "0::/job_1",
            {
                "sys/fs/cgroup/job_1/memory.max": "1000000\n",
                "sys/fs/cgroup/job_1/memory.current": "700000\n",
                "sys/fs/cgroup/job_1/memory.stat": "anon 300000\nfile 400000\nfile_mapped 5\n",
            },
        ),
        (
            "9:memory:/job_1",
            {
                "sys/fs/cgroup/memory/job_1/memory.limit_in_bytes": "1000000\n",
                "sys/fs/cgroup/memory/job_1/memory.usage_in_bytes": "700000\n",
                "sys/fs/cgroup/memory/job_1/memory.stat": "cache 1\ntotal_cache 400000\n",
            },
        ),
        (  # a container sees its own group at the root
            "0::/",
            {
                "sys/fs/cgroup/memory.max": "1000000\n",
                "sys/fs/cgroup/memory.current": "700000\n",
                "sys/fs/cgroup/memory.stat": "anon 300000\nfile 400000\n",
            },
        ),
    ],
)
def test_of_a_control_group(machine, line, files, monkeypatch):
    """What it holds of files can be dropped."""
    machine(files | {"proc/meminfo": "MemAvailable: 2000 kB\n"})
    real = memory.Path.read_text
    monkeypatch.setattr(
        memory.Path,
        "read_text",
        lambda path: f"3:cpu:/\n{line}\n" if str(path) == "/proc/self/cgroup" else real(path),
    )
    assert free_memory() == 700_000


def test_a_group_without_a_limit(machine, monkeypatch):
    machine({"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "7\n"})
    machine({"proc/meminfo": "MemAvailable: 2000 kB\n"})
    assert free_memory() == 2000 * 1024


def test_of_a_limit_of_address_space(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10**10, resource.RLIM_INFINITY))
    size = memory._number("/proc/self/status", "VmSize:")
    assert 1e6 < size < 1e10
    assert free_memory() <= 10**10 - size
