"""``@explore``: a test of a scenario."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from liveproof_sim.check import check
from liveproof_sim.errors import OptionError
from liveproof_sim.explore.execution import takes_world
from liveproof_sim.explore.scenario import Bound, Scenario, require_async, world_parameter
from liveproof_sim.explore.verdict import Verdict

__all__ = ["Conductor", "Exploration", "conducted", "explore", "explored"]


@dataclass(frozen=True, slots=True)
class Exploration:
    """A scenario, and how it asks to be explored."""

    scenario: Scenario
    options: dict[str, Any] = field(default_factory=dict)
    """keyword arguments of ``check``"""


Conductor: TypeAlias = Callable[[Exploration, Scenario], Verdict | None]
"""Explores a scenario whose arguments are given; raises its failure. None: it was run, and not explored."""


def _explore(exploration: Exploration, scenario: Scenario) -> Verdict:
    verdict = check(scenario, **exploration.options)
    if verdict.failure is not None:
        verdict.failure.exception.add_note(verdict.failure.report)
        raise verdict.failure.exception
    return verdict


_conductor: ContextVar[Conductor] = ContextVar("conductor", default=_explore)


@contextmanager
def conducted(conductor: Conductor) -> Iterator[None]:
    """Have ``conductor`` do what calling an explored test does: pytest's options are none of the test's."""
    token = _conductor.set(conductor)
    try:
        yield
    finally:
        _conductor.reset(token)


def explored(function: object) -> bool:
    """Whether it was made with :func:`explore`, perhaps with ``@given`` above."""
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return isinstance(getattr(inner, "exploration", None), Exploration)


def explore(**options: Any) -> Callable[[Scenario], Callable[..., Any]]:
    """Make a test of a scenario: calling it explores, and raises the failure with its report as a note, or
    returns the verdict (in pytest: nothing).

    The parameter called ``world``, or annotated ``World``, is the simulator's; all others are the test's own:
    in pytest, fixtures and parameters. They are made once, and serve all executions.

    Raises:
        NondeterminismError: when called, and the scenario depends on what the simulator does not control.
        OptionError: there is no such option.
        ScenarioError: it is no async function.
    """
    known = [
        name for name, each in inspect.signature(check).parameters.items() if each.kind is each.KEYWORD_ONLY
    ]
    for name in options:
        if name not in known:
            raise OptionError(f"explore has no option {name!r}: there are {', '.join(known)}")

    def decorate(scenario: Scenario) -> Callable[..., Any]:
        require_async(scenario)
        exploration = Exploration(scenario, options)
        parameters = dict(inspect.signature(scenario).parameters)
        world = world_parameter(scenario)
        if world is not None:
            del parameters[world]
        signature = inspect.Signature([*parameters.values()])

        def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Verdict | None:
            __tracebackhide__ = True
            bound: Scenario = scenario
            if args or kwargs or world is not None:
                bound = Bound(scenario, signature.bind(*args, **kwargs).arguments)
            takes_world(bound)
            conduct = _conductor.get()
            verdict = conduct(exploration, bound)
            # pytest warns of tests that return something.
            return verdict if conduct is _explore else None

        # On one line, because its code is moved to where the scenario is: Hypothesis shows the place of what
        # it calls. The first name hides it in pytest.
        @functools.wraps(scenario)
        def run(*args: Any, **kwargs: Any) -> Any: return (__tracebackhide__ := True) and call(args, kwargs)

        code = scenario.__code__
        run.__code__ = run.__code__.replace(  # type: ignore[attr-defined]
            co_filename=code.co_filename, co_firstlineno=code.co_firstlineno
        )
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: each.annotation for name, each in parameters.items()}
        run.exploration = exploration  # type: ignore[attr-defined]
        return run

    return decorate
