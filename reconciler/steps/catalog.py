"""All step types by name. Dialects map a family's own words to these names; nothing here knows families."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.model.outcome import StepType
from reconciler.steps.apply import Apply
from reconciler.steps.apply_and_wait import ApplyAndWait
from reconciler.steps.apply_component import ApplyComponent
from reconciler.steps.apply_components import ApplyComponents
from reconciler.steps.apply_deployment import ApplyDeployment
from reconciler.steps.apply_job import ApplyJob
from reconciler.steps.apply_object import ApplyObject
from reconciler.steps.check_metrics import CheckMetrics
from reconciler.steps.cleaning import CleanJobs, DeleteConfig
from reconciler.steps.collect_endpoints import CollectEndpoints
from reconciler.steps.create_config import CreateConfig
from reconciler.steps.depends_on_app import DependsOnApp
from reconciler.steps.deploy import Deploy
from reconciler.steps.export_config import ExportConfig
from reconciler.steps.export_data import ExportData
from reconciler.steps.export_secret import ExportSecret
from reconciler.steps.fail import Fail
from reconciler.steps.http import Http
from reconciler.steps.jdbc_connection import JdbcConnection
from reconciler.steps.list_config import ListConfig
from reconciler.steps.notification import Notification
from reconciler.steps.print_message import PrintMessage
from reconciler.steps.random import Random
from reconciler.steps.read_config import ReadConfig
from reconciler.steps.read_object import ReadObject
from reconciler.steps.remote_deploy import RemoteDeploy
from reconciler.steps.request import Request
from reconciler.steps.restart_workflow import RestartWorkflow
from reconciler.steps.rollout_promotion import RolloutPromotion
from reconciler.steps.sleep import Sleep
from reconciler.steps.step_group import StepGroup
from reconciler.steps.suspend import Suspend
from reconciler.steps.webhook import Webhook

_ALL: tuple[StepType, ...] = (
    ApplyComponent(),
    ApplyComponents(),
    ApplyAndWait(),
    ApplyObject(),
    ApplyDeployment(),
    ApplyJob(),
    ExportConfig(),
    ExportSecret(),
    ExportData(),
    CreateConfig(),
    ReadConfig(),
    ListConfig(),
    DeleteConfig(),
    CleanJobs(),
    CheckMetrics(),
    ReadObject(),
    CollectEndpoints(),
    JdbcConnection(),
    Request(),
    Webhook(),
    Notification(),
    Deploy(),
    RemoteDeploy(),
    DependsOnApp(),
    Suspend(),
    RestartWorkflow(),
    RolloutPromotion(),
    PrintMessage(),
    Random(),
    Sleep(),
    Fail(),
    Apply(),
    Http(),
    StepGroup(),
)

STEP_TYPES: Mapping[str, StepType] = MappingProxyType({step_type.name: step_type for step_type in _ALL})
