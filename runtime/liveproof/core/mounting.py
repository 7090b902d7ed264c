"""``mount`` and its kin: what a component's function uses to run other components."""

from __future__ import annotations

import datetime
import inspect
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from liveproof.abc.live_map import LiveMapFeed, LiveMapView
from liveproof.abc.store import Table
from liveproof.core.component import Cycle
from liveproof.core.context import ComponentContext, ComponentSubpath, MountKind, component_subpath, current
from liveproof.core.handle import ComponentMountHandle
from liveproof.core.live import LiveComponent, LiveComponentOperator, LiveController, is_live_component_class
from liveproof.core.paths import Path, StableKey, Symbol, encode_path, format_path
from liveproof.core.readiness import Readiness
from liveproof.core.records import DEPTH_MAX, decode_record, encode_record
from liveproof.core.targets import (
    TargetState,
    TargetStateProvider,
    declare_target_state_with_child,
)
from liveproof.core.values import decode, return_type
from liveproof.errors import StoppedError

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["LiveMapSubscriber", "auto_refresh", "map", "mount", "mount_each", "mount_target", "use_mount"]

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

_MOUNT_TARGET = Symbol("liveproof/mount_target")


def _call_site() -> str:
    """Where the application called the public function that calls this one."""
    frame = sys._getframe(2)  # noqa: SLF001 - the documented way to ask for a caller
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _split(api: str, args: tuple[Any, ...]) -> tuple[Path, Any, tuple[Any, ...]]:
    """The sub-path (given, or derived from the function's name), the function, and its arguments."""
    if args and isinstance(args[0], ComponentSubpath):
        if len(args) < 2:  # noqa: PLR2004 - sub-path and function
            raise TypeError(f"{api}() takes a function after the component_subpath()")
        sub, fn = args[0].parts, args[1]
        rest = args[2:]
    else:
        if not args:
            raise TypeError(f"{api}() takes a function")
        fn = args[0]
        rest = args[1:]
        if not callable(fn):
            raise TypeError(f"{api}() takes a component_subpath() or a function first, not {fn!r}")
        name = getattr(fn, "__coco_subpath_name__", None) or getattr(fn, "__name__", None)
        if not name or name == "<lambda>":
            raise TypeError(
                f"{api}({fn!r}): no __name__ to derive a sub-path from; give an explicit component_subpath"
            )
        sub = (Symbol(name),)
    if not callable(fn):
        raise TypeError(f"{api}() takes a function after the component_subpath(), not {fn!r}")
    return sub, fn, rest


def _context_for(api: str) -> ComponentContext:
    """The running component, which may mount here."""
    context = current(f"{api}()")
    if context.live_operator:
        raise RuntimeError(
            f"{api}() is not allowed inside process_live() of {format_path(context.cycle.path)}: use "
            "operator.update(), or mount in process()"
        )
    context.cycle.require_open(f"{api}()")
    frame = context.frame
    if frame.outer is not None:
        raise RuntimeError(
            f"{api}() inside a memoized function that was called directly: its mounts could not be repeated when "
            "the memo is used; mount the function instead of calling it"
        )
    return context


async def _mount(
    context: ComponentContext,
    sub: Path,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    kind: MountKind,
    site: str,
    *,
    critical: bool = False,
) -> Cycle | LiveController | None:
    """Mount one child. Returns what runs, or ``None`` if the last outcome was carried over."""
    parent = context.cycle
    run = parent.run
    sub = context.prefix + sub
    path = parent.path + sub
    if len(path) > DEPTH_MAX:
        raise ValueError(f"a path has at most {DEPTH_MAX} keys: {format_path(path)}")
    key = parent.key + encode_path(sub)
    known = parent.known
    if known is None:
        known = await parent.children_known()
    first = parent.mounted.get(key)
    if first is not None:
        raise ValueError(
            f"two components are mounted at {format_path(path)} in one cycle: at {first} and at {site}; give "
            "them different component_subpaths"
        )
    if run.stopping:
        raise StoppedError(f"component {format_path(path)} was not started: the update was cancelled")
    parent.note_mount(key, site)
    raw = known.get(key)
    if raw is None and parent.strangers_below:
        raw = run.ledger.get(Table.COMPONENT, key)
    record = None if raw is None else decode_record(raw)
    if record is not None and record.owner != len(parent.path) and key not in run.deleting:
        # From now on it is ours: whoever mounted it before must not collect it (GC-2).
        record.owner = len(parent.path)
        run.ledger.put([(Table.COMPONENT, key, encode_record(record))])
    if record is None and not known and parent.record is None:
        parent.ensure_row()
    if is_live_component_class(fn):
        parent.ensure_row()
        parent.spoiled = True
        parent.child_started()
        assert isinstance(fn, type), "a class"
        live = LiveController(
            run,
            path,
            key,
            len(parent.path),
            fn,
            args,
            kwargs,
            kind=kind,
            handlers=context.handlers,
            rival=parent.rival,
            on_ready=parent.child_ready,
            record=record,
        )
        live.start()
        return live
    child = Cycle(
        run,
        path,
        key,
        len(parent.path),
        fn,
        args,
        kwargs,
        kind=kind,
        critical=critical,
        handlers=context.handlers,
        rival=parent.rival,
        on_end=parent.child_ended,
        record=record,
        memoizing=parent.memoizing,
    )
    child.prepare_memo()
    busy = key in run.controllers or key in run.deleting
    if child.remembered and not child.has_states and not busy:
        child.carry_over()
        if parent.memoizing:
            parent.frame.uses.update(child.frame.uses)
        return child if critical else None
    if raw is not None and key in known and key not in parent.with_children:
        child.known = {}
    parent.ensure_row()
    parent.child_started()
    limiter = run.limiter
    limiter.start(child)
    if limiter.crowded:
        await parent.give_way()
        try:
            await limiter.room()
        finally:
            await parent.come_back()
    return child


