from reconciler.dialects import reading as module
from reconciler.dialects.reading import Reading

APP = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: NAME}\nspec:\n  components: [{name: a, type: manifests, properties: {path: base}}]\n"
FILES = {
    "base/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    "environment.yaml": "apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: e}\n",
}


def test_a_file_that_many_documents_refer_to_is_parsed_once(compile_text, monkeypatch):
    parsed = []
    real = module.parse
    monkeypatch.setattr(module, "parse", lambda path, *args: parsed.append(path) or real(path, *args))
    result = compile_text("---\n".join(APP.replace("NAME", f"a{index}") for index in range(20)), FILES)
    assert len(result.applications) == 20
    assert sorted(parsed) == ["base/a.yaml", "environment.yaml"]


def test_what_the_documents_of_one_file_refer_to_is_bounded(compile_text, monkeypatch):
    monkeypatch.setattr(module, "MAX_REFERRED", 20_000)
    result = compile_text("---\n".join(APP.replace("NAME", f"a{index}") for index in range(20)), FILES)
    assert 0 < len(result.applications) < 20
    assert "refer to more than" in str(result.problems)
    assert not result.recognised


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own():
    class Unreadable:
        def read(self, path):
            raise ValueError("too large")

    assert [str(problem) for problem in Reading(Unreadable()).parsed("a.yaml")[1]] == ["a.yaml: can't be read: too large"]
