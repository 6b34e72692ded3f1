package definition

import (
	"fmt"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
)

// lines are those of a condition, of what is gone through, or of a name that is made, from the first to the last.
type lines struct{ from, to int }

// holdsFunction tells whether there is one in a value or anywhere below.
func holdsFunction(value cue.Value) bool {
	if value.LookupPath(cue.MakePath(cue.Def("#do"))).Exists() {
		return true
	}
	for _, child := range children(value) {
		if holdsFunction(child.value) {
			return true
		}
	}
	return false
}

// passedOver finds functions that were never come to: below a condition that nothing ever decided, or too deep. A step must not succeed without
// them, as if they had been carried out.
func (w *walk) passedOver() Problems {
	if w.sunk.String() != "" {
		return Problems{{Message: fmt.Sprintf("%s is deeper than %d levels, where no function is looked for", w.sunk, lowest)}}
	}
	parsed, problems := parse(w.asked.Template)
	if problems != nil {
		return problems
	}
	calls := conditional(parsed)
	if len(calls) == 0 {
		return nil
	}
	return undecided(w.value, calls, 0)
}

// undecided is the first condition over a function of which it can't be told whether it holds.
func undecided(value cue.Value, calls []lines, depth int) Problems {
	if err := value.Err(); err != nil && depth <= lowest {
		for _, problem := range list(err) {
			for _, call := range calls {
				if call.from <= problem.Line && problem.Line <= call.to {
					problem.Message = fmt.Sprintf("what stands below this is not done, for nothing decides it: %s", problem.Message)
					return Problems{problem}
				}
			}
		}
	}
	if depth > lowest {
		return nil
	}
	for _, child := range children(value) {
		if found := undecided(child.value, calls, depth+1); found != nil {
			return found
		}
	}
	return nil
}

// conditional are the conditions and loops of a template, and its fields whose names are made, that have a function below.
func conditional(parsed *ast.File) []lines {
	ours := map[string]bool{}
	for spec := range parsed.ImportSpecs() {
		if short, known := shortOf(spec); known {
			ours[short] = true
		}
	}
	var found []lines
	astutil.Apply(parsed, func(cursor astutil.Cursor) bool {
		switch one := cursor.Node().(type) {
		case *ast.Comprehension:
			if calls(one.Value, ours) {
				found = append(found, lines{one.Pos().Line(), one.Value.Pos().Line()})
			}
		case *ast.Field:
			if _, err := labelOf(one.Label); err != nil && calls(one.Value, ours) {
				found = append(found, lines{one.Pos().Line(), one.Value.Pos().Line()})
			}
		}
		return true
	}, nil)
	return found
}

// calls tells whether a function of ours is named below.
func calls(node ast.Node, ours map[string]bool) bool {
	is := false
	ast.Walk(node, func(below ast.Node) bool {
		if selector, selects := below.(*ast.SelectorExpr); selects {
			from, plain := selector.X.(*ast.Ident)
			is = is || plain && ours[from.Name]
		}
		return !is
	}, nil)
	return is
}
