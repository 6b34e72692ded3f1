"""Fetching charts (rules 5a, 13b, 13c): real servers on loopback, through the client that the daemon has."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from reconciler import wiring
from reconciler.charts.archive import pack_archive, read_archive
from reconciler.charts.fetching import Charts
from reconciler.charts.index import MOST_BYTES
from reconciler.charts.protocol import ChartError, Credentials
from reconciler.model.chart import ChartPin, ChartSource
from reconciler.notify.client import GuardedClient
from reconciler.notify.egress import Egress
from reconciler.wiring import build_charts
from tests.charts import Registry, Repository, chart, digest_of, endless, serving


@asynccontextmanager
async def fetching(folder: Path | None = None, *openings: str, only: tuple[str, ...] = ()) -> AsyncIterator[Charts]:
    client = GuardedClient(Egress(openings or ("127.0.0.1",), only, "--chart-host"))
    try:
        yield build_charts(client, folder)
    finally:
        await client.close()


async def refusal(charts: Charts, source: ChartSource, credentials: Credentials | None = None) -> ChartError:
    with pytest.raises(ChartError) as told:
        await charts.resolve(source, credentials)
    assert "\n" not in str(told.value)
    return told.value


async def test_a_range_is_resolved_to_the_newest_that_fits_and_its_digest() -> None:
    async with serving(Repository()) as repository, fetching() as charts:
        data = {version: repository.add("web", version) for version in ("1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1")}
        for wanted, version in (("", "1.10.0"), ("1.x", "1.10.0"), ("~1.2", "1.2.0"), ("1.0.0", "1.0.0"), (">=2.0.0-0", "2.0.0-rc.1")):
            pin = await charts.resolve(ChartSource(repository.url, "web", wanted))
            digest = hashlib.sha256(data[version]).hexdigest()
            assert pin == ChartPin("web", version, f"{repository.url}/web-{version}.tgz", f"sha256:{digest}")


async def test_the_archive_of_a_pin_is_fetched_once_and_checked_and_is_the_same_each_time(tmp_path: Path) -> None:
    async with serving(Repository()) as repository, fetching(tmp_path / "cache") as charts:
        data = repository.add("web", "1.0.0", {"templates/a.yaml": "a: b\n"})
        pin = await charts.resolve(ChartSource(repository.url, "web", "1.0.0"))
        first = await charts.archive(pin)
        assert first == await charts.archive(pin) == pack_archive("web", read_archive(data))
        assert repository.count("/charts/web-1.0.0.tgz") == 1
        async with fetching(tmp_path / "cache") as others:
            assert await others.archive(pin) == first
        assert repository.count("/charts/web-1.0.0.tgz") == 1
        (kept,) = (tmp_path / "cache").iterdir()
        kept.write_bytes(b"changed by somebody")
        async with fetching(tmp_path / "cache") as others:
            assert await others.archive(pin) == first
        assert repository.count("/charts/web-1.0.0.tgz") == 2


async def test_rule_5a_a_pin_holds_where_the_range_has_moved_on_and_where_the_archive_was_replaced_it_fails() -> None:
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", {"a": "1"})
        async with fetching() as charts:
            pin = await charts.resolve(ChartSource(repository.url, "web", "*"))
        repository.add("web", "1.1.0")
        async with fetching() as charts:
            assert read_archive(await charts.archive(pin))["a"] == b"1"
        repository.add("web", "1.0.0", {"a": "2"})
        async with fetching() as charts:
            with pytest.raises(ChartError, match=f"chart web 1.0.0 of {repository.url}.*has the digest .*nothing of it is used"):
                await charts.archive(pin)
        del repository.charts["web", "1.0.0"]
        async with fetching() as charts:
            with pytest.raises(ChartError, match=r"is not there \(404\)") as told:
                await charts.archive(pin)
            assert told.value.retry


async def test_one_index_serves_many_who_ask_at_once() -> None:
    async with serving(Repository()) as repository, fetching() as charts:
        for number in range(20):
            repository.add(f"web{number}", "1.0.0")
        for number in range(20):
            await charts.resolve(ChartSource(repository.url, f"web{number}", "1.0.0"))
        assert repository.count("/charts/index.yaml") == 1


async def test_an_index_that_says_another_digest_is_an_error_and_one_that_says_none_is_pinned_by_what_came() -> None:
    async with serving(Repository()) as repository, fetching() as charts:
        repository.add("web", "1.0.0")
        other = chart("web", "1.0.0", {"evil": "x"})

        async def swap(_: web.Request) -> web.StreamResponse:
            return web.Response(body=other)

        repository.routes["/charts/web-1.0.0.tgz"] = swap
        assert "nothing of it is used" in str(await refusal(charts, ChartSource(repository.url, "web", "1.0.0")))
    async with serving(Repository()) as repository, fetching() as charts:
        repository.digests = False
        data = repository.add("web", "1.0.0")
        pin = await charts.resolve(ChartSource(repository.url, "web", "1.0.0"))
        assert pin.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize(
    ("name", "wanted", "said", "retry"),
    [
        ("web", "3.x", "there is no version that fits; there are 1.1.0, 1.0.0", True),
        ("wbe", "*", "no chart of that name; did you mean web?", True),
        ("web", "latest", "latest is no version range", False),
        ("early", "*", "a pre-release is taken only where the range names one", True),
        ("liar", "*", "the archive holds the chart other, not that one", False),
        ("broken", "*", "its archive is no gzip file", False),
        ("bomb", "*", "unpacks to more than 32 MiB", False),
        ("out", "*", "leads out of the chart", False),
    ],
)
async def test_what_is_wrong_names_chart_range_and_repository(name: str, wanted: str, said: str, retry: bool) -> None:
    async with serving(Repository()) as repository, fetching() as charts:
        repository.add("web", "1.0.0")
        repository.add("web", "1.1.0")
        repository.add("early", "1.0.0-rc.1")
        repository.charts["liar", "1.0.0"] = chart("other", "1.0.0")
        repository.charts["broken", "1.0.0"] = b"broken"
        repository.charts["bomb", "1.0.0"] = chart("bomb", "1.0.0", {"a": b"\0" * (40 << 20)})
        repository.charts["out", "1.0.0"] = chart("out", "1.0.0", {"../../x": "x"})
        error = await refusal(charts, ChartSource(repository.url, name, wanted))
        assert str(error).startswith(f"chart {name} {wanted} of {repository.url}: ")
        assert said in str(error)
        assert error.retry is retry


async def test_what_chart_yaml_needs_and_does_not_hold_is_fetched_pinned_and_put_into_its_charts() -> None:
    async with serving(Repository()) as repository, serving(Repository()) as other, fetching() as charts:
        other.add("common", "1.0.0")
        other.add("common", "1.2.0", {"templates/_c.tpl": "c"})
        other.add("deep", "0.1.0", dependencies=[{"name": "common", "version": "1.x", "repository": other.url}])
        lock = "dependencies: [{name: deep, version: 0.1.0, repository: x}]"
        needs = [
            {"name": "common", "version": "~1.0", "repository": other.url},
            {"name": "deep", "version": "^0.1", "repository": other.url},
            {"name": "here", "version": "1.0.0", "repository": "https://example.invalid"},
        ]
        repository.add("web", "1.0.0", {"charts/here-1.0.0.tgz": chart("here", "1.0.0"), "Chart.lock": lock}, dependencies=needs)
        pin = await charts.resolve(ChartSource(repository.url, "web"))
        assert [(inner.name, inner.version) for inner in pin.requires] == [("common", "1.0.0"), ("deep", "0.1.0")]
        assert [(inner.name, inner.version) for inner in pin.requires[1].requires] == [("common", "1.2.0")]
        files = read_archive(await charts.archive(pin))
        assert "charts/here-1.0.0/Chart.yaml" in files
        assert files["charts/deep-1/charts/common-0/templates/_c.tpl"] == b"c"


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("file://../common", "which only its author has"),
        ("@stable", "which only its author has"),
        ("", "of no repository"),
        ("http://10.0.0.1/x", "--allow-egress"),
    ],
)
async def test_a_dependency_that_is_not_to_be_had_is_named_with_what_to_do(repository: str, said: str) -> None:
    async with serving(Repository()) as server, fetching() as charts:
        server.add("web", "1.0.0", dependencies=[{"name": "common", "version": "1.x", "repository": repository}])
        told = str(await refusal(charts, ChartSource(server.url, "web")))
        assert "its dependency common 1.x" in told
        assert said in told


async def test_charts_that_need_each_other_come_to_an_end() -> None:
    async with serving(Repository()) as server, fetching() as charts:
        server.add("a", "1.0.0", dependencies=[{"name": "b", "version": "*", "repository": server.url}])
        server.add("b", "1.0.0", dependencies=[{"name": "a", "version": "*", "repository": server.url}])
        assert "more than 5 deep" in str(await refusal(charts, ChartSource(server.url, "a")))
        assert len(server.asked) < 10


async def test_rule_13b_a_redirect_to_a_private_address_is_not_followed_and_the_archive_is_not_asked_for_there() -> None:
    async with serving(Repository()) as repository, fetching() as charts:

        async def away(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})

        repository.add("web", "1.0.0")
        repository.routes["/charts/web-1.0.0.tgz"] = away
        error = await refusal(charts, ChartSource(repository.url, "web"))
        assert "169.254.169.254:80 is a metadata address" in str(error) or "169.254.169.254:80 is a link-local address" in str(error)
        assert not error.retry


async def test_rule_13b_loopback_is_not_asked_unless_the_operator_opens_it() -> None:
    async with serving(Repository()) as repository, fetching(None, "10.9.9.9") as charts:
        assert "--allow-egress 127.0.0.1" in str(await refusal(charts, ChartSource(repository.url, "web")))
        assert repository.asked == []


async def test_rule_13b_where_hosts_are_listed_no_other_one_is_asked_nor_redirected_to() -> None:
    async with serving(Repository()) as repository, serving(Repository()) as other:

        async def away(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": f"{other.url}/index.yaml"})

        repository.routes["/charts/index.yaml"] = away
        async with fetching(None, "127.0.0.1", only=(repository.host,)) as charts:
            assert f"{other.host} is not among the hosts of --chart-host" in str(await refusal(charts, ChartSource(repository.url, "web")))
            assert f"{other.host} is not among the hosts of --chart-host" in str(await refusal(charts, ChartSource(other.url, "web")))
        assert other.asked == []


async def test_an_index_and_an_archive_that_never_end_are_cut() -> None:
    async with serving(Repository()) as repository, fetching() as charts:
        repository.add("web", "1.0.0")
        repository.routes["/charts/web-1.0.0.tgz"] = endless
        assert "answered with more than 16 MiB" in str(await refusal(charts, ChartSource(repository.url, "web")))
    async with serving(Repository()) as repository, fetching() as charts:
        repository.routes["/charts/index.yaml"] = endless
        assert "answered with more than 48 MiB" in str(await refusal(charts, ChartSource(repository.url, "web")))


@pytest.mark.parametrize(("size", "cut"), [(40_000_000, False), (100_000_000, True)])
async def test_an_index_of_that_many_bytes_of_charts_costs_memory_for_what_is_read_of_it_alone(size: int, cut: bool) -> None:
    """Versions, each with a long description, as long indexes have them; the first is the one that is wanted."""
    sent = 0

    async def index(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"apiVersion: v1\nentries:\n  web:\n  - {{version: 1.0.0, urls: [web-1.0.0.tgz], digest: {digest}}}\n".encode())
        block = b"".join(b"  - {version: 0.%d.0, urls: [web-0.tgz], description: %s}\n" % (number, b"x" * 4000) for number in range(250))
        with suppress(ConnectionError):  # it was cut
            while sent < size:
                await response.write(block)
                sent += len(block)
        return response

    async with serving(Repository()) as repository, fetching() as charts:
        digest = digest_of(repository.add("web", "1.0.0"))
        repository.routes["/charts/index.yaml"] = index
        source = ChartSource(repository.url, "web", "^1")
        tracemalloc.start()
        try:
            if cut:
                assert "answered with more than 48 MiB" in str(await refusal(charts, source))
            else:
                assert (await charts.resolve(source)).digest == f"sha256:{digest}"
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        read = min(size, MOST_BYTES)
        assert peak < 2.5 * read
        assert sent < 1.5 * read


async def test_a_repository_that_never_answers_is_an_error_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "CHART_SECONDS", 0.2)
    async with serving(Repository()) as repository, fetching() as charts:

        async def hang(_: web.Request) -> web.StreamResponse:
            import asyncio

            await asyncio.sleep(30)
            return web.Response()

        repository.routes["/charts/index.yaml"] = hang
        error = await refusal(charts, ChartSource(repository.url, "web"))
        assert "gave no answer within" in str(error)
        assert error.retry


async def test_an_index_that_leads_from_the_web_to_files_is_refused() -> None:
    async with serving(Repository()) as repository, fetching() as charts:

        async def index(_: web.Request) -> web.StreamResponse:
            return web.Response(text="entries: {web: [{version: 1.0.0, urls: ['file:///etc/passwd']}]}")

        repository.routes["/charts/index.yaml"] = index
        assert "the index leads from http to file" in str(await refusal(charts, ChartSource(repository.url, "web")))


async def test_rule_13c_credentials_go_to_the_hosts_of_their_secret_alone_and_are_never_told() -> None:
    async with serving(Repository()) as repository, serving(Repository()) as other, fetching() as charts:
        repository.user = "me:s3cret"
        repository.add("web", "1.0.0", dependencies=[{"name": "common", "version": "*", "repository": other.url}])
        other.add("common", "1.0.0")
        source = ChartSource(repository.url, "web", "", "opener")
        mine = Credentials("me", "s3cret", frozenset({repository.host}))
        assert "wants other credentials (secretRef)" in str(await refusal(charts, source))
        pin = await charts.resolve(source, mine)
        await charts.archive(pin, mine)
        assert not any("Authorization" in headers for headers in other.headers)
        elsewhere = Credentials("me", "s3cret", frozenset({"charts.example.org"}))
        error = await refusal(charts, source, elsewhere)
        assert f"may not be used for {repository.host}" in str(error)
        assert "s3cret" not in str(error)
        wrong = str(await refusal(charts, source, Credentials("me", "wr0ng", frozenset({"127.0.0.1"}))))
        assert "answered 401" in wrong
        assert "wr0ng" not in wrong


async def test_a_registry_is_asked_for_its_tags_page_by_page_and_for_a_token() -> None:
    async with serving(Registry()) as registry, fetching() as charts:
        for number in range(8):
            data = registry.add("web", f"1.{number}.0")
        build = registry.add("web", "2.0.0+b.1")
        registry.add("web", "3.0.0-rc.1")
        pin = await charts.resolve(ChartSource(registry.url, "web", "1.x"))
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert pin == ChartPin("web", "1.7.0", f"oci://{registry.host}/charts/web:1.7.0", digest)
        assert read_archive(await charts.archive(pin)) == read_archive(data)
        assert registry.count("/token") == 1
        assert registry.count("/v2/charts/web/tags/list") == 6  # one unasked, four pages, one empty
        newest = await charts.resolve(ChartSource(f"{registry.url}/web", "", "*"))
        assert (newest.version, newest.digest) == ("2.0.0+b.1", f"sha256:{hashlib.sha256(build).hexdigest()}")
        lists = registry.count("/v2/charts/web/tags/list")
        assert (await charts.resolve(ChartSource(registry.url, "web", "2.0.0+b.1"))).version == "2.0.0+b.1"
        assert registry.count("/v2/charts/web/tags/list") == lists


async def test_rule_13c_a_registrys_token_is_asked_for_with_credentials_only_where_their_secret_names_that_host() -> None:
    async with serving(Registry()) as registry, serving(Registry()) as realm, fetching() as charts:
        registry.user = realm.user = "me:s3cret"
        registry.add("web", "1.0.0")
        source = ChartSource(registry.url, "web", "1.0.0", "opener")
        assert (await charts.resolve(source, Credentials("me", "s3cret", frozenset({registry.host})))).version == "1.0.0"
        assert "answered 401" in str(await refusal(charts, source))
        registry.realm = f"http://{realm.host}/token"
        async with fetching() as anew:
            error = await refusal(anew, source, Credentials("me", "s3cret", frozenset({registry.host})))
            assert f"may not be used for {realm.host}" in str(error)
            assert realm.asked == []
            both = Credentials("me", "s3cret", frozenset({registry.host, realm.host}))
            assert (await anew.resolve(source, both)).version == "1.0.0"
        registry.realm, registry.basic = "", True
        async with fetching() as anew:
            assert (await anew.resolve(source, Credentials("me", "s3cret", frozenset({"127.0.0.1"})))).version == "1.0.0"


async def test_an_artifact_that_is_no_chart_and_a_blob_that_is_another_are_refused() -> None:
    async with serving(Registry()) as registry, fetching() as charts:
        data = registry.add("web", "1.0.0")
        registry.config = "application/vnd.oci.image.config.v1+json"
        assert "no Helm chart but another artifact" in str(await refusal(charts, ChartSource(registry.url, "web", "1.0.0")))
        registry.config = Registry.CONFIG

        async def swap(_: web.Request) -> web.StreamResponse:
            return web.Response(body=chart("web", "1.0.0", {"evil": "x"}))

        registry.routes[f"/v2/charts/web/blobs/sha256:{hashlib.sha256(data).hexdigest()}"] = swap
        assert "nothing of it is used" in str(await refusal(charts, ChartSource(registry.url, "web", "1.0.0")))


@pytest.mark.parametrize(
    "url", ["oci://Host/UPPER", "oci://user:pw@host/x", "oci://host/x/../y", "oci://host", "oci://host/x?token=s3cret", "oci://host/x:a/b"]
)
async def test_what_is_no_place_in_a_registry_is_refused_unasked(url: str) -> None:
    async with fetching() as charts:
        told = str(await refusal(charts, ChartSource(url, "", "1.0.0")))
        assert "it is no place in a registry" in told or "its tag is none" in told
        assert "pw" not in told
        assert "s3cret" not in told


async def test_an_index_may_lead_to_a_registry() -> None:
    async with serving(Repository()) as repository, serving(Registry()) as registry, fetching() as charts:
        data = registry.add("web", "1.0.0")

        async def index(_: web.Request) -> web.StreamResponse:
            return web.Response(text=f"entries: {{web: [{{version: 1.0.0, urls: ['{registry.url}/web:1.0.0']}}]}}")

        repository.routes["/charts/index.yaml"] = index
        pin = await charts.resolve(ChartSource(repository.url, "web", "1.x"))
        assert pin.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert read_archive(await charts.archive(pin)) == read_archive(data)
