"""
The Grafana dashboards, declared: `python3 manifests/grafana/dashboards.py` writes the JSON files beside it.

A panel is a question (its description) and the queries that answer it. Only the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["stat", "timeseries", "table", "state-timeline"]
SCHEMA: Final = 39  # Grafana 10.4 and newer
COLUMNS: Final = 24
HEIGHTS: Final[dict[Kind, int]] = {"stat": 4, "timeseries": 8, "table": 8, "state-timeline": 6}
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """`queries`: expression to legend. `bad`: the value from which on it is red. `unit`: one of Grafana's unit ids."""

    title: str
    description: str
    queries: dict[str, str]
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 8
    bad: float | None = None


class Dashboard(NamedTuple):
    """`variables`: of `namespace` and `name`, those that one chooses by. `sections`: heading to panels, left to right."""

    uid: str
    title: str
    description: str
    variables: tuple[str, ...]
    sections: dict[str, list[Panel]]


def stat(title: str, description: str, query: str, unit: str = "short", bad: float | None = None, width: int = 4) -> Panel:
    return Panel(title, description, {query: ""}, unit, "stat", width, bad)


def table(title: str, description: str, query: str, unit: str = "none", width: int = 12) -> Panel:
    return Panel(title, description, {query: ""}, unit, "table", width)


def quantiles(metric: str, selector: str = "", by: str = "") -> dict[str, str]:
    """The median and the 90th percentile of a histogram."""
    groups, legend = (f"{by}, le", f"{{{{{by}}}}} ") if by else ("le", "")
    bucket = f"sum by ({groups}) (rate({metric}_bucket{selector}[$__rate_interval]))"
    return {f"histogram_quantile({quantile}, {bucket})": f"{legend}p{quantile * 100:.0f}" for quantile in (0.5, 0.9)}


def counts(metric: str, *by: str, selector: str = "") -> dict[str, str]:
    """How many there were in each interval of the graph."""
    expression = f"sum by ({', '.join(by)}) (increase({metric}{selector}[$__rate_interval]))" if by else f"increase({metric}[$__rate_interval])"
    return {expression: " ".join(f"{{{{{label}}}}}" for label in by)}


def none_is_zero(expression: str) -> str:
    return f"{expression} or vector(0)"


IN: Final = '{namespace=~"$namespace"}'
APP: Final = '{namespace=~"$namespace", name=~"$name"}'

