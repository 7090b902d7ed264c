"""A value that means "there was none", where ``None`` is a value like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, final

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # Known to type checkers; not installed.

__all__ = ["NON_EXISTENCE", "NonExistenceType", "is_non_existence"]


@final
class NonExistenceType:
    """The type of :data:`NON_EXISTENCE`, its only instance."""

    __slots__ = ()

    def __new__(cls) -> NonExistenceType:
        return NON_EXISTENCE if "NON_EXISTENCE" in globals() else super().__new__(cls)

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NON_EXISTENCE"

    def __reduce__(self) -> str:
        return "NON_EXISTENCE"

    def __coco_memo_key__(self) -> object:
        return "NON_EXISTENCE"


NON_EXISTENCE: Final = NonExistenceType()
"""No previous value, no wanted value."""


def is_non_existence(value: Any) -> TypeIs[NonExistenceType]:
    """Whether ``value`` is :data:`NON_EXISTENCE`."""
    return value is NON_EXISTENCE
