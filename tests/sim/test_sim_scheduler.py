"""SimScheduler keeps the rules that every scheduler keeps, in every mode with the empty tape."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveproof.testing import check_scheduler
from liveproof_sim.kernel.loop import Fidelity, SimLoop, Timers, run_in
from liveproof_sim.kernel.scheduler import SimScheduler


@pytest.mark.parametrize("fidelity", list(Fidelity))
@pytest.mark.parametrize("timers", list(Timers))
def test_conformance(fidelity: Fidelity, timers: Timers) -> None:
    def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        run_in(SimLoop(fidelity=fidelity, timers=timers), main())

    check_scheduler(SimScheduler, run)
