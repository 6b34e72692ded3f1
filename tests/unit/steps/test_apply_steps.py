from datetime import UTC, datetime, timedelta

import pytest

from reconciler.dialects.catalog import STEPFLOW_STEP_TYPES
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Gate, Health, Live, Result, Wait
from reconciler.steps.catalog import STEP_TYPES

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
DB = ObjectRef("apps/v1", "StatefulSet", "shop", "db")
WEB = ObjectRef("apps/v1", "Deployment", "shop", "web")
CONNECTION = {"host": "db.shop.svc", "port": 5432, "secretRef": None}
HEALTHY = {"status": "Healthy", "message": ""}


def call(kind, components=("db",), **more):
    return Call(AppKey("shop", "shop"), "step", kind, more.pop("properties", {}), components=components, since=NOW, **more)


def applied(ref, at=NOW):
    return Result({"component": ref.name, "objects": [{"ref": ref.pack(), "uid": f"uid-{ref.name}"}], "connection": CONNECTION}, at=at)


def ask(kind, results=None, seen=None, now=NOW, **more):
    return STEP_TYPES[kind].next(call(kind, **more), results or {}, seen or {}, now)


@pytest.mark.parametrize("kind", ["apply-component", "apply-components", "deploy"])
def test_the_first_component_is_applied_first_and_alone(kind):
    assert ask(kind, components=("db", "web")) == Do({"apply/db": Effect("apply", {"component": "db"})})


@pytest.mark.parametrize("kind", ["apply-component", "apply-components", "deploy"])
def test_the_second_component_is_not_touched_before_the_first_is_healthy(kind):
    results, query = {"apply/db": applied(DB)}, Health((DB,))
    waiting = ask(kind, results, {query: {"status": "Progressing", "message": "1 of 3 ready"}}, components=("db", "web"))
    assert waiting == Wait(NOW + timedelta(minutes=10), "waiting for StatefulSet shop/db: 1 of 3 ready", (query,))
    assert ask(kind, results, {query: HEALTHY}, components=("db", "web")) == Do({"apply/web": Effect("apply", {"component": "web"})})


def test_health_of_the_first_is_not_asked_again_once_the_second_was_applied():
    results = {"apply/db": applied(DB), "apply/web": applied(WEB)}
    assert ask("deploy", results, {Health((WEB,)): HEALTHY}, components=("db", "web")).outputs["component"] == "web"


@pytest.mark.parametrize("status", ["Progressing", "Missing", "Unknown", "Degraded"])
def test_only_healthy_ends_the_wait(status):
    query = Health((DB,))
    outcome = ask("apply-component", {"apply/db": applied(DB)}, {query: {"status": status, "message": "why"}})
    assert isinstance(outcome, Wait)
    assert outcome.watch == (query,)
    assert ("degraded" in outcome.message) == (status == "Degraded")


def test_an_answer_that_names_the_object_is_not_prefixed_with_it_again():
    seen = {Health((DB,)): {"status": "Progressing", "message": "StatefulSet shop/db: 1 of 3 ready"}}
    assert ask("apply-component", {"apply/db": applied(DB)}, seen).message == "waiting for StatefulSet shop/db: 1 of 3 ready"


def test_rule_6c_health_has_ten_minutes_unless_the_step_says_otherwise():
    results, seen = {"apply/db": applied(DB)}, {Health((DB,)): {"status": "Degraded", "message": "1 of 3 ready"}}
    assert isinstance(ask("apply-component", results, seen, NOW + timedelta(seconds=599)), Wait)
    late = ask("apply-component", results, seen, NOW + timedelta(seconds=600))
    assert late == Failed("HealthTimeout", "not healthy in time: StatefulSet shop/db: 1 of 3 ready")
    assert isinstance(ask("apply-component", results, seen, NOW + timedelta(seconds=601), properties={"timeout": "1h"}), Wait)


