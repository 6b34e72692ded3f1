"""Who the daemon is to an API server: by a kubeconfig that the operator names, or the pod's own account."""

import json
import sys

import pytest

from reconciler.cluster.kubernetes.cluster import KubernetesCluster
from reconciler.cluster.kubernetes.connection import Origin, find_origin
from reconciler.cluster.protocol import ForbiddenError, KubeconfigError
from reconciler.model.identity import ObjectRef
from tests.unit.cluster.kubernetes.server import config_map, status

ONE = ObjectRef("v1", "ConfigMap", "default", "one")
PATH = "/api/v1/namespaces/default/configmaps/one"


def plugin(tmp_path, count=1, **more):
    """A program that brings another token each time, and counts in a file."""
    script = tmp_path / "plugin.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"counter = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "number = int(counter.read_text() or 0) + 1 if counter.exists() else 1\n"
        "counter.write_text(str(number))\n"
        "status = {'token': f'brought-{number}'}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': status}))\n"
    )
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(script)], "interactiveMode": "Never"}}


async def opened(path, context="", named=True):
    cluster = KubernetesCluster(Origin(path, context, named))
    await cluster.start()
    return cluster


async def test_the_token_of_a_kubeconfig_goes_with_every_request(server, cluster):
    server.reply("GET", PATH, config_map())
    await cluster.get(ONE)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer s3cret-token"}
    assert cluster.name == f"test at {server.url}"


async def test_a_program_that_brings_credentials_runs_where_the_operator_named_the_file(server, kubeconfig, tmp_path):
    cluster = await opened(kubeconfig(plugin(tmp_path)))
    await cluster.close()
    assert server.headers[-1]["Authorization"] == "Bearer brought-1"


async def test_a_program_that_brings_credentials_does_not_run_from_a_file_that_was_only_found(server, kubeconfig, tmp_path):
    with pytest.raises(KubeconfigError, match="--kubeconfig"):
        await opened(kubeconfig(plugin(tmp_path)), named=False)
    assert not (tmp_path / "count").exists()
    assert server.requests == []


async def test_refused_credentials_are_brought_anew_once(server, kubeconfig, tmp_path):
    cluster = await opened(kubeconfig(plugin(tmp_path)))
    server.reply("GET", PATH, status(401, "Unauthorized"), config_map())
    assert (await cluster.get(ONE))["metadata"]["name"] == "one"
    assert server.headers[-1]["Authorization"] == "Bearer brought-2"
    server.reply("GET", PATH, status(401, "Unauthorized"))
    with pytest.raises(ForbiddenError) as refused:
        await cluster.get(ONE)
    await cluster.close()
    assert "brought" not in str(refused.value)
    assert (tmp_path / "count").read_text() == "3"


async def test_a_token_in_a_file_is_read_again_when_it_is_refused(server, kubeconfig, tmp_path):
    token = tmp_path / "token"
    token.write_text("first")
    cluster = await opened(kubeconfig({"tokenFile": str(token)}))
    token.write_text("second")
    server.reply("GET", PATH, status(401, "Unauthorized"), config_map())
    await cluster.get(ONE)
    await cluster.close()
    assert server.headers[-1]["Authorization"] == "Bearer second"


async def test_a_kubeconfig_that_can_not_be_used_is_told_without_what_is_in_it(kubeconfig, tmp_path):
    broken = tmp_path / "broken"
    for text in ("token: s3cret-token", "- s3cret-token", "users: {s3cret-token", json.dumps({"current-context": "s3cret"}), ""):
        broken.write_text(text)
        with pytest.raises(KubeconfigError) as told:
            await opened(str(broken))
        assert "s3cret-token" not in str(told.value)
        assert str(broken) in str(told.value)
    with pytest.raises(KubeconfigError, match="nothing-like-it"):
        await opened(kubeconfig(), "nothing-like-it")


async def test_keys_that_stand_in_a_kubeconfig_do_not_stay_in_files(server, kubeconfig, tmp_path, monkeypatch):
    from kubernetes.aio.config import kube_config

    cluster = await opened(kubeconfig())
    await cluster.close()
    assert kube_config._temp_files == {}


async def test_a_redirect_is_not_followed_with_the_credentials(server, cluster):
    from aiohttp import web

    async def elsewhere(request):
        return web.Response(status=302, headers={"Location": f"{server.url}/elsewhere"})

    server.on["GET", PATH] = elsewhere
    with pytest.raises(Exception, match="302"):
        await cluster.get(ONE)
    assert server.asked("GET /elsewhere") == []


def test_where_the_cluster_is_follows_what_the_operator_says(tmp_path):
    named, found, account = tmp_path / "named", tmp_path / ".kube" / "config", tmp_path / "account"
    found.parent.mkdir()
    for path in (named, found, account):
        path.write_text("x")
    home, pod = {"HOME": str(tmp_path)}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert find_origin(str(named), "c", home | pod, account) == Origin(str(named), "c", named=True)
    assert find_origin("", "", home | pod | {"KUBECONFIG": str(named)}, account) == Origin(str(named), "", named=True)
    assert find_origin("", "", home | pod, account) == Origin("", "", named=False)
    assert find_origin("", "", home, account) == Origin(str(found), "", named=False)
    found.unlink()
    with pytest.raises(KubeconfigError, match="--kubeconfig"):
        find_origin("", "", home, account)
    with pytest.raises(KubeconfigError, match="no such file"):
        find_origin(str(tmp_path / "none"), "", home, account)
    with pytest.raises(KubeconfigError, match="contexts"):
        find_origin("", "c", home | pod, account)
