package definition

import (
	"encoding/json"
	"fmt"
	"maps"
	"sort"
	"strings"

	"cuelang.org/go/cue"
)

// WalkRequest asks how far a step comes. Objects are what is known of the cluster, by the key of a question; nil: it is not there.
// Results are those of what was done, by path. Variables are those that steps before it put. Outputs are expressions or paths, by name. Continued: a decision opened its gate.
type WalkRequest struct {
	Template  string                     `json:"template"`
	Context   map[string]any             `json:"context"`
	Parameter map[string]any             `json:"parameter"`
	Objects   map[string]json.RawMessage `json:"objects"`
	Results   map[string]Result          `json:"results"`
	Outputs   map[string]string          `json:"outputs"`
	Continued bool                       `json:"continued"`
	Declared  Declared                   `json:"declared"`
	Variables map[string]any             `json:"variables"`
}

// Result of something that was done: what it answered, and whose objects are to be looked at now.
//
// Healthy tells of a component whether it was waited for.
type Result struct {
	Value   map[string]any `json:"value"`
	Objects []Question     `json:"objects"`
	Healthy bool           `json:"healthy"`
}

// WalkAnswer is where a step stands.
//
// State is ask (of Questions, one has no answer yet), do (Function with Params at Path), health (of what was applied at Path), wait,
// suspend, fail, break or done.
type WalkAnswer struct {
	State     string         `json:"state"`
	Path      string         `json:"path,omitempty"`
	Function  string         `json:"function,omitempty"`
	Params    map[string]any `json:"params,omitempty"`
	Message   string         `json:"message,omitempty"`
	Duration  string         `json:"duration,omitempty"`
	Questions []Question     `json:"questions"`
	Outputs   map[string]any `json:"outputs,omitempty"`
	Variables map[string]any `json:"variables,omitempty"`
}

const (
	longest = 500 // functions in one template
	lowest  = 40  // levels at which one is looked for
)

type walk struct {
	asked  WalkRequest
	value  cue.Value
	done   map[string]bool
	answer WalkAnswer
	said   string
	gates  int
	sunk   cue.Path
	last   bool // nothing is left but what has to be said without knowing all of it
}

// Walk goes depth-first to the first function without a result and answers it; functions that only compute are carried out here.
func Walk(asked WalkRequest) (WalkAnswer, error) {
	values := map[string]any{"context": given(asked.Context), "parameter": given(asked.Parameter)}
	value, problems := compile(evaluator, asked.Template, values)
	if problems != nil {
		return WalkAnswer{}, problems
	}
	w := walk{asked: asked, value: value, done: map[string]bool{}}
	w.answer.Questions, w.answer.Variables = []Question{}, map[string]any{}
	for range longest {
		if err := w.value.Validate(); err != nil {
			return WalkAnswer{}, list(err)
		}
		found, is := w.next(w.value, cue.Path{}, 0)
		if !is && !w.last {
			w.last = true
			found, is = w.next(w.value, cue.Path{}, 0)
		}
		if !is {
			if problems := w.passedOver(); problems != nil {
				return WalkAnswer{}, problems
			}
			return w.finish()
		}
		ended, err := w.carryOut(found)
		if err != nil {
			return WalkAnswer{}, err
		}
		if ended {
			if w.answer.Message == "" && w.answer.State != "do" {
				w.answer.Message = w.said
			}
			return w.answer, nil
		}
	}
	return WalkAnswer{}, fmt.Errorf("more than %d functions in one template", longest)
}

func given(values map[string]any) map[string]any {
	if values == nil {
		return map[string]any{}
	}
	return values
}

type function struct {
	path  cue.Path
	name  string
	value cue.Value
	newer bool
}

// params of the newer dialect stand in a field of their own.
func (f function) params() cue.Value {
	if f.newer {
		return f.value.LookupPath(cue.ParsePath("$params"))
	}
	return f.value
}

