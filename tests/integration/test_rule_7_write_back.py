"""Rules 7c to 7e on real commits: the commit that a rollback owes, its races and its refusals."""

from pathlib import Path

import pytest

from reconciler.source.git import GitSource
from reconciler.source.protocol import Lost, Pushed, UnreadableError
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, gate_of, phases, push, runs, value


def app(text: str, line: str = "", name: str = "web") -> str:
    return config_map_app(name, text, gate=True, annotations={GATE: line} if line else None)


async def at_gate(daemon: Daemon, clone: Clone, *names: str) -> None:
    """Revision 1 of each runs; revision 2 waits at its gate."""
    names = names or ("web",)
    clone.push({f"{name}.yaml": app("1", name=name) for name in names})
    lines = {}
    for name in names:
        await daemon.waiting(name)
        lines[name] = gate_of(daemon, name).continue_
    clone.push({f"{name}.yaml": app("1", lines[name], name) for name in names})
    for name in names:
        await daemon.synced(name)
    clone.push({f"{name}.yaml": "# Owned by shop.\n" + app("2", name=name) for name in names})
    for name in names:
        await daemon.waiting(name, revision=f"{name}-v2")


def rejected(name: str = "web") -> str:
    return "# Owned by shop.\n" + app("2", "rollback", name)


async def owed(daemon: Daemon, state: str, name: str = "web") -> None:
    """Waits until the rollback is done and the commit that it owes came so far."""

    def there() -> bool:
        found = next((run for run in runs(daemon, name) if run.write_back is not None), None)
        return found is not None and found.phase.value == "RolledBack" and found.write_back is not None and found.write_back.state == state

    await daemon.until(there, f"the write-back of {name} is {state}")


def tip(clone: Clone) -> str:
    return clone.git("ls-remote", "origin", "refs/heads/main").split()[0]


def own_commits(clone: Clone) -> list[str]:
    clone.git("fetch", "-q", "origin")
    return clone.git("log", "--author=Reconciler", "--format=%H", "origin/main").split()


