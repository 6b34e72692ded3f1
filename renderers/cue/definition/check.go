package definition

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/token"
)

// Parameter is one row of the table of a definition's parameters. Default is nil where there is none.
type Parameter struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Default     any    `json:"default,omitempty"`
	Required    bool   `json:"required"`
	Description string `json:"description,omitempty"`
}

// CheckRequest asks what is wrong with a template, and, where Properties are given, with those. Whole: they are also to be complete below their
// top.
type CheckRequest struct {
	Template   string         `json:"template"`
	Properties map[string]any `json:"properties"`
	Given      bool           `json:"given"`
	Whole      bool           `json:"whole"`
}

// CheckAnswer has the problems of the template, its parameters, what is wrong with the properties (by Field), and the names of the
// functions of ours that it uses. Fields are the names at its top, which outputs may begin with. APIVersion and Kind are those of its `output`,
// where the template alone says them.
type CheckAnswer struct {
	Problems   []Problem   `json:"problems"`
	Parameters []Parameter `json:"parameters"`
	Findings   []Problem   `json:"findings"`
	Uses       []string    `json:"uses"`
	Fields     []string    `json:"fields"`
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
}

const standIn = "\ncontext: _"

// Check compiles a template without knowing what it will be given.
func Check(asked CheckRequest) CheckAnswer {
	answer := CheckAnswer{Problems: []Problem{}, Parameters: []Parameter{}, Findings: []Problem{}, Uses: []string{}, Fields: []string{}}
	parsed, found := parse(asked.Template)
	if found != nil {
		answer.Problems = found
		return answer
	}
	answer.Uses, answer.Fields = uses(parsed), topNames(parsed)
	source := asked.Template + standIn
	if !slices.Contains(answer.Fields, "parameter") {
		source += "\nparameter: {}"
	}
	value, found := assemble(evaluator, source)
	if found == nil {
		if err := value.Validate(); err != nil {
			found = list(err)
		}
	}
	if found != nil {
		answer.Problems = found
		return answer
	}
	schema := value.LookupPath(cue.ParsePath("parameter"))
	answer.Parameters = describe(schema)
	answer.APIVersion, answer.Kind = text(value, "output.apiVersion"), text(value, "output.kind")
	if asked.Given {
		answer.Findings = validate(schema, asked.Properties, slices.Contains(answer.Fields, "parameter"))
	}
	if asked.Given && asked.Whole && len(answer.Findings) == 0 {
		answer.Findings = incompleteBelow(schema, asked.Properties)
	}
	return answer
}

// topNames are the fields at the top of a template, those under a condition there, too.
func topNames(parsed *ast.File) []string { return namesOf(parsed.Decls, []string{}) }

func namesOf(declarations []ast.Decl, found []string) []string {
	for _, declaration := range declarations {
		switch one := declaration.(type) {
		case *ast.Field:
			if label, err := labelOf(one.Label); err == nil && !slices.Contains(found, label) {
				found = append(found, label)
			}
		case *ast.Comprehension:
			if inside, is := one.Value.(*ast.StructLit); is {
				found = namesOf(inside.Elts, found)
			}
		}
	}
	return found
}

