"""The part of asyncio's loop that the simulator does not have: each call is refused, naming its site."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from liveproof_sim.errors import EscapeError

__all__ = ["Refusing", "call_site", "escape"]

_OWN = str(Path(__file__).resolve().parents[1])
_LIBRARY = str(Path(asyncio.__file__).resolve().parent.parent)

REFUSED = {
    "add_reader": "a real file descriptor",
    "add_writer": "a real file descriptor",
    "connect_accepted_socket": "a real socket",
    "connect_read_pipe": "a real pipe",
    "connect_write_pipe": "a real pipe",
    "create_connection": "a real socket",
    "create_datagram_endpoint": "a real socket",
    "create_server": "a real socket",
    "create_unix_connection": "a real socket",
    "create_unix_server": "a real socket",
    "getaddrinfo": "the real network",
    "getnameinfo": "the real network",
    "remove_reader": "a real file descriptor",
    "remove_writer": "a real file descriptor",
    "sendfile": "a real socket",
    "sock_accept": "a real socket",
    "sock_connect": "a real socket",
    "sock_recv": "a real socket",
    "sock_recv_into": "a real socket",
    "sock_recvfrom": "a real socket",
    "sock_recvfrom_into": "a real socket",
    "sock_sendall": "a real socket",
    "sock_sendfile": "a real socket",
    "sock_sendto": "a real socket",
    "start_tls": "a real socket",
    "subprocess_exec": "a real process",
    "subprocess_shell": "a real process",
}


def call_site() -> str:
    """``file:line in function`` of the innermost frame that is neither ours nor the standard library's."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        ours = name.startswith((_OWN, "<frozen"))
        if not ours and not (name.startswith(_LIBRARY) and "site-packages" not in name):
            return f"{name}:{frame.f_lineno} in {frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "an unknown place"


def escape(what: str, about: str, instead: str = "use a fake, or hand it in from outside") -> NoReturn:
    """Refuse a call to the real world.

    Raises:
        EscapeError: always.
    """
    raise EscapeError(
        f"{what} at {call_site()} reaches for {about}, which the simulator does not own: {instead}"
    )


def _refusal(name: str, about: str) -> Callable[..., Any]:
    def refused(self: object, *args: object, **kwargs: object) -> NoReturn:
        escape(f"loop.{name}()", about)

    refused.__name__ = name
    return refused


if TYPE_CHECKING:
    _Base = asyncio.SelectorEventLoop  # has every method; what it really has is below
else:
    _Base = asyncio.AbstractEventLoop


class Refusing(_Base):
    """Refuses everything that needs the real world."""


for _name, _about in REFUSED.items():
    setattr(Refusing, _name, _refusal(_name, _about))
