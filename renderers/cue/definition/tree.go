package definition

import (
	"encoding/json"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
)

type kind int

const (
	leaf kind = iota
	mapping
	sequence
)

// node is an object under way: a struct or list taken apart, so that patches can be laid over it, down to values that CUE unifies. A default
// stays one until the end, and gives way to what a patch says.
type node struct {
	kind   kind
	names  []string // of fields, in order
	fields map[string]*node
	items  []*node
	others *node             // what an open list (`[...{a: 1}]`) says of all other items, nil where it says nothing
	value  cue.Value         // of a leaf, and what the node was made of
	tags   map[string]string // comments `+name=word` of the field
}

// grow takes a value apart. What can't be taken apart is a leaf, and what is wrong with it is told when it is read.
func grow(value cue.Value) *node {
	tree := &node{value: value, tags: tags(value)}
	switch value.IncompleteKind() {
	case cue.StructKind:
		chosen, _ := value.Default()
		fields, err := chosen.Fields()
		if err != nil {
			return tree
		}
		tree.kind, tree.fields = mapping, map[string]*node{}
		for fields.Next() {
			tree.set(fields.Selector().Unquoted(), grow(fields.Value()))
		}
	case cue.ListKind:
		chosen, _ := value.Default()
		items, err := chosen.List()
		if err != nil {
			return tree
		}
		tree.kind = sequence
		for items.Next() {
			tree.items = append(tree.items, grow(items.Value()))
		}
		if others := value.LookupPath(cue.MakePath(cue.AnyIndex)); others.IncompleteKind() == cue.StructKind {
			tree.others = grow(others)
		}
	}
	return tree
}

func (n *node) set(name string, field *node) {
	if _, known := n.fields[name]; !known {
		n.names = append(n.names, name)
	}
	n.fields[name] = field
}

// plain is the data of a node, all of which must be known. `path`: where it stands in the template, for who is told otherwise.
func (n *node) plain(path string) (any, Problems) {
	switch n.kind {
	case mapping:
		found := map[string]any{}
		for _, name := range n.names {
			value, problems := n.fields[name].plain(path + "." + name)
			if problems != nil {
				return nil, problems
			}
			found[name] = value
		}
		return found, nil
	case sequence:
		found := []any{}
		for index, item := range n.items {
			value, problems := item.plain(fmt.Sprintf("%s[%d]", path, index))
			if problems != nil {
				return nil, problems
			}
			found = append(found, value)
		}
		return found, nil
	}
	data, err := n.value.MarshalJSON()
	if err != nil {
		return nil, unknownAt(path, n.value, err)
	}
	return json.RawMessage(data), nil
}

// data is the same as JSON.
func (n *node) data(path string) (json.RawMessage, Problems) {
	found, problems := n.plain(path)
	if problems != nil {
		return nil, problems
	}
	data, err := json.Marshal(found)
	if err != nil {
		return nil, list(errors.Promote(err, path))
	}
	return data, nil
}

// unknownAt tells that a value is not known, by its path in the template.
func unknownAt(path string, value cue.Value, err error) Problems {
	line := list(err)[0].Line
	if line == 0 {
		line = lineOf(value)
	}
	said := list(err)[0].Message
	if value.Err() == nil {
		said = "nothing says more of it than " + typeOf(value)
	}
	return Problems{{Message: path + " is not known: " + said, Line: line, Field: path}}
}

// known is the same, without what is not known yet: what a later template may see.
func (n *node) known() any {
	switch n.kind {
	case mapping:
		found := map[string]any{}
		for _, name := range n.names {
			if value := n.fields[name].known(); value != nil {
				found[name] = value
			}
		}
		return found
	case sequence:
		found := []any{}
		for _, item := range n.items {
			if value := item.known(); value != nil {
				found = append(found, value)
			}
		}
		return found
	}
	data, err := n.value.MarshalJSON()
	if err != nil {
		return nil
	}
	return json.RawMessage(data)
}

// tags are the markers in the comments above a field, as KubeVela writes them: `+patchKey=name`.
func tags(value cue.Value) map[string]string {
	found := map[string]string{}
	for _, group := range value.Doc() {
		for line := range strings.Lines(group.Text()) {
			name, word, is := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "+"), "=")
			if is && strings.HasPrefix(strings.TrimSpace(line), "+") && len(strings.Fields(word)) == 1 {
				found[strings.TrimSpace(name)] = strings.TrimSpace(word)
			}
		}
	}
	if found[patchStrategy] == "retainKey" { // as KubeVela's own scaler has it
		found[patchStrategy] = "retainKeys"
	}
	return found
}
