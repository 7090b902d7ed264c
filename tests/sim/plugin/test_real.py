"""--real: the same tests on asyncio."""

from __future__ import annotations

import pytest

import liveproof.connectors.localfs  # noqa: F401 - once in a process: pytester forgets what its runs import
from tests.sim.plugin.suites import prepare, run

pytest_plugins = ["pytester"]

SUITE = """
import asyncio
import liveproof as coco
from liveproof_sim import explore

@coco.fn
async def leaf(out, name):
    (out / name).write_text(name.upper())

@coco.fn
async def main(out, names):
    for name in names:
        await coco.mount(coco.component_subpath(name), leaf, out, name)

@explore(executions=5)
async def test_passes(world):
    real = world.fs.dir("/docs", {"a.md": "alpha", "deep/b.md": b"beta"})
    out = world.fs.dir("/out")
    assert real.tree() == {"a.md": "alpha", "deep/b.md": "beta"}
    later = []
    world.always("few", lambda: len(later) < 3)
    world.eventually("some", lambda: later, within=30)

    async def act():
        await world.clock.sleep(0.05)
        later.append(world.draw(["first", "second"]))

    task = world.spawn(act())
    await world.start(coco.App("small", main, out, ["a", "b"]))
    await world.quiet()
    await task
    assert later == ["first"]
    assert out.tree() == {"a": "A", "b": "B"}

@explore()
async def test_late(world):
    world.eventually("never", lambda: False, within=0.05)
    await asyncio.sleep(30)

@explore()
async def test_wrong(world):
    assert world.clock.now_ns < 0

@explore()
async def test_leaks():
    asyncio.create_task(asyncio.sleep(30))

@explore(seconds=0.1)
async def test_hangs():
    await asyncio.get_running_loop().create_future()

@explore()
async def test_lacks(world):
    world.crystal_ball()
"""


FOLDER = """
import liveproof as coco
import pytest
from liveproof.connectors import localfs
from liveproof_sim import explore

@coco.fn
async def upper(file, target):
    target.declare_file(f"{file.file_path.stem}.txt", (await file.read_text()).upper())

@coco.fn
async def upper_path(path, target):
    target.declare_file(f"{path.stem}.txt", path.read_text().upper())

class FolderWatcher:
    def __init__(self, folder, target, files):
        self.folder, self.target, self.files = folder, target, files

    async def process(self):
        for path in self.folder.iterdir():
            await coco.mount(coco.component_subpath(path.name), upper_path, path, self.target)

    async def process_live(self, operator):
        watcher = self.files.watchdog(self.folder)
        await operator.update_full()
        await operator.mark_ready()
        async for event in watcher.events():
            subpath = coco.component_subpath(event.filename)
            if event.is_update:
                await operator.update(subpath, upper_path, event.path, self.target)
            elif event.is_delete:
                await operator.delete(subpath)

async def watched(folder, out, files):
    target = await localfs.mount_dir_target(out)
    await coco.mount(FolderWatcher, folder, target, files)

async def walked(folder, out, files):
    target = await localfs.mount_dir_target(out)
    await coco.mount_each(upper, localfs.walk_dir(folder, live=True, rescan_interval=None).items(), target)

@pytest.mark.parametrize("main", [watched, walked])
@explore(executions=20)
async def test_no_edit_is_lost(world, main):
    world.faults.enable("watch.late")
    docs = world.fs.dir("/docs", {"a.md": "alpha", "b.md": "beta"})
    out = world.fs.dir("/out")
    run = world.start(coco.App("docs", main, docs, out, world.fs), live=True)
    await run.ready()
    (docs / "a.md").write_text("alpha 2")
    (docs / "b.md").unlink()
    await world.quiet()
    assert out.tree() == {"a.txt": "ALPHA 2"}
"""


@pytest.mark.parametrize("options", [[], ["--real"]])
def test_one_test_in_both_worlds(pytester: pytest.Pytester, options: list[str]) -> None:
    prepare(pytester, FOLDER)
    run(pytester, *options, "-W", "error").assert_outcomes(passed=2)


def test_real(pytester: pytest.Pytester) -> None:
    prepare(pytester, SUITE)
    result = run(pytester, "--real", "-W", "error")
    result.assert_outcomes(passed=1, failed=5)
    result.stdout.fnmatch_lines(
        [
            "liveproof: real: asyncio, wall-clock time, seed 0",
            "E *MonitorError: eventually 'never' did not hold within 0.05 s",
            "E *assert * < 0",
            "E *LeakError: still running when the scenario returned: sleep",
            "E *DeadlockError: it has not ended in 0.1 s on asyncio",
            "E *AttributeError: world.crystal_ball is the simulator's alone: run this scenario without --real",
            "6 run on asyncio (seed 0): 5 failed, 1 passed",
        ]
    )
    assert "real_world.py:" not in result.stdout.str().replace("real_world.RealWorld", "")
    assert not [*pytester.path.glob(".liveproof/sim/*")]
