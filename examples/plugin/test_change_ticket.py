"""The step against a real HTTP server on this machine, alone and in a workflow."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from change_ticket import ChangeTicket

from reconciler.plugin import Done
from reconciler.testing import Bench, call_step


class Tickets:
    """The service. `tickets`: state by id; `requests`: how often each key came; `broken`: answers to give instead, from the first on."""

    def __init__(self):
        self.tickets, self.ids, self.requests, self.broken = {}, {}, Counter(), []

    def answer(self, method, path, key, _body):
        self.requests[method, key] += 1
        if self.broken:
            return self.broken.pop(0), {}
        if method == "POST":
            name = self.ids.setdefault(key, str(len(self.ids) + 1))
            self.tickets.setdefault(name, "open")
        else:
            name = path.rpartition("/")[2]
        if method == "DELETE":
            self.tickets[name] = "closed"
        return 200, {"id": name, "state": self.tickets[name]}


@pytest.fixture
def service():
    tickets = Tickets()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length") or 0)
            code, body = tickets.answer(self.command, self.path, self.headers.get("Idempotency-Key"), self.rfile.read(length))
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_DELETE = do_POST

        def log_message(self, *args):
            """The test says what it needs to."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    tickets.url = f"http://127.0.0.1:{server.server_port}"
    yield tickets
    server.shutdown()
    thread.join()
    server.server_close()


def manifest(url):
    return f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: shop}}
spec:
  components:
    - name: settings
      type: k8s-objects
      properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: shop}}}}]}}
  workflow:
    steps:
      - {{name: ticket, type: change-ticket, properties: {{url: "{url}", title: Deploy the shop}}}}
      - {{name: deploy, type: deploy}}
"""


def test_an_approved_ticket_is_done(service):
    service.ids["key"], service.tickets["7"] = "7", "approved"
    outcome = call_step(ChangeTicket, parameters={"url": service.url, "title": "Deploy"})
    assert isinstance(outcome, Done)
    assert outcome.outputs == {"ticket": "7"}


def test_parameters_are_checked():
    outcome = call_step(ChangeTicket, parameters={"url": "ftp://elsewhere", "title": "Deploy"})
    assert outcome.reason == "InvalidProperties"


def test_nothing_is_deployed_before_somebody_approves(service):
    with Bench({"change-ticket": ChangeTicket}) as bench:
        bench.commit({"shop.yaml": manifest(service.url)})
        bench.pass_time(600)
        assert bench.object("ConfigMap", "shop") is None
        service.tickets["1"] = "approved"
        assert bench.finish("shop").phase == "Succeeded"
        assert bench.object("ConfigMap", "shop") is not None
        assert list(service.tickets) == ["1"]
        assert {call.attempt for call in bench.calls} == {0}, "waiting is no failure"


def test_a_service_that_fails_is_asked_again_with_the_same_key(service):
    service.broken = [503, 503]
    with Bench({"change-ticket": ChangeTicket}) as bench:
        bench.commit({"shop.yaml": manifest(service.url)})
        bench.pass_time(10)
        assert [call.attempt for call in bench.calls][:3] == [0, 1, 2]
        assert len(service.requests) == 1
        assert service.tickets == {"1": "open"}


def test_one_that_refuses_fails_the_run(service):
    service.broken = [403]
    with Bench({"change-ticket": ChangeTicket}) as bench:
        bench.commit({"shop.yaml": manifest(service.url)})
        assert bench.finish("shop").phase == "Failed"
        assert bench.object("ConfigMap", "shop") is None


@pytest.mark.parametrize("landed", [True, False])
def test_wherever_the_daemon_dies_there_is_one_ticket(service, landed):
    write = 0
    while True:
        write += 1
        service.__init__()
        with Bench({"change-ticket": ChangeTicket}) as bench:
            bench.die_at(write, landed=landed)
            bench.commit({"shop.yaml": manifest(service.url)})
            service.tickets = dict.fromkeys(service.tickets, "approved")
            assert bench.finish("shop").phase == "Succeeded"
            assert len(service.tickets) == 1
            bench.check_keys()
            if bench.lives == 1:
                break  # there is no such write any more: every crash was seen
    assert write > 5
