package definition

import (
	"encoding/json"
	"testing"
)

const seed = `
import (
	"vela/op"
)

parameter: {
  component: string
  names: [...string]
  resourceType: string
  resourceAPIVersion: string
}

// apply the component
apply: op.#ApplyComponent & {
  component: parameter.component
}

// iterate through given resource names and wait for them
step: op.#Steps & {
  for index, resource in parameter.names {

    // read resource object
    "resource-\(index)": op.#Read & {
      value: {
        kind: parameter.resourceType
        apiVersion: parameter.resourceAPIVersion
        metadata: {
          name: resource
          namespace: context.namespace
        }
      }
    }

    // wait until resource object satisfy given condition. If not, it will reconcile again later
    "wait-\(index)": op.#ConditionalWait & {
      if step["resource-\(index)"].workload.status.ready == "true" {
        continue: true
      }
    }
  }
}
`

func seedRequest() WalkRequest {
	return WalkRequest{
		Template:  seed,
		Context:   map[string]any{"namespace": "shop", "name": "a"},
		Parameter: map[string]any{"component": "database", "names": []any{"mysql", "redis"}, "resourceType": "Store", "resourceAPIVersion": "example.org/v1"},
		Objects:   map[string]json.RawMessage{},
		Results:   map[string]Result{},
	}
}

func show(value any) string {
	data, _ := json.Marshal(value)
	return string(data)
}

func TestTheSeedsDefinitionAppliesThenReadsThenWaitsThenEnds(t *testing.T) {
	asked := seedRequest()
	step := func(want string) WalkAnswer {
		t.Helper()
		got, err := Walk(asked)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(show(got))
		if got.State != want {
			t.Fatalf("want %s, got %s", want, show(got))
		}
		return got
	}
	if got := step("do"); got.Path != "apply" || got.Function != "apply-component" || got.Params["component"] != "database" {
		t.Fatal(show(got))
	}
	asked.Results["apply"] = Result{}
	step("health")
	asked.Results["apply"] = Result{Healthy: true}
	step("ask")
	key := "example.org/v1|Store|shop|mysql|"
	asked.Objects[key] = json.RawMessage("null")
	step("wait")
	asked.Objects[key] = json.RawMessage(`{"apiVersion":"example.org/v1","kind":"Store","metadata":{"name":"mysql","namespace":"shop"},"status":{"ready":"false"}}`)
	if got := step("wait"); got.Path != `step."wait-0"` {
		t.Fatal(show(got))
	}
	asked.Objects[key] = json.RawMessage(`{"apiVersion":"example.org/v2","kind":"Store","metadata":{"name":"mysql","namespace":"shop"},"status":{"ready":"true"}}`)
	if got := step("ask"); len(got.Questions) != 2 {
		t.Fatal(show(got))
	}
	asked.Objects["example.org/v1|Store|shop|redis|"] = asked.Objects[key]
	step("done")
}

func TestTheSeedsParametersAreATable(t *testing.T) {
	got := Check(CheckRequest{Template: seed, Given: true, Properties: map[string]any{"component": 3, "nmes": []any{"a"}}})
	t.Log(show(got))
	if len(got.Problems) != 0 || len(got.Parameters) != 4 || len(got.Findings) != 2 {
		t.Fatal(show(got))
	}
}

// run plays a template to its end, answering each function as `answers` says, by path.
func run(t *testing.T, template string, parameter map[string]any, answers map[string]Result, objects map[string]string) []WalkAnswer {
	t.Helper()
	asked := WalkRequest{Template: template, Parameter: parameter, Results: map[string]Result{}, Objects: map[string]json.RawMessage{}}
	asked.Context = map[string]any{"namespace": "shop", "name": "a", "stepName": "s"}
	var found []WalkAnswer
	for range 20 {
		got, err := Walk(asked)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, got)
		switch got.State {
		case "do":
			asked.Results[got.Path] = answers[got.Path]
		case "ask":
			for _, question := range got.Questions {
				text, known := objects[question.Key()]
				if !known {
					text = "null"
				}
				asked.Objects[question.Key()] = json.RawMessage(text)
			}
		default:
			return found
		}
	}
	t.Fatal("no end")
	return nil
}

func states(answers []WalkAnswer) string {
	text := ""
	for _, answer := range answers {
		text += answer.State + ":" + answer.Function + " "
	}
	return text
}

