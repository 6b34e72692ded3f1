"""Components of type `helm`: KubeVela's properties, as far as they mean something where charts are fetched by the daemon itself."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.objects import resolve
from reconciler.dialects.reading import Reading
from reconciler.dialects.shapes import Anything, ListOf, MapOf, Record, Text, Truth
from reconciler.model.application import Reference
from reconciler.model.names import DNS_LABEL
from reconciler.model.sealed import without_metadata
from reconciler.model.text import one_line
from reconciler.model.version import Range

_RELEASE: Final = re.compile(r"(?=.{1,53}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_TARGET: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,19}", re.ASCII)
_CHART: Final = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,252})", re.ASCII)
MOST_FILES: Final = 1000
_ELSEWHERE: Final = "for KubeVela's own controllers"
_IDLE: Final = ("pullInterval", "interval", "timeout", "installTimeout", "sourceName", "retries")

_VALUES_FROM: Final = Record(
    {
        "kind": Text(choices=("ConfigMap", "File", "Secret")),
        "name": Text(),
        "path": Text(),
        "valuesKey": Text(),
        "key": Text(),
        "optional": Truth(),
        "targetPath": Text(pattern=_TARGET, meaning="names of values with dots between them, as in auth.password"),
    },
    required=("kind",),
)
_KINDS: Final = {"ConfigMap": "configMap", "Secret": "secret"}
HELM: Final = Record(
    {
        "repoType": Text(choices=("helm", "oci", "git")),
        "url": Text(),
        "repoUrl": Text(),
        "chart": Text(),
        "path": Text(),
        "version": Text(),
        "targetNamespace": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)"),
        "releaseName": Text(pattern=_RELEASE, meaning="a release name (a-z, 0-9, - and ., at most 53)"),
        "values": MapOf(Anything()),
        "valuesFrom": ListOf(_VALUES_FROM),
        "valuesFiles": ListOf(Text()),
        "secretRef": Text(),
        "upgradeCRD": Anything(),
        **dict.fromkeys(_IDLE, Anything()),
    },
    refused={
        "git": "not supported: a chart of another git repository is not fetched; put it into this one (path) or into a registry",
        "oss": "not supported: put the chart into this repository (path), a chart repository or a registry",
    },
)


class Charted(NamedTuple):
    """`properties`: as the planner reads them, with `url` (remote) or `path` (a folder of the repository, from its top). `watched`: that folder,
    ending in `/`, and files with values."""

    properties: dict[str, Any]
    references: list[Reference]
    watched: list[str]


def read_chart(properties: dict[str, Any], manifest: str, at: FieldPath, files: Reading, findings: Findings) -> Charted:
    """What a `helm` component asks for; what is wrong with it is added. `manifest`: the path of its file."""
    _tell_idle(properties, at, findings)
    found = {name: value for name, value in properties.items() if name not in (*_IDLE, "repoUrl", "repoType", "upgradeCRD") and value is not None}
    url, field = _read_url(properties, at, findings)
    references: list[Reference] = []
    watched: list[str] = []
    written = found.get("path") or ("" if url else found.get("chart"))
    if url:
        found["url"] = url
        _check_remote(properties, url, (*at, field), at, findings)
    elif isinstance(written, str) and written:
        folder = _read_folder(written, manifest, (*at, "path" if found.get("path") else "chart"), files, findings)
        found = {name: value for name, value in found.items() if name not in ("chart", "version", "secretRef")} | {"path": folder.path}
        references, watched = folder.references, [f"{folder.path}/"] if folder.path else []
    elif at not in findings.supplied:
        findings.error(at, "url (of a chart repository or a registry) or path (of a folder of this repository) is required")
    sources, more = _read_sources(properties.get("valuesFrom"), manifest, (*at, "valuesFrom"), files, findings)
    if sources:
        found["valuesFrom"] = sources
    return Charted(found, references + more, watched + [reference.path for reference in more])


def _tell_idle(properties: dict[str, Any], at: FieldPath, findings: Findings) -> None:
    for name in (*_IDLE, "upgradeCRD"):
        if properties.get(name) is not None:
            findings.warn((*at, name), f"nothing reads {name} here: it is {_ELSEWHERE}")


def _read_url(properties: dict[str, Any], at: FieldPath, findings: Findings) -> tuple[str, str]:
    """The URL, and the field that it stands in. `repoUrl` is what older documents call it."""
    field = "repoUrl" if properties.get("url") is None and properties.get("repoUrl") is not None else "url"
    if properties.get("url") is not None and properties.get("repoUrl") is not None:
        findings.error((*at, "repoUrl"), "repoUrl is another word for url: leave one of them out")
    if properties.get(field) is not None and properties.get("path") is not None:
        findings.error((*at, "path"), "a chart is in a folder of this repository (path) or somewhere else (url), not both")
    url = properties.get(field)
    return (url if isinstance(url, str) else ""), field


def _check_remote(properties: dict[str, Any], url: str, place: FieldPath, at: FieldPath, findings: Findings) -> None:
    kind = properties.get("repoType")
    if kind == "git":
        findings.error((*at, "repoType"), "a chart of another git repository is not fetched; put it into this one (path) or into a registry")
        return
    problem = _fault_of_url(url, "oci" if kind == "oci" else "")
    if problem:
        findings.error(place, problem)
    chart, version = properties.get("chart"), properties.get("version")
    if chart is None and not url.startswith("oci://"):
        findings.error(at, "chart is required: its name in the repository")
    elif isinstance(chart, str) and not _CHART.fullmatch(chart) and not (url.startswith("oci://") and re.fullmatch(r"[a-z0-9._/-]{1,200}", chart)):
        findings.error(
            (*at, "chart"), f"{one_line(chart, 80)} is no name of a chart{'; a folder of this repository has no url' if '/' in chart else ''}"
        )
    if isinstance(version, str) and version:
        try:
            Range.parse(version)
        except ValueError as error:
            findings.error((*at, "version"), str(error))
    if version in (None, "", "*"):
        findings.warn(
            at if version is None else (*at, "version"),
            "the newest version is taken when a revision is made, and stays until the next one: name a version, so that git says which runs",
        )


def _fault_of_url(url: str, kind: str) -> str:
    """What is wrong with it; empty where nothing is. Never shows a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("http", "https", "oci") or not parts.hostname:
        return "a chart's URL begins with https://, http:// or oci:// and a host"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "it holds a user or a password: put them into a Secret (secretRef)"
    if parts.query or parts.fragment:
        return "it holds a query or a fragment; credentials are put into a Secret (secretRef)"
    return "with repoType oci it begins with oci://" if kind == "oci" and parts.scheme != "oci" else ""


