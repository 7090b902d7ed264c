"""Strategies by name: ``random``, ``pct:depth=3``, ``preemptions:bound=2`` … An unknown one is an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from liveproof_sim.errors import OptionError
from liveproof_sim.explore.strategies.dpor import CutSearch, Dpor, dpor
from liveproof_sim.explore.strategies.near import Near
from liveproof_sim.explore.strategies.pct import Pct
from liveproof_sim.explore.strategies.portfolio import Portfolio
from liveproof_sim.explore.strategies.pos import Pos
from liveproof_sim.explore.strategies.random_walk import RandomWalk
from liveproof_sim.explore.strategies.search import FifoSearch, Search
from liveproof_sim.explore.strategies.surw import Surw
from liveproof_sim.explore.strategies.systematic import Systematic
from liveproof_sim.explore.strategies.urw import Urw

__all__ = ["NAMES", "make"]

_MAKERS: dict[str, tuple[Callable[..., Search], tuple[str, ...]]] = {
    "delays": (partial(Systematic, "delays"), ("bound",)),
    "dfs": (partial(Systematic, "dfs"), ()),
    "dpor": (dpor, ("depth", "preemptions", "faults", "crashes")),
    "dpor-cuts": (CutSearch, ("depth", "faults", "crashes")),
    "dpor-source": (partial(Dpor, source=True), ("depth", "faults", "crashes")),
    "fifo": (FifoSearch, ()),
    "near": (Near, ("delays",)),
    "pct": (Pct, ("depth", "horizon")),
    "portfolio": (Portfolio, ()),
    "pos": (Pos, ()),
    "preemptions": (partial(Systematic, "preemptions"), ("bound",)),
    "random": (RandomWalk, ()),
    "surw": (Surw, ("places",)),
    "urw": (Urw, ()),
}

NAMES = tuple(_MAKERS)
"""Every strategy there is."""


def make(spec: str | Search) -> Search:
    """The strategy of a specification such as ``pct:depth=3``.

    Raises:
        OptionError: the name, an option or a value does not exist.
    """
    if isinstance(spec, Search):
        return spec
    if not isinstance(spec, str):
        raise OptionError(f"a strategy is a name such as 'portfolio', not {spec!r}")
    name, _, rest = spec.partition(":")
    if name not in _MAKERS:
        raise OptionError(f"no strategy is called {name!r}: there are {', '.join(NAMES)}")
    maker, known = _MAKERS[name]
    options: dict[str, Any] = {}
    for part in rest.split(",") if rest else []:
        option, _, value = part.partition("=")
        if option not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise OptionError(f"strategy {name!r} has no option {option!r}: {there}")
        if not value.isdecimal():
            raise OptionError(f"strategy {name!r}: {option} is a number, not {value!r}")
        options[option] = int(value)
    return maker(**options)
