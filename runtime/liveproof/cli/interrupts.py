"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once.

The handlers are Python's, not the loop's, so that the second one works while the application blocks the loop.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self, cast

from liveproof.backends.asyncio_scheduler import current_task_or_none, running_loop

__all__ = ["Interrupts"]

SHOW_CURSOR = b"\x1b[?25h\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Interrupts:
    """Installed for the extent of a ``with`` block. Until :meth:`asking`, a signal raises
    ``KeyboardInterrupt``."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.received: signal.Signals | None = None
        """The first signal that came."""
        self._say = say
        self._ask: Callable[[], None] | None = None
        self._loop: Any = None
        self._before: list[Any] = []
        self._over = False

    def __enter__(self) -> Self:
        self._before = [signal.signal(number, self._handle) for number in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.received is None:
            for number, handler in zip(_SIGNALS, self._before, strict=True):
                signal.signal(number, handler)
        else:
            # The process is about to end. A second signal ends it at once, should a thread of the application
            # hold it up; after that, Python gives signals back to the system, and one would change the exit code.
            self._over = True
            atexit.register(_ignore_signals)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            if not self._over:
                if sys.stdout.isatty():
                    os.write(1, SHOW_CURSOR)  # A table that is being drawn hides it.
                os.write(2, b"ended at once; the next update brings in line what was under way\n")
            os._exit(128 + self.received)
        self.received = signal.Signals(number)
        if self._loop is None:
            raise KeyboardInterrupt
        # Not done here: the loop may be in the middle of something.
        self._loop.call_soon_threadsafe(self._asked)

    def _asked(self) -> None:
        self._say("stopping: what has begun is brought to its end; once more ends at once")
        if self._ask is not None:
            self._ask()

    @contextmanager
    def asking(self, ask: Callable[[], None]) -> Iterator[None]:
        """In this block, which is in a task, a signal calls ``ask`` from the loop."""
        before = self._loop, self._ask
        loop: Any = running_loop()
        self._loop, self._ask = loop, ask
        # A signal that comes just before the loop goes to sleep would be seen only when it wakes: so wake it.
        reading, writing = socket.socketpair()
        with reading, writing:
            reading.setblocking(False)
            writing.setblocking(False)
            loop.add_reader(reading, reading.recv, 64)
            woken = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
            try:
                yield
            finally:
                signal.set_wakeup_fd(woken)
                loop.remove_reader(reading)
                self._loop, self._ask = before

    def cancelling(self) -> Any:
        """In this block a signal cancels the running task."""
        return self.asking(cast("Any", current_task_or_none()).cancel)