DELIVERY = Dashboard(
    "reconciler-delivery",
    "Reconciler: delivery",
    "What runs where, what waits for whom, and how deliveries end.",
    ("namespace",),
    {
        "Now": [
            stat("Applications", "How many applications are there?", f"count(reconciler_application_info{IN})"),
            stat(
                "In sync",
                "Which share of them runs what git declares?",
                f'count(reconciler_application_info{{namespace=~"$namespace", sync="Synced"}}) / count(reconciler_application_info{IN})',
                "percentunit",
            ),
            stat(
                "At a gate",
                "How many wait for somebody's decision?",
                none_is_zero(f"count(count by (namespace, name) (reconciler_gate_waiting_seconds{IN}))"),
            ),
            stat(
                "Degraded",
                "How many are not well?",
                none_is_zero('count(reconciler_application_info{namespace=~"$namespace", health="Degraded"})'),
                bad=1,
            ),
            stat("Rolled back, 7 days", "How many revisions were rejected?", "sum(increase(reconciler_rejections_total[7d]))"),
            stat(
                "Change failure, 7 days",
                "Of the deploys that were decided, which share was rolled back or failed?",
                'sum(increase(reconciler_runs_total{kind="deploy", phase=~"Failed|RolledBack"}[7d])) '
                '/ sum(increase(reconciler_runs_total{kind="deploy", phase=~"Failed|RolledBack|Succeeded"}[7d]))',
                "percentunit",
            ),
        ],
        "What waits": [
            table("Gates", "Which gate waits for a decision, and for how long?", f"sort_desc(reconciler_gate_waiting_seconds{IN})", "s"),
            table(
                "Behind git",
                "What does not run what git declares, and for how long?",
                f"sort_desc(reconciler_revision_lag_seconds{IN} > 0)",
                "s",
            ),
            table("Needs a look", "Which conditions does somebody have to look at?", f"reconciler_application_condition{IN}"),
            table("Suspended", "What has somebody suspended?", f"reconciler_application_suspended{IN} == 1"),
        ],
        "How deliveries end": [
            Panel(
                "Deploys",
                "How do deploys end? Superseded: a newer one was taken.",
                counts("reconciler_runs_total", "phase", selector='{kind="deploy"}'),
            ),
            Panel("Restores", "How often is an earlier revision put back?", counts("reconciler_runs_total", "phase", selector='{kind="restore"}')),
            Panel("Duration", "How long does a deploy take, waits included?", quantiles("reconciler_run_seconds", '{phase="Succeeded"}'), "s"),
            Panel("Decisions", "What is decided at gates, and by whom?", counts("reconciler_decisions_total", "verb", "by")),
            Panel("Commands", "What do people order at once, and what comes of it?", counts("reconciler_commands_total", "verb", "result")),
            Panel("Commits of rollbacks", "Does git say again what runs? Landed: yes.", counts("reconciler_write_backs_total", "result")),
            Panel(
                "Callbacks",
                "Do callbacks of workflows arrive? Failed ones are tried again for a day, then Dropped.",
                counts("reconciler_callback_deliveries_total", "result"),
            ),
            Panel("Rollbacks", "Why is what was done undone, or an earlier revision put back?", counts("reconciler_rollbacks_total", "reason")),
            Panel("Steps that fail", "Which type of step fails?", counts("reconciler_steps_total", "type", selector='{phase="Failed"}')),
        ],
        "Queues": [
            Panel("Runs", "How many runs go on, and how many wait?", {"sum by (queue, phase) (reconciler_runs_open)": "{{queue}} {{phase}}"}),
            Panel("Wait", "How long does a run wait in its queue?", quantiles("reconciler_queue_wait_seconds", by="queue"), "s"),
            Panel("Throttled", "Effects of which steps wait for their turn?", counts("reconciler_throttled_total", "type")),
            Panel("Throttled for", "How long do they wait for it?", quantiles("reconciler_throttle_wait_seconds"), "s"),
            Panel(
                "Tried again",
                "Which type of step is tried again, to run it or to undo it?",
                counts("reconciler_step_attempts_total", "type", "result", selector='{result=~"again|undo-again"}'),
            ),
        ],
        "What runs where": [
            table("Applications", "What runs where, in which revision, and how is it?", f"reconciler_application_info{IN}", width=24),
        ],
    },
)

APPLICATION = Dashboard(
    "reconciler-application",
    "Reconciler: one application",
    "Where one application stands, and how it came there. `reconciler why` says it in a sentence.",
    ("namespace", "name"),
    {
        "Now": [
            stat("Behind git", "For how long does it not run what git declares?", f"reconciler_revision_lag_seconds{APP}", "s", bad=3600),
            stat("Progress", "How far has the newest run come?", f"reconciler_application_rollout_progress_ratio{APP}", "percentunit"),
            stat("Gate", "For how long does a gate wait?", none_is_zero(f"max(reconciler_gate_waiting_seconds{APP})"), "s", bad=86400),
            stat("Suspended", "Has somebody suspended it? 1: yes.", f"reconciler_application_suspended{APP}", bad=1),
            stat("Conditions", "How many conditions need a look?", none_is_zero(f"count(reconciler_application_condition{APP})"), bad=1),
            stat(
                "Went back",
                "How long ago was an earlier revision put back, if nothing newer has run since?",
                f"time() - reconciler_application_restored_timestamp_seconds{APP}",
                "s",
            ),
        ],
        "Over time": [
            Panel(
                "Sync and health",
                "When did it run what git declared, and when was it well?",
                {f"reconciler_application_info{APP}": "{{revision}} {{sync}} {{health}}"},
                kind="state-timeline",
                width=12,
            ),
            Panel(
                "Runs",
                "When was something under way, and how did it end?",
                {f"reconciler_application_run_phase{APP}": "{{kind}} {{phase}}"},
                kind="state-timeline",
                width=12,
            ),
            Panel("Waits at gates", "Which gate waited for how long?", {f"reconciler_gate_waiting_seconds{APP}": "{{step}}"}, "s", width=12),
            Panel("Behind git", "How long did each change take to arrive?", {f"reconciler_revision_lag_seconds{APP}": "{{name}}"}, "s", width=12),
            Panel(
                "Conditions",
                "What needed a look, and when?",
                {f"reconciler_application_condition{APP}": "{{type}}"},
                kind="state-timeline",
                width=24,
            ),
        ],
    },
)