const request = `
import (
	"vela/http"
	"vela/builtin"
	"encoding/json"
)
req: http.#HTTPDo & {
	$params: {
		method: parameter.method
		url:    parameter.url
		request: {
			if parameter.body != _|_ {body: json.Marshal(parameter.body)}
			if parameter.header != _|_ {header: parameter.header}
		}
	}
}
wait: builtin.#ConditionalWait & {
	$params: {
		if req.$returns != _|_ {continue: true}
		message?: "waiting for \(parameter.url)"
	}
}
fail: {
	if req.$returns != _|_ {
		if req.$returns.statusCode > 400 {
			requestFail: builtin.#Fail & {$params: message: "request of \(parameter.url) is fail: \(req.$returns.statusCode)"}
		}
	}
}
response: json.Unmarshal(req.$returns.body)
parameter: {
	// +usage=Where it goes
	url:    string
	method: *"GET" | "POST" | "PUT" | "DELETE"
	body?: {...}
	header?: [string]: string
}
`

func TestTheNewerDialectAnswersInReturns(t *testing.T) {
	answers := map[string]Result{"req": {Value: map[string]any{"body": `{"a": 1}`, "statusCode": 200}}}
	got := run(t, request, map[string]any{"url": "http://x", "body": map[string]any{"b": 2}}, answers, nil)
	if states(got) != "do:http done: " || show(got[0].Params["request"]) != `{"body":"{\"b\":2}"}` {
		t.Fatal(show(got))
	}
	answers["req"] = Result{Value: map[string]any{"body": "{}", "statusCode": 404}}
	got = run(t, request, map[string]any{"url": "http://x"}, answers, nil)
	if states(got) != "do:http fail:fail " || got[1].Message != "request of http://x is fail: 404" {
		t.Fatal(show(got))
	}
	check := Check(CheckRequest{Template: request})
	if len(check.Problems) != 0 || show(check.Parameters[0]) != `{"name":"url","type":"string","required":true,"description":"Where it goes"}` {
		t.Fatal(show(check))
	}
}

const deployment = `
import (
	"vela/kube"
	"vela/builtin"
)
output: kube.#Apply & {
	$params: {
		cluster: parameter.cluster
		value: {
			apiVersion: "apps/v1"
			kind:       "Deployment"
			metadata: {name: context.stepName, namespace: context.namespace}
			spec: replicas: parameter.replicas
		}
	}
}
wait: builtin.#ConditionalWait & {
	$params: continue: output.$returns.value.status.readyReplicas == parameter.replicas
}
parameter: {
	image:    string
	replicas: *1 | int
	cluster:  *"" | string
}
`

func TestAnAppliedObjectIsLookedAtAsItLives(t *testing.T) {
	answers := map[string]Result{"output": {Objects: []Question{{"apps/v1", "Deployment", "shop", "s", nil}}}}
	objects := map[string]string{}
	got := run(t, deployment, map[string]any{"image": "i"}, answers, objects)
	if states(got) != "do:apply ask:apply wait:wait " {
		t.Fatal(states(got))
	}
	objects["apps/v1|Deployment|shop|s|"] = `{"metadata":{"name":"s"},"status":{"readyReplicas":1}}`
	got = run(t, deployment, map[string]any{"image": "i"}, answers, objects)
	if states(got) != "do:apply ask:apply done: " {
		t.Fatal(states(got))
	}
}

func TestAReadThatFindsNothingSaysSo(t *testing.T) {
	template := `
import "vela/kube"
import "vela/builtin"
output: kube.#Read & {$params: value: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "c"}}
if output.$returns.err != _|_ {stop: builtin.#Fail & {$params: message: "no: " + output.$returns.err}}
`
	got := run(t, template, nil, nil, nil)
	if states(got) != "ask:read fail:fail " || got[1].Message != "no: ConfigMap shop/c is not there" {
		t.Fatal(show(got))
	}
}

func TestAListAnswersItsItems(t *testing.T) {
	for dialect, template := range map[string]string{
		"new": `
import "vela/kube"
import "vela/builtin"
l: kube.#List & {$params: {resource: {apiVersion: "v1", kind: "Pod"}, filter: matchingLabels: app: "x"}}
w: builtin.#ConditionalWait & {$params: continue: len(l.$returns.values.items) == 2}
`,
		"old": `
import "vela/op"
l: op.#List & {resource: {apiVersion: "v1", kind: "Pod"}, filter: matchingLabels: app: "x"}
w: op.#ConditionalWait & {continue: len(l.list.items) == 2}
`} {
		objects := map[string]string{"v1|Pod|shop||app=x": `{"items": [{}, {}]}`}
		if got := run(t, template, nil, nil, objects); states(got) != "ask:list done: " {
			t.Fatal(dialect, show(got))
		}
		objects["v1|Pod|shop||app=x"] = `{"items": [{}]}`
		if got := run(t, template, nil, nil, objects); states(got) != "ask:list wait:wait " {
			t.Fatal(dialect, show(got))
		}
	}
}

