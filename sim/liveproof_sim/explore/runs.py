"""Apps that were started in a world, and the world's clock."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from liveproof.errors import StoppedError
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.power import Boot, Power
from liveproof_sim.properties.contract import Contract

__all__ = ["Clock", "Run", "SimRun"]


class Clock:
    """Virtual time."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    @property
    def now_ns(self) -> int:
        """Since the run began."""
        return self._loop.now_ns

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


class Run:
    """An app that was started in a world."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        ended: bool = self._handle.phase == "ended"
        return ended

    async def ready(self) -> None:
        """Wait until it has caught up, or ended."""
        await self._handle.ready()

    async def result(self) -> Any:
        """Wait for its end; what its main function returned, or raised."""
        return await self._handle.result()

    def __await__(self) -> Any:
        return self.result().__await__()

    def ask_to_stop(self) -> None:
        """Cancel it, and go on at once."""
        self._handle.stop()

    async def stop(self) -> None:
        """Cancel it, and wait for its orderly end."""
        self.ask_to_stop()
        try:
            await self.result()
        except StoppedError:
            pass


class SimRun(Run):
    """One on simulated power. What waits for it raises ``PowerCut`` when the power fails."""

    def __init__(self, handle: Any, boot: Boot, power: Power, contract: Contract | None = None) -> None:
        super().__init__(handle)
        self._boot = boot
        self._power = power
        self._contract = contract
        self._open = contract is not None
        if contract is not None:
            contract.begun()

    @property
    def ended(self) -> bool:
        """Whether it has come to its end, or was cut short."""
        return self._boot.dead or super().ended

    async def ready(self) -> None:
        with self._boot.visited():
            await super().ready()

    async def result(self) -> Any:
        try:
            with self._boot.visited():
                return await super().result()
        finally:
            if self._open and super().ended:
                self._open = False
                assert self._contract is not None, "it was told of the beginning"
                self._contract.ended()

    def ask_to_stop(self) -> None:
        if not self.ended:
            self._power.run(self._boot, self._handle.stop)

    async def stop(self) -> None:
        if self._open and self._contract is not None and not self.ended:
            self._contract.stopped()
        await super().stop()

    async def close(self) -> None:
        """After the scenario: stop it, or, if it has ended, have its end noticed."""
        if not self.ended:
            await self.stop()
        elif self._open and not self._boot.dead:
            with contextlib.suppress(Exception):  # nobody has asked for it, and its tasks have been seen
                await self.result()
