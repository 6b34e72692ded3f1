package definition

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
)

// Part is a template with what it is given. For a component Type is that of the component, for a trait that of the trait.
type Part struct {
	Type      string          `json:"type"`
	Template  string          `json:"template"`
	Parameter json.RawMessage `json:"parameter"`
}

// RenderRequest asks for the objects of a component, and what its traits make of them, in order.
//
// Without Component, Output and Outputs are those of a component that was rendered otherwise, or by an earlier call.
type RenderRequest struct {
	Context   map[string]json.RawMessage `json:"context"`
	Component *Part                      `json:"component"`
	Output    json.RawMessage            `json:"output"`
	Outputs   []Made                     `json:"outputs"`
	Traits    []Part                     `json:"traits"`
}

// Made is an object beside the output: its name in `outputs`, and the type of the trait that made it, empty where the component did.
type Made struct {
	Name   string          `json:"name"`
	Trait  string          `json:"trait"`
	Object json.RawMessage `json:"object"`
}

// RenderAnswer has the objects of the request first, in their order, each as it has become, and then what is new. Output is nil where
// there is none.
type RenderAnswer struct {
	Output  json.RawMessage `json:"output"`
	Outputs []Made          `json:"outputs"`
}

// Misfit is what is wrong with one part of a request: `component`, or `traits[N]`.
type Misfit struct {
	Place    string
	Problems Problems
}

func (m *Misfit) Error() string { return m.Problems.Error() }

type beside struct {
	name, trait string
	tree        *node
}

type workload struct {
	asked  RenderRequest
	maker  *cue.Context
	output *node
	beside []beside
}

// Render renders a component and applies its traits.
func Render(asked RenderRequest) (RenderAnswer, error) {
	w := workload{asked: asked, maker: evaluator}
	if err := w.begin(); err != nil {
		return RenderAnswer{}, err
	}
	for index, trait := range asked.Traits {
		if problems := w.apply(trait); problems != nil {
			return RenderAnswer{}, &Misfit{fmt.Sprintf("traits[%d]", index), problems.within(trait.Template)}
		}
	}
	answer := RenderAnswer{Outputs: []Made{}}
	if w.output != nil {
		found, problems := w.output.data("output")
		if problems != nil {
			return RenderAnswer{}, w.unknown(problems)
		}
		answer.Output = found
	}
	for _, each := range w.beside {
		found, problems := each.tree.data("outputs." + each.name)
		if problems != nil {
			return RenderAnswer{}, &Misfit{w.origin(each.trait), problems}
		}
		answer.Outputs = append(answer.Outputs, Made{each.name, each.trait, found})
	}
	return answer, nil
}

// unknown tells of a value of the output: with traits on it, nobody knows whose template it is from.
func (w *workload) unknown(problems Problems) error {
	if len(w.asked.Traits) > 0 {
		problems[0].Line = 0
	}
	return &Misfit{"component", problems}
}

// origin is the place of who made an object.
func (w *workload) origin(trait string) string {
	index := slices.IndexFunc(w.asked.Traits, func(part Part) bool { return part.Type == trait })
	if trait == "" || index < 0 {
		return "component"
	}
	return fmt.Sprintf("traits[%d]", index)
}

func (w *workload) begin() error {
	if w.asked.Component == nil {
		if len(w.asked.Output) > 0 && string(w.asked.Output) != "null" {
			w.output = grow(w.maker.CompileBytes(w.asked.Output))
		}
		for _, each := range w.asked.Outputs {
			w.beside = append(w.beside, beside{each.Name, each.Trait, grow(w.maker.CompileBytes(each.Object))})
		}
		return nil
	}
	value, problems := w.evaluate(*w.asked.Component)
	if problems == nil {
		if output := value.LookupPath(cue.ParsePath("output")); output.Exists() {
			if w.output = grow(output); len(w.output.names) == 0 && w.output.kind == mapping {
				w.output = nil
			}
		}
		problems = w.take(value, "")
	}
	if problems == nil && w.output == nil && len(w.beside) == 0 {
		problems = Problems{{Message: "it makes no object: there is neither output nor anything in outputs"}}
	}
	if problems != nil {
		return &Misfit{"component", problems.within(w.asked.Component.Template)}
	}
	return nil
}

// within are the problems without lines behind the template, where what it was given stands.
func (p Problems) within(template string) Problems {
	for index := range p {
		if p[index].Line > strings.Count(template, "\n")+1 {
			p[index].Line = 0
		}
	}
	return p
}

// evaluate gives a template its context and parameters.
func (w *workload) evaluate(part Part) (cue.Value, Problems) {
	context := map[string]any{}
	for name, value := range w.asked.Context {
		context[name] = value
	}
	if w.output != nil {
		context["output"] = w.output.known()
	}
	if len(w.beside) > 0 {
		outputs := map[string]any{}
		for _, each := range w.beside {
			outputs[each.name] = each.tree.known()
		}
		context["outputs"] = outputs
	}
	parameter := part.Parameter
	if len(parameter) == 0 || string(parameter) == "null" {
		parameter = json.RawMessage("{}")
	}
	value, problems := compile(w.maker, part.Template, map[string]any{"context": context, "parameter": parameter})
	if problems != nil {
		return value, problems
	}
	if err := value.Validate(); err != nil {
		return value, list(err)
	}
	return value, nil
}

// take adds what a template has in `outputs`.
func (w *workload) take(value cue.Value, trait string) Problems {
	outputs := value.LookupPath(cue.ParsePath("outputs"))
	if !outputs.Exists() {
		return nil
	}
	fields, err := outputs.Fields()
	if err != nil {
		return list(err)
	}
	for fields.Next() {
		w.beside = append(w.beside, beside{fields.Selector().Unquoted(), trait, grow(fields.Value())})
	}
	return nil
}

// apply is one trait on all there is.
func (w *workload) apply(trait Part) Problems {
	value, problems := w.evaluate(trait)
	if problems != nil {
		return problems
	}
	if value.LookupPath(cue.ParsePath("processing")).Exists() {
		return Problems{{Message: "processing asks another server while it renders, which would make another object each time: not available here"}}
	}
	if problems := refused(value.LookupPath(cue.ParsePath("errs"))); problems != nil {
		return problems
	}
	if problems := w.take(value, trait.Type); problems != nil {
		return problems
	}
	if patch := value.LookupPath(cue.ParsePath("patch")); patch.Exists() {
		if w.output == nil {
			return Problems{{Message: "there is no output that it could patch"}}
		}
		if w.output, problems = patched(w.output, patch, "patch"); problems != nil {
			return problems
		}
	}
	patches := value.LookupPath(cue.ParsePath("patchOutputs"))
	for index, each := range w.beside {
		patch := patches.LookupPath(cue.MakePath(cue.Str(each.name)))
		if !patch.Exists() {
			continue
		}
		if w.beside[index].tree, problems = patched(each.tree, patch, "patchOutputs."+each.name); problems != nil {
			return problems
		}
	}
	return nil
}

// refused is the first that a trait itself says is wrong.
func refused(errs cue.Value) Problems {
	items, err := errs.List()
	if err != nil {
		return nil
	}
	for items.Next() {
		if said, err := items.Value().String(); err == nil && said != "" {
			return Problems{{Message: said}}
		}
	}
	return nil
}
