"""``fn``: what it keeps of a function, when a memo stands, and how calls gather."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from liveproof.core.absence import NonExistenceType, is_non_existence
from liveproof.core.context import CallFrame, ContextKey, current, enter, leave, use_context
from liveproof.core.decorator import fn
from liveproof.core.fingerprint import MemoStateOutcome
from liveproof.core.function import BoundFunction, Function, MemoEntry, check_states
from liveproof.core.provider import ContextProvider
from liveproof.errors import MemoError
from tests.runtime.function_site import LOG, Site, context_at, declare, uses


@pytest.fixture(autouse=True)
def _clear_log() -> None:
    LOG.clear()


@pytest.fixture
def site() -> Iterator[Site]:
    """A component is running."""
    site = Site()
    token = enter(context_at(site))
    yield site
    leave(token)


# --- still a function ---


@fn
def plain(a: int, b: str = "x", *, c: float = 1.0) -> str:
    """What it does."""
    return f"{a}{b}{c}"


@fn(memo=True)
async def coroutine(a: int) -> int:
    return a + 1


@fn.as_async
def adapted(a: int) -> int:
    return a + 2


class Holder:
    def __init__(self, n: int) -> None:
        self.n = n

    def __coco_memo_key__(self) -> object:
        return self.n

    @fn
    def method(self, a: int) -> int:
        return self.n + a

    @fn(memo=True)
    async def later(self, a: int) -> int:
        LOG.append(a)
        return self.n + a

    @staticmethod
    @fn
    def static(a: int) -> int:
        return a


def test_keeps_what_a_function_has() -> None:
    assert plain(1, "y", c=2) == "1y2"
    assert plain.__name__ == "plain"
    assert plain.__doc__ == "What it does."
    assert plain.__module__ == __name__
    assert str(inspect.signature(plain)) == "(a: 'int', b: 'str' = 'x', *, c: 'float' = 1.0) -> 'str'"
    assert not plain.is_async
    assert not plain.memo
    assert plain.raw is plain.__wrapped__
    assert coroutine.memo


def test_stays_sync_or_async() -> None:
    assert not inspect.iscoroutinefunction(plain)
    for function in (coroutine, adapted):
        assert inspect.iscoroutinefunction(function)
        assert function.is_async
    assert asyncio.run(coroutine(1)) == 2
    assert asyncio.run(adapted(1)) == 3
    assert asyncio.run(plain.as_async(1)) == "1x1.0"
    assert asyncio.run(coroutine.as_async(1)) == 2


def test_pickles_and_copies_as_itself() -> None:
    assert pickle.loads(pickle.dumps(plain)) is plain
    assert copy.deepcopy([plain])[0] is plain
    bound = pickle.loads(pickle.dumps(Holder(3).method))
    assert bound(1) == 4


def test_methods() -> None:
    holder = Holder(10)
    assert holder.method(1) == 11
    assert isinstance(Holder.method, Function)
    assert isinstance(holder.later, BoundFunction)
    assert holder.later.memo
    assert holder.later.is_async
    assert inspect.iscoroutinefunction(holder.later)
    assert asyncio.run(holder.method.as_async(2)) == 12
    assert holder.method.raw(5) == 15
    assert holder.method.logic == Holder.method.logic
    assert holder.method == holder.method
    assert holder.method != Holder(10).method
    assert len({holder.method, holder.method}) == 1
    assert holder.later.call_key((1,), {}, []) == Holder.later.call_key((holder,), {"a": 1}, [])
    assert Holder.static(4) == 4
    assert "later" in repr(holder.later)
    with pytest.raises(AttributeError):
        _ = holder.later.nothing


def test_refusals() -> None:
    def sync(items: list[int]) -> list[int]:
        return items

    with pytest.raises(ValueError, match="give one of them up"):
        fn(logic_tracking=None, deps="prompt")
    with pytest.raises(ValueError, match="'all'"):
        fn(logic_tracking="all")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"fn\.as_async\(batching="):
        fn(batching=True)(sync)
    with pytest.raises(ValueError, match=r"fn\.as_async\(runner="):
        fn(runner=object())(sync)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"'nobody'.*it has items"):
        fn(memo=True, memo_key={"nobody": None})(sync)
    with pytest.raises(ValueError, match="at least 1"):
        fn.as_async(batching=True, max_batch_size=0)
    with pytest.raises(TypeError, match="staticmethod above"):
        fn(staticmethod(sync))
    with pytest.raises(TypeError, match="already"):
        fn(fn(sync))
    with pytest.raises(TypeError, match="decorates functions"):
        fn(Holder)
    with pytest.raises(TypeError, match="version is an int"):
        fn(version="1")  # type: ignore[call-overload]


# --- the key of a call ---


def test_call_keys_do_not_depend_on_how_arguments_are_passed() -> None:
    def key(*args: Any, **kwargs: Any) -> bytes:
        return plain.call_key(args, kwargs, [])

    assert key(1, "y") == key(1, b="y") == key(b="y", a=1)
    assert key(1, c=2.0) != key(1, 2.0)
    assert key(1, c=2.0, b="y") == key(1, "y", c=2.0)
    assert key(1) != key(2)
    assert key(1) != coroutine.call_key((1,), {}, [])


def test_memo_key_transforms_and_drops() -> None:
    @fn(memo=True, memo_key={"client": None, "text": str.lower, "rest": len})
    def ask(text: str, client: object, *rest: int, strict: bool = False) -> str:
        return text

    def key(*args: Any, **kwargs: Any) -> bytes:
        return ask.call_key(args, kwargs, [])

    client: Any = iter(LOG)  # Has no fingerprint.
    assert key("A", client, 1, 2) == key("a", None, 3, 4) != key("a", None, 3)
    assert key("a", client=client) == key(text="A", client=1) != key("b", client)
    assert key("a", 1, strict=True) != key("a", 1)


# --- memos ---


@fn
def helper(a: int) -> int:
    return a * 2


@fn(memo=True)
def work(a: int) -> tuple[int, str]:
    LOG.append(a)
    declare(b"target %d" % a)
    return (helper(a), "done")


@fn(memo=True)
async def outer_work(a: int) -> list[tuple[int, str]]:
    LOG.append("outer")
    return [work(a)]


def test_a_remembered_call_is_not_run(site: Site) -> None:
    assert work(1) == (2, "done")
    first = uses()
    current().frame.uses.clear()
    assert work(a=1) == (2, "done")
    assert LOG == [1]
    assert uses() == first == [work.logic, helper.logic]
    assert site.retained == [b"target 1"]
    assert work(2) == (4, "done")
    assert LOG == [1, 2]
    assert current().frame.targets == []


def test_nested_memos(site: Site) -> None:
    async def main() -> None:
        work(1)
        LOG.clear()
        assert await outer_work(1) == [(2, "done")]
        assert LOG == ["outer"]
        assert site.retained == [b"target 1"]
        entry = site.memos[outer_work.call_key((1,), {}, [])]
        assert entry.targets == [b"target 1"]
        assert entry.uses == [outer_work.logic, work.logic, helper.logic]
        assert await outer_work(1) == [(2, "done")]
        assert LOG == ["outer"]
        await outer_work(5)
        assert site.memos[outer_work.call_key((5,), {}, [])].targets == [b"target 5"]

    asyncio.run(main())


def test_frames_of_memoized_calls_only_have_an_outer_frame(site: Site) -> None:
    frames: list[CallFrame] = []

    @fn(logic_tracking="self")
    def own() -> None:
        frames.append(current().frame)

    @fn(memo=True)
    def remembered() -> None:
        frames.append(current().frame)
        own()

    own()
    remembered()
    assert frames[0].outer is None
    assert frames[1].outer is current().frame
    assert frames[2].outer is current().frame
    assert frames[2].targets is frames[1].targets


def test_exceptions_are_not_remembered_but_what_they_used_is(site: Site) -> None:
    @fn(memo=True)
    def failing() -> None:
        helper(1)
        declare(b"t")
        raise KeyError("no")

    @fn(memo=True)
    def catching() -> None:
        with pytest.raises(KeyError):
            failing()

    catching()
    assert list(site.memos) == [catching.call_key((), {}, [])]
    assert site.memos.popitem()[1] == MemoEntry(
        [catching.logic, failing.logic, helper.logic], [], [b"t"], b"M\xc0"
    )


def test_full_reprocess(site: Site) -> None:
    work(1)
    site.full_reprocess = True
    work(1)
    assert LOG == [1, 1]


def test_results_must_be_storable(site: Site) -> None:
    @fn(memo=True)
    def opaque() -> object:
        return object()

    with pytest.raises(MemoError, match="cannot be stored"):
        opaque()
    assert not site.memos


def test_changed_result_type_runs_again(site: Site) -> None:
    class Pair(NamedTuple):
        x: int
        y: str

    @fn(memo=True, version=1)
    def make() -> Pair:
        LOG.append("made")
        return Pair(1, "a")

    make()
    assert make() == Pair(1, "a")
    (key,) = site.memos
    site.memos[key].result = b"M\x01"
    assert make() == Pair(1, "a")
    assert LOG == ["made", "made"]


def test_context_values_count_whatever_is_tracked(site: Site) -> None:
    model = ContextKey[str]("model", detect_change=True)

    def provide(value: str) -> None:
        site.provider = ContextProvider()
        site.provider.provide(model, value)

    @fn(logic_tracking="self")
    def own() -> str:
        helper(1)
        return use_context(model)

    @fn(memo=True, logic_tracking="self")
    def ask() -> str:
        LOG.append("asked")
        return own()

    provide("one")
    assert ask() == ask() == "one"
    assert LOG == ["asked"]
    (entry,) = site.memos.values()
    assert entry.uses == [ask.logic, site.provider.fingerprint(model)]
    provide("two")
    assert ask() == "two"


def test_tracking(site: Site) -> None:
    @fn(logic_tracking=None)
    def untracked() -> int:
        return helper(1)

    @fn(logic_tracking="self")
    def own() -> int:
        return helper(1)

    @fn(logic_tracking=None, version=3)
    def versioned() -> int:
        return 1

    untracked()
    assert uses() == [helper.logic]
    current().frame.uses.clear()
    own()
    assert uses() == [own.logic]
    current().frame.uses.clear()
    versioned()
    assert uses() == [versioned.logic]


# --- memo states ---


class File:
    def __init__(self, mtime: int, content: str) -> None:
        self.mtime = mtime
        self.content = content
        self.seen: list[object] = []

    def __coco_memo_key__(self) -> object:
        return "file"

    def __coco_memo_state__(self, prev_state: tuple[int, str] | NonExistenceType) -> MemoStateOutcome:
        self.seen.append(prev_state)
        valid = not is_non_existence(prev_state) and prev_state[1] == self.content
        return MemoStateOutcome((self.mtime, self.content), memo_valid=valid)


class RemoteFile(File):
    async def __coco_memo_state__(  # type: ignore[override]
        self, prev_state: tuple[int, str] | NonExistenceType
    ) -> MemoStateOutcome:
        await asyncio.sleep(0)
        return super().__coco_memo_state__(prev_state)


@fn(memo=True)
def read(file: File) -> str:
    LOG.append(file.content)
    return file.content


@fn(memo=True)
async def read_later(file: File) -> str:
    LOG.append(file.content)
    return file.content


@pytest.mark.parametrize("remote", [False, True])
def test_states_decide(site: Site, remote: bool) -> None:
    kind, reader = (RemoteFile, read_later) if remote else (File, read)

    async def main() -> None:
        async def get(file: File) -> str:
            return await reader.as_async(file)

        file = kind(1, "a")
        assert await get(file) == await get(file) == "a"
        assert [is_non_existence(file.seen[0]), file.seen[1]] == [True, (1, "a")]
        assert site.puts == 1
        touched = kind(2, "a")
        assert await get(touched) == "a"
        assert site.puts == 2  # Valid, and the new state is kept.
        assert LOG == ["a"]
        changed = kind(3, "b")
        assert await get(changed) == "b"
        assert changed.seen == [(2, "a")]
        assert LOG == ["a", "b"]

    if remote:
        asyncio.run(main())
    else:
        file = kind(1, "a")
        assert read(file) == read(file) == "a"
        assert read(kind(2, "a")) == "a"
        assert site.puts == 2
        assert read(kind(3, "b")) == "b"
        assert LOG == ["a", "b"]


def test_an_async_state_needs_an_async_function(site: Site) -> None:
    with pytest.raises(RuntimeError, match=r"make the function async.*as_async"):
        read(RemoteFile(1, "a"))


def test_states_are_checked_for_their_type(site: Site) -> None:
    class Wrong(File):
        def __coco_memo_state__(self, prev_state: object) -> Any:
            return True

    with pytest.raises(TypeError, match="bool, not a MemoStateOutcome"):
        read(Wrong(1, "a"))


def test_check_states_without_anything_to_compare_with() -> None:
    assert asyncio.run(check_states([], [])) == (True, [])
