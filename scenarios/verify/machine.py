"""Where and of what a result was measured."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

__all__ = ["facts", "load", "revision", "today"]


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def facts() -> dict[str, str]:
    """Of the machine."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def load() -> str:
    """How busy it was in the last minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def today() -> str:
    """The date, in UTC."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def revision(root: Path) -> str:
    """Version and commit, marked if there are changes on top of it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - words of this module
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "--short", "HEAD")
        changed = "+changes" if git("status", "--porcelain", "--", "runtime", "sim", "scenarios", "tests") else ""
    except OSError:
        commit = changed = ""
    return f"{version('liveproof')} ({commit}{changed})" if commit else version("liveproof")
