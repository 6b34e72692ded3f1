"""KubeVela's `request`, `webhook` and `notification` against real receivers: each once under its key, and no secret anywhere (rules 9b, 12, 13b, 13c)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from reconciler.notify.mail import Mailer
from tests.integration.builtins import ended, stands, step_of, workflow
from tests.integration.harness import Clone, Daemon, running
from tests.integration.receiver import receiving
from tests.integration.sequences import runs
from tests.integration.smtp import MailServer, mail_server

TOKEN = "t0ken-of-the-robot"


@asynccontextmanager
async def sending(clone: Clone, *openings: str, mails: MailServer | None = None, **more: Any) -> AsyncIterator[Daemon]:
    """A daemon that may reach loopback, unless `openings` say otherwise."""
    egress = Egress(openings or ("127.0.0.1",))
    client = GuardedClient(egress)
    try:
        async with running(clone, sender=client, post=Mailer(egress, tls=mails.tls if mails else None), **more) as daemon:
            yield daemon
    finally:
        await client.close()


async def put_secret(daemon: Daemon, allowed: str = "", **entries: str) -> None:
    """The Secret `robot`, of somebody else than the application."""
    meta = {"name": "robot", "namespace": "default", "annotations": {"reconciler.dev/allow-steps": allowed} if allowed else {}}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in entries.items()}
    await daemon.cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


def told(daemon: Daemon, run: Any) -> str:
    """All that anybody can see of it."""
    shown = [msgspec.json.encode(daemon.engine.reader.applications()).decode(), msgspec.json.encode(run).decode()]
    return "\n".join([*shown, *map(str, daemon.sink.events)])


async def holders(daemon: Daemon, secret: str) -> set[str]:
    """Kinds of the objects that hold it."""
    found = set()
    for kind in await daemon.cluster.kinds():
        for obj in (await daemon.cluster.list(kind.served)).items:
            entries = (obj.get("data") or {}).values() if obj["kind"] == "Secret" else ()
            if secret in json.dumps(obj) or any(secret.encode() in base64.b64decode(str(entry)) for entry in entries):
                found.add(obj["kind"])
    return found


async def test_the_answer_of_a_request_is_the_input_of_a_later_step(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        receiver.replies["/ask"] = b'{"ticket": {"id": 42}, "list": [1]}'
        ask = f"{{name: ask, type: request, outputs: [{{name: id, valueFrom: response.ticket.id}}], properties: {{url: 'http://127.0.0.1:{receiver.port}/ask', "
        clone.push(
            {
                "flow.yaml": workflow(
                    ask + "method: POST, body: {a: 1}, header: {X-A: b}}}",
                    "{name: keep, type: export2config, inputs: [{from: id, parameterKey: data.id}], properties: {configName: kept, data: {}}}",
                )
            }
        )
        async with sending(clone) as daemon:
            run = await ended(daemon)
            assert set(stands(run).values()) == {"Succeeded"}, stands(run)
            assert (await daemon.get("ConfigMap", "kept"))["data"] == {"id": "42"}
        (sent,) = receiver.told
        assert (sent.said, sent.headers["x-a"], sent.headers["content-type"]) == ({"a": 1}, "b", "application/json")
        assert sent.key == f"{run.owner}/{run.name}/0/ask/request"


async def test_defect_a6_12_an_answer_of_400_fails_the_step_at_once(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        receiver.answers(400)
        clone.push({"flow.yaml": workflow(f"{{name: ask, type: request, properties: {{url: '{receiver.url}'}}}}")})
        async with sending(clone) as daemon:
            run = await ended(daemon)
            assert (stands(run), run.reason, len(receiver.told)) == ({"ask": "answered 400"}, "HttpStatus", 1)


async def test_rule_13b_no_built_in_step_reaches_what_is_not_opened(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver, mail_server(tmp_path) as mails:
        mail = f"{{from: {{address: me@mail.test, host: 127.0.0.1, port: {mails.port}, password: {{value: p}}}}, to: [a@b.test], content: {{subject: s, body: b}}}}"
        steps = [
            f"{{name: ask, type: request, properties: {{url: '{receiver.url}'}}}}",
            f"{{name: hook, type: webhook, if: always, properties: {{url: {{value: '{receiver.url}'}}}}}}",
            f"{{name: tell, type: notification, if: always, properties: {{email: {mail}}}}}",
        ]
        clone.push({"flow.yaml": workflow(*steps)})
        async with sending(clone, "example.org", mails=mails) as daemon:
            run = await ended(daemon)
            assert [step.reason for step in run.steps] == ["EgressRefused"] * 3
            assert all("--allow-egress 127.0.0.1:" in step.message for step in run.steps)
        assert (receiver.told, mails.clear) == ([], [])


async def test_a_webhook_without_data_tells_the_application_less_what_is_secret_in_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        secret = "{name: s, type: export2secret, properties: {secretName: s, data: {password: hunter2hunter2}}}"
        clone.push({"flow.yaml": workflow(secret, f"{{name: hook, type: webhook, properties: {{url: {{value: '{receiver.url}'}}}}}}")})
        async with sending(clone) as daemon:
            run = await ended(daemon)
            assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        (sent,) = receiver.told
        assert (sent.said["kind"], sent.said["metadata"]["name"]) == ("WorkflowRun", "flow")
        assert [step["name"] for step in sent.said["spec"]["workflowSpec"]["steps"]] == ["s", "hook"]
        assert b"hunter2" not in sent.body
        assert b"s3cret" not in sent.body


async def test_all_channels_of_a_notification_are_told_and_the_one_that_fails_is_told_again_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver, mail_server(tmp_path) as mails:
        receiver.replies |= {"/ding": b'{"errcode":130101,"errmsg":"too fast"}', "/lark": b'{"code":0,"msg":"ok"}', "/slack": b"ok"}
        base = f"http://127.0.0.1:{receiver.port}"
        tell = (
            "{name: tell, type: notification, retryPolicy: {periodSeconds: 0.05}, properties: {"
            f"dingding: {{url: {{value: '{base}/ding'}}, message: {{text: {{content: hi}}, at: {{isAtAll: true}}}}}}, "
            f"lark: {{url: {{value: '{base}/lark'}}, message: {{msg_type: text, content: {{text: hi}}}}}}, "
            f"slack: {{url: {{value: '{base}/slack'}}, message: {{text: hi}}}}, "
            f"email: {{from: {{address: me@mail.test, alias: Me, host: 127.0.0.1, port: {mails.port}, password: {{secretRef: {{name: robot, key: mail}}}}}}, "
            "to: [a@b.test, c@d.test], content: {subject: 'Grüße', body: \".hello\\nworld\\n\"}}}}"
        )
        async with sending(clone, mails=mails) as daemon:
            await put_secret(daemon, "notification@127.0.0.1", mail="p4ssw0rd-of-me")
            clone.push({"flow.yaml": workflow(tell)})
            daemon.engine.look()
            await daemon.until(lambda: [item.path for item in receiver.told].count("/ding") > 1, "told again")
            receiver.replies["/ding"] = b'{"errcode":0}'
            run = await ended(daemon)
            assert set(stands(run).values()) == {"Succeeded"}, stands(run)
            assert {path: result.ok for path, result in run.steps[0].results.items()} == dict.fromkeys(("dingding", "lark", "slack", "email"), True)
            assert "p4ssw0rd-of-me" not in told(daemon, run)
            assert await holders(daemon, "p4ssw0rd-of-me") == {"Secret"}
        paths = [item.path for item in receiver.told]
        assert (paths.count("/lark"), paths.count("/slack"), len(mails.mails)) == (1, 1, 1)
        dings = [item for item in receiver.told if item.path == "/ding"]
        assert {item.key for item in dings} == {f"{run.owner}/{run.name}/0/tell/dingding"}
        assert {item.body for item in dings} == {b'{"at":{"isAtAll":true},"msgtype":"text","text":{"content":"hi"}}'}
        mail = mails.mails[0]
        assert (mail["Subject"], mail["From"], mail.get_content().replace("\r\n", "\n")) == ("Grüße", "Me <me@mail.test>", ".hello\nworld\n")
        assert (mails.recipients, mails.logins) == ([["a@b.test", "c@d.test"]], [("me@mail.test", "p4ssw0rd-of-me")])
        assert [line.split(" ")[0] for line in mails.clear] == ["EHLO", "STARTTLS"]


async def test_rule_9b_a_mail_that_is_sent_again_is_the_same_mail(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with mail_server(tmp_path) as mails:
        mails.refuse["RCPT"] = "450 later"
        mail = f"{{from: {{address: me@mail.test, host: 127.0.0.1, port: {mails.port}, password: {{value: p}}}}, to: [a@b.test], content: {{subject: s, body: <b>b</b>}}}}"
        clone.push(
            {"flow.yaml": workflow(f"{{name: tell, type: notification, retryPolicy: {{periodSeconds: 0.05}}, properties: {{email: {mail}}}}}")}
        )
        async with sending(clone, mails=mails) as daemon:
            await daemon.until(lambda: len(mails.logins) > 1, "tried again")
            mails.refuse.clear()
            run = await ended(daemon)
        assert (stands(run), len(mails.mails)) == ({"tell": "Succeeded"}, 1)
        assert mails.mails[0].get_content_type() == "text/html"


async def test_rule_13c_a_secret_is_used_for_the_steps_and_hosts_that_its_owner_allows_and_nowhere_else(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        receiver.replies["/ding"] = f'{{"errcode":310000,"errmsg":"token {TOKEN} is not known"}}'.encode()
        by_secret = "{url: {secretRef: {name: robot, key: url}}"
        steps = [
            f"{{name: hook, type: webhook, if: always, properties: {by_secret}, data: {{a: b}}}}}}",
            f"{{name: tell, type: notification, if: always, properties: {{dingding: {by_secret}, message: {{text: {{content: hi}}}}}}}}}}",
        ]
        async with sending(clone) as daemon:
            await put_secret(daemon, "notification@127.0.0.1, webhook@example.org", url=f"http://127.0.0.1:{receiver.port}/ding?access_token={TOKEN}")
            clone.push({"flow.yaml": workflow(*steps)})
            daemon.engine.look()
            run = await ended(daemon)
            assert [step_of(run, name).reason for name in ("hook", "tell")] == ["NoConsent", "NotTaken"]
            assert "reconciler.dev/allow-steps: webhook@HOST" in step_of(run, "hook").message
            assert step_of(run, "tell").message == "answered 200 with errcode 310000: token *** is not known"
            assert [item.path for item in receiver.told] == ["/ding"]
            assert TOKEN not in told(daemon, run)
            assert await holders(daemon, TOKEN) == {"Secret"}


async def test_rule_13c_a_secret_that_nobody_allowed_is_read_by_no_step(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver, sending(clone) as daemon:
        await put_secret(daemon, url=receiver.url)
        clone.push({"flow.yaml": workflow("{name: hook, type: webhook, properties: {url: {secretRef: {name: robot, key: url}}, data: {}}}")})
        daemon.engine.look()
        run = await ended(daemon)
        assert (run.reason, receiver.told) == ("NoConsent", [])
        assert "127.0.0.1" not in run.message


async def test_rule_13c_a_header_from_a_secret_goes_to_the_hosts_that_its_owner_allows_and_into_no_answer(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with receiving() as receiver:
        receiver.replies["/ask"] = json.dumps({"you": f"Bearer {TOKEN}", "raw": TOKEN, "list": [{TOKEN: "said"}]}).encode()

        def asking(name: str, url: str) -> str:
            header = "{Authorization: {secretRef: {name: robot, key: word}}, X-Plain: word}"
            return f"{{name: {name}, type: request, outputs: [{{name: all, valueFrom: response}}], properties: {{url: '{url}', header: {header}}}}}"

        async with sending(clone, "127.0.0.1", "localhost") as daemon:
            await put_secret(daemon, f"request@127.0.0.1:{receiver.port}", word=f"Bearer {TOKEN}", lines="a\nb")
            clone.push({"flow.yaml": workflow(asking("ask", f"http://127.0.0.1:{receiver.port}/ask"))})
            run = await ended(daemon)
            assert stands(run) == {"ask": "Succeeded"}
            assert run.steps[0].outputs == {"all": {"you": "***", "raw": "***", "list": [{"***": "said"}]}}
            assert TOKEN not in told(daemon, run)
            assert await holders(daemon, TOKEN) == {"Secret"}
            clone.push({"flow.yaml": workflow(asking("other", f"http://localhost:{receiver.port}/ask"))})
            failed = await daemon.until(lambda: (run := runs(daemon, "flow")[-1]).phase.final and run.revision == "flow-v2" and run, "the second one")
            assert "does not allow it" in step_of(failed, "other").message
        (sent,) = receiver.told
        assert (sent.headers["authorization"], sent.headers["x-plain"]) == (f"Bearer {TOKEN}", "word")