def test_rule_1_hooks_go_when_their_wave_succeeded_or_failed_for_good_and_never_because_time_is_over():
    wave = applied(DB)
    wave = Result({**wave.value, "waves": 2, "sweep": {"succeeded": [DB.pack()], "failed": [DB.pack()]}}, at=NOW)
    results, query, late = {"apply/web": wave}, Health((DB,)), NOW + timedelta(hours=1)
    failed = {"status": "Degraded", "message": "Job failed", "failed": True}
    why = "StatefulSet shop/db: Job failed"
    assert ask("apply-component", results, {query: {"status": "Degraded"}}, late, components=("web",)).reason == "HealthTimeout"
    gone = ask("apply-component", results, {query: HEALTHY}, components=("web",))
    assert gone == Do({"sweep/web/0": Effect("delete", {"refs": [DB.pack()]})})
    lost = ask("apply-component", results, {query: failed}, components=("web",))
    assert lost == Do({"sweep/web/0": Effect("delete", {"refs": [DB.pack()], "because": why})})
    swept = {"deleted": [DB.pack()], "uids": ["uid-db"]}
    after = ask("apply-component", results | {"sweep/web/0": Result(swept)}, {}, components=("web",))
    assert after == Do({"apply/web/1": Effect("apply", {"component": "web", "wave": 1})})
    told = ask("apply-component", results | {"sweep/web/0": Result({**swept, "because": why})}, {}, components=("web",))
    assert told == Failed("JobFailed", why)


def test_rule_6a_the_health_deadline_stands_still_while_the_application_is_suspended():
    results, seen = {"apply/db": applied(DB)}, {Health((DB,)): {"status": "Progressing", "message": "x"}}
    outcome = ask("apply-component", results, seen, NOW + timedelta(minutes=15), paused=timedelta(minutes=10))
    assert outcome.until == NOW + timedelta(minutes=20)


def test_rule_2_without_an_answer_nothing_is_concluded_even_after_the_deadline():
    outcome = ask("apply-component", {"apply/db": applied(DB)}, {}, NOW + timedelta(hours=5))
    assert outcome == Wait(None, "waiting to hear of StatefulSet shop/db", (Health((DB,)),))


def test_an_apply_step_exports_component_objects_and_connection():
    outcome = ask("apply-component", {"apply/db": applied(DB)}, {Health((DB,)): HEALTHY})
    objects = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "shop", "name": "db", "uid": "uid-db"}]
    assert outcome == Done({"component": "db", "objects": objects, "connection": CONNECTION})


SERVICE = ObjectRef("v1", "Service", "shop", "web-svc")
LIVE = {"kind": "Deployment", "metadata": {"name": "web"}, "status": {"readyReplicas": 1}}
ROUTED = {"kind": "Service", "metadata": {"name": "web-svc", "labels": {"trait.oam.dev/resource": "route"}}, "spec": {"clusterIP": "10.0.0.1"}}


def both():
    objects = [{"ref": ref.pack(), "uid": ref.name} for ref in (SERVICE, WEB)]
    return {"apply/web": Result({"component": "web", "objects": objects, "connection": CONNECTION}, at=NOW)}


@pytest.mark.parametrize("kind", ["apply-component", "apply-components", "deploy"])
def test_live_objects_are_exported_where_an_output_reads_them(kind):
    outputs, healthy = {"ip": '"\\(outputs.service.spec.clusterIP)"'}, {Health((SERVICE, WEB)): HEALTHY}
    waiting = ask(kind, both(), healthy, components=("web",), outputs=outputs)
    assert waiting == Wait(None, "waiting to hear of Deployment shop/web", (Live(WEB), Live(SERVICE)))
    done = ask(kind, both(), {**healthy, Live(WEB): LIVE, Live(SERVICE): ROUTED}, components=("web",), outputs=outputs)
    assert done.outputs["output"] == LIVE
    assert done.outputs["outputs"] == {"route": ROUTED, "web-svc": ROUTED, "service": ROUTED}


def test_only_what_an_output_reads_is_looked_at():
    healthy = {Health((SERVICE, WEB)): HEALTHY}
    waiting = ask("apply-component", both(), healthy, components=("web",), outputs={"ready": "output.status.readyReplicas"})
    assert waiting.watch == (Live(WEB),)
    assert "output" not in ask("apply-component", both(), healthy, components=("web",), outputs={"host": "connection.host"}).outputs


@pytest.mark.parametrize(("retry", "retryable"), [("terminal", False), ("now", True), ("backoff", True), ("wait", True)])
def test_a_failed_apply_fails_the_step_and_says_whether_to_try_again(retry, retryable):
    result = Result(error="no namespace shop", reason="NamespaceMissing", retry=retry)
    assert ask("apply-component", {"apply/db": result}) == Failed("NamespaceMissing", "no namespace shop", retryable)


def test_inputs_go_into_the_effect():
    outcome = ask("apply-component", values={"properties.image": "x:2"}, properties={"component": "db"})
    assert outcome.effects["apply/db"].params == {"component": "db", "values": {"properties.image": "x:2"}}


ROLLOUT = {"rollout": {"type": "partition", "properties": {"partition": "1", "name": "abmRolloutPartition"}}}


