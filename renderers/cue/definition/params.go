package definition

import (
	"encoding/json"
	"fmt"

	"cuelang.org/go/cue"
)

func plain(value cue.Value) (any, error) {
	data, err := value.MarshalJSON()
	if err != nil {
		return nil, nil // not known: as a path that leads nowhere
	}
	var found any
	err = json.Unmarshal(data, &found)
	return found, err
}

// concrete are the parameters of a function, which must all be known.
func concrete(f function, params cue.Value) (map[string]any, error) {
	found, err := decode(params)
	if err != nil {
		return nil, fmt.Errorf("%s: its parameters are not known: %w", f.path, err)
	}
	return found, nil
}

// partial are those parameters that are known, of a function that can do without the others; needed are those that it can't do without.
func partial(f function, params cue.Value, needed ...string) (map[string]any, error) {
	fields, err := params.Fields()
	if err != nil {
		return nil, fmt.Errorf("%s: its parameters are not known: %w", f.path, err)
	}
	found := map[string]any{}
	for fields.Next() {
		if value, err := plain(fields.Value()); err == nil && value != nil {
			found[fields.Selector().Unquoted()] = value
		}
	}
	for _, name := range needed {
		if found[name] == nil {
			return nil, fmt.Errorf("%s: its %s is not known", f.path, name)
		}
	}
	return found, nil
}

func decode(value cue.Value) (map[string]any, error) {
	data, err := value.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var found map[string]any
	return found, json.Unmarshal(data, &found)
}
