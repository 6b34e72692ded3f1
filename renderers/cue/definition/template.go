// Package definition evaluates KubeVela's definitions: templates in CUE that say what a step does or what a component is made of.
//
// Everything here is a pure function of its input. Templates are untrusted: they see what they are given, the packages in this
// folder and the pure part of CUE's own library; nothing bounds their time or memory but the sandbox that this runs in.
package definition

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

//go:embed packages/*.cue
var packages embed.FS

const file = "template"

// library is the part of CUE's own packages whose functions follow from their arguments alone.
var library = map[string]bool{
	"crypto/hmac": true, "crypto/md5": true, "crypto/sha1": true, "crypto/sha256": true, "crypto/sha512": true,
	"encoding/base64": true, "encoding/csv": true, "encoding/hex": true, "encoding/json": true, "encoding/yaml": true,
	"html": true, "list": true, "math": true, "math/bits": true, "net": true, "path": true, "regexp": true, "strconv": true,
	"strings": true, "struct": true, "text/tabwriter": true, "time": true, "uuid": true,
}

// Problem is something wrong with a template. Line and Column are those in the template, from 1; 0 where they are not known.
type Problem struct {
	Message string `json:"message"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Field   string `json:"field,omitempty"`
}

// Problems of a template are an error of whoever evaluates it.
type Problems []Problem

func (p Problems) Error() string {
	first := p[0]
	if first.Line == 0 {
		return first.Message
	}
	return fmt.Sprintf("template line %d: %s", first.Line, first.Message)
}

// Line is that of the first problem.
func (p Problems) Line() int { return p[0].Line }

// parse reads a template and finds imports and functions that are not there.
func parse(text string) (*ast.File, Problems) {
	parsed, err := parser.ParseFile(file, text, parser.ParseComments)
	if err != nil {
		return nil, list(err)
	}
	found := checkImports(parsed)
	if len(found) > 0 {
		return nil, found
	}
	return parsed, nil
}

// compile builds a template with the values that stand behind it, by their names, as JSON.
func compile(maker *cue.Context, text string, values map[string]any) (cue.Value, Problems) {
	if _, found := parse(text); found != nil {
		return cue.Value{}, found
	}
	var source strings.Builder
	source.WriteString(text)
	for _, name := range slices.Sorted(mapKeys(values)) {
		encoded, err := json.Marshal(values[name])
		if err != nil {
			return cue.Value{}, Problems{{Message: err.Error()}}
		}
		fmt.Fprintf(&source, "\n%s: %s", name, encoded)
	}
	value, problems := assemble(maker, source.String())
	if _, is := values["parameter"]; is && problems == nil {
		value = decided(value, cue.ParsePath("parameter"))
	}
	return value, problems
}

// decided takes the one side of each disjunction that is whole with what was given. KubeVela's `{value: string} | {secretRef: {...}}` leaves both
// sides possible where `value` is given, for the other might have it, too; no `if` over it would ever be decided.
func decided(value cue.Value, path cue.Path) cue.Value {
	at := value.LookupPath(path)
	if len(path.Selectors()) > deepest || !at.Exists() || at.Validate(cue.Concrete(true)) == nil {
		return value
	}
	if sides := saidOf(wholeSides(at)); len(sides) == 1 {
		if data, err := sides[0].MarshalJSON(); err == nil {
			return value.FillPath(path, value.Context().CompileString(fmt.Sprintf("close(%s)", data)))
		}
	}
	fields, err := at.Fields()
	if err != nil {
		return value
	}
	for fields.Next() {
		value = decided(value, cue.MakePath(append(path.Selectors(), fields.Selector())...))
	}
	return value
}

// saidOf are those of several whole sides that have no list about which nothing was said: an open one is whole when it is empty, and of KubeVela's
// `#One | close({all: [...#One]})` the second side would be whole with nothing given at all.
func saidOf(sides []cue.Value) []cue.Value {
	if len(sides) < 2 {
		return sides
	}
	var found []cue.Value
	for _, side := range sides {
		if !hasOpenList(side) {
			found = append(found, side)
		}
	}
	return found
}

func hasOpenList(value cue.Value) bool {
	fields, err := value.Fields()
	if err != nil {
		return false
	}
	for fields.Next() {
		if fields.Value().LookupPath(cue.MakePath(cue.AnyIndex)).Exists() {
			return true
		}
	}
	return false
}

const deepest = 10 // levels of a parameter at which a disjunction is looked for

// wholeSides are those sides of a disjunction that lack nothing, together with all else that is said of it.
func wholeSides(value cue.Value) []cue.Value {
	operator, parts := value.Expr()
	if operator == cue.OrOp {
		parts = []cue.Value{value}
	} else if operator != cue.AndOp {
		return nil
	}
	for index, part := range parts {
		operator, sides := part.Expr()
		if operator != cue.OrOp {
			continue
		}
		var found []cue.Value
		for _, side := range sides {
			for other, more := range parts {
				if other != index {
					side = side.Unify(more)
				}
			}
			if side.IncompleteKind() == cue.StructKind && side.Validate(cue.Concrete(true)) == nil {
				found = append(found, side)
			}
		}
		return found
	}
	return nil
}

func assemble(maker *cue.Context, text string) (cue.Value, Problems) {
	parsed, err := parser.ParseFile(file, modernised(text), parser.ParseComments)
	if err != nil {
		return cue.Value{}, list(err)
	}
	instance := build.NewContext(build.Loader(load)).NewInstance("", nil)
	if err := instance.AddSyntax(parsed); err != nil {
		return cue.Value{}, list(err)
	}
	if err := instance.Complete(); err != nil {
		return cue.Value{}, list(err)
	}
	instance.ResolutionErr = unlessUnused(instance.ResolutionErr)
	value := maker.BuildInstance(instance)
	if err := value.Err(); err != nil {
		if broken := list(err); !incomplete(value) {
			return cue.Value{}, broken
		}
	}
	return value, nil
}

// unlessUnused are the errors without those of imports that nothing uses: KubeVela takes them, and definitions of its own have some.
func unlessUnused(err errors.Error) errors.Error {
	var kept errors.Error
	for _, one := range errors.Errors(err) {
		if format, _ := one.Msg(); !strings.HasPrefix(format, "imported and not used") {
			kept = errors.Append(kept, one)
		}
	}
	return kept
}

// load answers the packages that are ours, and nothing else.
func load(_ token.Pos, name string) *build.Instance {
	if known := instances[name]; known != nil {
		return known
	}
	instance := build.NewContext(build.Loader(load)).NewInstance("", nil)
	source, known := source(name)
	if !known {
		return nil
	}
	if err := instance.AddFile(path.Base(name)+".cue", source); err != nil {
		instance.Err = errors.Promote(err, name)
	}
	if err := instance.Complete(); err != nil {
		instance.Err = errors.Promote(err, name)
	}
	instances[name] = instance
	return instance
}

// source is the text of a package of ours.
func source(name string) ([]byte, bool) {
	short, ours := strings.CutPrefix(name, "vela/")
	if !ours {
		return nil, false
	}
	data, err := packages.ReadFile("packages/" + short + ".cue")
	return data, err == nil
}

// encode makes a value of plain data by way of JSON, so that a whole number stays one.
func encode(maker *cue.Context, data any) cue.Value {
	text, err := json.Marshal(data)
	if err != nil {
		text = []byte("_|_") // what came as JSON can be JSON again
	}
	return maker.CompileBytes(text)
}

// list makes problems of what CUE says, each with its first place in the template.
func list(err error) Problems {
	var found Problems
	for _, one := range errors.Errors(err) {
		problem := Problem{Message: message(one), Field: strings.Join(one.Path(), ".")}
		for _, place := range append([]token.Pos{one.Position()}, one.InputPositions()...) {
			if place.IsValid() && place.Filename() == file {
				problem.Line, problem.Column = place.Line(), place.Column()
				break
			}
		}
		if format, _ := one.Msg(); strings.HasSuffix(format, "errors in empty disjunction:") && len(errors.Errors(err)) > 1 {
			continue // what is wrong with each side comes behind it
		}
		found = append(found, problem)
		if len(found) == 20 {
			break
		}
	}
	return found
}

func message(err errors.Error) string {
	format, arguments := err.Msg()
	text := fmt.Sprintf(format, arguments...)
	if cause := errors.Unwrap(err); text == "" && cause != nil {
		text = cause.Error()
	}
	if field := strings.Join(err.Path(), "."); field != "" {
		return field + ": " + text
	}
	return text
}

// incomplete tells whether nothing is wrong with a value but that something in it is not known yet.
func incomplete(value cue.Value) bool {
	return value.Validate() == nil
}
