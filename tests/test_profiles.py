"""The profiles for clusters, as far as a dry run goes; tests/slurm/run.sh runs one for real."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = {
    "slurm": ["snakemake_executor_plugin_slurm"],
    "kubernetes": ["snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_fs"],
    "cluster": ["snakemake_executor_plugin_cluster_generic"],
}


def planned(profile, *more) -> str:
    words = [
        sys.executable,
        "-m",
        "snakemake",
        "--workflow-profile",
        f"profiles/{profile}",
        "--configfile",
        "tests/config/smoke.yaml",
        "--dry-run",
        *more,
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


def resources(text) -> dict[str, dict[str, str]]:
    """{rule: {resource: value}}: the most that a job of the rule asks for in a dry run, which
    prints the jobs of a rule in no fixed order.
    """
    found = {}
    for block in re.split(r"\nrule ", text)[1:]:
        line = re.search(r"resources: (.*)", block)
        threads = re.search(r"threads: (\d+)", block)
        values = dict(word.split("=", 1) for word in line[1].split(", ")) if line else {}
        values["threads"] = threads[1] if threads else "1"
        most = found.setdefault(block.split(":")[0], {})
        for name, value in values.items():
            if name not in most or (value.isdecimal() and int(value) > int(most[name])):
                most[name] = value
    return found


@pytest.mark.extra
@pytest.mark.parametrize("profile", PLUGINS)
def test_profile_plans_the_workflow_with_resources_for_every_rule(profile, tmp_path):
    for module in PLUGINS[profile]:
        pytest.importorskip(module)
    found = resources(
        planned(
            profile,
            "--configfile",
            "tests/config/smoke.yaml",
            "--config",
            f"results={tmp_path.name}",
        )
    )
    assert {
        "simulate_events",
        "calibrate_fit",
        "reconstruct_events",
        "train_network",
        "apply_network",
        "score_methods",
    } <= set(found)
    found.pop("all", None)
    for rule, values in found.items():
        assert 300 <= int(values["mem_mb"]) < 8000, rule
        assert int(values["runtime"]) >= 10, rule


@pytest.mark.slow
def test_more_showers_ask_for_more(tmp_path):
    """What a rule asks for grows with the showers that its jobs handle; a training in processes
    asks for their threads and GPUs.
    """

    def asked(text):
        (tmp_path / "c.yaml").write_text(f"{{results: {tmp_path}/results, {text}}}")
        return resources(
            planned("default", "--resources", "gpu=8", "--configfile", str(tmp_path / "c.yaml"))
        )

    small = asked("samples: {calibration: 4000, train: 5000, chunk_size: 5000}")
    large = asked("samples: {calibration: 400000, train: 500000, chunk_size: 100000}")
    for rule in ("simulate_events", "reconstruct_events", "calibrate_fit"):
        assert int(large[rule]["mem_mb"]) > 2 * int(small[rule]["mem_mb"]), rule
    assert int(large["train_network"]["runtime"]) > int(small["train_network"]["runtime"])
    four = asked("training: {processes: 4, threads: 2, device: cuda}")["train_network"]
    assert four["gpu"] == "4"
    assert asked("training: {device: cpu}")["train_network"]["gpu"] == "0"


@pytest.mark.slow
def test_a_training_on_thousands_of_files_is_a_short_command(tmp_path):
    """Linux takes no word longer than 128 kB, and Snakemake hands its whole command to the shell as
    one.
    """
    (tmp_path / "c.yaml").write_text(
        f"{{results: {tmp_path}/results, samples: {{train: 13000, chunk_size: 10}},"
        " networks: {a: {}}}"
    )
    text = planned(
        "default",
        "--printshellcmds",
        "--configfile",
        str(tmp_path / "c.yaml"),
        "--until",
        "train_network",
    )
    commands = [line for line in text.splitlines() if "tashower train" in line]
    assert len(commands) == 1
    assert f"{tmp_path}/results/events/train/0007.h5" in text
    for command in commands:
        assert len(command) < 10_000
        assert f"{tmp_path}/results/events/train/{{0000..1299}}.h5" in command


def test_no_rule_asks_for_cores_that_a_cluster_does_not_name():
    """`workflow.cores` raises where no number was given, as with profiles/slurm."""
    for path in (ROOT / "tashower/workflow").rglob("*.smk"):
        code = [line.partition("#")[0] for line in path.read_text().splitlines()]
        assert "workflow.cores" not in "\n".join(code), path.name
