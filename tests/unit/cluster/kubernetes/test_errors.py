"""Every refusal of an API server comes as the error that says what to do next, and none repeats a secret."""

import base64

import pytest

from reconciler.cluster.kubernetes.errors import ContinuationExpiredError, error_of, read_status
from reconciler.cluster.protocol import (
    AlreadyExistsError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    KindUnknownError,
    NamespaceMissingError,
    NotFoundError,
    OwnershipError,
    UnavailableError,
)
from reconciler.model.identity import ObjectRef

REF = ObjectRef("v1", "ConfigMap", "default", "one")


def failure(code, reason="", message="", causes=(), **details):
    status = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {**details, "causes": list(causes)}}
    return error_of(code, status, str(REF), REF)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failure(404, "NotFound", 'configmaps "one" not found', name="one", kind="configmaps"), NotFoundError),
        (failure(404, "NotFound", 'namespaces "x" not found', name="x", kind="namespaces"), NamespaceMissingError),
        (failure(404, "NotFound", "the server could not find the requested resource"), KindUnknownError),
        (failure(409, "AlreadyExists", 'configmaps "one" already exists', name="one", kind="configmaps"), AlreadyExistsError),
        (failure(409, "Conflict", "the object has been modified", name="one"), ConflictError),
        (failure(410, "Expired", "too old resource version"), ExpiredError),
        (failure(401, "Unauthorized", "Unauthorized"), ForbiddenError),
        (failure(403, "Forbidden", "exceeded quota: small"), ForbiddenError),
        (failure(403, "Forbidden", "being terminated", [{"reason": "NamespaceTerminating"}], name="x"), NamespaceMissingError),
        (failure(400, "BadRequest", "no kind is registered"), InvalidError),
        (failure(413, "RequestEntityTooLarge", "limit is 3145728"), InvalidError),
        (
            failure(422, "Invalid", "", [{"field": "spec", "message": "Forbidden: updates to statefulset spec for fields other than 'replicas'"}]),
            ImmutableError,
        ),
        (failure(429, "TooManyRequests"), UnavailableError),
        (failure(500, "InternalError", "failed calling webhook: context deadline exceeded"), UnavailableError),
        (failure(500, "", "etcdserver: request is too large"), InvalidError),
        (
            failure(500, "", "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): .spec.x: field not declared in schema"),
            InvalidError,
        ),
        (failure(503, "ServiceUnavailable"), UnavailableError),
        (failure(504, "Timeout"), UnavailableError),
        (failure(504, "Timeout", "Too large resource version", [{"reason": "ResourceVersionTooLarge"}]), ExpiredError),
    ],
)
def test_each_answer_is_the_error_that_says_what_to_do(error, kind):
    assert type(error) is kind or (kind is ExpiredError and isinstance(error, ContinuationExpiredError))
    assert str(REF) in str(error)


def test_a_conflict_of_fields_names_manager_and_field():
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "kubectl" using apps/v1', "field": ".spec.replicas"}
    error = failure(409, "Conflict", "Apply failed with 1 conflict", [cause], name="one")
    assert isinstance(error, OwnershipError)
    assert '.spec.replicas: conflict with "kubectl"' in str(error)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ('Invalid value: "hunter2: really": must be lower case', "spec.a: Invalid value: must be lower case"),
        ('Invalid value: "hun\\"ter2": must be lower case', "spec.a: Invalid value: must be lower case"),
        ("Invalid value: 7: must be less: than 5", "spec.a: Invalid value: must be less: than 5"),
        ('Invalid value: {"env":[{"name":"P","value":"hunter2"}]}: field is immutable', "spec.a: Invalid value: field is immutable"),
        ('Invalid value: core.PodTemplateSpec{Env:"hunter2"}: field is immutable', "spec.a: Invalid value: field is immutable"),
        ('Unsupported value: "hunter2": supported values: "A", "B"', 'spec.a: Unsupported value: supported values: "A", "B"'),
        ('Duplicate value: "hunter2"', "spec.a: Duplicate value"),
        ("Required value: must be given", "spec.a: Required value: must be given"),
    ],
)
def test_a_value_that_the_server_quotes_is_left_out(message, told):
    text = str(failure(422, "Invalid", f"all of it: {message}", [{"field": "spec.a", "message": message}]))
    assert text == f"{REF}: {told}"
    assert "hunter2" not in text


def test_no_value_of_a_secret_that_was_sent_comes_back():
    secret = {"kind": "Secret", "data": {"a": base64.b64encode(b"hunter2").decode()}, "stringData": {"b": "plain-word"}}
    status = {"message": f"webhook says: {secret['data']['a']} is hunter2, and plain-word too"}
    text = str(error_of(400, status, "Secret default/one", None, secret))
    assert not any(word in text for word in (secret["data"]["a"], "hunter2", "plain-word"))
    assert "webhook says" in text


def test_what_is_no_status_is_told_by_its_number():
    assert read_status(b"<html>proxy</html>") == {}
    assert str(error_of(502, {}, "ConfigMap default/one")) == "ConfigMap default/one: HTTP status 502"


def test_a_message_of_an_api_server_is_one_line():
    assert "\n" not in str(failure(400, "BadRequest", "one\ntwo\x1b[31m"))
