"""What a device may hold after a power cut, from a log of the calls that a program made.

The log is strace's. Physics: a call that changes a file is on the device once the file has been flushed after
it; until then it may be there, or not, or, if it writes data, in part (of each write a first part, in sectors
of 512 bytes). A name that was removed is gone once its directory has been flushed.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tests.tidy.source import ROOT

CALLS = "pwrite64,write,ftruncate,fdatasync,fsync,unlink"
SECTOR_BYTES = 512

_LINE = re.compile(rb"\d+ +(?P<call>\w+)\((?P<rest>.*)\) += (?P<result>-?\d+)")
_FILE = re.compile(rb"\d+<(?P<name>[^>]*)>(?:, )?(?P<rest>.*)", re.DOTALL)


class Call(NamedTuple):
    """One system call that changed a file, flushed it, or said something."""

    kind: Literal["write", "truncate", "sync", "unlink", "said"]
    path: str
    data: bytes = b""
    offset: int = 0


def _text(escaped: bytes) -> bytes:
    return bytes.fromhex(escaped.replace(b"\\x", b"").decode())


def _call(line: bytes) -> Call | None:
    found = _LINE.match(line)
    if found is None or int(found["result"]) < 0:
        return None
    name, rest = found["call"].decode(), found["rest"]
    if name == "unlink":
        return Call("unlink", os.fsdecode(_text(rest.strip(b'"'))))
    file = _FILE.match(rest)
    assert file is not None, line[:200]
    path, rest = os.fsdecode(_text(file["name"])), file["rest"]
    match name:
        case "pwrite64":
            quoted, _, offset = rest.rsplit(b", ", 2)
            return Call("write", path, _text(quoted.strip(b'"')), int(offset))
        case "write":
            data = _text(rest.rsplit(b", ", 1)[0].strip(b'"'))
            return Call("said", path, data) if data.startswith((b"opened", b"done")) else Call("write", path, data)
        case "ftruncate":
            return Call("truncate", path, offset=int(rest))
        case _:
            return Call("sync", path)


def calls_of(command: Sequence[str], log: Path) -> list[Call]:
    """Run a program, and see what it does to files."""
    trace = ["strace", "-f", "-qq", "-y", "-xx", "-s", str(64 << 20), "-o", str(log), "-e", f"trace={CALLS}"]
    # A pipe, and no file, for what it says: its name is no matter then.
    subprocess.run([*trace, sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return [call for line in log.read_bytes().splitlines() if (call := _call(line)) is not None]


class Device:
    """Files below a directory: what is surely there, and what may be."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.files: dict[str, bytearray] = {}
        self.pending: list[Call] = []

    def note(self, call: Call) -> None:
        """One call was made."""
        if not call.path.startswith(self._root):
            return
        if call.kind != "sync":
            self.pending.append(call)
            return
        whole = call.path == self._root  # the directory: of the names in it
        rest: list[Call] = []
        for earlier in self.pending:
            if (earlier.kind == "unlink") == whole and (whole or earlier.path == call.path):
                _do(self.files, earlier)
            else:
                rest.append(earlier)
        self.pending = rest

    def all_of_it(self) -> dict[str, bytes]:
        """What there is if everything has got there, as after the death of the process alone."""
        return self._with(self.pending)

    def after_cuts(self, chance: random.Random, *, most: int) -> Iterator[dict[str, bytes]]:
        """Up to so many states that may be there after a power cut now: nothing of what is pending, or a prefix
        of it, or all but one, or, at random, a subset with torn writes."""
        pending = self.pending
        told = [pending[:at] for at in range(len(pending))]
        told += [[*pending[:at], *pending[at + 1 :]] for at in range(len(pending) - 1)]
        for number in range(most if pending else 0):
            if told and number % 2 == 0:
                yield self._with(told.pop(chance.randrange(len(told))))
            else:
                yield self._with([_torn(call, chance) for call in pending if chance.random() < 0.6])

    def _with(self, calls: Sequence[Call]) -> dict[str, bytes]:
        files = {path: bytearray(data) for path, data in self.files.items()}
        for call in calls:
            _do(files, call)
        return {path: bytes(data) for path, data in files.items()}


def _torn(call: Call, chance: random.Random) -> Call:
    if call.kind != "write" or chance.random() < 0.5:
        return call
    sectors = -(-len(call.data) // SECTOR_BYTES)
    return call._replace(data=call.data[: chance.randrange(sectors) * SECTOR_BYTES])


def _do(files: dict[str, bytearray], call: Call) -> None:
    if call.kind == "unlink":
        files.pop(call.path, None)
        return
    data = files.setdefault(call.path, bytearray())
    if call.kind == "truncate":
        del data[call.offset :]
        data.extend(bytes(call.offset - len(data)))
    else:
        data.extend(bytes(max(0, call.offset - len(data))))
        data[call.offset : call.offset + len(call.data)] = call.data
