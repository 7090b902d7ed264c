"""What a ``process_live()`` works with: the operator, and the calls that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, runtime_checkable

from liveproof.core.context import ComponentSubpath, current_or_none
from liveproof.core.handle import ComponentMountHandle
from liveproof.core.operations import Kind
from liveproof.core.paths import Path, format_path
from liveproof.core.readiness import Readiness
from liveproof.errors import UnsettledError

if TYPE_CHECKING:
    from liveproof.core.live import LiveController

__all__ = ["Call", "LiveComponent", "LiveComponentOperator", "is_live_component_class"]

P = ParamSpec("P")


@runtime_checkable
class LiveComponent(Protocol):
    """A component that scans in full once and then reacts to single changes."""

    async def process(self) -> None:
        """Full scan: mount all children and declare all target states."""

    async def process_live(self, operator: LiveComponentOperator) -> None:
        """Run for as long as there may be changes, and tell the operator of them."""


def is_live_component_class(cls: object) -> bool:
    """Whether ``cls`` is a class with both methods of a live component."""
    return (
        isinstance(cls, type)
        and callable(getattr(cls, "process", None))
        and callable(getattr(cls, "process_live", None))
    )


class LiveComponentOperator:
    """What a ``process_live()`` works with. Of use until that returns."""

    __slots__ = ("_controller",)

    def __init__(self, controller: LiveController) -> None:
        self._controller = controller

    async def update_full(self) -> None:
        """Run ``process()`` as a full cycle: wait for the children, submit, collect what was not mounted.

        Every operation invoked before has ended when it starts, and none invoked after starts before it
        has ended. A failure goes to the exception handlers; it is raised here only if they raise.
        """
        controller = self._controller.attached()
        await controller.invoke(Kind.FULL, None, Call.full(controller)).ready.wait()

    async def update(
        self, subpath: ComponentSubpath, processor_fn: Callable[P, Any], *args: P.args, **kwargs: P.kwargs
    ) -> ComponentMountHandle:
        """Mount a child, or mount it again. Returns when the operation has its place in the order; the
        handle's ``ready()`` when its effect, or that of a later one that replaced it, is applied."""
        controller = self._controller.attached()
        call = Call(controller, processor_fn, args, kwargs, subpath)
        return ComponentMountHandle([controller.invoke(Kind.UPDATE, call.sub, call).ready])

    async def delete(self, subpath: ComponentSubpath) -> ComponentMountHandle:
        """Delete a child and all below it. Returns and fails as :meth:`update` does; what could not be
        deleted is remembered, and deleted with the next full update."""
        controller = self._controller.attached()
        call = Call(controller, None, (), {}, subpath)
        return ComponentMountHandle([controller.invoke(Kind.DELETE, call.sub, call).ready])

    async def mark_ready(self) -> None:
        """Wait for every operation invoked so far, and resolve readiness. In catch-up mode that is the end:
        nothing after it runs but ``finally`` blocks and the exits of context managers."""
        await self._controller.attached(ending_too=True).mark_ready()

    async def settled(self) -> None:
        """Wait until all that was applied so far would survive a power cut. What ``ready()`` waits for is
        there, but after a power cut it need not be: wait for this as well before a source is told to
        forget, as the broker of a log is by a commit. Nothing to wait for under
        ``Settings(durability="process")``.

        Raises:
            UnsettledError: something could not be made durable in this run.
        """
        run = self._controller.attached(ending_too=True).run
        await run.settler.catch_up()
        if not run.settled:
            raise UnsettledError(
                "a target could not make durable what it has applied: do not let the source forget it; "
                "the next run writes it again when it is told of it again"
            )

    async def report_exception(self, exc: BaseException) -> None:
        """Route an exception to the handlers, as a failure of this component that does not end it.

        Raises what the outermost handler raised, if all of them did.
        """
        escaped = await self._controller.attached(ending_too=True).report(exc)
        if escaped is not None:
            raise escaped


class Call:
    """What an operation is to do, and who waits for it."""

    __slots__ = ("args", "fn", "followers", "handlers", "kwargs", "ready", "sub")

    def __init__(
        self,
        controller: LiveController,
        fn: Callable[..., Any] | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        subpath: ComponentSubpath | None,
    ) -> None:
        if subpath is not None and not isinstance(subpath, ComponentSubpath):
            raise TypeError(
                f"the operator takes a component_subpath() first, not {type(subpath).__name__}: "
                "operator.update(coco.component_subpath(key), fn, …)"
            )
        if fn is not None and not callable(fn):
            raise TypeError(f"operator.update() takes a function or a live component class, not {fn!r}")
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        context = current_or_none()
        prefix: Path = ()
        if context is not None and context.cycle is controller.site:
            self.handlers = context.handlers
            prefix = context.prefix
        else:
            self.handlers = controller.handlers
        self.sub: Path | None = None if subpath is None else prefix + subpath.parts
        self.ready = Readiness(controller.run.scheduler, self)
        self.followers: list[Call] = []
        """Calls that this one replaced: they take its outcome (ORD-5)."""

    @classmethod
    def full(cls, controller: LiveController) -> Call:
        return cls(controller, None, (), {}, None)

    def resolve(self, error: BaseException | None) -> None:
        """Tell everybody who waits for this operation or for one that it replaced."""
        self.ready.resolve(error)
        for follower in self.followers:
            follower.ready.resolve(error)

    def __repr__(self) -> str:
        return "update_full()" if self.sub is None else f"operation on {format_path(self.sub)}"
