"""Rule 1d: too much at once, and what can not be made again, wait for an approval in git."""

from pathlib import Path

from tests.integration.harness import Clone, config_map_app, running
from tests.integration.removals import PRUNE, code_of, doubted, gone, is_there, two
from tests.integration.sequences import push


async def test_rule_1d_an_emptied_branch_waits_for_approval_however_few_left(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        await push(daemon, clone, {"web.yaml": None, "api.yaml": None})
        said = await doubted(daemon, "web")
        assert code_of(await doubted(daemon, "api")) == code_of(said)
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        await gone(daemon, "web")
        await gone(daemon, "api")


def several(first: int, last: int) -> dict[str, str | None]:
    return {f"app{number}.yaml": config_map_app(f"app{number}", "1") for number in range(first, last)}


async def test_rule_1d_five_of_ten_applications_at_once_wait_and_stay_approvable(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, several(0, 10))
        for number in range(10):
            await daemon.synced(f"app{number}")
        await push(daemon, clone, {f"app{number}.yaml": None for number in range(5)})
        said = await doubted(daemon, "app0")
        assert "5 applications" in said
        await push(daemon, clone, {"README.md": "an unrelated commit does not change what is asked"})
        assert await doubted(daemon, "app0") == said
    async with running(clone, state) as daemon:
        await daemon.looked()
        assert await doubted(daemon, "app4") == said.replace("app0.yaml", "app4.yaml")
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        for number in range(5):
            await gone(daemon, f"app{number}")
        assert await is_there(daemon, "app5")


async def test_rule_1d_one_more_removal_while_five_wait_waits_too_and_changes_the_digest(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, several(0, 10))
        for number in range(10):
            await daemon.synced(f"app{number}")
        await push(daemon, clone, {f"app{number}.yaml": None for number in range(5)})
        before = code_of(await doubted(daemon, "app0"))
        await push(daemon, clone, {"app5.yaml": None, PRUNE: f"approved: [{before}]\n"})
        after = code_of(await doubted(daemon, "app5"))
        assert after != before
        assert code_of(await doubted(daemon, "app0")) == after
        clone.push({PRUNE: f"approved: [{after}]\n"})
        for number in range(6):
            await gone(daemon, f"app{number}")


async def test_rule_1d_removals_one_by_one_count_for_an_hour_over_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, several(0, 10))
        for number in range(10):
            await daemon.synced(f"app{number}")
        for number in range(4):
            clone.push({f"app{number}.yaml": None})
            await gone(daemon, f"app{number}")
        await daemon.looked()
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"app4.yaml": None})
        await doubted(daemon, "app4")


async def test_rule_1d_an_application_with_a_stateful_set_leaves_only_by_approval(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    database = config_map_app("web", "1") + (
        "          - apiVersion: apps/v1\n            kind: StatefulSet\n            metadata: {name: web}\n            spec:\n"
        "              serviceName: web\n              selector: {matchLabels: {app: web}}\n"
        "              template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}\n"
    )
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": database, "api.yaml": config_map_app("api", "1")})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": None})
        said = await doubted(daemon, "web")
        assert "StatefulSet default/web" in said
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        await gone(daemon, "web")
