import asyncio
import contextlib
import shutil

import pytest

from reconciler.source import inotify, watch
from reconciler.source.poll import Poll
from reconciler.source.protocol import NotARepositoryError
from reconciler.source.watch import watch_refs

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture(params=["told", "asked"])
def way(request, monkeypatch):
    """Both ways of watching: the system tells, or is asked."""
    if request.param == "told" and not inotify.SERVED:
        pytest.skip("this system has no inotify")
    monkeypatch.setattr(inotify, "SERVED", request.param == "told")


class Hints:
    """Collects hints; `next` waits for one."""

    def __init__(self, path):
        self.stop = asyncio.Event()
        self.count = 0
        self._seen = asyncio.Event()
        self._task = asyncio.create_task(self._collect(path))

    async def _collect(self, path):
        async for _ in watch_refs(path, self.stop):
            self.count += 1
            self._seen.set()

    async def next(self):
        await asyncio.wait_for(self._seen.wait(), 20)
        self._seen.clear()

    async def quiet(self):
        """Until nothing has come for a while."""
        while True:
            self._seen.clear()
            try:
                await asyncio.wait_for(self._seen.wait(), 0.3)
            except TimeoutError:
                return

    async def end(self):
        self.stop.set()
        await asyncio.wait_for(self._task, 20)


@contextlib.asynccontextmanager
async def hints(path):
    made = Hints(path)
    await made.next()
    await made.quiet()
    try:
        yield made
    finally:
        await made.end()


async def in_thread(call, *arguments):
    return await asyncio.to_thread(call, *arguments)


async def test_the_watch_hints_once_when_it_stands_and_then_at_a_push(clone, origin):
    async with hints(origin.folder) as seen:
        clone.commit({"x": "1"})
        before = seen.count
        await in_thread(clone, "push", "--quiet")
        await seen.next()
        assert seen.count > before


async def test_only_what_is_committed_counts(clone):
    async with hints(clone.folder) as seen:
        before = seen.count
        (clone.folder / "apps/web.yaml").write_text("a: 3\n")
        await in_thread(clone, "add", "--all")
        await in_thread(clone, "hash-object", "-w", "README.md")
        await seen.quiet()
        assert seen.count == before
        await in_thread(clone, "commit", "--quiet", "-m", "now")
        await seen.next()


async def test_a_push_is_seen_after_gc_and_pack_refs_and_on_a_new_nested_branch(clone, origin):
    async with hints(origin.folder) as seen:
        await in_thread(origin, "gc", "--quiet")
        await seen.next()
        await seen.quiet()
        clone.commit({"x": "1"})
        await in_thread(clone, "push", "--quiet")
        await seen.next()
        await seen.quiet()
        await in_thread(clone, "push", "--quiet", "origin", "main:refs/heads/a/b/c")
        await seen.next()
        await seen.quiet()
        clone.commit({"x": "2"})
        await in_thread(clone, "push", "--quiet", "origin", "main:refs/heads/a/b/c")
        await seen.next()


async def test_a_linked_work_tree_hears_of_the_common_refs(clone, tmp_path):
    clone("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    async with hints(tmp_path / "linked") as seen:
        clone.commit({"x": "1"})
        await seen.next()


async def test_a_burst_is_one_hint_however_slowly_it_is_taken(origin, monkeypatch):
    ref = str(origin.folder.resolve() / "refs/heads/main")
    burst, over = asyncio.Event(), asyncio.Event()

    async def scripted(folders, *, recursive, halt):
        yield set()
        await burst.wait()
        for _ in range(50 if recursive else 0):
            yield {ref, f"{ref}.lock"}
        over.set()
        await halt.wait()

    monkeypatch.setattr(watch, "ask", scripted)
    monkeypatch.setattr(inotify, "changes", scripted)
    looks = watch_refs(origin.folder, asyncio.Event())
    await anext(looks)
    burst.set()
    await over.wait()
    await anext(looks)
    more = asyncio.ensure_future(anext(looks))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not more.done()
    more.cancel()
    await asyncio.gather(more, return_exceptions=True)


async def test_locks_and_objects_are_no_hints(origin, monkeypatch):
    top = origin.folder.resolve()
    seen = watch._Watch(top, top)
    assert [seen._matters(str(top / name)) for name in ("refs/heads/main", "refs/tags/v1", "packed-refs", "HEAD", "refs")] == [True] * 5
    assert not any(seen._matters(str(top / name)) for name in ("refs/heads/main.lock", "HEAD.lock", "objects/ab", "index", "config", "logs/HEAD"))


async def test_leaving_the_watch_or_setting_stop_ends_it(clone, origin):
    looks = watch_refs(origin.folder, asyncio.Event())
    await anext(looks)
    await asyncio.wait_for(looks.aclose(), 5)
    stop = asyncio.Event()
    looks = watch_refs(origin.folder, stop)
    await anext(looks)
    stop.set()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(looks), 5)


async def test_a_refs_folder_that_is_replaced_is_watched_again(clone, origin, monkeypatch):
    monkeypatch.setattr(watch, "RETRY", 0.05)
    async with hints(origin.folder) as seen:
        shutil.copytree(origin.folder / "refs", origin.folder / "refs.new")
        shutil.rmtree(origin.folder / "refs")
        (origin.folder / "refs.new").rename(origin.folder / "refs")
        await seen.next()
        await seen.quiet()
        clone.commit({"x": "1"})
        await in_thread(clone, "push", "--quiet")
        await seen.next()


async def test_a_system_that_cannot_watch_gives_no_hint_and_no_error(origin, monkeypatch):
    tried = []

    def refuse(*folders, **_):
        tried.append(folders)
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watch, "awatch", refuse)
    monkeypatch.setattr(inotify._Inotify, "_call", refuse)
    monkeypatch.setattr(watch, "RETRY", 0.01)
    stop = asyncio.Event()
    looks = watch_refs(origin.folder, stop)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await anext(looks)
    assert len(tried) > 2  # it goes on trying


async def test_what_is_no_repository_is_an_error_at_once(tmp_path):
    with pytest.raises(NotARepositoryError):
        await anext(watch_refs(tmp_path, asyncio.Event()))


async def test_the_poll_looks_again_and_again_one_look_at_a_time_and_outlives_a_failing_one():
    looks, running, most = 0, 0, 0
    done = asyncio.Event()

    async def look():
        nonlocal looks, running, most
        running += 1
        most = max(most, running)
        looks += 1
        await asyncio.sleep(0.03)
        running -= 1
        if looks == 2:
            raise ValueError("a look that fails")
        if looks == 4:
            done.set()

    poll = Poll(look, 0.01, jitter=0.005)
    poll.start()
    await asyncio.wait_for(done.wait(), 20)
    poll.stop()
    poll.stop()
    assert most == 1


async def test_the_poll_never_skips_a_late_look():
    async def look():
        pass

    job = Poll(look, 60)._scheduler.get_jobs()[0]
    assert job.trigger.interval.total_seconds() == 60
    assert job.trigger.jitter == 6
    defaults = Poll(look, 60)._scheduler._job_defaults
    assert (defaults["misfire_grace_time"], defaults["coalesce"], defaults["max_instances"]) == (None, True, 1)
