"""The edge of the simulation: clocks and chance are virtual inside, and the real world is refused.

While an execution runs, in its thread: ``time``, ``datetime``, ``random`` (also ``Random()`` without a seed),
``os.urandom``, ``uuid``, ``secrets`` give the same values in every run of one tape; ``threading``, ``socket``
and ``subprocess`` raise :class:`EscapeError`. Outside an execution, and in other threads, all of it is real.

Modules that hold a name of their own (``from time import monotonic``) are found and patched as well, once per
exploration. Not under control: ``hash()`` of strings and ``id()``, so the order of sets (the determinism
check sees what follows from it: ``explore/determinism.py``); C code that reads a clock by itself.
"""

from __future__ import annotations

import _thread
import contextlib
import datetime
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from liveproof_sim.kernel.choices import derive_seed, real_random
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.surface import escape

__all__ = ["EPOCH_NS", "Fence", "fence"]

EPOCH_NS = 1_704_067_200_000_000_000
"""What ``time.time()`` says when an execution begins: 2024-01-01, in every execution."""

NS = 1_000_000_000
_SKIPPED = (
    "asyncio",
    "_pytest",
    "pytest",
    "hypothesis",
    "liveproof_sim",
    "threading",
    "random",
    "datetime",
    "_",
)
_chance = real_random()


class Fence:
    """Which loop is running now, if any, and the chance of its world."""

    def __init__(self) -> None:
        self.loop: SimLoop | None = None
        self._thread = 0
        self.bytes: Callable[[int], bytes] = os.urandom

    @contextlib.contextmanager
    def inside(self, loop: SimLoop, seed: int) -> Iterator[None]:
        """For the extent of one execution, inside of :func:`installed`, which puts chance back where it was."""
        assert self.loop is None, "an execution inside an execution"
        self.loop, self._thread = loop, threading.get_ident()
        _chance.seed(derive_seed(seed, "random"))
        self.bytes = _Bytes(seed)
        try:
            yield
        finally:
            self.loop = None

    def active(self) -> SimLoop | None:
        """The loop whose execution called, if it was one."""
        return self.loop if self.loop is not None and threading.get_ident() == self._thread else None


