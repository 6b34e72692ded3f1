"""Applications as text, and what a compiled file says."""


def app(spec, metadata="{name: shop}"):
    return f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {metadata}\nspec:\n{spec}"


WEB = "  components:\n  - {name: web, type: webservice, properties: {image: nginx}}\n"
TWO = WEB + "  - {name: db, type: statefulset, properties: {image: mysql}}\n"


def steps(*items, components=TWO, mode=""):
    return app(components + f"  workflow:\n{mode}    steps:\n" + "".join(f"    - {item}\n" for item in items))


def errors(result):
    return [(problem.line, problem.field, problem.message) for problem in result.problems if problem.severity == "error"]


def said(result):
    return "\n".join(str(problem) for problem in result.problems)


def only(result):
    assert errors(result) == []
    (application,) = result.applications
    return application


MANY_MISTAKES = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: Shop
  lables: {}
  annotations:
    approved: true
spec:
  components:
  - name: web
    type: webservce
  - name: db
    type: webservice
    scopes: {}
    properties:
      imgae: x
      env:
      - {name: PORT, value: 80}
    traits:
    - type: scalr
  - name: db
    type: worker
  workflow:
    stpes: []
    steps:
    - type: apply-component
      properties: {component: wbe}
    - type: suspnd
      timeout: 5 parsecs
    - type: suspend
      name: run
      properties: {duration: 5 parsecs, colour: red}
    - type: apply-component
      properties: {component: db}
      dependsOn: [nowhere]
      inputs: [{from: nothing, parameterKey: cmd}]
"""