async def mount(*pos_args: Any, **kwargs: Any) -> ComponentMountHandle:
    """``mount([subpath,] processor_fn, *args, **kwargs)``: run a component in the background.

    Without a sub-path it is ``Symbol(processor_fn.__name__)``. ``processor_fn`` may be a live component
    class. Returns a handle; the component's cycle is part of the caller's.

    Raises:
        RuntimeError: no component is running here, or this is the body of a ``process_live()``.
        TypeError: no function, or no name to derive a sub-path from.
        ValueError: a sibling was mounted at this path in this cycle.
    """
    sub, fn, args = _split("mount", pos_args)
    context = _context_for("mount")
    child = await _mount(context, sub, fn, args, kwargs, "mount", _call_site())
    return ComponentMountHandle([] if child is None else [child.ready])


async def use_mount(*pos_args: Any, **kwargs: Any) -> Any:
    """``use_mount([subpath,] processor_fn, *args, **kwargs)``: run a component, wait until it is ready, and
    return its result. What it raises is raised here.

    Raises:
        RuntimeError: as :func:`mount`, or inside ``process()`` of a live component.
        TypeError: as :func:`mount`, or given a live component class.
    """
    sub, fn, args = _split("use_mount", pos_args)
    if is_live_component_class(fn):
        raise TypeError(
            f"the live component class {fn.__name__} cannot be used with use_mount(): use mount(), or "
            "operator.update() inside process_live()"
        )
    context = _context_for("use_mount")
    return await _use_mount(context, sub, fn, args, kwargs, _call_site())


async def _use_mount(
    context: ComponentContext,
    sub: Path,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    site: str,
) -> Any:
    if context.cycle.refuses_use_mount:
        raise RuntimeError(
            f"use_mount() and mount_target() are not allowed inside process() of the live component "
            f"{format_path(context.cycle.path)}: do it in the parent, and pass the result to the live component"
        )
    child = await _mount(context, sub, fn, args, kwargs, "mount", site, critical=True)
    assert isinstance(child, Cycle), "it is on the critical path"
    if child.started or not child.carried_over:
        await context.cycle.wait_for(child.ready)
    if child.carried_over:
        record = child.record
        assert record is not None, "it was carried over from there"
        return None if record.result is None else decode(record.result, return_type(fn))
    return child.result


async def mount_target(
    target_state: TargetState[Any],
) -> TargetStateProvider[Any, Any]:
    """Apply a container, and return the provider of the states inside it.

    A component of its own at a path made of the container's key declares it.

    Raises:
        RuntimeError: as :func:`use_mount`.
    """
    context = _context_for("mount_target")
    sub: Path = (_MOUNT_TARGET, *target_state.path)
    provider = await _use_mount(
        context, sub, _declare_container, (target_state,), {}, _call_site()
    )
    assert isinstance(provider, TargetStateProvider), "what _declare_container returns"
    return provider


async def _declare_container(target_state: TargetState[Any]) -> TargetStateProvider[Any, Any]:
    return declare_target_state_with_child(target_state)


async def mount_each(*pos_args: Any, **kwargs: Any) -> ComponentMountHandle:
    """``mount_each([subpath,] fn, items, *args, **kwargs)``: one component per ``(key, value)`` of ``items``.

    Each runs ``fn(value, *args, **kwargs)`` at ``subpath / key``. Items may be any iterable, sync or async,
    of pairs, or a :class:`LiveMapFeed` or :class:`LiveMapView`: then changes are followed in live mode.

    Raises:
        RuntimeError: as :func:`mount`.
        TypeError: no items; a key that is not a stable key; a live component class.
    """
    sub, fn, args = _split("mount_each", pos_args)
    if is_live_component_class(fn):
        raise TypeError(
            f"the live component class {fn.__name__} cannot be used with mount_each(): pass a function with a "
            "LiveMapFeed or LiveMapView, or use operator.update() for each item"
        )
    if not args:
        raise TypeError("mount_each() takes the items after the function")
    items, rest = args[0], args[1:]
    context = _context_for("mount_each")
    site = _call_site()
    if isinstance(items, LiveMapFeed):
        component = _map_component(fn)
        live = await _mount(context, sub, component, (fn, items, rest, kwargs), {}, "mount_each", site)
        assert isinstance(live, LiveController), "a live component"
        return ComponentMountHandle([live.ready])
    parts: list[Readiness] = []
    async for item in _each(items):
        try:
            key, value = item
        except (TypeError, ValueError):
            raise TypeError(f"mount_each() takes (key, value) pairs, not {item!r}") from None
        child = await _mount(context, (*sub, key), fn, (value, *rest), kwargs, "mount_each", site)
        if child is not None:
            parts.append(child.ready)
    return ComponentMountHandle(parts)


