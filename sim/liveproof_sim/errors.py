"""Everything that the simulator raises on purpose.

::

    BaseException
    ├── PowerCut                      for the scenario: what it awaits vanished at a cut
    └── Exception
        └── SimError                      never raised itself
            ├── EscapeError               simulated code reached for the real world; names the call site
            ├── LostByDesign              damage that nobody claims to survive: counted, and no failure
            ├── NondeterminismError       one tape gave two different runs
            ├── OptionError               an option that does not exist, or a value that it cannot have
            ├── ReplayError               the tape names a step that no longer exists
            ├── ResumeError               a file with an exploration that cannot go on from it
            ├── ScenarioError             what was given to explore is no scenario
            ├── SimulatorBug              a broken invariant of the simulator itself
            ├── TapeError                 a token or trace that cannot be read: damaged, or of another version
            ├── WorkerError               a process that shares an exploration died
            └── Finding                   never raised itself: what a run is failed for, besides exceptions
                ├── DeadlockError         nothing can run, and a task waits
                ├── LeakError             tasks were still running when the scenario had returned
                ├── LivelockError         steps without end
                ├── MonitorError          a property of the world did not hold
                │   └── ContractError     the runtime broke its contract; names the id
                └── UnretrievedError      an exception that nobody looked at
"""

from __future__ import annotations

__all__ = [
    "ContractError",
    "DeadlockError",
    "EscapeError",
    "Finding",
    "LeakError",
    "LivelockError",
    "LostByDesign",
    "MonitorError",
    "NondeterminismError",
    "OptionError",
    "PowerCut",
    "ReplayError",
    "ResumeError",
    "ScenarioError",
    "SimError",
    "SimulatorBug",
    "TapeError",
    "UnretrievedError",
    "WorkerError",
]


class SimError(Exception):
    """Root of the tree; catch it to catch everything of ours."""

    def __init__(self, *args: object) -> None:
        if type(self) is SimError:
            raise TypeError("SimError is a base class; raise one of its subclasses")
        super().__init__(*args)


class PowerCut(BaseException):
    """The power has failed, and what was awaited will never happen. No ``Exception``, so that the app under
    test, which is dead, does not handle it."""


class EscapeError(SimError):
    """Simulated code called something that the simulator does not own: a socket, a thread, a subprocess."""


class LostByDesign(SimError):  # noqa: N818 - as above
    """The world did something that the contract does not claim to survive, such as damage to the only copy.
    What fails afterwards is counted under this name."""


class NondeterminismError(SimError):
    """The same scenario and the same choices gave two different runs (DET-1)."""


class OptionError(SimError, ValueError):
    """An option that does not exist, or a value that it cannot have."""


class ReplayError(SimError):
    """The code no longer has a step that the tape names. ``step`` counts the tape's steps from 0."""

    def __init__(self, step: int, expected: str, got: list[str]) -> None:
        self.step = step
        self.expected = expected
        self.got = got
        there = ", ".join(got) if got else "nothing that could run"
        super().__init__(
            f"the tape no longer fits at its step {step}: expected {expected}, got {there}; "
            "explore again to get a new token"
        )

    def __reduce__(self) -> tuple[type[ReplayError], tuple[int, str, list[str]]]:
        return (type(self), (self.step, self.expected, self.got))


class ResumeError(SimError, ValueError):
    """An exploration that cannot be written to a file, or cannot go on from one: the file is damaged, or other code
    made it."""


class ScenarioError(SimError, TypeError):
    """Not an async function of no argument or of a World."""


class SimulatorBug(SimError):  # noqa: N818 - our bug has its own name
    """An invariant of the simulator is broken. Please report it with the traceback."""


class TapeError(SimError, ValueError):
    """A token or a trace that cannot be read."""


class WorkerError(SimError):
    """A process that shares an exploration died, or failed in a way that is no finding."""


class Finding(SimError):  # noqa: N818 - a base, and no error of ours
    """What a run is failed for, besides the exceptions that leave the scenario."""

    def __init__(self, *args: object) -> None:
        if type(self) is Finding:
            raise TypeError("Finding is a base class; raise one of its subclasses")
        super().__init__(*args)


class DeadlockError(Finding):
    """Nothing can run any more, now or later, and a task still waits (or: some wait for each other)."""


class LeakError(Finding):
    """Tasks that were still running when the scenario had returned."""


class LivelockError(Finding):
    """Steps without end: more than the limit in one instant, or in all."""


class MonitorError(Finding, AssertionError):
    """A property of the world did not hold. ``monitor`` names it, whatever the words of the message."""

    def __init__(self, message: str, monitor: str = "") -> None:
        self.monitor = monitor
        super().__init__(message)

    def __reduce__(self) -> tuple[type[MonitorError], tuple[str, str]]:
        return (type(self), (str(self), self.monitor))


class ContractError(MonitorError):
    """The runtime, or what runs in it, broke the contract of live components. ``code`` is the id."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code}: {text}")

    def __reduce__(self) -> tuple[type[ContractError], tuple[str, str]]:
        return (type(self), (self.code, self.text))


class UnretrievedError(Finding):
    """An exception of a task, a callback or a future that nobody looked at."""
