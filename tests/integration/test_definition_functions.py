"""What functions of definitions do to the cluster, from a push to the end of the run: each within what the application has (rules 1c, 9, 13a)."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

from pathlib import Path

import pytest

from reconciler.model.identity import ObjectRef
from tests.integration.harness import Clone, running, virtual
from tests.integration.receiver import receiving
from tests.integration.smtp import mail_server
from tests.integration.test_builtin_sending import put_secret, sending
from tests.integration.test_definitions import WEB, application, definition, effects, ended, step, there

pytestmark = pytest.mark.timeout(600)  # the first of them on a machine compiles the module

OTHERS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "others", "namespace": "default", "labels": {"kind": "scratch"}}}


@virtual
async def test_rule_1c_delete_takes_what_the_application_made_and_leaves_what_others_made(tmp_path: Path) -> None:
    template = """
        import "vela/kube"
        made: kube.#ApplyInParallel & {$params: value: [for name in ["one", "two", "kept"] {
            apiVersion: "v1", kind: "ConfigMap", metadata: {"name": name, if name != "kept" {labels: kind: "scratch"}}
        }]}
        gone: kube.#Delete & {$params: {value: {apiVersion: "v1", kind: "ConfigMap"}, filter: matchingLabels: kind: "scratch"}}
    """
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await daemon.cluster.apply(OTHERS, "somebody")
        clone.push({"shop.yaml": application("{name: tidy, type: tidy}"), "definitions/tidy.yaml": definition("tidy", template)})
        await daemon.synced("shop")
        left = [name for name in ("one", "two", "kept", "others") if await there(daemon, ObjectRef("v1", "ConfigMap", "default", name))]
        assert left == ["kept", "others"]
        await daemon.looked()
        assert effects(daemon) == ["apply", "delete"]


@virtual
async def test_rule_1c_an_object_that_others_made_and_one_that_needs_approval_are_not_deleted_by_name(tmp_path: Path) -> None:
    template = """
        import "vela/op"
        parameter: {kind: string, version: string, name: string}
        claim: op.#Apply & {value: {
            apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: name: "data"
            spec: {accessModes: ["ReadWriteOnce"], resources: requests: storage: "1Gi"}
        }}
        gone: op.#Delete & {value: {apiVersion: parameter.version, kind: parameter.kind, metadata: name: parameter.name}}
    """
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await daemon.cluster.apply(OTHERS, "somebody")
        remove = "{{name: gone, type: remove, properties: {{kind: {}, version: v1, name: {}}}}}"
        clone.push({"shop.yaml": application(remove.format("ConfigMap", "others")), "definitions/remove.yaml": definition("remove", template)})
        assert "ConfigMap default/others is none that this application made" in await ended(daemon, "Failed")
        clone.push({"shop.yaml": application(remove.format("PersistentVolumeClaim", "data"))})
        await daemon.until(lambda: "goes with approval alone" in str(daemon.status("shop").run.message), "refused")
        assert await there(daemon, ObjectRef("v1", "PersistentVolumeClaim", "default", "data"))
        assert await there(daemon, ObjectRef("v1", "ConfigMap", "default", "others"))


@virtual
async def test_configs_are_made_read_listed_and_deleted(tmp_path: Path) -> None:
    template = """
        import "vela/config"
        import "vela/builtin"
        made: config.#CreateConfig & {$params: {name: "login", template: "image", config: {user: "me", times: 3}}}
        read: config.#ReadConfig & {$params: name: made.$params.name}
        all: config.#ListConfig & {$params: template: "image"}
        said: builtin.#Message & {$params: message: "\\(read.$returns.config.user) \\(len(all.$returns.configs))"}
    """
    away = 'import "vela/op"\ngone: op.#DeleteConfig & {name: "login"}\n'
    clone = Clone(tmp_path)
    files = {"definitions/keep.yaml": definition("keep", template), "definitions/away.yaml": definition("away", away)}
    clone.push({"shop.yaml": application("{name: keep, type: keep}"), **files})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        assert step(daemon, "keep").message == "me 1"
        commit = clone.push({"shop.yaml": application("{name: keep, type: keep}", "{name: away, type: away}")})
        await daemon.synced("shop", commit)
        assert not await there(daemon, ObjectRef("v1", "ConfigMap", "default", "login"))


@virtual
async def test_a_variable_goes_from_one_step_to_the_next(tmp_path: Path) -> None:
    put = 'import "vela/builtin"\nput: builtin.#DoVar & {$params: {method: "Put", path: "web.port", value: 80}}\n'
    get = 'import "vela/op"\nport: op.#DoVar & {path: "web.port"}\ntell: op.#Message & {message: "\\(port.value)"}\n'
    clone = Clone(tmp_path)
    files = {"definitions/put.yaml": definition("put", put), "definitions/get.yaml": definition("get", get)}
    clone.push({"shop.yaml": application("{name: first, type: put}", "{name: then, type: get}"), **files})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        assert step(daemon, "then").message == "80"


DATABASE = "  - {name: database, type: k8s-objects, properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: database}}]}}\n"


@virtual
async def test_what_remains_is_applied_and_what_is_loaded_is_applied_as_it_is_declared(tmp_path: Path) -> None:
    remaining = 'import "vela/op"\nparameter: exceptions: [...string]\nrest: op.#ApplyRemaining & {exceptions: parameter.exceptions}\n'
    loaded = """
        import "vela/oam"
        parameter: change: *false | bool
        load: oam.#Load
        for name, one in load.$returns.value {
            "apply-\\(name)": oam.#ApplyComponent & {$params: value: {
                "name": one.name
                if parameter.change {properties: objects: []}
                if !parameter.change {properties: one.properties}
            }}
        }
    """
    clone = Clone(tmp_path)
    files = {"definitions/rest.yaml": definition("rest", remaining), "definitions/all.yaml": definition("all", loaded)}

    def shop(step: str) -> str:
        return application(step).replace("  workflow:", f"{DATABASE}  workflow:")

    clone.push({"shop.yaml": shop("{name: rest, type: rest, properties: {exceptions: [web]}}"), **files})
    database = ObjectRef("v1", "ConfigMap", "default", "database")
    async with running(clone) as daemon:
        await daemon.synced("shop")
        assert (await there(daemon, database), await there(daemon, WEB)) == (True, False)
        commit = clone.push({"shop.yaml": shop("{name: all, type: all}")})
        await daemon.synced("shop", commit)
        assert await there(daemon, WEB)
        clone.push({"shop.yaml": shop("{name: all, type: all, properties: {change: true}}")})
        assert "a component is applied as the application declares it" in await ended(daemon, "Failed")


async def test_rule_13c_a_mail_of_a_definition_takes_its_password_from_a_secret_whose_owner_names_the_definition(tmp_path: Path) -> None:
    template = """
        import "vela/email"
        parameter: port: int
        mail: email.#SendEmail & {$params: {
            from: {address: "me@example.org", host: "127.0.0.1", port: parameter.port, password: secretRef: {name: "robot", key: "word"}}
            to: ["you@example.org"]
            content: {subject: "news of \\(context.name)", body: "it goes on"}
        }}
    """
    clone = Clone(tmp_path)
    async with mail_server(tmp_path) as mails:
        async with sending(clone, mails=mails) as daemon:
            await put_secret(daemon, f"tell@127.0.0.1:{mails.port}", word="s3cret")
            tell = f"{{name: tell, type: tell, properties: {{port: {mails.port}}}}}"
            clone.push({"shop.yaml": application(tell), "definitions/tell.yaml": definition("tell", template)})
            await daemon.synced("shop")
            clone.push({"shop.yaml": application(tell.replace("type: tell", "type: other")), "definitions/other.yaml": definition("other", template)})
            assert "does not allow it" in await ended(daemon, "Failed")
        ((mail,), (login,)) = mails.mails, mails.logins
        assert (mail["subject"], login) == ("news of shop", ("me@example.org", "s3cret"))


async def test_rule_13c_a_request_of_a_definition_takes_a_header_from_a_secret_whose_owner_names_the_definition(tmp_path: Path) -> None:
    template = """
        import "vela/http"
        import "vela/builtin"
        parameter: url: string
        ask: http.#HTTPGet & {$params: {url: parameter.url, request: {
            header: "X-Word": "w"
            headersFromSecret: [{name: "Authorization", secret: "robot", key: "word"}]
        }}}
        said: builtin.#Message & {$params: message: ask.$returns.body}
    """
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        receiver.replies["/hook"] = b"you are s3cret, are you not"
        async with sending(clone) as daemon:
            await put_secret(daemon, f"ask@127.0.0.1:{receiver.port}", word="s3cret")
            tell = f"{{name: tell, type: ask, properties: {{url: '{receiver.url}'}}}}"
            clone.push({"shop.yaml": application(tell), "definitions/ask.yaml": definition("ask", template)})
            await daemon.synced("shop")
            assert step(daemon, "tell").message == "you are ***, are you not"
            clone.push({"shop.yaml": application(tell.replace("type: ask", "type: other")), "definitions/other.yaml": definition("other", template)})
            assert "does not allow it" in await ended(daemon, "Failed")
        (sent,) = receiver.told
        assert (sent.headers["authorization"], sent.headers["x-word"]) == ("s3cret", "w")


@virtual
async def test_a_patch_is_laid_over_an_object_before_it_is_applied_or_passed_on(tmp_path: Path) -> None:
    template = """
        import "vela/kube"
        import "vela/util"
        base: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "patched", data: {kept: "1", changed: "1"}}
        made: kube.#Apply & {$params: {value: base, patch: {
            metadata: labels: by: "patch"
            // +patchStrategy=replace
            data: {changed: "2"}
        }}}
        other: util.#PatchK8sObject & {$params: {value: base, patch: {
            metadata: annotations: by: "patch"
        }}}
        again: kube.#Apply & {$params: value: {
            for name, value in other.$returns.result if name != "metadata" {(name): value}
            metadata: {name: "other", annotations: other.$returns.result.metadata.annotations}
        }}
    """
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": application("{name: patch, type: patch}"), "definitions/patch.yaml": definition("patch", template)})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        patched = await daemon.cluster.get(ObjectRef("v1", "ConfigMap", "default", "patched"))
        assert (patched["data"], patched["metadata"]["labels"]["by"]) == ({"changed": "2"}, "patch")
        other = await daemon.cluster.get(ObjectRef("v1", "ConfigMap", "default", "other"))
        assert (other["data"], other["metadata"]["annotations"]["by"]) == ({"kept": "1", "changed": "1"}, "patch")


@virtual
async def test_a_template_counts_the_pods_and_services_of_its_application(tmp_path: Path) -> None:
    template = """
        import "vela/query"
        import "vela/builtin"
        import "strings"
        about: {name: context.name, namespace: context.namespace}
        pods: query.#CollectPods & {$params: app: about}
        services: query.#CollectServices & {$params: app: about}
        enough: builtin.#ConditionalWait & {$params: continue: len(pods.$returns.list) == 2}
        said: builtin.#Message & {$params: message: strings.Join([for one in services.$returns.list {"\\(one.component) \\(one.object.kind)"}], ",")}
    """
    web = "  - {name: web, type: webservice, properties: {image: 'web:1', ports: [{port: 80, expose: true}]}, traits: [{type: scaler, properties: {replicas: 2}}]}\n"
    steps = "  workflow:\n    steps:\n    - {name: web, type: apply-component, properties: {component: web}}\n    - {name: count, type: count}\n"
    head = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: shop}\nspec:\n  components:\n"
    clone = Clone(tmp_path)
    clone.push({"shop.yaml": f"{head}{web}{steps}", "definitions/count.yaml": definition("count", template)})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        assert step(daemon, "count").message == "web Service"
