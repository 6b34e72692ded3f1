"""N applications of one ConfigMap each on a real API server, beside plain server-side apply of the same objects in the same run.

    python benchmarks/on_kubernetes.py 100 1000 [--pushes 50] [--idle 60] [--kubeconfig FILE]

Plain: a client that does nothing but apply the same ConfigMaps, as many at once as the daemon may (the limit of what is possible here).
Cold, push and restart as in `applications.py`. Writes: what the daemon sent that changes something, Events aside, for each application.
Idle: requests a second, watches that are begun again included. CPU: seconds of a core that the same cost the daemon (or the plain client)
and the servers, for each application; a machine that is busy with other things changes them little, seconds on the clock much. Without
`--kubeconfig` a control plane of its own is started (`scripts/controlplane`), the same for all N, each N in namespaces of its own and in a
process of its own, its restart in another one; of another one it is not known what its servers cost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple

from applications import Plan, Repository, running, settled

from reconciler.cluster.kubernetes.cluster import KubernetesCluster
from reconciler.cluster.kubernetes.connection import Origin
from reconciler.daemon import Daemon
from reconciler.model.identity import GVK, JsonObject
from reconciler.observe.logs import configure_logs
from reconciler.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
WRITES = ("POST", "PUT", "PATCH", "DELETE")
AT_ONCE = 32
SERVERS = ("kube-apiserver", "etcd")
COLUMNS = {
    "applications": "{:.0f}",
    "plain": "{:.2f} s",
    "cold": "{:.2f} s",
    "times": "{:.1f}",
    "plain, CPU": "{}",
    "cold, CPU": "{}",
    "times, CPU": "{:.1f}",
    "writes": "{:.2f}",
    "push, median": "{:.0f} ms",
    "worst": "{:.0f} ms",
    "idle": "{:.2f} /s",
    "restart": "{:.2f} s",
    "written": "{:.0f}",
    "peak memory": "{:.0f} MiB",
}


class Place(NamedTuple):
    """Where one measurement happens: on the cluster, and on disk."""

    kubeconfig: str
    folder: str

    @property
    def mark(self) -> str:
        return Path(self.folder).name.lower().replace("_", "-")

    @property
    def settings(self) -> Settings:
        return Settings(
            repo=f"{self.folder}/origin.git",
            cluster="kubernetes",
            kubeconfig=self.kubeconfig,
            namespace=f"daemon-{self.mark}",
            token_file=f"{self.folder}/token",
            listen="127.0.0.1:0",
            create_namespaces="none",
            install_crds=True,
        )


def config_map(namespace: str, number: int) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"app-{number}", "namespace": namespace}, "data": {"value": "0"}}


async def prepare(cluster: KubernetesCluster, *namespaces: str) -> None:
    for namespace in namespaces:
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})


class Spent(NamedTuple):
    """CPU seconds so far: of this process, and of each server by its name."""

    client: float
    servers: dict[str, float]

    @classmethod
    def now(cls, kubeconfig: str) -> Spent:
        noted = Path(kubeconfig).with_name("processes.json")
        known = json.loads(noted.read_text()) if noted.exists() else {}
        return cls(time.process_time(), {name: cpu_seconds(known[name]["pid"]) for name in SERVERS if name in known})

    def since(self, before: Spent) -> Spent:
        return Spent(self.client - before.client, {name: spent - before.servers[name] for name, spent in self.servers.items()})

    @property
    def all(self) -> float:
        return self.client + sum(self.servers.values())

    def figures(self, name: str, count: int) -> dict[str, object]:
        """Milliseconds for each application: the client's, then the servers'."""
        parts = (self.client, *self.servers.values())
        return {f"{name}, CPU": f"{' + '.join(f'{part * 1000 / count:.1f}' for part in parts)} ms"}


def cpu_seconds(pid: int) -> float:
    """Of a process and all its threads, by proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure_plain(cluster: KubernetesCluster, namespace: str, count: int) -> float:
    row = asyncio.Semaphore(AT_ONCE)

    async def apply(number: int) -> None:
        async with row:
            await cluster.apply(config_map(namespace, number), "plain", force=True)

    start = time.perf_counter()
    await asyncio.gather(*(apply(number) for number in range(count)))
    return time.perf_counter() - start


