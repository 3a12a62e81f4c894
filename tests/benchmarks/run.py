"""Prints every benchmark's table. ``make bench`` calls it; nothing here is asserted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> int:
    """Run each benchmark whose name holds one of the arguments, all without; each in a process of its own."""
    scripts = [
        path
        for path in sorted(HERE.glob("bench_*.py"))
        if not sys.argv[1:] or any(a in path.stem for a in sys.argv[1:])
    ]
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": search, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n", flush=True)
    failed = 0
    for script in scripts:
        print(f"## {script.stem}", flush=True)
        failed += subprocess.run([sys.executable, str(script)], cwd=ROOT, env=environment, check=False).returncode != 0
        print(flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
