package definition

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
)

// Declared is what the application says of itself, as it is written; empty where no function of the template asks for it.
type Declared struct {
	Components []map[string]any `json:"components"`
	Policies   []map[string]any `json:"policies"`
}

const local = "local"

// tell answers functions that follow from what the application declares.
func (w *walk) tell(f function, params cue.Value) (map[string]any, error) {
	declared := w.asked.Declared
	if app := text(params, "app"); app != "" && app != w.asked.Context["appName"] {
		return nil, fmt.Errorf("%s: only the application of the step itself is known", f.path)
	}
	switch f.name {
	case "load":
		return map[string]any{"value": byName(declared.Components)}, nil
	case "load-in-order":
		return map[string]any{"value": listed(declared.Components)}, nil
	case "load-policies":
		return map[string]any{"value": byName(declared.Policies)}, nil
	case "list-clusters":
		return map[string]any{"outputs": map[string]any{"clusters": []string{local}}}, nil
	}
	asked, err := concrete(f, params)
	if err != nil {
		return nil, err
	}
	return w.place(f, asked)
}

func byName(items []map[string]any) map[string]any {
	found := map[string]any{}
	for _, item := range items {
		found[word(item, "name")] = item
	}
	return found
}

func listed(items []map[string]any) []any {
	found := []any{}
	for _, item := range items {
		found = append(found, item)
	}
	return found
}

// place answers where topology policies put an application: in one cluster, each in its namespace.
func (w *walk) place(f function, asked map[string]any) (map[string]any, error) {
	names, _ := asked["policies"].([]any)
	policies := byName(w.asked.Declared.Policies)
	home, _ := w.asked.Context["namespace"].(string)
	placements := []any{}
	for _, name := range names {
		written, _ := name.(string)
		policy, known := policies[written].(map[string]any)
		if !known {
			return nil, fmt.Errorf("%s: the application has no policy %s", f.path, written)
		}
		if word(policy, "type") != "topology" {
			continue
		}
		properties := below(policy, "properties")
		if clusters, _ := properties["clusters"].([]any); len(clusters) > 0 && !slices.Equal(clusters, []any{local}) {
			return nil, fmt.Errorf("%s: only the cluster that the daemon works on is known", f.path)
		}
		namespace := word(properties, "namespace")
		if namespace == "" {
			namespace = home
		}
		placements = append(placements, map[string]any{"cluster": local, "namespace": namespace})
	}
	if len(placements) == 0 {
		placements = append(placements, map[string]any{"cluster": local, "namespace": home})
	}
	return map[string]any{"placements": placements}, nil
}

// variable keeps what a step tells later ones, or answers what an earlier one told.
func (w *walk) variable(f function, params cue.Value) error {
	name := text(params, "path")
	if name == "" {
		return fmt.Errorf("%s: its path is not known", f.path)
	}
	if text(params, "method") == "Put" {
		value, err := params.LookupPath(cue.ParsePath("value")).MarshalJSON()
		if err != nil {
			return fmt.Errorf("%s: its value is not known: %w", f.path, err)
		}
		var kept any
		_ = json.Unmarshal(value, &kept)
		w.answer.Variables[name] = kept
		return nil
	}
	for _, variables := range []map[string]any{w.answer.Variables, w.asked.Variables} {
		if value, known := lookUp(variables, name); known {
			return w.fill(f, map[string]any{"value": value})
		}
	}
	return fmt.Errorf("%s: no step before this one has put a variable %s", f.path, name)
}

// lookUp finds a variable by its path, or a field of one.
func lookUp(variables map[string]any, path string) (any, bool) {
	if value, known := variables[path]; known {
		return value, true
	}
	for end := range path {
		if path[end] != '.' {
			continue
		}
		value, known := variables[path[:end]]
		for _, name := range strings.Split(path[end+1:], ".") {
			inside, _ := value.(map[string]any)
			next, is := inside[name]
			value, known = next, known && is
		}
		if known {
			return value, true
		}
	}
	return nil, false
}