async def test_rule_7c_the_commit_changes_the_one_line_and_starts_no_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_gate(daemon, clone)
        decision = clone.push({"web.yaml": rejected()})
        await owed(daemon, "Landed")
        await daemon.synced("web")
        await daemon.looked()
        [commit] = own_commits(clone)
        assert clone.git("rev-parse", f"{commit}^") == decision
        changed = [line for line in clone.git("show", "--format=", "-U0", commit).splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        assert changed == ['-            data: {value: "2"}', '+            data: {value: "1"}']
        assert phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 RolledBack", "web-v1-2 Succeeded"]
        await push(daemon, clone, {"README.md": "something else"})
        assert len(runs(daemon, "web")) == 3
        assert "Rejected" not in daemon.conditions("web")


async def test_rule_7c_a_human_fix_pushed_while_the_rollback_is_under_way_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    real, fixes = GitSource.push, []

    def fixed_meanwhile(self: GitSource, commit: str, expected: str) -> Pushed | Lost:
        if not fixes:
            fixes.append(clone.push({"web.yaml": config_map_app("web", "fixed", gate=True)}, "Fix it myself"))
        return real(self, commit, expected)

    monkeypatch.setattr(GitSource, "push", fixed_meanwhile)
    async with running(clone) as daemon:
        await at_gate(daemon, clone)
        clone.push({"web.yaml": rejected()})
        await owed(daemon, "Dropped")
        await daemon.waiting("web", revision="web-v3")
        assert tip(clone) == fixes[0]
        assert own_commits(clone) == []
        assert await value(daemon, "web") == "1"


async def test_rule_7c_an_unrelated_push_meanwhile_is_kept_and_the_commit_lands_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    real, others = GitSource.push, []

    def moved_meanwhile(self: GitSource, commit: str, expected: str) -> Pushed | Lost:
        if len(others) < 2:
            others.append(clone.push({"README.md": f"{len(others)}"}))
        return real(self, commit, expected)

    monkeypatch.setattr(GitSource, "push", moved_meanwhile)
    async with running(clone) as daemon:
        await at_gate(daemon, clone)
        clone.push({"web.yaml": rejected()})
        await owed(daemon, "Landed")
        [commit] = own_commits(clone)
        assert clone.git("rev-parse", f"{commit}^") == others[-1]


async def test_rule_7d_a_crash_between_build_and_push_lands_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    with monkeypatch.context() as patch:
        patch.setattr(GitSource, "push", _killed_before)
        async with running(clone, state) as daemon:
            await at_gate(daemon, clone)
            clone.push({"web.yaml": rejected()})
            await owed(daemon, "Built")
            built = next(run.write_back.commit for run in runs(daemon, "web") if run.write_back)
    assert own_commits(clone) == []
    async with running(clone, state) as daemon:
        await owed(daemon, "Landed")
        assert own_commits(clone) == [built], "the id that was stored is the one that lands"
        await daemon.synced("web")


async def test_rule_7c_7d_what_a_human_pushed_while_the_daemon_was_down_is_never_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    with monkeypatch.context() as patch:
        patch.setattr(GitSource, "push", _killed_before)
        async with running(clone, state) as daemon:
            await at_gate(daemon, clone)
            clone.push({"web.yaml": rejected()})
            await owed(daemon, "Built")
    fix = clone.push({"web.yaml": app("fixed")}, "Fix it myself")
    async with running(clone, state) as daemon:
        await daemon.waiting("web", revision="web-v3")
        await owed(daemon, "Dropped")
        assert tip(clone) == fix
        assert own_commits(clone) == []


def _killed_before(self: GitSource, commit: str, expected: str) -> Pushed | Lost:
    raise UnreadableError("killed before the push")


async def test_rule_7d_a_crash_between_push_and_its_record_lands_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    real, pushed = GitSource.push, []

    def dies(self: GitSource, commit: str, expected: str) -> Pushed | Lost:
        pushed.append(commit)
        real(self, commit, expected)
        raise UnreadableError("killed after the push")

    with monkeypatch.context() as patch:
        patch.setattr(GitSource, "push", dies)
        async with running(clone, state) as daemon:
            await at_gate(daemon, clone)
            clone.push({"web.yaml": rejected()})
            await daemon.until(lambda: pushed and phases(daemon, "web")[1] == "web-v2-1 RolledBack")
    clone.push({"README.md": "somebody pushes on top of it"})
    async with running(clone, state) as daemon:
        await owed(daemon, "Landed")
        await daemon.synced("web")
        await daemon.looked()
        assert own_commits(clone) == pushed[:1]


async def test_rule_7c_two_rollbacks_at_once_both_land(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await at_gate(daemon, clone, "web", "shop")
        clone.push({"web.yaml": rejected("web"), "shop.yaml": rejected("shop")})
        for name in ("web", "shop"):
            await owed(daemon, "Landed", name)
            await daemon.synced(name)
        assert len(own_commits(clone)) == 2
        clone.pull()
        assert all('value: "1"' in clone.read(f"{name}.yaml") for name in ("web", "shop"))


async def test_rule_7c_two_rollbacks_in_one_file_both_land(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def both(text: str, *lines: str) -> dict[str, str | None]:
        return {"apps.yaml": "---\n".join(app(text, line, name) for name, line in zip(("web", "shop"), lines or ("", ""), strict=True))}

    clone.push(both("1"))
    async with running(clone) as daemon:
        gates = [(await daemon.waiting(name)).gate for name in ("web", "shop")]
        clone.push(both("1", *(gate.continue_ for gate in gates if gate)))
        for name in ("web", "shop"):
            await daemon.synced(name)
        clone.push(both("2"))
        for name in ("web", "shop"):
            await daemon.waiting(name, revision=f"{name}-v2")
        clone.push(both("2", "rollback", "rollback"))
        for name in ("web", "shop"):
            await owed(daemon, "Landed", name)
            await daemon.synced(name)
        clone.pull()
        assert clone.read("apps.yaml") == both("1", "rollback", "rollback")["apps.yaml"]


async def test_rule_7d_a_ref_that_somebody_has_locked_for_a_moment_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone(tmp_path)
    real, answers = GitSource.push, []

    def locked_first(self: GitSource, commit: str, expected: str) -> Pushed | Lost:
        lock = clone.origin / "refs/heads/main.lock"
        if not answers:
            lock.touch()
        answers.append(real(self, commit, expected))
        lock.unlink(missing_ok=True)
        return answers[-1]

    monkeypatch.setattr(GitSource, "push", locked_first)
    async with running(clone) as daemon:
        await at_gate(daemon, clone)
        clone.push({"web.yaml": rejected()})
        await owed(daemon, "Landed")
        assert isinstance(answers[0], Lost)
        assert answers[0].reason == "PushRefused"
        assert len(own_commits(clone)) == 1


async def test_rule_7c_what_environments_share_cannot_be_written_back_for_one_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    page = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: page}\ndata: {value: '%s'}\n"
    stages = ("dev", "staging", "live")

    def web(stage: str, line: str = "") -> str:
        lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata:", "  name: web", f"  namespace: {stage}"]
        lines += [f'  annotations: {{{GATE}: "{line}"}}'] if line else []
        lines += ["spec:", "  components:", "    - {name: page, type: manifests, properties: {path: shared}}"]
        if stage == "live":
            lines += ["  workflow:", "    steps:", "      - {type: suspend, name: approve}"]
            lines += ["      - {type: apply-component, name: apply, properties: {component: page}}"]
        return "\n".join(lines) + "\n"

    clone.push({"shared/page.yaml": page % "1", **{f"{stage}/web.yaml": web(stage) for stage in stages}})
    async with running(clone) as daemon:
        line = (await daemon.waiting("web", "live")).gate.continue_  # type: ignore[union-attr]
        clone.push({"live/web.yaml": web("live", line)})
        for stage in stages:
            await daemon.synced("web", namespace=stage)
        clone.push({"shared/page.yaml": page % "2", "live/web.yaml": web("live")})
        await daemon.waiting("web", "live", revision="web-v2")
        head = clone.push({"live/web.yaml": web("live", "rollback")})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web", "live"))
        assert daemon.conditions("web", "live")["GitDiffers"].startswith("NotExact: ")
        assert "rolled back: the commit that takes it back would change dev/web too" in daemon.conditions("web", "live")["GitDiffers"]
        assert "shared/page.yaml" in daemon.conditions("web", "live")["GitDiffers"]
        await daemon.until(lambda: "web-v2-1 RolledBack" in phases(daemon, "web", "live"))
        assert [await value(daemon, "page", stage) for stage in stages] == ["2", "2", "1"]
        assert tip(clone) == head
        await push(daemon, clone, {"shared/page.yaml": page % "3"})
        assert "GitDiffers" not in daemon.conditions("web", "live"), "cleared when the desired digest changes"


async def test_rule_7c_write_back_off_rolls_back_here_and_prints_the_patch(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone, write_back=False) as daemon:
        await at_gate(daemon, clone)
        head = clone.push({"web.yaml": rejected()})
        objects = sorted(clone.origin.rglob("objects/??/*"))
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web") and "web-v2-1 RolledBack" in phases(daemon, "web"))
        condition = daemon.conditions("web")["GitDiffers"]
        assert condition.startswith("WriteBackOff: ")
        assert '-            data: {value: "2"}\n+            data: {value: "1"}' in condition
        assert tip(clone) == head
        assert await value(daemon, "web") == "1"
        assert "web-v1-2 Succeeded" in phases(daemon, "web")
        assert sorted(clone.origin.rglob("objects/??/*")) == objects, "nothing is written into a repository that is not to be written to"


async def test_rule_7e_a_branch_that_is_checked_out_in_a_work_tree_is_never_moved(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    tree = tmp_path / "tree"
    async with running(clone) as daemon:
        await at_gate(daemon, clone)
        clone.git("--git-dir", str(clone.origin), "worktree", "add", "-q", "--force", str(tree), "main")
        clone.git("--git-dir", str(clone.origin), "config", "receive.denyCurrentBranch", "ignore")
        head = clone.push({"web.yaml": rejected()})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web") and "web-v2-1 RolledBack" in phases(daemon, "web"))
        condition = daemon.conditions("web")["GitDiffers"]
        assert condition.startswith("BranchCheckedOut: ")
        assert '+            data: {value: "1"}' in condition
        assert tip(clone) == head
        assert await value(daemon, "web") == "1"


async def test_rule_7c_a_manifest_that_holds_a_secret_is_not_printed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def secret(text: str, line: str = "") -> str:
        return app(text, line).replace("kind: ConfigMap", "kind: Secret").replace("data: {value", "stringData: {value")

    async with running(clone, write_back=False) as daemon:
        clone.push({"web.yaml": secret("hunter1")})
        line = (await daemon.waiting("web")).gate.continue_  # type: ignore[union-attr]
        clone.push({"web.yaml": secret("hunter1", line)})
        await daemon.synced("web")
        clone.push({"web.yaml": secret("hunter2")})
        await daemon.waiting("web", revision="web-v2")
        clone.push({"web.yaml": secret("hunter2", "rollback")})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web"))
        assert "hunter" not in str(daemon.status("web"))
