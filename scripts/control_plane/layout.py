"""What a control plane writes into its folder, and the command lines that follow from it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from scripts.control_plane import certificates

STAGES = Path(__file__).resolve().parent / "stages.yaml"
ADDRESS = "127.0.0.1"
ADMIN = "admin"
COMPONENTS = ("kube-controller-manager", "kube-scheduler", "kwok")
NODE = "fake-0"

AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*"]
  - level: Metadata
"""


class Ports(NamedTuple):
    etcd: int
    peers: int
    server: int


class Layout(NamedTuple):
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def kubeconfig(self) -> Path:
        """Of a user who may do everything."""
        return self.folder / "kubeconfig"

    @property
    def ready(self) -> Path:
        """There while the control plane answers."""
        return self.folder / "ready"

    @property
    def processes(self) -> Path:
        """`{name: {pid, started}}` of what was started."""
        return self.folder / "processes.json"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def token(self, user: str) -> str:
        found: str = json.loads(self.path("tokens.json").read_text())[user]
        return found


def prepare(layout: Layout) -> None:
    """Keys, certificates and tokens, once for a folder: what etcd holds there is read with them again."""
    layout.path("logs").mkdir(parents=True, exist_ok=True)
    layout.path("audit.yaml").write_text(AUDIT_POLICY)
    if layout.path("tokens.json").exists():
        return
    authority, server, accounts = certificates.new_authority("controlplane"), certificates.new_key(), certificates.new_key()
    names = (ADDRESS, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    tokens = {user: secrets.token_urlsafe(24) for user in (ADMIN, *COMPONENTS)}
    files = {
        "ca.crt": authority.certificate,
        "server.crt": certificates.server_certificate(authority, server.public, names),
        "server.key": server.pem,
        "service-accounts.key": accounts.pem,
        "tokens.csv": "".join(f'{token},{user},{user},"system:masters"\n' for user, token in tokens.items()),
        "tokens.json": json.dumps(tokens),  # last: it says that all of them are there
    }
    for name, content in files.items():
        path = layout.path(name)
        path.touch(mode=0o600)
        path.write_text(content)


def write_kubeconfigs(layout: Layout, ports: Ports) -> None:
    server = f"https://{ADDRESS}:{ports.server}"
    for user in (ADMIN, *COMPONENTS):
        path = layout.kubeconfig if user == ADMIN else layout.path(f"{user}.kubeconfig")
        path.touch(mode=0o600)
        path.write_text(kubeconfig(server, layout.path("ca.crt").read_text(), layout.token(user)))


def kubeconfig(server: str, authority: str, token: str) -> str:
    """One cluster, one user, one context, as JSON, which is YAML too."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "test", "cluster": {"server": server, "certificate-authority-data": base64.b64encode(authority.encode()).decode()}},
        ],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    return json.dumps(content, indent=2) + "\n"


def commands(layout: Layout, binaries: Mapping[str, Path], ports: Ports) -> dict[str, list[str]]:
    """Name to command line, in the order of the start."""
    keys = layout.path("service-accounts.key")
    client, peer = f"http://{ADDRESS}:{ports.etcd}", f"http://{ADDRESS}:{ports.peers}"
    busy = ("--kube-api-qps=300", "--kube-api-burst=600")  # the defaults suit a cluster that many share
    found = {
        "etcd": (
            f"--data-dir={layout.path('etcd')}",
            "--name=test",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=test={peer}",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        ),
        "kube-apiserver": (
            f"--etcd-servers={client}",
            f"--bind-address={ADDRESS}",
            f"--secure-port={ports.server}",
            f"--tls-cert-file={layout.path('server.crt')}",
            f"--tls-private-key-file={layout.path('server.key')}",
            f"--token-auth-file={layout.path('tokens.csv')}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={keys}",
            f"--service-account-signing-key-file={keys}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",  # an address on loopback is no valid endpoint
            f"--audit-policy-file={layout.path('audit.yaml')}",
            f"--audit-log-path={layout.path('audit.log')}",
            "--audit-log-mode=blocking",  # what was answered is in the log
            "--profiling=false",
        ),
        "kube-controller-manager": (
            f"--kubeconfig={layout.path('kube-controller-manager.kubeconfig')}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={keys}",
            f"--root-ca-file={layout.path('ca.crt')}",
            "--node-monitor-grace-period=1h",  # a busy machine is no lost node
            "--concurrent-namespace-syncs=20",
            *busy,
        ),
        "kube-scheduler": (f"--kubeconfig={layout.path('kube-scheduler.kubeconfig')}", "--leader-elect=false", "--secure-port=0", *busy),
        "kwok": (
            f"--kubeconfig={layout.path('kwok.kubeconfig')}",
            f"--config={STAGES}",
            "--manage-all-nodes=true",
            f"--node-ip={ADDRESS}",
            "--cidr=10.0.0.0/16",
            "--node-lease-duration-seconds=40",
        ),
    }
    return {name: [str(binaries[name]), *words] for name, words in found.items()}