// alternatives are the sides of a disjunction of structs, or the schema alone.
func alternatives(schema cue.Value) []cue.Value {
	if operator, sides := schema.Expr(); operator == cue.OrOp {
		var found []cue.Value
		for _, side := range sides {
			if side.IncompleteKind() == cue.StructKind {
				found = append(found, side)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return []cue.Value{schema}
}

// describe makes the table; what only some alternatives have, or have otherwise, is not required.
func describe(schema cue.Value) []Parameter {
	found, places, counts := []Parameter{}, map[string]int{}, map[string]int{}
	sides := alternatives(schema)
	for _, side := range sides {
		fields, err := side.Fields(cue.Optional(true))
		if err != nil {
			continue
		}
		for fields.Next() {
			row := describeField(fields)
			counts[row.Name]++
			if place, known := places[row.Name]; known {
				found[place].Required = found[place].Required && row.Required
				continue
			}
			places[row.Name] = len(found)
			found = append(found, row)
		}
	}
	for place := range found {
		found[place].Required = found[place].Required && counts[found[place].Name] == len(sides)
	}
	return found
}

func describeField(field *cue.Iterator) Parameter {
	value, selector := field.Value(), field.Selector()
	row := Parameter{Name: selector.Unquoted(), Type: typeOf(value), Description: usage(value)}
	// A value that stands in the template itself is a default, too: nothing else is allowed there.
	if standard, has := value.Default(); has || value.IsConcrete() && value.IncompleteKind() != cue.StructKind {
		if encoded, err := standard.MarshalJSON(); err == nil {
			_ = json.Unmarshal(encoded, &row.Default)
		}
	}
	row.Required = selector.ConstraintType() != cue.OptionalConstraint && row.Default == nil && !standsIn(value.Source()) && missing(value)
	return row
}

// standsIn tells whether a default is written there, which need not be known yet: `*context.namespace | string`.
func standsIn(source ast.Node) bool {
	switch one := source.(type) {
	case *ast.Field:
		return standsIn(one.Value)
	case *ast.ParenExpr:
		return standsIn(one.X)
	case *ast.BinaryExpr:
		return one.Op == token.OR && (standsIn(one.X) || standsIn(one.Y))
	case *ast.UnaryExpr:
		return one.Op == token.MUL
	}
	return false
}

// missing tells whether a value has to be filled in before it is whole.
func missing(value cue.Value) bool {
	return value.Validate(cue.Concrete(true), cue.Final()) != nil
}

// typeOf is the constraint in one line, as CUE writes it.
func typeOf(value cue.Value) string {
	kind := value.IncompleteKind()
	if kind == cue.StructKind || kind == cue.ListKind {
		return kind.String()
	}
	if kind == cue.TopKind {
		return "any"
	}
	syntax, err := format.Node(value.Syntax(cue.Raw(), cue.Optional(true)), format.Simplify())
	line := string(bytes.TrimSpace(syntax))
	if err != nil || strings.Contains(line, "\n") || len(line) > 120 || strings.Contains(line, "_#") {
		return strings.Trim(kind.String(), "()")
	}
	return line
}

// usage is the comment above a parameter, as KubeVela writes it: `+usage=TEXT`.
func usage(value cue.Value) string {
	var words []string
	for _, group := range value.Doc() {
		for line := range strings.Lines(group.Text()) {
			line = strings.TrimSpace(line)
			if rest, is := strings.CutPrefix(line, "+usage="); is {
				return rest
			}
			if line != "" && !strings.HasPrefix(line, "+") {
				words = append(words, line)
			}
		}
	}
	return strings.Join(words, " ")
}

// validate finds what is wrong with properties: unknown fields and wrong values. What is required stands in the table. A parameter that is
// `declared` without any field takes all, as KubeVela's own `raw`.
func validate(schema cue.Value, properties map[string]any, declared bool) []Problem {
	found := []Problem{}
	sides := alternatives(schema)
	if len(sides) == 1 && !(declared && len(describe(schema)) == 0) {
		unknown(sides[0], properties, "", &found)
	}
	if properties == nil {
		properties = map[string]any{}
	}
	joined := schema.Unify(encode(schema.Context(), properties))
	if err := joined.Validate(); err != nil {
		for _, problem := range list(err) {
			problem.Field = strings.TrimPrefix(strings.TrimPrefix(problem.Field, "parameter"), ".")
			problem.Message = strings.TrimPrefix(strings.TrimPrefix(problem.Message, "parameter"), ".")
			problem.Message = strings.TrimPrefix(problem.Message, problem.Field+": ")
			found = append(found, problem)
		}
	}
	return found
}

// incompleteBelow finds what is missing in properties below their top.
func incompleteBelow(schema cue.Value, properties map[string]any) []Problem {
	found := []Problem{}
	if err := schema.Unify(encode(schema.Context(), properties)).Validate(cue.Concrete(true), cue.Final()); err != nil {
		for _, problem := range list(err) {
			problem.Field = strings.TrimPrefix(strings.TrimPrefix(problem.Field, "parameter"), ".")
			if above, _, below := strings.Cut(problem.Field, "."); below && properties[above] != nil {
				found = append(found, Problem{Message: "is required", Field: problem.Field})
			}
		}
	}
	return found
}

// unknown finds fields that the schema does not name; a struct with `...` or a pattern takes any, and so does one that names none.
func unknown(schema cue.Value, given map[string]any, above string, found *[]Problem) {
	if schema.IncompleteKind() != cue.StructKind || schema.LookupPath(cue.MakePath(cue.AnyString)).Exists() {
		return
	}
	fields, err := schema.Fields(cue.Optional(true))
	if err != nil {
		return
	}
	known := map[string]cue.Value{}
	for fields.Next() {
		known[fields.Selector().Unquoted()] = fields.Value()
	}
	if above != "" && len(known) == 0 {
		return
	}
	for name, value := range given {
		field, is := known[name]
		if !is {
			*found = append(*found, Problem{Message: "unknown field", Field: above + name})
			continue
		}
		if below, is := value.(map[string]any); is {
			unknown(field, below, above+name+".", found)
		}
	}
}
