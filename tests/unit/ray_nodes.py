"""Two nodes of a Ray cluster on this machine, each in a network namespace of its own.

    unshare --net --pid --fork --kill-child --mount-proc python -m tests.unit.ray_nodes COMMAND...

Runs a command on the first node. Nothing of it can be reached from outside, and all its processes
end with it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD, OTHER, PORT = "10.77.0.1", "10.77.0.2", 6399
#: What Linux needs to give a process a network and processes of its own.
ALONE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def run(*command: str, **more: object) -> None:
    subprocess.run(command, check=True, **more)  # type: ignore[call-overload]


def link() -> int:
    """Join a second namespace to this one; the process that holds it open."""
    run("ip", "link", "set", "lo", "up")
    other = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 100000"], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    run(
        "ip",
        "link",
        "add",
        "head",
        "type",
        "veth",
        "peer",
        "name",
        "other",
        "netns",
        str(other.pid),
    )
    run("ip", "addr", "add", f"{HEAD}/24", "dev", "head")
    run("ip", "link", "set", "head", "up")
    inside = f"ip link set lo up; ip addr add {OTHER}/24 dev other; ip link set other up"
    run("nsenter", "-t", str(other.pid), "--net", "sh", "-c", inside)
    return other.pid


def start(directory: Path, cpus: int) -> None:
    """Start a node in each namespace."""
    token = directory / "token"
    token.write_text(secrets.token_hex(32), "ascii")
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # 15 by default: on a busy machine they would starve
        "RAY_raylet_start_wait_time_s": "120",
    }
    os.environ.pop("RAY_ADDRESS", None)
    other = link()
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
    ray += [f"--num-cpus={cpus}", "--num-gpus=0", "--object-store-memory=100000000"]
    here = [f"--node-ip-address={HEAD}", "--head", f"--port={PORT}", "--include-dashboard=false"]
    here += [f"--temp-dir={directory}/ray"]
    there = [f"--node-ip-address={OTHER}", f"--address={HEAD}:{PORT}"]
    quiet = {"stdout": sys.stderr}
    run(*ray, *here, **quiet)
    run("nsenter", "-t", str(other), "--net", *ray, *there, **quiet)


def main() -> int:
    """Start the cluster and run the command; its exit code."""
    with tempfile.TemporaryDirectory(prefix="rn") as directory:  # short: sockets lie in it
        start(Path(directory), int(os.environ.get("RAY_NODE_CPUS", "2")))
        return subprocess.run(sys.argv[1:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
