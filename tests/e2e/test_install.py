"""The chart on a real control plane: the daemon works with no more rights than it gives, in its tenants' names, and they bound it."""

import secrets
import signal
import subprocess

import pytest
import yaml

from tests.control_plane import RefusedError
from tests.e2e.test_chart import CHART
from tests.integration.harness import Clone, config_map_app
from tests.integration.process import Process

pytestmark = pytest.mark.timeout(240)  # each installs a chart; on a loaded machine that takes its time

PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
}


def path_of(obj):
    group, _, version = obj["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    meta = obj["metadata"]
    scope = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{root}{scope}/{PLURALS.get(obj['kind'], obj['kind'].lower() + 's')}/{meta['name']}"


class Installed:
    """The chart in a namespace of its own, and one tenant whose account `deployer` may handle ConfigMaps and nothing else."""

    def __init__(self, plane, helm, folder, namespace, *, settings=None, **more):
        self.plane, self.tenant = plane, namespace
        self.namespace = f"own-{secrets.token_hex(4)}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace, "labels": labels}})
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "update", "delete"]}]
        plane.account(self.tenant, "deployer", rules)
        values = folder / "values.yaml"
        values.write_text(
            yaml.safe_dump(
                {
                    "settings": {"access": [{"path": "", "namespaces": [self.tenant], "serviceAccount": "deployer"}], **(settings or {})},
                    "rbac": {"tenants": [{"namespace": self.tenant, "serviceAccounts": ["deployer"]}]},
                    **more,
                }
            )
        )
        done = subprocess.run(
            [helm, "template", self.namespace, "--namespace", self.namespace, "--values", values, CHART], capture_output=True, text=True, check=True
        )
        self.objects = {obj["kind"]: obj for obj in yaml.safe_load_all(done.stdout) if obj}
        self.name = self.objects["Deployment"]["metadata"]["name"]
        for obj in yaml.safe_load_all(done.stdout):
            if obj:
                plane.apply(path_of(obj), obj)
        defined = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/workflowruns.reconciler.dev"
        plane.until(
            lambda: any(c["type"] == "Established" and c["status"] == "True" for c in plane.api("GET", defined)["status"]["conditions"]), "kinds"
        )
        account = self.objects["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"]
        token = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        self.token = plane.api("POST", token, {"spec": {"expirationSeconds": 7200}})["status"]["token"]
        self.user = f"system:serviceaccount:{self.namespace}:{account}"

    def settings(self, folder, clone):
        """The file of the ConfigMap, for a daemon that runs here."""
        settings = yaml.safe_load(self.objects["ConfigMap"]["data"]["settings.yaml"]) | {
            "repo": str(clone.origin),
            "tokenFile": str(folder / "token"),
        }
        settings.pop("listen")
        path = folder / "settings.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path


@pytest.fixture
def installed(control_plane, helm, tmp_path, namespace):
    return Installed(control_plane, helm, tmp_path, namespace)


