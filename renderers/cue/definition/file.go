package definition

import (
	"encoding/json"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
)

// FileRequest asks for the parts of a file in the form of KubeVela's command line.
type FileRequest struct {
	Text string `json:"text"`
}

// FileAnswer has a definition's name, what the file says of it, and its template, whose lines are those of the file. Places tell where the
// fields stand of what is said, by their path there.
type FileAnswer struct {
	Problems []Problem      `json:"problems"`
	Name     string         `json:"name"`
	Said     map[string]any `json:"said"`
	Template string         `json:"template"`
	Line     int            `json:"line"`
	Places   []Place        `json:"places"`
}

// Place is the line of a field.
type Place struct {
	Path []string `json:"path"`
	Line int      `json:"line"`
}

const (
	form        = "a definition's file has its imports, one field by the definition's name, and template"
	mostPlaces  = 1000
	deepestSaid = 20
)

// span is a part of a text, in bytes.
type span struct{ begin, end int }

// TakeApart finds the parts of a definition's file.
func TakeApart(asked FileRequest) FileAnswer {
	answer := FileAnswer{Problems: []Problem{}, Said: map[string]any{}, Places: []Place{}}
	parsed, err := parser.ParseFile(file, asked.Text, parser.ParseComments)
	if err != nil {
		answer.Problems = list(err)
		return answer
	}
	var kept []span
	var named, template *ast.Field
	for _, declaration := range parsed.Decls {
		switch one := declaration.(type) {
		case *ast.Package, *ast.CommentGroup:
		case *ast.ImportDecl:
			kept = append(kept, span{one.Pos().Offset(), one.End().Offset()})
		case *ast.Field:
			place := &named
			label, err := labelOf(one.Label)
			if label == "template" {
				place = &template
			}
			if err != nil || *place != nil {
				answer.Problems = append(answer.Problems, at(one.Pos(), form+"; this is one more"))
			}
			*place = one
		default:
			answer.Problems = append(answer.Problems, at(declaration.Pos(), form+"; this is none of them"))
		}
	}
	if named == nil || template == nil {
		answer.Problems = append(answer.Problems, Problem{Message: form})
	}
	if len(answer.Problems) > 0 {
		return answer
	}
	body, is := template.Value.(*ast.StructLit)
	if !is {
		answer.Problems = append(answer.Problems, at(template.Pos(), "template is no struct"))
		return answer
	}
	answer.Template = keep(asked.Text, append(kept, within(body))...)
	answer.Line = template.Pos().Line()
	answer.say(asked.Text, named)
	return answer
}

// say reads what stands under the definition's name.
func (answer *FileAnswer) say(text string, field *ast.Field) {
	answer.Name, _ = labelOf(field.Label)
	answer.note(nil, field, 0)
	source := keep(text, span{field.Pos().Offset(), field.End().Offset()})
	said := cuecontext.New().CompileString(source, cue.Filename(file)).LookupPath(cue.MakePath(cue.Str(answer.Name)))
	err := said.Validate(cue.Concrete(true), cue.Final())
	if err == nil {
		var data []byte
		if data, err = said.MarshalJSON(); err == nil {
			err = json.Unmarshal(data, &answer.Said)
		}
	}
	if err == nil {
		return
	}
	answer.Problems = list(err)
	for place, problem := range answer.Problems {
		if problem.Line == 0 {
			answer.Problems[place].Line = field.Pos().Line()
		}
	}
}

func (answer *FileAnswer) note(above []string, field *ast.Field, depth int) {
	label, err := labelOf(field.Label)
	if err != nil || depth > deepestSaid || len(answer.Places) == mostPlaces {
		return
	}
	path := append(append([]string{}, above...), label)
	answer.Places = append(answer.Places, Place{path, field.Pos().Line()})
	if inside, is := field.Value.(*ast.StructLit); is {
		for _, declaration := range inside.Elts {
			if one, is := declaration.(*ast.Field); is {
				answer.note(path, one, depth+1)
			}
		}
	}
}

// within is the part between the braces; a struct in short form, `template: name: value`, has none.
func within(body *ast.StructLit) span {
	if !body.Lbrace.IsValid() {
		return span{body.Pos().Offset(), body.End().Offset()}
	}
	return span{body.Lbrace.Offset() + 1, body.Rbrace.Offset()}
}

// keep leaves the spans of a text, each in its line.
func keep(text string, spans ...span) string {
	var kept strings.Builder
	last := 0
	for _, one := range spans {
		kept.WriteString(strings.Repeat("\n", strings.Count(text[last:one.begin], "\n")))
		kept.WriteString(text[one.begin:one.end])
		last = one.end
	}
	return kept.String()
}