async def measure(plan: Plan, place: Place) -> dict[str, object]:
    """All but the restart."""
    figures: dict[str, object] = {"applications": plan.count}
    cluster = KubernetesCluster(Origin(place.kubeconfig, "", named=True))
    await cluster.start()
    await prepare(cluster, f"plain-{place.mark}", f"apps-{place.mark}", place.settings.namespace)
    idle = Spent.now(place.kubeconfig)
    plain = await measure_plain(cluster, f"plain-{place.mark}", plan.count)
    limit = Spent.now(place.kubeconfig).since(idle)
    figures |= {"plain": plain} | limit.figures("plain", plan.count)
    await cluster.close()
    repository = Repository(place.folder, gates=False)
    environment = {"apiVersion": "reconciler.dev/v1alpha1", "kind": "Environment", "metadata": {"name": "bench"}}
    repository.put("environment.yaml", json.dumps({**environment, "spec": {"namespace": f"apps-{place.mark}"}}))
    repository.declare(dict.fromkeys(range(plan.count), 0))
    repository.move(repository.commit())
    idle, start = Spent.now(place.kubeconfig), time.perf_counter()
    async with running(place.settings) as (daemon, _):
        await settled(daemon, plan)
        cold, spent = time.perf_counter() - start, Spent.now(place.kubeconfig).since(idle)
        figures |= {"cold": cold, "times": cold / plain, "times, CPU": spent.all / limit.all} | spent.figures("cold", plan.count)
        figures["writes"] = written(daemon) / plan.count
        figures |= await push(plan, place, daemon, repository)
        figures |= await rest(plan, daemon)
        figures["peak memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


async def measure_restart(plan: Plan, place: Place) -> dict[str, float]:
    start = time.perf_counter()
    async with running(place.settings) as (daemon, _):
        await settled(daemon, plan)
        return {"restart": time.perf_counter() - start, "written": written(daemon)}


def written(daemon: Daemon) -> int:
    return sum(daemon.cluster.calls.sent[method] for method in WRITES)


async def push(plan: Plan, place: Place, daemon: Daemon, repository: Repository) -> dict[str, float]:
    """From the moved ref to the object's own watch event, on another connection than the daemon's."""
    chance, times = random.Random(plan.count), []
    cluster = KubernetesCluster(Origin(place.kubeconfig, "", named=True))
    await cluster.start()
    kind = GVK("", "v1", "ConfigMap")
    async with aclosing(cluster.watch(kind, since=(await cluster.list(kind, limit=1)).version)) as watch:
        for value in range(1, plan.pushes + 1):
            number = chance.randrange(plan.count)
            repository.declare({number: value})
            new = repository.commit()
            repository.move(new)
            start = time.perf_counter()
            async for event in watch:
                obj = event.object
                found = (obj["metadata"].get("namespace"), obj["metadata"]["name"], obj.get("data", {}).get("value"))
                if found == (f"apps-{place.mark}", f"app-{number}", str(value)):
                    times.append(time.perf_counter() - start)
                    break
            await settled(daemon, plan)
            await asyncio.sleep(0.05)
    await cluster.close()
    return {"push, median": statistics.median(times) * 1000, "worst": max(times) * 1000} if times else {}


async def rest(plan: Plan, daemon: Daemon) -> dict[str, float]:
    if not plan.idle:
        return {}
    told = -1
    while told != (told := daemon.cluster.calls.sent["EVENT"]):  # noqa: ASYNC110  # Events come later than what they tell of
        await asyncio.sleep(5)
    before, began = daemon.cluster.calls.sent.total(), time.perf_counter()
    await asyncio.sleep(plan.idle)
    return {"idle": (daemon.cluster.calls.sent.total() - before) / (time.perf_counter() - began)}


@contextmanager
def control_plane(given: str) -> Iterator[str]:
    """The path of a kubeconfig."""
    if given:
        yield given
        return
    script = str(ROOT / "scripts" / "controlplane")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, script, "up", folder], check=True, stdout=sys.stderr)
        try:
            yield f"{folder}/kubeconfig"
        finally:
            subprocess.run([sys.executable, script, "down", folder], check=True, stdout=sys.stderr)


def ask(words: list[str]) -> dict[str, object]:
    """What a process of its own prints."""
    found: dict[str, object] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--pushes", type=int, default=50)
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--kubeconfig", default="", help="of a cluster that may be filled; none: one is started")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        configure_logs("json", "error")
        plan, place = Plan(given.counts[0], given.pushes, given.idle, 0, gates=False, files=0), Place(given.kubeconfig, given.inside)
        print(json.dumps(asyncio.run((measure_restart if given.again else measure)(plan, place))))
        return
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with control_plane(given.kubeconfig) as kubeconfig:
        for count in given.counts:
            words = [sys.executable, str(Path(__file__)), str(count), "--pushes", str(given.pushes), "--idle", str(given.idle)]
            with tempfile.TemporaryDirectory(prefix=f"n{count}-") as folder:
                figures, again = (ask([*words, "--kubeconfig", kubeconfig, "--inside", folder, *more]) for more in ([], ["--again"]))
            figures |= again
            print(f"| {' | '.join(form.format(figures[name]) if name in figures else '–' for name, form in COLUMNS.items())} |", flush=True)


if __name__ == "__main__":
    main()