def test_two_replicas_of_the_chart_lead_one_after_the_other_and_a_drain_takes_one_of_them(control_plane, helm, tmp_path, namespace):
    """The pods' own processes run here, as the rendered arguments, settings and account have them; the pods themselves are for the scheduler."""
    plane = control_plane
    volume = {"path": "/repository", "volume": {"emptyDir": {}}}
    installed = Installed(plane, helm, tmp_path, namespace, settings={"leaseDuration": "3s"}, replicas=2, repository=volume)
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace=namespace)})
    command, *args = installed.objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert (command, args) == ("run", ["--config", "/etc/reconciler/settings.yaml"])
    args = [str(installed.settings(tmp_path, clone)) if word.startswith("/") else word for word in args]
    own = ["--kubeconfig", plane.kubeconfig_for(tmp_path / "kubeconfig", installed.token)]
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{installed.namespace}/leases/reconciler"
    folders = [tmp_path / name for name in ("pod-a", "pod-b")]
    for folder in folders:
        folder.mkdir()
    with Process(folders[0], *args, *own, "--identity", "pod-a") as first:
        first.leading()
        first.until("web", lambda status: status["sync"] == "Synced", "synced")
        with Process(folders[1], *args, *own, "--identity", "pod-b") as second:
            second.ready()
            second.until("web", lambda status: status["sync"] == "Synced", "shown by the one that stands by, which is ready, too")
            assert [one.ask("/v1/leader")["leads"] for one in (first, second)] == [True, False]
            assert plane.api("GET", lease)["spec"]["holderIdentity"].startswith("pod-a_")
            first.signal(signal.SIGTERM)
            assert first.ended(installed.objects["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]) == 0
            second.leading()
            assert plane.api("GET", lease)["spec"]["holderIdentity"].startswith("pod-b_")
            clone.push({"web.yaml": config_map_app("web", "2", namespace=namespace)})
            second.until("web", lambda status: (status["running"] or {}).get("revision") == "web-v2" and status["sync"] == "Synced", "it goes on")
    leases = [one for one in plane.audited() if one.resource == "leases" and one.namespace == installed.namespace and one.user == installed.user]
    assert {one.code for one in leases} <= {200, 201, 404, 409}, "the chart's own rights are enough to lead and to hand over"
    one_of_two_may_go(plane, installed)


def one_of_two_may_go(plane, installed):
    """What a drain of nodes asks for: one pod at a time."""
    budget = f"/apis/policy/v1/namespaces/{installed.namespace}/poddisruptionbudgets/{installed.name}"

    def counted():
        status = plane.api("GET", budget).get("status", {})
        return (status.get("expectedPods"), status.get("currentHealthy"), status.get("desiredHealthy"), status.get("disruptionsAllowed"))

    plane.until(lambda: counted() == (2, 2, 1, 1), "two healthy pods, of which one may go")
    pods = [pod["metadata"]["name"] for pod in plane.api("GET", f"/api/v1/namespaces/{installed.namespace}/pods")["items"]]
    trial = {"apiVersion": "policy/v1", "kind": "Eviction", "deleteOptions": {"dryRun": ["All"]}}
    for pod in pods:
        body = {**trial, "metadata": {"name": pod, "namespace": installed.namespace}}
        plane.api("POST", f"/api/v1/namespaces/{installed.namespace}/pods/{pod}/eviction", body)
    assert installed.objects["Deployment"]["spec"]["strategy"] == {"type": "RollingUpdate"}
    labels = installed.objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "NetworkPolicy", "Service"):
        spec = installed.objects[kind]["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        assert (selector.get("matchLabels") or selector).items() <= labels.items(), kind


def refused(ask, *words, **named):
    with pytest.raises(RefusedError) as error:
        ask(*words, **named)
    return error.value.code


def test_rule_13a_the_daemon_works_with_the_rights_of_the_chart_in_its_tenants_name_alone(control_plane, installed, tmp_path):
    plane, tenant = control_plane, installed.tenant
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", namespace=tenant)})
    kubeconfig = plane.kubeconfig_for(tmp_path / "kubeconfig", installed.token)
    here = f"/api/v1/namespaces/{tenant}/configmaps/web"
    with Process(tmp_path, "--config", installed.settings(tmp_path, clone), "--kubeconfig", kubeconfig) as daemon:
        daemon.ready()
        daemon.until("web", lambda status: status["sync"] == "Synced", "synced")
        assert plane.api("GET", here)["data"] == {"value": "1"}
        plane.api("PATCH", here, {"data": {"value": "by hand"}}, kind="application/merge-patch+json")
        plane.until(lambda: plane.api("GET", here)["data"] == {"value": "1"}, "healed")
        secret = (
            config_map_app("keys", "1", namespace=tenant).replace("kind: ConfigMap", "kind: Secret").replace("data: {value", "stringData: {value")
        )
        clone.push({"keys.yaml": secret})
        message = daemon.until("keys", lambda status: "may not" in str(status["run"]), "refused")["run"]
        assert f"service account {tenant}:deployer may not" in str(message)
        assert f"--as system:serviceaccount:{tenant}:deployer" in str(message)
        clone.push({"web.yaml": None, **{f"{n}.yaml": config_map_app(f"more-{n}", "1", namespace=tenant) for n in range(3)}})
        plane.until(lambda: plane.get(here) is None, "deleted")
    # The API server writes down who asked, and in whose name: nothing of the tenant was written by the daemon itself.
    writes = [request for request in plane.audited() if request.namespace == tenant and request.verb in ("create", "patch", "update", "delete")]
    own = [request for request in writes if request.user == installed.user]
    assert {request.verb for request in own if request.code < 300} == {"patch", "delete"}
    assert {request.acting for request in own} == {f"system:serviceaccount:{tenant}:deployer"}


def test_rule_13c_the_daemons_account_reads_no_secret_elsewhere_and_writes_nothing(control_plane, installed, namespace):
    plane, token = control_plane, installed.token
    assert refused(plane.api, "GET", f"/api/v1/namespaces/{namespace}/secrets", token=token) == 403
    assert refused(plane.api, "GET", "/api/v1/secrets", token=token) == 403
    assert refused(plane.api, "GET", "/api/v1/namespaces/kube-system/secrets/x", token=token) == 403
    body = {"metadata": {"name": "x"}}
    assert refused(plane.api, "POST", f"/api/v1/namespaces/{namespace}/configmaps", body, token=token) == 403
    assert refused(plane.api, "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/deployer/token", {}, token=token) == 403
    assert plane.api("GET", f"/api/v1/namespaces/{namespace}/configmaps", token=token)["items"]
    assert refused(plane.api, "GET", f"/api/v1/namespaces/{installed.namespace}/secrets/none", token=token) == 404


def test_rule_13a_the_daemons_account_may_act_as_nobody_but_who_is_named(control_plane, installed):
    def may(user):
        body = {"spec": {"resourceAttributes": {"verb": "impersonate", **impersonated(user)}, "user": installed.user}}
        return control_plane.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)["status"]["allowed"]

    tenant = f"system:serviceaccount:{installed.tenant}"
    assert may(f"{tenant}:deployer")
    others = ("admin", "system:masters", f"{tenant}:default", "system:serviceaccount:kube-system:deployer")
    assert [user for user in others if may(user)] == []


def impersonated(user):
    parts = user.split(":")
    return {"resource": "serviceaccounts", "namespace": parts[2], "name": parts[3]} if len(parts) == 4 else {"resource": "users", "name": user}


def test_the_pod_passes_the_restricted_standard_and_without_any_of_its_guards_it_does_not(control_plane, installed):
    pods = f"/api/v1/namespaces/{installed.namespace}/pods"
    control_plane.until(lambda: control_plane.api("GET", pods)["items"], "a pod of the Deployment, in a namespace that enforces `restricted`")
    spec = installed.objects["Deployment"]["spec"]["template"]["spec"]
    trial = {"metadata": {"name": "trial"}, "spec": spec}
    control_plane.api("POST", f"{pods}?dryRun=All", trial)
    for place, key in ((spec["securityContext"], "seccompProfile"), (spec["securityContext"], "runAsNonRoot")):
        kept = place.pop(key)
        assert refused(control_plane.api, "POST", f"{pods}?dryRun=All", trial) == 403, key
        place[key] = kept
    guards = spec["containers"][0]["securityContext"]
    for key in ("allowPrivilegeEscalation", "capabilities"):
        kept = guards.pop(key)
        assert refused(control_plane.api, "POST", f"{pods}?dryRun=All", trial) == 403, key
        guards[key] = kept
    assert guards["readOnlyRootFilesystem"] is True


def test_what_the_documents_tell_the_server_about_the_daemons_share_is_taken_as_it_stands(control_plane):
    text = (CHART.parents[1] / "docs" / "kubernetes.md").read_text()
    [block] = [one.partition("```")[0] for one in text.split("```yaml\n")[1:] if "kind: FlowSchema" in one]
    for obj in yaml.safe_load_all(block):
        plural = {"FlowSchema": "flowschemas", "PriorityLevelConfiguration": "prioritylevelconfigurations"}[obj["kind"]]
        path = f"/apis/{obj['apiVersion']}/{plural}?dryRun=All&fieldValidation=Strict"
        assert control_plane.api("POST", path, obj)["metadata"]["name"] == "reconciler"
