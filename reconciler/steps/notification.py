"""`notification`: a message to DingTalk, Slack, Lark and by e-mail. KubeVela's built-in of that name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.outcome import Call, Done, Effect, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sending import check_source, post, read_source, send_all, write_json
from reconciler.steps.validation import Finding, check_choice, check_fields, check_texts, check_whole, refuse

CHANNELS: Final = ("lark", "dingding", "slack", "email")
_KINDS: Final = ("text", "link", "markdown", "actionCard", "feedCard")
_ADDRESS: Final = re.compile(r"[^\s<>,;:\"\\()\[\]@\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,253}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_LONGEST: Final = 64 * 1024


class Notification(NoCompensation):
    """
    All channels that are given are told, each by an effect of its own: one that failed is tried again alone. DingTalk and Lark say with status 200
    that they did not take a message; that is read.
    """

    name = "notification"
    params: Mapping[str, str] = MappingProxyType(
        {
            "lark": "`url` (`value` or `secretRef`), `message` with `msg_type` and `content`",
            "dingding": "`url`, `message` with `msgtype` (text, link, markdown, actionCard, feedCard) and what that is called, and `at`",
            "slack": "`url`, `message` with `text`, `blocks`, `attachments`, `thread_ts`, `mrkdwn`",
            "email": "`from` (`address`, `alias`, `password`, `host`, `port`), `to`, `content` (`subject`, `body`)",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found: list[Finding] = []
        if all(properties.get(channel) is None for channel in CHANNELS):
            found.append(("", f"needs one of {', '.join(CHANNELS)}"))
        for channel, check in (("lark", _check_lark), ("dingding", _check_dingding), ("slack", _check_slack), ("email", _check_email)):
            given = properties.get(channel)
            if given is not None and not isinstance(given, dict):
                found.append((channel, "must be a mapping"))
            elif given is not None:
                found += [(f"{channel}.{where}", message) for where, message in check(given)]
        return found

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        makers = {"lark": _lark, "dingding": _dingding, "slack": _slack, "email": _email}
        effects = {channel: makers[channel](call.properties[channel]) for channel in CHANNELS if call.properties.get(channel) is not None}
        return send_all(effects, results) or Done(message=f"told by {', '.join(effects)}")


def _lark(given: dict[str, Any]) -> Effect:
    return post(read_source(given["url"]), write_json(given["message"]), "code", "msg")


def _dingding(given: dict[str, Any]) -> Effect:
    return post(read_source(given["url"]), write_json({"msgtype": "text", **given["message"]}), "errcode", "errmsg")


def _slack(given: dict[str, Any]) -> Effect:
    message = given["message"]
    if isinstance(message.get("attachments"), dict):  # upstream's is one, Slack takes a list
        message = {**message, "attachments": [message["attachments"]]}
    return post(read_source(given["url"]), write_json(message))


def _email(given: dict[str, Any]) -> Effect:
    sender, content = given["from"], given["content"]
    return Effect(
        "mail",
        {
            "host": sender["host"],
            "port": sender.get("port") or 587,
            "address": sender["address"],
            "alias": sender.get("alias") or "",
            "password": read_source(sender["password"]),
            "to": list(given["to"]),
            "subject": content["subject"],
            "body": content["body"],
        },
    )


def _check_known(given: dict[str, Any], known: tuple[str, ...]) -> list[Finding]:
    """Fields of a channel; each of them has to be there."""
    found = [(name, f"is not known here (known: {', '.join(known)})") for name in given if name not in known]
    return found + [(name, "is required") for name in known if given.get(name) is None]


def _check_lark(given: dict[str, Any]) -> list[Finding]:
    found = _check_known(given, ("url", "message")) + (check_source(given, "url") if given.get("url") is not None else [])
    content = given["message"].get("content") if isinstance(given.get("message"), dict) else None
    known: dict[str, type] = {"msg_type": str, "content": dict if isinstance(content, dict) else str}
    return found + check_fields(given, "message", known, required=("msg_type", "content"))


def _check_dingding(given: dict[str, Any]) -> list[Finding]:
    found = _check_known(given, ("url", "message")) + (check_source(given, "url") if given.get("url") is not None else [])
    known: dict[str, type] = {"msgtype": str, "at": dict, **dict.fromkeys(_KINDS, dict)}
    wrong = check_fields(given, "message", known)
    message = given.get("message")
    if not wrong and isinstance(message, dict):
        wrong += [(f"message.{field}", said) for field, said in check_choice(message, "msgtype", _KINDS)]
        kind = message.get("msgtype") or "text"
        if not wrong and message.get(kind) is None:
            wrong.append((f"message.{kind}", "is required"))
    return found + wrong


def _check_slack(given: dict[str, Any]) -> list[Finding]:
    found = _check_known(given, ("url", "message")) + (check_source(given, "url") if given.get("url") is not None else [])
    attachments = given["message"].get("attachments") if isinstance(given.get("message"), dict) else None
    listed: type = list if isinstance(attachments, list) else dict
    known: dict[str, type] = {"text": str, "blocks": list, "attachments": listed, "thread_ts": str, "mrkdwn": bool}
    return found + check_fields(given, "message", known, required=("text",))


def _check_email(given: dict[str, Any]) -> list[Finding]:
    found = _check_known(given, ("from", "to", "content"))
    known: dict[str, type] = {"address": str, "alias": str, "password": dict, "host": str, "port": int}
    found += check_fields(given, "from", known, required=("address", "password", "host"))
    sender, content = given.get("from"), given.get("content")
    if isinstance(sender, dict):
        more = check_source(sender, "password", url=False) if isinstance(sender.get("password"), dict) else []
        more += check_whole(sender, "port", 1, 65535) if isinstance(sender.get("port"), int) else []
        more += _check_pattern(sender, "address", _ADDRESS, "an address such as me@example.org")
        more += _check_pattern(sender, "host", _HOST, "the name or the address of a host") + _check_pattern(sender, "alias", _LINE, "on one line")
        found += [(f"from.{field}", said) for field, said in more]
    found += check_texts(given, "to", least=1)
    if isinstance(given.get("to"), list):
        wrong = [index for index, address in enumerate(given["to"]) if isinstance(address, str) and address and not _ADDRESS.fullmatch(address)]
        found += [(f"to[{index}]", "must be an address such as me@example.org") for index in wrong]
    found += check_fields(given, "content", {"subject": str, "body": str}, required=("subject", "body"))
    if isinstance(content, dict):
        found += [(f"content.{field}", said) for field, said in _check_pattern(content, "subject", _LINE, "on one line")]
        if isinstance(content.get("body"), str) and len(content["body"].encode("utf-8", "surrogatepass")) > _LONGEST:
            found.append(("content.body", f"must be at most {_LONGEST} bytes"))
    return found


def _check_pattern(given: dict[str, Any], field: str, pattern: re.Pattern[str], meaning: str) -> list[Finding]:
    value = given.get(field)
    wrong = isinstance(value, str) and value and not pattern.fullmatch(value)
    return [(field, f"must be {meaning}")] if wrong else []