DAEMON = Dashboard(
    "reconciler-daemon",
    "Reconciler: the daemon",
    "Whether the daemon keeps up, what it changes, and what that costs.",
    (),
    {
        "Is it well?": [
            Panel("Version", "Which version runs?", {"reconciler_build_info": "{{version}}"}, "none", "stat", 4),
            stat("Last look at git", "Is what it knows of git still fresh?", "time() - reconciler_last_look_timestamp_seconds", "s", bad=300),
            stat("Leaders", "Does exactly one replica lead?", "sum(reconciler_leader)"),
            stat("Stillest loop", "Does every loop still move?", "time() - min(reconciler_loop_heartbeat_timestamp_seconds)", "s", bad=120),
            stat("Queue", "How many applications wait for a worker?", "reconciler_queue_depth"),
            stat("Problems", "How many problems do the head's documents have?", "reconciler_problems", bad=1),
            stat("Lost counts", "Do the counts lack something?", "reconciler_events_dropped_total", bad=1),
        ],
        "Git": [
            Panel("Looks", "Can the repository be read? Otherwise, why not?", counts("reconciler_looks_total", "result")),
            Panel(
                "Time of a look",
                "How long does git take, how long the parsing, and how long until all is taken in? (90 % are quicker.)",
                {
                    f"histogram_quantile(0.9, sum by (le) (rate(reconciler_{part}_seconds_bucket[$__rate_interval])))": name
                    for part, name in (("git_fetch", "git"), ("parse", "parse"), ("look", "all"))
                },
                "s",
            ),
            Panel("Declared", "How many applications does the head declare?", {"reconciler_applications": "applications"}),
        ],
        "Work": [
            Panel("Turns", "How often is an application looked at, and does that fail?", counts("reconciler_reconciles_total", "result")),
            Panel("Time of a turn", "How long does that take?", quantiles("reconciler_reconcile_seconds"), "s"),
            Panel("Queue", "Does it keep up?", {"reconciler_queue_depth": "waiting"}),
            Panel("Hand-overs", "How often did the lead go from one replica to another?", {"max(reconciler_leader_epoch)": "epoch"}),
            Panel("Lease", "Can the leader keep its lease?", counts("reconciler_lease_renewals_total", "result")),
            Panel("Effects", "What does it change, and what is refused?", counts("reconciler_effects_total", "kind", "result")),
            Panel("Time of an effect", "How long does a change take?", quantiles("reconciler_effect_seconds", by="kind"), "s"),
            Panel("Objects", "What becomes of the objects that it applies?", counts("reconciler_applies_total", "result")),
            Panel(
                "Drift", "How often does something else change our objects?", {"increase(reconciler_drift_healed_total[$__rate_interval])": "healed"}
            ),
            Panel("Time of a step", "Which type of step takes long?", quantiles("reconciler_step_seconds", by="type"), "s"),
            Panel(
                "Kubernetes Events",
                "Are transitions told in the cluster, or are there too many?",
                counts("reconciler_cluster_events_total", "result"),
            ),
            Panel("Foreign kinds", "Are kinds of manifests another controller's here?", {"reconciler_foreign_definitions": "{{group}}"}),
            Panel(
                "Cache",
                "Which share of lookups is served without reading again?",
                {
                    'sum by (cache) (increase(reconciler_cache_lookups_total{result="hit"}[$__rate_interval])) '
                    "/ sum by (cache) (increase(reconciler_cache_lookups_total[$__rate_interval]))": "{{cache}}"
                },
                "percentunit",
            ),
        ],
        "Process": [
            Panel("CPU", "What does it cost in cores?", {'rate(process_cpu_seconds_total{job="reconciler"}[$__rate_interval])': "cores"}),
            Panel("Memory", "What does it cost in memory?", {'process_resident_memory_bytes{job="reconciler"}': "resident"}, "bytes"),
            Panel(
                "Open files",
                "Does it leave files open?",
                {'process_open_fds{job="reconciler"}': "open", 'process_max_fds{job="reconciler"}': "limit"},
            ),
        ],
    },
)