// next is the first function that was not carried out: children before their parent, siblings by @step, else as they are written.
func (w *walk) next(value cue.Value, above cue.Path, depth int) (function, bool) {
	if depth > lowest {
		if holdsFunction(value) {
			w.sunk = above
		}
		return function{}, false
	}
	for _, child := range children(value) {
		path := cue.MakePath(append(above.Selectors(), child.selector)...)
		if found, is := w.next(child.value, path, depth+1); is {
			return found, true
		}
	}
	name, err := value.LookupPath(cue.MakePath(cue.Def("#do"))).String()
	if err != nil || w.done[above.String()] || len(above.Selectors()) == 0 {
		return function{}, false
	}
	provider, err := value.LookupPath(cue.MakePath(cue.Def("#provider"))).String()
	found := function{above, name, value, err == nil && provider != "op"}
	return found, w.last || !speaks[name] || !unsaid(found.params())
}

var speaks = map[string]bool{"message": true, "fail": true, "break": true, "suspend": true}

// unsaid tells whether what a function says depends on what is not known yet: it then comes after what may bring that.
func unsaid(params cue.Value) bool {
	said := params.LookupPath(cue.ParsePath("message"))
	return said.Exists() && !said.IsConcrete()
}

type child struct {
	selector cue.Selector
	value    cue.Value
	order    int
}

func children(value cue.Value) []child {
	var found []child
	switch value.IncompleteKind() {
	case cue.StructKind, cue.BottomKind: // a struct that has fields which nobody knows yet is no value, and has others
		fields, err := value.Fields(cue.Hidden(true))
		if err != nil {
			return nil
		}
		for fields.Next() {
			one := child{fields.Selector(), fields.Value(), 1 << 30}
			if mark := one.value.Attribute("step"); mark.Err() == nil {
				if order, err := mark.Int(0); err == nil {
					one.order = int(order)
				}
			}
			found = append(found, one)
		}
	case cue.ListKind:
		items, err := value.List()
		if err != nil {
			return nil
		}
		for index := 0; items.Next(); index++ {
			found = append(found, child{cue.Index(index), items.Value(), 1 << 30})
		}
	}
	sort.SliceStable(found, func(a, b int) bool { return found[a].order < found[b].order })
	return found
}

// carryOut takes one function as far as it goes; true: the walk ends here.
func (w *walk) carryOut(f function) (bool, error) {
	path := f.path.String()
	params := f.params()
	w.done[path] = true
	w.answer.Path, w.answer.Function = path, f.name
	switch f.name {
	case "wait":
		if goes, err := params.LookupPath(cue.ParsePath("continue")).Bool(); err == nil && goes {
			return false, nil
		}
		ended, err := w.end("wait", params)
		if undecided := params.LookupPath(cue.ParsePath("continue")).Err(); undecided != nil && w.answer.Message == "" {
			w.answer.Message = fmt.Sprintf("waiting for %s, whose continue is not known yet: %s", path, list(undecided)[0].Message)
		}
		return ended, err
	case "suspend":
		w.gates++
		if w.gates > 1 {
			return false, fmt.Errorf("%s: a definition has at most one #Suspend, for a step is one gate", path)
		}
		if w.asked.Continued {
			return false, nil
		}
		w.answer.Duration = text(params, "duration")
		return w.end("suspend", params)
	case "fail", "break":
		return w.end(f.name, params)
	case "message":
		w.said = text(params, "message")
		return false, nil
	case "log":
		return false, nil
	case "var":
		return false, w.variable(f, params)
	case "load", "load-in-order", "load-policies", "list-clusters", "placements":
		answer, err := w.tell(f, params)
		if err != nil {
			return false, err
		}
		return false, w.fill(f, answer)
	case "read", "list":
		return w.ask(f, params)
	case "convert-string", "date-to-timestamp", "timestamp-to-date", "patch-object":
		answer, err := compute(f, params)
		if err != nil {
			return false, fmt.Errorf("%s: %w", path, err)
		}
		return false, w.fill(f, answer)
	}
	return w.do(f, params)
}

func (w *walk) end(state string, params cue.Value) (bool, error) {
	w.answer.State, w.answer.Message = state, text(params, "message")
	return true, nil
}

