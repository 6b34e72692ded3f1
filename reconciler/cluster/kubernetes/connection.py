"""
Where the API server is and who we are to it: a kubeconfig, or the pod's own account. Reading them is `kubernetes.aio`'s part.

A plug-in that brings credentials runs a program, so only a kubeconfig that the operator names may have one (`--kubeconfig`, KUBECONFIG):
never one that was merely found, and never one that came from a cluster. Tokens stand in a header and nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import structlog
import yarl

from reconciler.cluster.protocol import KubeconfigError
from reconciler.model.text import one_line

_log = structlog.get_logger("reconciler.cluster")
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_RENEW_SECONDS: Final = 45.0  # so often is a file with a token read again
_RETRY_SECONDS: Final = 10.0
_LOAD_SECONDS: Final = 30.0


class Origin(NamedTuple):
    """Where credentials come from. `kubeconfig`: its path, or several joined by `:`; empty: the pod's own account. `named`: by the operator."""

    kubeconfig: str
    context: str
    named: bool

    def __str__(self) -> str:
        where = self.kubeconfig or "the pod's service account"
        return f"{where}, context {self.context}" if self.context else where


def find_origin(kubeconfig: str, context: str, environ: Mapping[str, str] = os.environ, account: Path = _ACCOUNT) -> Origin:
    """`--kubeconfig`, else KUBECONFIG, else in a pod its own account, else `~/.kube/config`. Raises KubeconfigError where there is none."""
    named = kubeconfig or environ.get("KUBECONFIG", "")
    if named:
        if not any(Path(path).expanduser().is_file() for path in named.split(os.pathsep) if path):
            raise KubeconfigError(f"{'--kubeconfig' if kubeconfig else 'KUBECONFIG'}: no such file: {one_line(named, 200)}")
        return Origin(named, context, named=True)
    if environ.get("KUBERNETES_SERVICE_HOST") and account.is_file():
        if context:
            raise KubeconfigError("--context needs a kubeconfig: a pod's own account has no contexts")
        return Origin("", "", named=False)
    found = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
    if not found.is_file():
        raise KubeconfigError("no cluster is named: give --kubeconfig, set KUBECONFIG, or run in a pod of the cluster")
    return Origin(str(found), context, named=False)