def test_a_rollout_puts_its_partition_into_the_effect_as_a_number():
    assert ask("apply-components", properties=ROLLOUT).effects["apply/db"].params == {"component": "db", "partition": 1}
    percent = {"rollout": {"type": "partition", "properties": {"partition": "25%"}}}
    assert ask("apply-components", properties=percent).effects["apply/db"].params["partition"] == "25%"


def test_rule_7a_a_restore_run_ignores_rollout_and_passes_every_gate():
    assert ask("apply-components", properties=ROLLOUT, restore=True).effects["apply/db"].params == {"component": "db"}
    assert isinstance(ask("deploy", properties={"auto": False}, restore=True), Do)
    assert ask("suspend", components=(), properties={"duration": "1h"}, restore=True) == Done()
    assert ask("rollout-promotion", components=(), restore=True) == Done()


def test_apply_components_without_any_component_is_done():
    assert ask("apply-components", components=()) == Done({})


def test_a_deploy_that_is_not_automatic_waits_for_a_decision_first():
    assert ask("deploy", properties={"auto": False}) == Gate('Waiting approval to the deploy step "step"')
    assert isinstance(ask("deploy", properties={"auto": False}, decision="continue"), Do)
    assert isinstance(ask("deploy", {"apply/db": applied(DB)}, properties={"auto": False}), Wait)


SEED = {"component": "db", "resourceType": "StatefulSet", "resourceAPIVersion": "apps/v1beta2", "names": ["db", "mysql"]}


def test_apply_and_wait_waits_for_each_named_resource_and_one_that_is_missing():
    mysql = ObjectRef("apps/v1beta2", "StatefulSet", "shop", "mysql")
    results = {"apply/db": applied(DB)}
    watch = (Live(DB), Health((DB,)), Live(mysql), Health((mysql,)))
    outcome = ask("apply-and-wait", results, {}, properties=SEED)
    assert outcome == Wait(NOW + timedelta(minutes=10), "waiting to hear of StatefulSet shop/db", watch)
    seen = {Live(DB): {"kind": "StatefulSet"}, Health((DB,)): HEALTHY, Live(mysql): None, Health((mysql,)): {"status": "Missing"}}
    assert ask("apply-and-wait", results, seen, properties=SEED).message == "waiting for StatefulSet shop/mysql to be there"
    late = ask("apply-and-wait", results, seen, NOW + timedelta(minutes=11), properties=SEED)
    assert late == Failed("HealthTimeout", "not there in time: StatefulSet shop/mysql")
    seen |= {Live(mysql): {"kind": "StatefulSet"}, Health((mysql,)): HEALTHY}
    assert ask("apply-and-wait", results, seen, properties=SEED).outputs["connection"] == CONNECTION


def test_apply_object_applies_and_does_not_wait():
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    effect = Effect("apply", {"component": "object/step"})
    assert ask("apply-object", components=("object/step",), properties={"value": value}) == Do({"apply/object/step": effect})
    done = ask("apply-object", {"apply/object/step": applied(DB)}, components=("object/step",), properties={"value": value})
    assert done.outputs["objects"][0]["name"] == "db"
    failed = {"apply/object/step": Result(error="refused", reason="Invalid")}
    assert ask("apply-object", failed, components=("object/step",), properties={"value": value}) == Failed("Invalid", "refused")


def test_inputs_that_make_properties_wrong_fail_the_step_instead_of_breaking_it():
    outcome = ask("apply-and-wait", properties={**SEED, "names": "db"})
    assert outcome == Failed("InvalidProperties", "names: must be a list, not 'db'")


@pytest.mark.parametrize("kind", sorted(STEP_TYPES.keys() - set(STEPFLOW_STEP_TYPES)))
def test_a_step_that_applies_never_claims_to_be_undone(kind):
    outcome = STEP_TYPES[kind].undo(call(kind), {"apply/db": applied(DB)}, {}, NOW)
    changes_nothing = ("suspend", "rollout-promotion", "print-message-in-status", "depends-on-app", "step-group", "http")
    changes_nothing += (
        "restart-workflow",
        "read-object",
        "read-config",
        "list-config",
        "collect-service-endpoints",
        "generate-jdbc-connection",
        "check-metrics",
    )
    assert outcome == Done() if kind in changes_nothing else outcome.reason == "NoCompensation"


def test_what_failed_for_good_is_not_waited_for():
    results, seen = {"apply/db": applied(DB)}, {Health((DB,)): {"status": "Degraded", "message": "limit reached", "failed": True}}
    outcome = ask("apply-component", results, seen)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "JobFailed"
