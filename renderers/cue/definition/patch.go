package definition

import (
	"encoding/json"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
)

const (
	patchKey      = "patchKey"
	patchStrategy = "patchStrategy"
)

// patched lays a patch over an object, as its markers say: `+patchStrategy=jsonPatch` or `jsonMergePatch` above the whole of it, else field by
// field. `path`: that of the patch in its template.
func patched(object *node, patch cue.Value, path string) (*node, Problems) {
	tree := grow(patch)
	if problems := tree.strange(path); problems != nil {
		return nil, problems
	}
	strategy := tree.strategy()
	if strategy == "" {
		return merge(object, tree, "", path)
	}
	data, problems := object.plain("output")
	if problems != nil {
		return nil, problems
	}
	if strategy == "jsonPatch" {
		var is bool
		if tree, is = tree.fields["operations"]; !is {
			return nil, Problems{{Message: path + ": a patch of the strategy jsonPatch has its list in operations"}}
		}
	}
	wanted, problems := tree.plain(path)
	if problems != nil {
		return nil, problems
	}
	var made any
	var err error
	if strategy == "jsonPatch" {
		made, err = jsonPatched(simple(data), simple(wanted))
	} else {
		made = jsonMerged(simple(data), simple(wanted))
	}
	if err != nil {
		return nil, Problems{{Message: path + ": " + err.Error()}}
	}
	return grow(encode(patch.Context(), made)), nil
}

// strategy is that of a whole patch, empty where it goes field by field. CUE has the comment above `a: b: c` at the last of them.
func (n *node) strategy() string {
	if found := n.tags[patchStrategy]; found == "jsonPatch" || found == "jsonMergePatch" {
		return found
	}
	if len(n.names) == 1 {
		return n.fields[n.names[0]].strategy()
	}
	return ""
}

// strange finds a strategy that nobody knows, which would do something else than its author meant.
func (n *node) strange(path string) Problems {
	switch n.tags[patchStrategy] {
	case "", "replace", "retainKeys", "jsonPatch", "jsonMergePatch":
	default:
		return Problems{{
			Message: fmt.Sprintf("%s: patchStrategy %s is not known (known: replace, retainKeys, jsonMergePatch, jsonPatch)", path, n.tags[patchStrategy]),
			Line:    lineOf(n.value),
			Field:   path,
		}}
	}
	for _, name := range n.names {
		if problems := n.fields[name].strange(path + "." + name); problems != nil {
			return problems
		}
	}
	for index, item := range n.items {
		if problems := item.strange(fmt.Sprintf("%s[%d]", path, index)); problems != nil {
			return problems
		}
	}
	return nil
}

// merge unifies a patch with what is there. Fields and items that are only there stay as they are.
//
// In lists, items belong together whose field of the name `key` is the same, and new ones come last; without a key they do by their place, and
// what an open list says of all other items is laid over each that the patch does not name. `key`
// holds for all lists below the field that has the marker. The strategies retainKeys and replace put what the patch has in the place of
// what was there, with a key for each item of a list by itself.
func merge(object, patch *node, key, path string) (*node, Problems) {
	if found, is := patch.tags[patchKey]; is {
		key = found
	}
	switch {
	case object.kind == mapping && patch.kind == mapping:
		for _, name := range patch.names {
			field := patch.fields[name]
			there, is := object.fields[name]
			if !is || replaces(field, key) {
				object.set(name, field)
				continue
			}
			made, problems := merge(there, field, key, path+"."+name)
			if problems != nil {
				return nil, problems
			}
			object.set(name, made)
		}
		return object, nil
	case object.kind == sequence && patch.kind == sequence:
		return mergeItems(object, patch, key, path)
	}
	return unify(object, patch, path)
}

// replaces tells whether a field of a patch takes the place of what was there. Items with a key are looked at one by one.
func replaces(field *node, key string) bool {
	if found, is := field.tags[patchKey]; is {
		key = found
	}
	switch field.tags[patchStrategy] {
	case "replace":
		return true
	case "retainKeys":
		return field.kind != sequence || key == ""
	}
	return false
}

func mergeItems(object, patch *node, key, path string) (*node, Problems) {
	names := strings.Split(key, ",")
	keyed := false
	for _, item := range patch.items {
		keyed = keyed || key != "" && identity(item, names) != ""
	}
	places := map[string]int{}
	if keyed {
		for place, item := range object.items {
			if found := identity(item, names); found != "" {
				places[found] = place
			}
		}
	}
	for index, item := range patch.items {
		place, is := index, index < len(object.items)
		if keyed {
			place, is = places[identity(item, names)]
		}
		switch {
		case !is:
			object.items = append(object.items, item)
		case patch.tags[patchStrategy] == "retainKeys":
			object.items[place] = item
		default:
			made, problems := merge(object.items[place], item, key, fmt.Sprintf("%s[%d]", path, index))
			if problems != nil {
				return nil, problems
			}
			object.items[place] = made
		}
	}
	if patch.others == nil || keyed {
		return object, nil
	}
	for place := len(patch.items); place < len(object.items); place++ {
		made, problems := merge(object.items[place], patch.others, key, fmt.Sprintf("%s[%d]", path, place))
		if problems != nil {
			return nil, problems
		}
		object.items[place] = made
	}
	return object, nil
}

// identity of an item is the first of the keys that it has, empty where it has none. A key may be a path.
func identity(item *node, keys []string) string {
	for _, key := range keys {
		at := item
		for name := range strings.SplitSeq(strings.TrimSpace(key), ".") {
			if at != nil {
				at = at.fields[name]
			}
		}
		if at == nil || at.kind != leaf {
			continue
		}
		if data, err := at.value.MarshalJSON(); err == nil {
			return key + "=" + string(data)
		}
	}
	return ""
}

// unify is what both say; a default gives way.
func unify(object, patch *node, path string) (*node, Problems) {
	made := whole(object, patch.value).Unify(patch.value)
	if patch.kind != leaf {
		made = object.value.Unify(whole(patch, object.value))
	}
	if err := made.Validate(); err != nil {
		line := lineOf(patch.value)
		if line == 0 {
			line = list(err)[0].Line
		}
		said := fmt.Sprintf("there is %s already, and the patch says %s", shown(object, path), shown(patch, path))
		return nil, Problems{{
			Message: path + ": " + said + " (// +patchStrategy=retainKeys above the field replaces it)",
			Line:    line,
			Field:   path,
		}}
	}
	tree := grow(made)
	tree.tags = patch.tags
	return tree, nil
}

// whole is a node as a value, as it has become.
func whole(tree *node, other cue.Value) cue.Value {
	if tree.kind == leaf {
		return tree.value
	}
	return encode(other.Context(), tree.known())
}

func lineOf(value cue.Value) int {
	if place := value.Pos(); place.Filename() == file {
		return place.Line()
	}
	return 0
}

// shown is a value as it is told. What stands in data may be a Secret's, and is told to nobody.
func shown(tree *node, path string) string {
	if strings.Contains(path+".", ".data.") || strings.Contains(path+".", ".stringData.") {
		return "a value"
	}
	data, _ := json.Marshal(tree.known())
	if len(data) > 80 {
		return string(data[:80]) + "…"
	}
	return string(data)
}
