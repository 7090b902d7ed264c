"""Processes that are sent one thing after the other, and answer each."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from multiprocessing import connection
from types import TracebackType
from typing import Any, Self

from liveproof_sim.errors import SimError, WorkerError
from liveproof_sim.explore.scenario import Scenario
from liveproof_sim.explore.workers import PRELOADED, Errand

__all__ = ["Crew", "Labour"]

Labour = Callable[[Scenario, Any, Callable[[], Any], Callable[[Any], None]], None]
"""What a process does: the scenario, its options, what gives the next thing (None: there is none), whom to tell."""


class Crew:
    """So many of them, numbered from 0; they end when the block does."""

    def __init__(self, labour: Labour, errand: bytes, workers: int) -> None:
        context = multiprocessing.get_context("forkserver")  # forks of a process that has no threads
        context.set_forkserver_preload(PRELOADED)
        self._pipes: list[connection.Connection] = []
        self._processes: list[Any] = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(labour, errand, theirs), daemon=True)
            process.start()
            theirs.close()  # so that ours ends when the process does
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process, pipe in zip(self._processes, self._pipes, strict=True):
            process.join()
            pipe.close()

    def send(self, worker: int, thing: Any) -> None:
        """Have it do this.

        Raises:
            WorkerError: it is dead.
        """
        try:
            self._pipes[worker].send(thing)
        except OSError:
            raise self._dead(worker) from None

    def wait(self) -> tuple[int, Any]:
        """Who answers next, and what.

        Raises:
            WorkerError: it has died.
            SimError: what it raised.
        """
        ready = connection.wait(self._pipes)[0]
        assert isinstance(ready, connection.Connection)
        worker = self._pipes.index(ready)
        try:
            received = ready.recv()
        except (EOFError, OSError):
            raise self._dead(worker) from None
        if isinstance(received, BaseException):
            raise received
        return worker, received

    def _dead(self, worker: int) -> WorkerError:
        process = self._processes[worker]
        process.join()
        return WorkerError(f"a worker died with exit code {process.exitcode}; workers=1 shows why")


def _serve(labour: Labour, errand: bytes, pipe: connection.Connection) -> None:
    """The main function of a process."""
    try:
        began = pickle.loads(errand)  # noqa: S301 - our own process sent it
        assert isinstance(began, Errand)
        labour(began.scenario(), began.options, pipe.recv, pipe.send)
    except (KeyboardInterrupt, EOFError):  # whoever sends has ended
        return
    except SimError as error:
        pipe.send(error)
    except BaseException as error:  # noqa: BLE001 - it is raised in the process that waits
        pipe.send(WorkerError(f"a worker failed: {type(error).__name__}: {error}; workers=1 shows where"))
