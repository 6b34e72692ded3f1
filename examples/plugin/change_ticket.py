"""A step that opens a ticket at a service with a REST API, waits until somebody approves it, and closes it when the change is undone."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgspec

from reconciler.plugin import Context, Done, Final, NotReady, Retryable


class Ticket(msgspec.Struct):
    """What the service answers. `state`: open, approved, refused or closed."""

    id: str
    state: str


class ChangeTicket:
    """Opening one is safe to repeat: the service answers the same ticket to the same `Idempotency-Key`."""

    seconds = 10

    class Parameters(msgspec.Struct):
        url: Annotated[str, msgspec.Meta(pattern="^https?://", description="where the service is")]
        title: Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="what the ticket says")]

    def run(self, context: Context[Parameters]) -> Done:
        body = {"title": context.parameters.title, "application": context.workflow}
        ticket = _ask(context, "POST", "/tickets", body, key=context.key)
        context.log.info("ticket", id=ticket.id, state=ticket.state)
        if ticket.state == "refused":
            raise Final(f"ticket {ticket.id} was refused", "TicketRefused")
        if ticket.state != "approved":
            raise NotReady(f"ticket {ticket.id} waits for its approval", after=30)
        address = f"{context.parameters.url}/tickets/{ticket.id}"
        return Done(
            outputs={"ticket": ticket.id},
            message=f"ticket {ticket.id} is approved",
            attributes={"ticket": ticket.id},
            resource={"id": ticket.id, "status": ticket.state, "address": address},
        )

    def rollback(self, context: Context[Parameters]) -> Done:
        assert context.made is not None
        ticket = context.made.resource["id"]
        _ask(context, "DELETE", f"/tickets/{ticket}", None, key=context.key)
        return Done(message=f"ticket {ticket} is closed")

    def sync(self, context: Context[Parameters]) -> Done:
        assert context.made is not None
        ticket = _ask(context, "GET", f"/tickets/{context.made.resource['id']}", None)
        if ticket.state == "refused":
            raise Final(f"ticket {ticket.id} was refused after all", "TicketRefused")
        return Done(resource={**context.made.resource, "status": ticket.state})


def _ask(context: Context[Any], method: str, path: str, body: dict[str, str] | None, key: str = "") -> Ticket:
    """One request. A fault of the service or of the way there may pass; what it refuses, it will refuse again."""
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    request = Request(context.parameters.url + path, json.dumps(body).encode() if body else None, headers, method=method)  # noqa: S310  # by its pattern
    try:
        with urlopen(request, timeout=5) as answer:  # noqa: S310
            return msgspec.json.decode(answer.read(65536), type=Ticket)
    except HTTPError as error:
        error.close()
        if error.code < 500:
            raise Final(f"{method} {path} was answered with {error.code}") from error
        raise Retryable(f"{method} {path} was answered with {error.code}") from error
    except (URLError, TimeoutError, msgspec.DecodeError) as error:
        raise Retryable(f"{method} {path} got no answer that can be read") from error