DASHBOARDS: Final = {"delivery.json": DELIVERY, "application.json": APPLICATION, "daemon.json": DAEMON}


def build(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["reconciler"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "30s",
        "links": [{"type": "dashboards", "title": "Reconciler", "tags": ["reconciler"], "asDropdown": True, "includeVars": True, "keepTime": True}],
        "annotations": {"list": []},
        "templating": {"list": [build_source(), *(build_variable(name, many=len(dashboard.variables) == 1) for name in dashboard.variables)]},
        "panels": build_panels(dashboard.sections),
    }


def build_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0}


def build_variable(name: str, *, many: bool) -> dict[str, Any]:
    """`namespace`, or a `name` within it; several at once where the dashboard is not about one."""
    within = '{namespace=~"$namespace"}' if name == "name" else ""
    query = f"label_values(reconciler_application_info{within}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        **({"allValue": ".*"} if many else {}),
        "hide": 0,
    }


def build_panels(sections: dict[str, list[Panel]]) -> list[dict[str, Any]]:
    """Laid out in lines of 24 columns; a section begins a line, and the tallest panel makes its height."""
    built: list[dict[str, Any]] = []
    y = 0
    for heading, panels in sections.items():
        built.append({"id": len(built) + 1, "type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": place(0, y, COLUMNS, 1)})
        x, y, tallest = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            height = HEIGHTS[panel.kind]
            built.append(build_panel(panel, len(built) + 1, place(x, y, panel.width, height)))
            x, tallest = x + panel.width, max(tallest, height)
        y += tallest
    return built


def place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def build_panel(panel: Panel, number: int, position: dict[str, int]) -> dict[str, Any]:
    steps = [{"color": "green", "value": None}, *([{"color": "red", "value": panel.bad}] if panel.bad is not None else [])]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": position,
        "targets": [build_target(panel.kind, chr(ord("A") + index), *query) for index, query in enumerate(panel.queries.items())],
        "fieldConfig": {"defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}, "overrides": []},
        **build_options(panel),
    }


def build_options(panel: Panel) -> dict[str, Any]:
    """A stat with a legend shows that, and not its value; a table without a unit shows no value, which is always 1."""
    if panel.kind == "stat":
        shown = "name" if any(panel.queries.values()) else "value"
        return {"options": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "none", "textMode": shown}}
    if panel.kind == "table":
        hidden = _HIDDEN if panel.unit != "none" else (*_HIDDEN, "Value")
        transformations = [{"id": "organize", "options": {"excludeByName": dict.fromkeys(hidden, True)}}]
        return {"options": {"showHeader": True, "footer": {"show": False}}, "transformations": transformations}
    return OPTIONS[panel.kind]


def build_target(kind: Kind, letter: str, expression: str, legend: str) -> dict[str, Any]:
    shape = {"format": "table", "instant": True, "range": False} if kind == "table" else {"instant": kind == "stat", "range": kind != "stat"}
    return {"refId": letter, "datasource": SOURCE, "expr": expression, "legendFormat": legend or "__auto", **shape}


_LEGEND: Final = {"showLegend": True, "displayMode": "list", "placement": "bottom"}
_HIDDEN: Final = ("Time", "__name__", "job", "instance")
OPTIONS: Final[dict[Kind, dict[str, Any]]] = {
    "timeseries": {"options": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}},
    "state-timeline": {"options": {"legend": _LEGEND, "mergeValues": True, "showValue": "never", "rowHeight": 0.8}},
}


def write(dashboard: Dashboard) -> str:
    return json.dumps(build(dashboard), indent=2) + "\n"


if __name__ == "__main__":
    for name, dashboard in DASHBOARDS.items():
        (Path(__file__).parent / name).write_text(write(dashboard), encoding="utf-8")