func TestConversionsNeedNothing(t *testing.T) {
	template := `
import ("vela/util", "vela/time", "vela/op", "encoding/base64", "vela/builtin")
a: util.#ConvertString & {$params: bt: base64.Decode(null, "aGk=")}
b: time.#DateToTimestamp & {$params: date: "2024-01-02T03:04:05Z"}
c: time.#TimestampToDate & {$params: timestamp: b.$returns.timestamp}
d: op.#ConvertString & {bt: 'yes'}
m: builtin.#Message & {$params: message: "\(a.$returns.str) \(b.$returns.timestamp) \(c.$returns.date) \(d.str)"}
`
	template = "import \"vela/util\"\nimport \"vela/time\"\nimport \"vela/op\"\nimport \"encoding/base64\"\nimport \"vela/builtin\"\n" +
		template[len("\nimport (\"vela/util\", \"vela/time\", \"vela/op\", \"encoding/base64\", \"vela/builtin\")"):]
	got := run(t, template, nil, nil, nil)
	if got[0].State != "done" || got[0].Message != "hi 1704164645 2024-01-02T03:04:05Z yes" {
		t.Fatal(show(got))
	}
}

func TestOutputsArePathsAndExpressions(t *testing.T) {
	template := "import \"vela/builtin\"\nm: builtin.#Message & {$params: message: \"x\"}\nout: {a: b: 3, list: [1, 2]}\nparameter: {}\n"
	got, err := Walk(WalkRequest{Template: template, Outputs: map[string]string{"p": "out.a.b", "e": "out.a.b * 2", "i": "out.list[1]", "no": "out.zzz"}})
	if err != nil || show(got.Outputs) != `{"e":6,"i":2,"no":null,"p":3}` {
		t.Fatal(show(got), err)
	}
}

func TestWholeNumbersStayWhole(t *testing.T) {
	var properties map[string]any
	_ = json.Unmarshal([]byte(`{"n": 3}`), &properties)
	got := Check(CheckRequest{Template: "parameter: n: int", Given: true, Properties: properties})
	if len(got.Findings) != 0 {
		t.Fatal(show(got))
	}
	var answer Result
	_ = json.Unmarshal([]byte(`{"value": {"body": "", "statusCode": 200}}`), &answer)
	template := "import \"vela/http\"\nreq: http.#HTTPGet & {$params: url: \"http://x\"}\n"
	if got := run(t, template, nil, map[string]Result{"req": answer}, nil); states(got) != "do:http done: " {
		t.Fatal(show(got))
	}
}

func TestASecondSuspendIsRefused(t *testing.T) {
	template := "import \"vela/op\"\na: op.#Suspend & {message: \"one\", duration: \"3s\"}\nb: op.#Suspend\n"
	got, err := Walk(WalkRequest{Template: template})
	if err != nil || got.State != "suspend" || got.Message != "one" || got.Duration != "3s" {
		t.Fatal(show(got), err)
	}
	if _, err := Walk(WalkRequest{Template: template, Continued: true}); err == nil {
		t.Fatal("a decision opened two gates")
	}
}

func TestWhatIsWrongHasItsPlace(t *testing.T) {
	for template, want := range map[string]string{
		"a: {\n":                            `expected '}', found 'EOF'`,
		"import \"tool/exec\"\na: exec.#X":  `package "tool/exec" is not available in a definition`,
		"import \"vela/op\"\nx: op.#Deploy": "#Deploy of vela/op is not available here; use a deploy step",
		"import \"vela/op\"\nx: op.#Aply":   "vela/op has no #Aply",
		"a: 1\na: 2":                        "a: conflicting values 2 and 1",
		"a: b":                              `a: reference "b" not found`,
	} {
		got := Check(CheckRequest{Template: template})
		if len(got.Problems) == 0 || got.Problems[0].Message != want || got.Problems[0].Line == 0 {
			t.Error(template, show(got))
		}
	}
}

func TestParametersOfNestedAndUnitedStructs(t *testing.T) {
	template := "parameter: close({\n\tat: string\n}) | close({\n\tafter: string\n})\n"
	got := Check(CheckRequest{Template: template, Given: true, Properties: map[string]any{"at": "x"}})
	if len(got.Problems)+len(got.Findings) != 0 || len(got.Parameters) != 2 || got.Parameters[0].Required {
		t.Fatal(show(got))
	}
	template = "parameter: {a: {b: int, c?: string}, free: {...}, port: [...{n: int}]}\n"
	got = Check(CheckRequest{Template: template, Given: true, Properties: map[string]any{
		"a": map[string]any{"b": 1, "d": 2}, "free": map[string]any{"any": 1}, "port": []any{map[string]any{"n": "x"}}}})
	if len(got.Findings) != 2 || got.Findings[0].Field != "a.d" || got.Findings[1].Field != "port.0.n" {
		t.Fatal(show(got))
	}
}