// ask fills in what the cluster says.
func (w *walk) ask(f function, params cue.Value) (bool, error) {
	asked, err := concrete(f, params)
	if err != nil {
		return false, err
	}
	question, err := w.question(f, asked)
	if err != nil {
		return false, err
	}
	answer, known := w.look(question)
	if !known {
		w.answer.State = "ask"
		return true, nil
	}
	if f.name == "list" {
		name := "list"
		if f.newer {
			name = "values"
		}
		if answer == nil {
			return false, w.fill(f, map[string]any{"err": fmt.Sprintf("%s can't be listed", question.Kind)})
		}
		return false, w.fill(f, map[string]any{name: answer})
	}
	if answer == nil {
		return false, w.fill(f, map[string]any{"err": fmt.Sprintf("%s %s/%s is not there", question.Kind, question.Namespace, question.Name)})
	}
	if !f.newer {
		wanted, _ := asked["value"].(map[string]any)
		answer = beyond(answer, wanted)
	}
	return false, w.fill(f, map[string]any{"value": answer})
}

// do answers what is to be done, or takes in what came of it; how its objects stand now is asked each time.
func (w *walk) do(f function, params cue.Value) (bool, error) {
	path := f.path.String()
	result, known := w.asked.Results[path]
	if !known {
		asked, err := concrete(f, params)
		if err != nil && f.name == "prom-check" {
			asked, err = partial(f, params, "query", "condition")
		}
		if err == nil && f.name == "apply" && params.LookupPath(cue.ParsePath("patch")).Exists() {
			asked["value"], err = laid(f, params)
			delete(asked, "patch")
		}
		if err != nil {
			return false, err
		}
		delete(asked, "$returns")
		w.answer.State, w.answer.Params = "do", asked
		return true, nil
	}
	if waits, err := params.LookupPath(cue.ParsePath("waitHealthy")).Bool(); err == nil && waits && !result.Healthy {
		w.answer.State = "health"
		return true, nil
	}
	answer := maps.Clone(result.Value)
	if answer == nil {
		answer = map[string]any{}
	}
	var objects []any
	for _, question := range result.Objects {
		object, known := w.look(question)
		if !known {
			w.answer.State = "ask"
			return true, nil
		}
		objects = append(objects, map[string]any(object))
	}
	return false, w.fill(f, w.withObjects(f, params, answer, objects))
}

// fill puts an answer where the dialect has it.
func (w *walk) fill(f function, answer map[string]any) error {
	path := f.path
	if f.newer {
		path = cue.MakePath(append(path.Selectors(), cue.Str("$returns"))...)
	} else if f.name == "http" {
		path = cue.MakePath(append(path.Selectors(), cue.Str("response"))...)
	}
	w.value = w.value.FillPath(path, encode(w.value.Context(), answer))
	return nil
}

// finish reads the outputs of a step that came to its end.
func (w *walk) finish() (WalkAnswer, error) {
	w.answer.State, w.answer.Path, w.answer.Function, w.answer.Message = "done", "", "", w.said
	w.answer.Outputs = map[string]any{}
	for name, expression := range w.asked.Outputs {
		value, err := w.evaluate(expression)
		if err != nil {
			return WalkAnswer{}, fmt.Errorf("output %s: %w", name, err)
		}
		w.answer.Outputs[name] = value
	}
	return w.answer, nil
}

// evaluate reads a path or an expression over the fields of the template; nil where there is nothing.
func (w *walk) evaluate(expression string) (any, error) {
	if path := cue.ParsePath(expression); path.Err() == nil {
		for _, tried := range []string{expression, strings.Replace(expression, ".", ".$returns.", 1)} {
			if value := w.value.LookupPath(cue.ParsePath(tried)); value.Exists() {
				return plain(value)
			}
		}
		return nil, nil
	}
	value := w.value.Context().CompileString(expression, cue.Scope(w.value), cue.InferBuiltins(true))
	if err := value.Err(); err != nil {
		return nil, err
	}
	return plain(value)
}
