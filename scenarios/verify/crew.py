"""Runs the pieces of a plan in a few processes, and shows how far it is.

A piece is handed out when a process is free, so that the deadline is asked at that moment: what has not begun by
then is not run, and what has begun is given the time that is left.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scenarios.verify.plan import Piece
from scenarios.verify.work import Result, run

__all__ = ["crew"]


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """The processes. None of them outlives an interruption, whatever it is at."""
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    with pool:
        try:
            yield pool
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            pool.shutdown(cancel_futures=True)
            raise


def crew(
    planned: Sequence[Piece], *, jobs: int, deadline: float | None, folder: Path, told: Callable[[Result], None]
) -> None:
    """Run them. ``deadline``: on the monotonic clock. ``told``: of each result as it comes."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    waiting = list(reversed(planned))
    running: dict[Future[Result], Piece] = {}
    with (
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
        _pool(jobs) as pool,
    ):
        bar = progress.add_task("", total=len(planned))
        while waiting or running:
            while waiting and len(running) < jobs:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    waiting.clear()
                    break
                piece = waiting.pop()
                running[pool.submit(run, piece, left, folder)] = piece
            progress.update(bar, description=", ".join(piece.name for piece in running.values()))
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                del running[future]
                result = future.result()
                told(result)
                progress.advance(bar)
                mark = "" if result.ok else "FAILED: "
                console.print(f"{result.seconds:7.1f} s  {result.key}: {mark}{result.text}", markup=False)