class _Folder(NamedTuple):
    path: str
    references: list[Reference]


def _read_folder(written: str, manifest: str, at: FieldPath, files: Reading, findings: Findings) -> _Folder:
    """A chart in the repository: relative to its top, or with `./` to the manifest. Every file below is a reference (rule 5a)."""
    path = resolve(written, manifest)
    if path is None:
        findings.error(at, "must be a folder of the repository, without .. and not its top; a chart that is somewhere else has a url")
        return _Folder("", [])
    try:
        found = files.folder(path)
    except ValueError as error:
        findings.error(at, one_line(error, 400))
        return _Folder(path, [])
    if f"{path}/Chart.yaml" not in found:
        findings.error(at, f"there is no Chart.yaml in the folder {one_line(path, 80)} of this repository; a chart that is somewhere else has a url")
    if len(found) > MOST_FILES:
        findings.error(at, f"the folder {one_line(path, 80)} has more than {MOST_FILES} files")
        return _Folder(path, [])
    return _Folder(path, [Reference(f"{written.rstrip('/')}/{name[len(path) + 1 :]}", name, oid) for name, oid in sorted(found.items())])


def _read_sources(listed: Any, manifest: str, at: FieldPath, files: Reading, findings: Findings) -> tuple[list[dict[str, Any]], list[Reference]]:
    """`valuesFrom` in order: `{values}` of a file of the repository, `{configMap or secret, key, optional, target}` of the cluster."""
    sources: list[dict[str, Any]] = []
    references: list[Reference] = []
    for index, item in enumerate(listed if isinstance(listed, list) else ()):
        place = (*at, index)
        if not isinstance(item, dict):
            continue
        if item.get("kind") == "File":
            reference, values = _read_values(item, manifest, place, files, findings)
            references += [reference] if reference else []
            sources.append({"values": values})
            if item.get("targetPath") is not None:
                findings.error((*place, "targetPath"), "is for one entry of a ConfigMap or a Secret; a file has all values below their names")
        elif item.get("kind") in _KINDS:
            if not isinstance(item.get("name"), str):
                findings.error(place, f"name is required: of a {item['kind']} in the application's namespace")
            key = item.get("valuesKey") or item.get("key") or "values.yaml"
            target = {"target": item["targetPath"]} if item.get("targetPath") else {}
            sources.append({_KINDS[item["kind"]]: item.get("name"), "key": key, "optional": item.get("optional") is True, **target})
    return sources, references


def _read_values(item: dict[str, Any], manifest: str, at: FieldPath, files: Reading, findings: Findings) -> tuple[Reference | None, dict[str, Any]]:
    written = item.get("path")
    path = resolve(written, manifest) if isinstance(written, str) and written else None
    oid = files.oid(path) if path is not None else None
    if path is None or oid is None or not isinstance(written, str):
        findings.error((*at, "path") if "path" in item else at, "path is required: of a YAML file of the repository, without ..")
        return None, {}
    documents, problems = files.parsed(path)
    findings.include([problem for problem in problems if problem.severity == "error"])
    if len(documents) > 1:
        findings.error((*at, "path"), f"{one_line(path, 80)} holds {len(documents)} documents; values are one")
    return Reference(written, path, oid), without_metadata(documents[0].content) if documents else {}


def find_namespace(type_name: object, properties: dict[str, Any]) -> str:
    """Where a chart's objects go by its own word, unless a step or a policy says it."""
    namespace = properties.get("targetNamespace") if type_name == "helm" else None
    return namespace if isinstance(namespace, str) else ""
