"""``mount`` and its kin: what a component's function uses to run other components."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any

from liveproof.abc.live_map import LiveMapFeed
from liveproof.core.children import mount_child, mounting_context
from liveproof.core.component import Cycle
from liveproof.core.context import ComponentContext, ComponentSubpath
from liveproof.core.function import Function
from liveproof.core.handle import ComponentMountHandle
from liveproof.core.live import LiveController
from liveproof.core.live_map import map_component
from liveproof.core.mapping import each
from liveproof.core.operator import is_live_component_class
from liveproof.core.paths import Path, Symbol, format_path
from liveproof.core.readiness import Readiness
from liveproof.core.targets import TargetState, TargetStateProvider, declare_target_state_with_child
from liveproof.core.values import decode, return_type

__all__ = ["mount", "mount_each", "mount_target", "use_mount"]

_MOUNT_TARGET = Symbol("liveproof/mount_target")


def _call_site() -> str:
    """Where the application called the public function that calls this one."""
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _split(api: str, args: tuple[Any, ...]) -> tuple[Path, Any, tuple[Any, ...]]:
    """The sub-path (given, or derived from the function's name), the function, and its arguments."""
    if args and isinstance(args[0], ComponentSubpath):
        if len(args) < 2:
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
        name = getattr(fn, "__coco_subpath_name__", getattr(fn, "__name__", None))
        if not name or name == "<lambda>":
            raise TypeError(
                f"{api}({fn!r}): no __name__ to derive a sub-path from; give an explicit component_subpath"
            )
        sub = (Symbol(name),)
    if not callable(fn):
        raise TypeError(f"{api}() takes a function after the component_subpath(), not {fn!r}")
    return sub, fn, rest


def mount(*pos_args: Any, **kwargs: Any) -> Coroutine[Any, Any, ComponentMountHandle]:
    """``mount([subpath,] processor_fn, *args, **kwargs)``: run a component in the background.

    Without a sub-path it is ``Symbol(processor_fn.__name__)``. ``processor_fn`` may be a live component
    class. Returns a handle; the component's cycle is part of the caller's.

    Raises:
        RuntimeError: no component is running here, or this is the body of a ``process_live()``.
        TypeError: no function, or no name to derive a sub-path from.
        ValueError: a sibling was mounted at this path in this cycle.
    """
    return _mount(_call_site(), pos_args, kwargs)


async def _mount(site: str, pos_args: tuple[Any, ...], kwargs: dict[str, Any]) -> ComponentMountHandle:
    sub, fn, args = _split("mount", pos_args)
    context = mounting_context("mount")
    child = await mount_child(context, sub, fn, args, kwargs, "mount", site)
    return ComponentMountHandle([] if child is None else [child.ready])


def use_mount(*pos_args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
    """``use_mount([subpath,] processor_fn, *args, **kwargs)``: run a component, wait until it is ready, and
    return its result. What it raises is raised here.

    Raises:
        RuntimeError: as :func:`mount`, or inside ``process()`` of a live component.
        TypeError: as :func:`mount`, or given a live component class.
    """
    return _use_mount(_call_site(), pos_args, kwargs)


async def _use_mount(site: str, pos_args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    sub, fn, args = _split("use_mount", pos_args)
    if is_live_component_class(fn):
        raise TypeError(
            f"the live component class {fn.__name__} cannot be used with use_mount(): use mount(), or "
            "operator.update() inside process_live()"
        )
    context = mounting_context("use_mount")
    return await _run_dependent(context, sub, fn, args, kwargs, site)


async def _run_dependent(
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
    child = await mount_child(context, sub, fn, args, kwargs, "mount", site, critical=True)
    assert isinstance(child, Cycle), "it is on the critical path"
    if child.started or not child.carried_over:
        await context.cycle.wait_for(child.ready)
    if child.carried_over:
        record = child.record
        assert record is not None, "it was carried over from there"
        if record.result is None:
            return None
        return decode(record.result, fn.result_type if isinstance(fn, Function) else return_type(fn))
    return child.result


async def mount_target(
    target_state: TargetState[Any],
) -> TargetStateProvider[Any, Any]:
    """Apply a container, and return the provider of the states inside it.

    A component of its own at a path made of the container's key declares it.

    Raises:
        RuntimeError: as :func:`use_mount`.
    """
    context = mounting_context("mount_target")
    sub: Path = (_MOUNT_TARGET, *target_state.path)
    provider = await _run_dependent(
        context, sub, _declare_container, (target_state,), {}, _call_site()
    )
    assert isinstance(provider, TargetStateProvider), "what _declare_container returns"
    return provider


async def _declare_container(target_state: TargetState[Any]) -> TargetStateProvider[Any, Any]:
    return declare_target_state_with_child(target_state)


def mount_each(*pos_args: Any, **kwargs: Any) -> Coroutine[Any, Any, ComponentMountHandle]:
    """``mount_each([subpath,] fn, items, *args, **kwargs)``: one component per ``(key, value)`` of ``items``.

    Each runs ``fn(value, *args, **kwargs)`` at ``subpath / key``. Items may be any iterable, sync or async,
    of pairs, or a :class:`LiveMapFeed` or :class:`LiveMapView`: then changes are followed in live mode.

    Raises:
        RuntimeError: as :func:`mount`.
        TypeError: no items; a key that is not a stable key; a live component class.
    """
    return _mount_each(_call_site(), pos_args, kwargs)


async def _mount_each(site: str, pos_args: tuple[Any, ...], kwargs: dict[str, Any]) -> ComponentMountHandle:
    sub, fn, args = _split("mount_each", pos_args)
    if is_live_component_class(fn):
        raise TypeError(
            f"the live component class {fn.__name__} cannot be used with mount_each(): pass a function with a "
            "LiveMapFeed or LiveMapView, or use operator.update() for each item"
        )
    if not args:
        raise TypeError("mount_each() takes the items after the function")
    items, rest = args[0], args[1:]
    context = mounting_context("mount_each")
    if isinstance(items, LiveMapFeed):
        component = map_component(fn)
        live = await mount_child(context, sub, component, (fn, items, rest, kwargs), {}, "mount_each", site)
        assert isinstance(live, LiveController), "a live component"
        return ComponentMountHandle([live.ready])
    parts: list[Readiness] = []
    async for item in each(items):
        try:
            key, value = item
        except (TypeError, ValueError):
            raise TypeError(f"mount_each() takes (key, value) pairs, not {item!r}") from None
        child = await mount_child(context, (*sub, key), fn, (value, *rest), kwargs, "mount_each", site)
        if child is not None:
            parts.append(child.ready)
    return ComponentMountHandle(parts)