async def _each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Iterable):
        for item in items:
            yield item
    else:
        raise TypeError(f"items must be iterable, sync or async, not {type(items).__name__}")


class LiveMapSubscriber:
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

    async def update(self, key: StableKey, value: Any) -> ComponentMountHandle:
        """An item is new or has changed."""
        return await self._operator.update(
            component_subpath(key), self._fn, value, *self._args, **self._kwargs
        )

    async def delete(self, key: StableKey) -> ComponentMountHandle:
        """An item is gone."""
        return await self._operator.delete(component_subpath(key))

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
        context = _context_for("mount_each")
        if isinstance(self._feed, LiveMapView):
            async for key, value in self._feed:
                await _mount(
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


def _map_component(fn: Callable[..., Any]) -> type[_MapComponent]:
    name = getattr(fn, "__name__", type(fn).__name__)
    return type("_MapComponent", (_MapComponent,), {"__coco_subpath_name__": name})


def auto_refresh(process_fn: Callable[P, Any], *, interval: datetime.timedelta) -> type[LiveComponent]:
    """A live component class that runs ``process_fn`` again and again, ``interval`` after each end.

    In catch-up mode it runs once. A failing cycle goes to the exception handlers, and the next one comes.

    Raises:
        TypeError: ``process_fn`` is not callable, or ``interval`` not a ``timedelta``.
        ValueError: ``interval`` is not positive.
    """
    if not callable(process_fn):
        raise TypeError(f"auto_refresh() takes a function, not {process_fn!r}")
    if not isinstance(interval, datetime.timedelta):
        raise TypeError(f"interval is a datetime.timedelta, not {type(interval).__name__}")
    if interval <= datetime.timedelta(0):
        raise ValueError(f"interval must be positive, not {interval}")
    interval_ns = interval // datetime.timedelta(microseconds=1) * 1000

    class AutoRefresh:
        """Runs a function at intervals."""

        __coco_subpath_name__ = getattr(process_fn, "__name__", None)

        def __init__(self, *args: P.args, **kwargs: P.kwargs) -> None:
            self._args = args
            self._kwargs = kwargs

        async def process(self) -> None:
            outcome = process_fn(*self._args, **self._kwargs)
            if inspect.isawaitable(outcome):
                await outcome

        async def process_live(self, operator: LiveComponentOperator) -> None:
            run = current("auto_refresh()").cycle.run
            await operator.update_full()
            await operator.mark_ready()
            while True:
                await run.sleep(interval_ns)
                await operator.update_full()

    AutoRefresh.__name__ = f"auto_refresh({AutoRefresh.__coco_subpath_name__})"
    return AutoRefresh


async def map(  # noqa: A001 - the page's name
    fn: Callable[Concatenate[T, P], Coroutine[Any, Any, R]],
    items: Iterable[T] | AsyncIterable[T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> list[R]:
    """Call ``fn(item, *args, **kwargs)`` for all items at the same time, within this component.

    Returns the results in the order of the items. When some fail, all others still end, and then the
    first failure in that order is raised.
    """
    context = current("map()")
    calls = [item async for item in _each(items)]
    group: _Calls[R] = _Calls(context.cycle.run.scheduler, len(calls))
    return await group.gather([fn(item, *args, **kwargs) for item in calls])


class _Calls:
    """Calls that run side by side, and their results."""

    __class_getitem__ = classmethod(lambda cls, _item: cls)

    def __init__(self, scheduler: Scheduler, count: int) -> None:
        self._scheduler = scheduler
        self._left = count
        self._results: list[Any] = [None] * count
        self._failures: dict[int, BaseException] = {}
        self._waiting: Any = None
        self._running: dict[Any, None] = {}
        self._cancelled = False

    async def gather(self, calls: list[Awaitable[Any]]) -> list[Any]:
        """Run all to their ends."""
        scheduler = self._scheduler
        self._waiting = scheduler.current()
        for at, call in enumerate(calls):
            scheduler.spawn(self._one(at, call), name="liveproof: map")
        try:
            while self._left:
                await scheduler.park(self)
        except scheduler.cancelled:
            self._cancelled = True
            for task in self._running:
                scheduler.cancel(task)
            while self._left:
                await scheduler.park(self)
            raise
        if self._failures:
            raise self._failures[min(self._failures)]
        return self._results

    async def _one(self, at: int, call: Awaitable[Any]) -> None:
        task = self._scheduler.current()
        try:
            if self._cancelled:
                if inspect.iscoroutine(call):
                    call.close()
            else:
                self._running[task] = None
                self._results[at] = await call
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised by gather()
            self._failures[at] = exc
        finally:
            self._running.pop(task, None)
            self._left -= 1
            if self._left == 0:
                self._scheduler.unpark(self._waiting)
