"""Facts of the machine that a benchmark page needs: above all, what a disk flush costs on it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["facts", "flushes_per_operation", "processor_facts"]

FLUSHES = 200
BLOCK = 4096


def _flush_us(fd: int, at: Callable[[int], int]) -> float:
    """Median cost of writing one block and waiting for the device."""
    flush = getattr(os, "fdatasync", os.fsync)
    samples = []
    for i in range(FLUSHES):
        start = time.perf_counter_ns()
        os.pwrite(fd, bytes([i % 251]) * BLOCK, at(i))
        flush(fd)
        samples.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(samples)


def _file_system(directory: Path) -> str:
    """Type of the file system that holds ``directory``, where the system tells."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    resolved = str(directory.resolve())
    holding = [m for m in mounts if resolved == m[1] or resolved.startswith(m[1].rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount[1]))[2] if holding else "unknown"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def processor_facts() -> dict[str, str]:
    """What to know before reading numbers that no disk is part of."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": f"{_processor()}, {available} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def facts(directory: Path) -> dict[str, str]:
    """What to know before reading the numbers; ``directory`` is where the stores were kept."""
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        fd = os.open(Path(scratch) / "flush", os.O_RDWR | os.O_CREAT)
        try:
            append = _flush_us(fd, lambda i: i * BLOCK)
            overwrite = _flush_us(fd, lambda i: i * BLOCK)
        finally:
            os.close(fd)
    return {
        **processor_facts(),
        "file system of the stores": _file_system(directory),
        "one disk flush, 4 KiB appended": f"{append:.0f} µs (median of {FLUSHES})",
        "one disk flush, 4 KiB overwritten": f"{overwrite:.0f} µs (median of {FLUSHES})",
    }


_CALL = re.compile(
    r"(?P<name>openat|close|fsync|fdatasync|msync|write|writev|pwrite64|pwritev|pwritev2)\((?P<rest>.*)"
)


def _count_flushes(trace: str) -> int:
    """Calls in an strace log that wait for the device: syncs, and writes to files opened for it.

    A call that strace saw interrupted by another thread (``<unfinished ...>``) counts where it began.
    """
    unfinished: dict[str, str] = {}
    synchronous: set[str] = set()
    flushes = 0
    for line in trace.splitlines():
        pid = line.split(maxsplit=1)[0]
        resumed = re.search(r"<\.\.\. openat resumed>.*= (\d+)", line)
        if resumed and "DSYNC" in unfinished.pop(pid, ""):
            synchronous.add(resumed[1])
            continue
        call = _CALL.search(line)
        if call is None:
            continue
        name, rest = call["name"], call["rest"]
        if name == "openat":
            opened = re.search(r"= (\d+)$", rest)
            if opened is None:
                unfinished[pid] = rest
            elif re.search(r"O_D?SYNC", rest):
                synchronous.add(opened[1])
        elif name == "close":
            synchronous.discard(rest.split(")")[0].strip())
        elif name in ("fsync", "fdatasync"):
            flushes += 1
        elif name == "msync":
            flushes += "MS_SYNC" in rest
        elif rest.split(",")[0] in synchronous or "RWF_DSYNC" in rest:
            flushes += 1
    return flushes


def flushes_per_operation(module: str, row: str, directory: Path) -> float | None:
    """How often one operation of a row waits for the device, or ``None`` without strace.

    The difference of a long run and a short one, so that opening and closing don't count.
    """
    if shutil.which("strace") is None:
        return None
    few, many = 100, 300
    counts = []
    for n in (few, many):
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            log = Path(scratch) / "trace"
            command = [
                "strace", "-f", "-o", str(log),
                "-e", "trace=openat,close,fsync,fdatasync,msync,write,writev,pwrite64,pwritev,pwritev2",
                sys.executable, str(Path(__file__).with_name("measure.py")), module, row,
                "--n", str(n), "--store", str(Path(scratch) / "store"),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, check=False, timeout=300)
            if done.returncode != 0 or not log.exists():
                return None
            counts.append(_count_flushes(log.read_text(errors="replace")))
    return (counts[1] - counts[0]) / (many - few)
