from reconciler.cluster.masking import mask

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "key",
        "managedFields": [{"manager": "m"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"word":"aHVudGVyMg=="}}', "note": "kept"},
    },
    "data": {"word": "aHVudGVyMg=="},
    "stringData": {"other": "hunter2"},
}


def test_rule_12_a_masked_secret_shows_its_keys_and_no_value():
    masked = mask(SECRET)
    assert masked["data"].keys() == {"word"}
    assert masked["stringData"].keys() == {"other"}
    assert "aHVudGVyMg" not in str(masked)
    assert "hunter2" not in str(masked)
    assert masked["metadata"]["annotations"]["note"] == "kept"
    assert "managedFields" not in masked["metadata"]


def test_masking_leaves_the_object_itself_alone():
    before = str(SECRET)
    mask(SECRET)
    assert str(SECRET) == before


def test_other_objects_keep_their_data():
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    assert mask(config) == config