class Connection:
    """`start` before use. `host` is the URL of the API server without a slash at its end, `name` what people call the cluster."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.host = self.name = ""
        self._session: aiohttp.ClientSession | None = None
        self._configuration: Any = None
        self._rest: Any = None
        self._read_at, self._due = 0.0, math.inf
        self._lock = asyncio.Lock()
        self.request_options: dict[str, Any] = {}

    async def start(self) -> None:
        """Reads the configuration and makes the session; connects nowhere yet. Raises KubeconfigError."""
        from kubernetes.aio.client.rest import RESTClientObject

        self._configuration = await self._load()
        configuration = self._configuration
        self.host = str(configuration.host).rstrip("/")
        configuration.connection_pool_maxsize = 0  # as many as there are watches; calls are limited where they are made
        # As kubectl does: a proxy of the environment is not asked for what is on this machine.
        configuration.client_session_kwargs = {"trust_env": not _is_loopback(self.host)}
        try:
            self._rest = RESTClientObject(configuration)
            self._session = self._rest._create_pool_manager()  # noqa: SLF001  # the documented way to shape it is to override it
        except (OSError, ValueError) as error:
            raise KubeconfigError(f"{self.origin}: its certificates can't be used: {one_line(str(error), 200)}") from None
        finally:
            _forget_files()
        if not configuration.verify_ssl:
            _log.warning("the kubeconfig turns the check of the API server's certificate off", server=self.host)
        options = {"proxy": configuration.proxy, "proxy_headers": configuration.proxy_headers, "server_hostname": configuration.tls_server_name}
        self.request_options = {name: value for name, value in options.items() if value}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise KubeconfigError("the connection is not open")
        return self._session

    def url(self, path: str, query: str = "") -> yarl.URL:
        """`path` and `query` are escaped already and stay as they are."""
        return yarl.URL(f"{self.host}{path}{'?' if query else ''}{query}", encoded=True)

    async def authorize(self) -> tuple[dict[str, str], float]:
        """The headers that say who we are, read again when they are due, and since when they are these."""
        if time.monotonic() >= self._due:
            await self.renew(self._read_at)
        value = self._configuration.api_key.get("BearerToken")
        return ({"Authorization": value} if value else {}), self._read_at

    async def renew(self, seen: float) -> bool:
        """Reads the credentials again, once for all who found those of `seen` too old. Answers whether they may be others now."""
        async with self._lock:
            if self._read_at != seen:
                return True
            try:
                fresh = await self._load()
            except KubeconfigError as error:
                _log.warning("credentials could not be read again", error=str(error))
                self._due = time.monotonic() + _RETRY_SECONDS
                return False
            self._configuration.api_key = fresh.api_key
            try:
                if fresh.cert_file:
                    self._rest.ssl_context.load_cert_chain(fresh.cert_file, keyfile=fresh.key_file)
            except (OSError, ValueError) as error:
                _log.warning("a new certificate could not be used", error=one_line(str(error), 200))
                return False
            finally:
                _forget_files()
            return True

    async def _load(self) -> Any:
        from kubernetes.aio.client import Configuration

        configuration = type.__call__(Configuration)  # a new one; the class itself hands out one that all share
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await self._read(configuration)
        except KubeconfigError:
            raise
        except TimeoutError:
            raise KubeconfigError(f"{self.origin}: no credentials within {_LOAD_SECONDS:.0f} s") from None
        except Exception as error:  # noqa: BLE001  # the loader raises whatever a file it does not expect makes it raise
            raise KubeconfigError(f"{self.origin}: {_reason(error)}") from None
        self._read_at = time.monotonic()
        return configuration

    async def _read(self, configuration: Any) -> None:
        from kubernetes.aio.config import kube_config, load_incluster_config

        if not self.origin.kubeconfig:
            load_incluster_config(client_configuration=configuration, try_refresh_token=False)
            self.name, self._due = configuration.host, time.monotonic() + _RENEW_SECONDS
            return
        logging.getLogger(kube_config.__name__).disabled = True  # it logs what a plug-in wrote, credentials as it may be
        merger = kube_config.KubeConfigMerger(self.origin.kubeconfig)
        if merger.config is None:
            raise KubeconfigError(f"{self.origin}: there is nothing in it")
        loader = kube_config.KubeConfigLoader(config_dict=merger.config, config_base_path=None, active_context=self.origin.context or None)
        user = loader._user  # noqa: SLF001  # no other way to know before it is run
        runs = user is not None and ("exec" in user or "auth-provider" in user)
        if runs and not self.origin.named:
            raise KubeconfigError(f"{self.origin}: its user runs a program for credentials: name the file by --kubeconfig or KUBECONFIG to allow it")
        await loader.load_and_set(configuration)
        if runs and "BearerToken" not in configuration.api_key and not configuration.cert_file:
            raise KubeconfigError(f"{self.origin}: the program that brings credentials brought none")
        self.name, self._due = str(loader.current_context["name"]), _due(loader, user)


def _due(loader: Any, user: Any) -> float:
    """When credentials are read again by themselves: shortly before a plug-in's end, from time to time where a file holds them."""
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    if expiry is not None:
        left = (expiry - datetime.now(UTC)).total_seconds()
        return time.monotonic() + max(left - min(60.0, left / 4), _RETRY_SECONDS)
    return time.monotonic() + _RENEW_SECONDS if user is not None and "tokenFile" in user else math.inf


def _reason(error: Exception) -> str:
    """What a person can mend, without what may be a credential: only the loader's own words are repeated."""
    from kubernetes.aio.config import ConfigException

    if isinstance(error, ConfigException):
        return one_line(str(error), 300)
    return f"not a kubeconfig that can be used ({type(error).__name__})"


def _forget_files() -> None:
    """The loader writes keys that stand in a kubeconfig to files, because TLS takes them from files alone; once read they go."""
    from kubernetes.aio.config import kube_config

    clean = getattr(kube_config, "_cleanup_temp_files", None)
    if clean is not None:
        clean()


def _is_loopback(host: str) -> bool:
    name = yarl.URL(host).host or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
