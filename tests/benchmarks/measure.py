"""Measure one row with one implementation, in this process, and print the result as JSON.

::

    python tests/benchmarks/measure.py liveproof burst --store .benchmarks/x [--n 1000] [--profile out.prof]
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import programs


def peak_bytes() -> int:
    """Peak resident memory of this process; without what its parent held before the exec, where the
    system tells the two apart."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def version(module: str) -> str:
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "source tree"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("module", choices=["liveproof", "cocoindex"])
    parser.add_argument("row", choices=list(programs.ROWS))
    parser.add_argument("--store", type=Path, required=True, help="path of the store, which must not exist")
    parser.add_argument("--n", type=int, help="another number of operations than the row's own")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the measured part")
    arguments = parser.parse_args()

    row = programs.ROWS[arguments.row]
    if row.prepared_by is not None:
        command = [sys.executable, __file__, arguments.module, row.prepared_by]
        command += ["--store", str(arguments.store), "--n", str(arguments.n or row.n)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    # Here, so that no way of starting a measurement sends usage statistics.
    os.environ["COCOINDEX_DISABLE_USAGE_TRACKING"] = "1"
    coco = importlib.import_module(arguments.module)
    before = peak_bytes()
    profile = cProfile.Profile() if arguments.profile else None
    bench, outcome = programs.run_row(
        coco,
        row,
        arguments.store,
        n=arguments.n,
        settings=row.settings if arguments.module == "liveproof" else None,
        profile=profile,
    )
    if profile is not None:
        profile.dump_stats(arguments.profile)
    result = {
        "module": arguments.module,
        "version": version(arguments.module),
        "row": arguments.row,
        "ns": outcome.ns,
        "cpu_ns": outcome.cpu_ns,
        "operations": outcome.operations,
        "late": outcome.late,
        "lost": outcome.lost,
        "sink_calls": bench.target.calls,
        "sink_actions": bench.target.actions,
        "imported_bytes": before,
        "peak_bytes": peak_bytes(),
        **outcome.extra,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
