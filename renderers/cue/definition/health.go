package definition

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
)

// Status is what a definition says of the health of what it makes: KubeVela's spec.status. Each is a template of its own, empty where there
// is none: Health gives isHealth, Message message, and every field of Details is one detail.
type Status struct {
	Health  string `json:"healthPolicy"`
	Message string `json:"customStatus"`
	Details string `json:"details"`
}

// Subject is the component or one of its traits, with the parameters and the live objects that are its own: context.outputs.
type Subject struct {
	Status
	Parameter map[string]any `json:"parameter"`
	Outputs   map[string]any `json:"outputs"`
}

// HealthRequest asks how a component and its traits are. Context is what all of them see, the live workload as output among it.
type HealthRequest struct {
	Context  map[string]any `json:"context"`
	Subjects []Subject      `json:"subjects"`
}

// Health of a subject. Healthy is nil where it has no policy; Problem says why one could not be asked, and it is then not healthy.
type Health struct {
	Healthy *bool             `json:"healthy"`
	Message string            `json:"message"`
	Details map[string]string `json:"details"`
	Problem string            `json:"problem"`
}

const longestWord = 1024 // bytes of a message or a detail

// Judge answers each subject in turn; what is wrong with one is told of it alone.
func Judge(asked HealthRequest) []Health {
	found := []Health{}
	for _, subject := range asked.Subjects {
		found = append(found, subject.judge(asked.Context))
	}
	return found
}

// judge asks in KubeVela's order: details are there for the policy, and both for the message, as context.status.
func (s Subject) judge(shared map[string]any) Health {
	status := map[string]any{}
	context := maps.Clone(given(shared))
	context["outputs"], context["status"] = given(s.Outputs), status
	values := map[string]any{"context": context, "parameter": given(s.Parameter)}
	answer := Health{Details: map[string]string{}}
	if s.Details != "" {
		seen, err := s.details(values, answer.Details)
		answer.fail("details", err)
		status["details"] = seen
	}
	if s.Health != "" {
		healthy, err := read(s.Health, values, "isHealth", cue.Value.Bool)
		answer.fail("healthPolicy", err)
		answer.Healthy = &healthy
		status["healthy"] = healthy
	}
	if s.Message != "" {
		message, err := read(s.Message, values, "message", cue.Value.String)
		answer.fail("customStatus", err)
		answer.Message = shorten(message)
	}
	return answer
}

// fail keeps the first thing that went wrong.
func (h *Health) fail(field string, err error) {
	if err != nil && h.Problem == "" {
		h.Problem = shorten(field + ": " + err.Error())
	}
}

// read evaluates one field of a template; the zero value where there is an error.
func read[Answer any](text string, values map[string]any, field string, as func(cue.Value) (Answer, error)) (Answer, error) {
	var none Answer
	value, problems := compile(cuecontext.New(), text, values)
	if problems != nil {
		return none, problems
	}
	asked := value.LookupPath(cue.ParsePath(field))
	if !asked.Exists() {
		return none, fmt.Errorf("it has no %s", field)
	}
	answer, err := as(asked)
	if err != nil {
		return none, list(err)
	}
	return answer, nil
}

// details are the fields of the template, as text in `found` and as they are in the answer; those with $ before their name are for the other
// templates alone, and those marked @local() or @private() for their own.
func (s Subject) details(values map[string]any, found map[string]string) (map[string]any, error) {
	seen := map[string]any{}
	value, problems := compile(cuecontext.New(), s.Details, values)
	if problems != nil {
		return seen, problems
	}
	fields, err := value.Fields()
	if err != nil {
		return seen, list(err)
	}
	for fields.Next() {
		name, field := fields.Selector().Unquoted(), fields.Value()
		if _, ours := values[name]; ours || marked(field, "local") || marked(field, "private") {
			continue
		}
		data, err := field.MarshalJSON()
		if err != nil {
			continue // not known yet
		}
		var plain any
		if json.Unmarshal(data, &plain) != nil {
			continue
		}
		seen[name] = plain
		if strings.HasPrefix(name, "$") {
			continue
		}
		if word, is := plain.(string); is {
			found[name] = shorten(word)
		} else {
			found[name] = shorten(string(data))
		}
	}
	return seen, nil
}

func shorten(text string) string {
	if len(text) > longestWord {
		return strings.ToValidUTF8(text[:longestWord], "")
	}
	return text
}

// StatusProblem is something wrong with one of the templates of a Status, by its name in KubeVela's spec.status.
type StatusProblem struct {
	Problem
	Template string `json:"template"`
}

// CheckStatus compiles the templates without knowing what they will be given.
func CheckStatus(asked Status) []StatusProblem {
	found := []StatusProblem{}
	note := func(template string, problems Problems) {
		for _, problem := range problems {
			found = append(found, StatusProblem{problem, template})
		}
	}
	note("healthPolicy", checkStatus(asked.Health, "isHealth", cue.BoolKind))
	note("customStatus", checkStatus(asked.Message, "message", cue.StringKind))
	note("details", checkStatus(asked.Details, "", cue.BottomKind))
	return found
}

func checkStatus(text, field string, kind cue.Kind) Problems {
	if text == "" {
		return nil
	}
	parsed, problems := parse(text)
	if problems != nil {
		return problems
	}
	value, problems := assemble(cuecontext.New(), text+standIn+"\nparameter: _")
	if problems == nil {
		if err := value.Validate(); err != nil {
			problems = list(err)
		}
	}
	if problems != nil || field == "" {
		return problems
	}
	if !writes(parsed, field) {
		return Problems{{Message: fmt.Sprintf("it has no %s", field)}}
	}
	asked := value.LookupPath(cue.ParsePath(field))
	if is := asked.IncompleteKind(); is != cue.BottomKind && is&kind == 0 {
		return Problems{at(asked.Pos(), fmt.Sprintf("%s has to be %s, and is %s", field, kind, is))}
	}
	return nil
}

// writes tells whether a field of that name stands in a template, be it under a condition.
func writes(parsed *ast.File, name string) bool {
	found := false
	ast.Walk(parsed, func(node ast.Node) bool {
		if field, is := node.(*ast.Field); is {
			label, err := labelOf(field.Label)
			found = found || err == nil && label == name
		}
		return !found
	}, nil)
	return found
}

func marked(field cue.Value, name string) bool {
	mark := field.Attribute(name)
	return mark.Err() == nil
}
