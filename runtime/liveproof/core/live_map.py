"""``mount_each`` on a feed: the live component behind it, and what the feed's ``watch()`` talks to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from liveproof.abc.live_map import LiveMapFeed, LiveMapView
from liveproof.core.children import mount_child, mounting_context
from liveproof.core.context import component_subpath
from liveproof.core.handle import ComponentMountHandle
from liveproof.core.operator import LiveComponentOperator
from liveproof.core.paths import StableKey

__all__ = ["LiveMapSubscriber", "map_component"]

K = TypeVar("K", bound=StableKey)
V = TypeVar("V")


class LiveMapSubscriber(Generic[K, V]):
    """What a feed's ``watch()`` tells of changes: keys and values, where an operator takes paths."""

    __slots__ = ("_args", "_fn", "_kwargs", "_operator", "_scannable")

    def __init__(
        self,
        operator: LiveComponentOperator,
        fn: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        scannable: bool = True,
    ) -> None:
        self._operator = operator
        self._fn = fn
        self._args = args
        self._kwargs = kwargs or {}
        self._scannable = scannable

    async def update_all(self) -> None:
        """Scan all items again, and collect what is no longer there.

        Raises:
            RuntimeError: the feed can not be scanned, so that everything would be collected.
        """
        if not self._scannable:
            raise RuntimeError(
                "update_all() needs a LiveMapView, which can be iterated; this feed has no __aiter__()"
            )
        await self._operator.update_full()

    async def mark_ready(self) -> None:
        """Signal readiness. In catch-up mode ``watch()`` ends here."""
        await self._operator.mark_ready()

    async def update(self, key: K, value: V) -> ComponentMountHandle:
        """An item is new or has changed."""
        return await self._operator.update(
            component_subpath(key), self._fn, value, *self._args, **self._kwargs
        )

    async def delete(self, key: K) -> ComponentMountHandle:
        """An item is gone."""
        return await self._operator.delete(component_subpath(key))

    async def settled(self) -> None:
        """Wait until all that was applied so far would survive a power cut. For a feed that tells its
        source to forget: ``ready()`` of a handle does not promise that.

        Raises:
            UnsettledError: something could not be made durable in this run.
        """
        await self._operator.settled()

    async def report_exception(self, exc: BaseException) -> None:
        """Report a failure that does not end the feed, such as a malformed event."""
        await self._operator.report_exception(exc)


class _MapComponent:
    """The live component behind ``mount_each`` on a feed."""

    def __init__(
        self, fn: Callable[..., Any], feed: LiveMapFeed[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._fn = fn
        self._feed = feed
        self._args = args
        self._kwargs = kwargs

    async def process(self) -> None:
        """Mount a child for every item that there is now."""
        context = mounting_context("mount_each")
        if isinstance(self._feed, LiveMapView):
            async for key, value in self._feed:
                await mount_child(
                    context,
                    (key,),
                    self._fn,
                    (value, *self._args),
                    self._kwargs,
                    "mount_each",
                    f"key {key!r} of {type(self._feed).__name__}",
                )

    async def process_live(self, operator: LiveComponentOperator) -> None:
        """Let the feed tell of its changes."""
        await self._feed.watch(
            LiveMapSubscriber(
                operator,
                self._fn,
                self._args,
                self._kwargs,
                scannable=isinstance(self._feed, LiveMapView),
            )
        )


def map_component(fn: Callable[..., Any]) -> type[_MapComponent]:
    """A live component class for ``fn``, named after it."""
    name = getattr(fn, "__name__", type(fn).__name__)
    return type(f"mount_each({name})", (_MapComponent,), {})