class _Bytes:
    """``os.urandom`` of a world; made when first needed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._stream: Any = None

    def __call__(self, size: int) -> bytes:
        if self._stream is None:
            self._stream = _chance.Random(derive_seed(self._seed, "urandom"))
        data: bytes = self._stream.randbytes(size)
        return data


fence = Fence()
"""The one of this process: what it guards is process-wide, too."""


def _clock(real: Callable[..., Any], virtual: Callable[[SimLoop], Any]) -> Callable[..., Any]:
    def read(*args: Any) -> Any:
        loop = fence.active()
        return real(*args) if loop is None or args else virtual(loop)

    read.__name__ = read.__qualname__ = real.__name__
    return read


def _sleep(seconds: float) -> None:
    loop = fence.active()
    if loop is None:
        _REAL_SLEEP(seconds)
    elif loop.jobs.running is not None:
        loop.jobs.running.slept_ns += round(seconds * NS)
    else:
        loop.now_ns += round(seconds * NS)  # a blocked loop: everybody is late


_REAL_SLEEP, _REAL_STRFTIME = time.sleep, time.strftime
_REAL_GETTIME, _REAL_GETTIME_NS = time.clock_gettime, time.clock_gettime_ns
_REAL_DATETIME, _REAL_DATE = datetime.datetime, datetime.date
_real_gmtime, _real_localtime, _real_urandom, _real_uuid1 = (
    time.gmtime,
    time.localtime,
    os.urandom,
    uuid.uuid1,
)
_real_seed = _chance.Random.seed


def _clock_gettime(which: int, /) -> float:
    loop = fence.active()
    return _REAL_GETTIME(which) if loop is None else _gettime_ns(loop, which) / NS


def _clock_gettime_ns(which: int, /) -> int:
    loop = fence.active()
    return _REAL_GETTIME_NS(which) if loop is None else _gettime_ns(loop, which)


def _gettime_ns(loop: SimLoop, which: int) -> int:
    return _wall_ns(loop) if which == time.CLOCK_REALTIME else loop.now_ns


def _local(loop: SimLoop) -> time.struct_time:
    return _real_localtime(_wall_ns(loop) / NS)


def _strftime(form: str, t: Any = None, /) -> str:
    loop = fence.active()
    if t is None and loop is not None:
        t = _local(loop)
    return _REAL_STRFTIME(form) if t is None else _REAL_STRFTIME(form, t)


def _wall_ns(loop: SimLoop) -> int:
    return EPOCH_NS + loop.now_ns


class _Now(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL_DATETIME)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _REAL_DATETIME)


class _DateTime(datetime.datetime, metaclass=_Now):
    """``datetime.datetime`` with a virtual ``now()``. All instances are real ones."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _REAL_DATETIME(*args, **kwargs)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        loop = fence.active()
        if loop is None:
            return _REAL_DATETIME.now(tz)
        return _REAL_DATETIME.fromtimestamp(_wall_ns(loop) / NS, tz or datetime.UTC).replace(tzinfo=tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


def _urandom(size: int, /) -> bytes:
    return _real_urandom(size) if fence.active() is None else fence.bytes(size)


def _uuid1(*args: Any, **kwargs: Any) -> uuid.UUID:
    if fence.active() is None:
        return _real_uuid1(*args, **kwargs)
    return uuid.UUID(bytes=fence.bytes(16), version=1)


def _seed(self: Any, a: Any = None, *args: Any) -> None:
    if a is None and fence.active() is not None and type(self) is _chance.Random:
        a = int.from_bytes(fence.bytes(8), "big")
    _real_seed(self, a, *args)


def _guard(owner: Any, name: str, about: str) -> tuple[Any, str, Any]:
    real = getattr(owner, name)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        if fence.active() is not None:
            label = getattr(owner, "__qualname__", getattr(owner, "__name__", ""))
            escape(f"{label}.{name}()" if name != "__init__" else f"{label}()", about)
        return real(*args, **kwargs)

    guarded.__name__ = name
    return owner, name, guarded


_GUARDED = (
    (threading.Thread, "start", "a real thread"),
    (_thread, "start_new_thread", "a real thread"),
    (socket.socket, "__init__", "a real socket"),
    (socket, "socketpair", "a real socket"),
    (socket, "getaddrinfo", "the real network"),
    (socket, "gethostbyname", "the real network"),
    (subprocess.Popen, "__init__", "a real process"),
    (os, "system", "a real process"),
    (os, "fork", "a real process"),
    (os, "forkpty", "a real process"),
    (os, "posix_spawn", "a real process"),
    (os, "posix_spawnp", "a real process"),
    (os, "execv", "a real process"),
    (os, "execve", "a real process"),
)


def _patches() -> list[tuple[Any, str, Any]]:
    clocks = {
        "time": lambda loop: _wall_ns(loop) / NS,
        "time_ns": _wall_ns,
        "monotonic": lambda loop: loop.now_ns / NS,
        "monotonic_ns": lambda loop: loop.now_ns,
        "perf_counter": lambda loop: loop.now_ns / NS,
        "perf_counter_ns": lambda loop: loop.now_ns,
        "process_time": lambda loop: loop.now_ns / NS,
        "process_time_ns": lambda loop: loop.now_ns,
        "thread_time": lambda loop: loop.now_ns / NS,
        "thread_time_ns": lambda loop: loop.now_ns,
        "ctime": lambda loop: time.asctime(_local(loop)),
        "gmtime": lambda loop: _real_gmtime(_wall_ns(loop) / NS),
        "localtime": _local,
    }
    return [
        *((time, name, _clock(getattr(time, name), virtual)) for name, virtual in clocks.items()),
        (time, "sleep", _sleep),
        (time, "clock_gettime", _clock_gettime),
        (time, "clock_gettime_ns", _clock_gettime_ns),
        (time, "strftime", _strftime),
        (datetime, "datetime", _DateTime),
        (os, "urandom", _urandom),
        (_chance, "_urandom", _urandom),
        (_chance.Random, "seed", _seed),
        (uuid, "uuid1", _uuid1),
        *(_guard(owner, name, about) for owner, name, about in _GUARDED),
    ]


def _aliases(replaced: dict[Any, Any]) -> Iterator[tuple[Any, str, Any]]:
    """Names that other modules hold of what is replaced. Looks at every name of every module, so it is some of
    what an exploration of a short scenario costs besides its executions."""
    identity = id  # tidy: allow id (others may not even be hashable; looked up, never shown or ordered by)
    wanted = {identity(old): new for old, new in replaced.items()}
    for name, module in list(sys.modules.items()):
        if module is None or name.startswith(_SKIPPED):
            continue
        names = getattr(module, "__dict__", {})
        if not wanted.keys().isdisjoint(map(identity, list(names.values()))):
            for each, old in list(names.items()):
                if identity(old) in wanted:
                    yield module, each, wanted[identity(old)]


_installed = 0


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """For the extent of an exploration: patch, and put everything back. May be nested."""
    global _installed  # noqa: PLW0603 - what it patches is process-wide, too
    _installed += 1
    undo: list[tuple[Any, str, Any]] = []
    state = _chance.getstate()
    try:
        if _installed == 1:
            patches = _patches()
            plain = [
                each
                for each in patches
                if each[0] in (time, datetime, os, socket, _thread) or each[1] == "uuid1"
            ]
            replaced = {getattr(owner, name): new for owner, name, new in plain}
            for owner, name, new in [*patches, *_aliases(replaced)]:
                old = owner.__dict__[name]
                if old is not new:
                    undo.append((owner, name, old))
                    setattr(owner, name, new)
        yield
    finally:
        _installed -= 1
        for owner, name, old in reversed(undo):
            setattr(owner, name, old)
        _chance.setstate(state)
