package definition

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cuelang.org/go/cue"
)

// Question is about an object, or, where Name is empty, about all of a kind in a namespace that have those labels.
type Question struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Key is the name of a question in WalkRequest.Objects.
func (q Question) Key() string {
	labels := []string{}
	for _, name := range slices.Sorted(maps.Keys(q.Labels)) {
		labels = append(labels, name+"="+q.Labels[name])
	}
	return strings.Join([]string{q.APIVersion, q.Kind, q.Namespace, q.Name, strings.Join(labels, ",")}, "|")
}

// look answers a question from what is known, and notes that it was asked.
func (w *walk) look(question Question) (map[string]any, bool) {
	if !slices.ContainsFunc(w.answer.Questions, func(other Question) bool { return other.Key() == question.Key() }) {
		w.answer.Questions = append(w.answer.Questions, question)
	}
	data, known := w.asked.Objects[question.Key()]
	if !known {
		return nil, false
	}
	var found map[string]any
	_ = json.Unmarshal(data, &found)
	return found, true
}

func (w *walk) question(f function, asked map[string]any) (Question, error) {
	home, _ := w.asked.Context["namespace"].(string)
	if cluster := word(asked, "cluster"); cluster != "" && cluster != local {
		return Question{}, fmt.Errorf("%s: only the cluster that the daemon works on is known", f.path)
	}
	if f.name == "list" {
		resource, filter := below(asked, "resource"), below(asked, "filter")
		question := Question{APIVersion: word(resource, "apiVersion"), Kind: word(resource, "kind"), Namespace: word(filter, "namespace"), Labels: map[string]string{}}
		if question.APIVersion == "" || question.Kind == "" {
			return question, fmt.Errorf("%s: #List needs a resource with apiVersion and kind", f.path)
		}
		for name, value := range below(filter, "matchingLabels") {
			text, is := value.(string)
			if !is {
				return question, fmt.Errorf("%s: filter.matchingLabels.%s is no text", f.path, name)
			}
			question.Labels[name] = text
		}
		if question.Namespace == "" {
			question.Namespace = home
		}
		return question, nil
	}
	value := below(asked, "value")
	meta := below(value, "metadata")
	question := Question{APIVersion: word(value, "apiVersion"), Kind: word(value, "kind"), Namespace: word(meta, "namespace"), Name: word(meta, "name")}
	if question.APIVersion == "" || question.Kind == "" || question.Name == "" {
		return question, fmt.Errorf("%s: #Read needs a value with apiVersion, kind and metadata.name", f.path)
	}
	if question.Namespace == "" {
		question.Namespace = home
	}
	return question, nil
}

// withObjects puts the live objects where the function answers them.
func (w *walk) withObjects(f function, params cue.Value, answer map[string]any, objects []any) map[string]any {
	if len(objects) == 0 {
		return answer
	}
	first, _ := objects[0].(map[string]any)
	if first == nil {
		return answer // gone again
	}
	switch f.name {
	case "apply":
		if wanted, err := decode(params.LookupPath(cue.ParsePath("value"))); err == nil && !f.newer {
			first = beyond(first, wanted)
		}
		answer["value"] = first
	case "apply-in-parallel":
		if f.newer {
			answer["value"] = objects
		}
	case "apply-component":
		answer["output"] = first
		outputs := map[string]any{}
		for _, object := range objects[1:] {
			if one, is := object.(map[string]any); is && one != nil {
				label, _ := below(below(one, "metadata"), "labels")["trait.oam.dev/resource"].(string)
				if label == "" {
					label = word(below(one, "metadata"), "name")
				}
				outputs[label] = one
			}
		}
		answer["outputs"] = outputs
	}
	return answer
}

// beyond is what an object has more than was asked for: the older dialect unifies both, and what the template says stands.
func beyond(object, wanted map[string]any) map[string]any {
	found := map[string]any{}
	for name, value := range object {
		other, is := wanted[name]
		if !is {
			found[name] = value
			continue
		}
		inside, is := value.(map[string]any)
		same, both := other.(map[string]any)
		if is && both {
			if rest := beyond(inside, same); len(rest) > 0 {
				found[name] = rest
			}
		}
	}
	return found
}

func below(value map[string]any, name string) map[string]any {
	found, _ := value[name].(map[string]any)
	return found
}

func word(value map[string]any, name string) string {
	found, _ := value[name].(string)
	return found
}

// compute carries out a function that follows from its parameters alone.
func compute(f function, params cue.Value) (map[string]any, error) {
	switch f.name {
	case "patch-object":
		result, err := laid(f, params)
		return map[string]any{"result": result}, err
	case "convert-string":
		data, err := params.LookupPath(cue.ParsePath("bt")).Bytes()
		if err != nil {
			return nil, err
		}
		return map[string]any{"str": string(data)}, nil
	case "date-to-timestamp":
		moment, err := time.Parse(layout(params), text(params, "date"))
		if err != nil {
			return nil, err
		}
		return map[string]any{"timestamp": moment.Unix()}, nil
	default:
		seconds, err := params.LookupPath(cue.ParsePath("timestamp")).Int64()
		if err != nil {
			return nil, err
		}
		return map[string]any{"date": time.Unix(seconds, 0).UTC().Format(layout(params))}, nil
	}
}

// laid is the object in `value` with the patch in `patch` over it, by the markers of traits.
func laid(f function, params cue.Value) (any, error) {
	path := "patch"
	if f.newer {
		path = "$params.patch"
	}
	made, problems := patched(grow(params.LookupPath(cue.ParsePath("value"))), params.LookupPath(cue.ParsePath("patch")), path)
	if problems != nil {
		return nil, problems
	}
	data, problems := made.plain("value")
	if problems != nil {
		return nil, problems
	}
	return simple(data), nil
}

func layout(params cue.Value) string {
	if found := text(params, "layout"); found != "" {
		return found
	}
	return time.RFC3339
}
