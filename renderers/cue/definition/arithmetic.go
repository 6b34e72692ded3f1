package definition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// lists is the name by which a template that adds lists gets CUE's package of that name.
const lists = "listsOfTheTemplate"

// edit puts a text in the place of a part of another one. Of those at one place, lower ranks come first.
type edit struct {
	begin, end int
	text       string
	rank       int
}

// What begins and ends at one place: a sum has products in it, not the other way round.
const (
	sumBegins = iota
	productBegins
	productEnds
	sumEnds
)

// modernised is a template whose lists are joined and repeated as CUE has it now: KubeVela's users write `a + b` and `3 * [a]`, which CUE itself
// has given up. Lines stay the same; what does not parse stays as it is.
func modernised(text string) string {
	parsed, err := parser.ParseFile(file, text, parser.ParseComments)
	if err != nil {
		return text
	}
	var edits []edit
	ast.Walk(parsed, func(found ast.Node) bool {
		if _, is := found.(*ast.Interpolation); is {
			return false // a text has no lists
		}
		if binary, is := found.(*ast.BinaryExpr); is && binary.Op == token.MUL {
			edits = append(edits, repeated(binary)...)
		}
		return true
	}, nil)
	sums(parsed, func(operands []ast.Expr, signs []token.Pos) { edits = append(edits, joined(operands, signs)...) })
	if len(edits) == 0 {
		return text
	}
	place := importPlace(parsed)
	edits = append(edits, edit{place, place, fmt.Sprintf("import %s \"list\", ", lists), -1})
	return changed(text, edits)
}

// sums tells of every sum in a template: its operands, however many, and the signs between them.
func sums(parsed *ast.File, tell func([]ast.Expr, []token.Pos)) {
	inner := map[ast.Node]bool{}
	ast.Walk(parsed, func(found ast.Node) bool {
		if _, is := found.(*ast.Interpolation); is {
			return false
		}
		sum, is := found.(*ast.BinaryExpr)
		if !is || sum.Op != token.ADD || inner[sum] {
			return true
		}
		var operands []ast.Expr
		var signs []token.Pos
		for {
			operands, signs = append(operands, sum.Y), append(signs, sum.OpPos)
			left, is := sum.X.(*ast.BinaryExpr)
			if !is || left.Op != token.ADD {
				operands = append(operands, sum.X)
				break
			}
			inner[left], sum = true, left
		}
		slices.Reverse(operands)
		slices.Reverse(signs)
		tell(operands, signs)
		return true
	}, nil)
}

// joined are the edits of one sum. Where its text does not show whether it is of lists, its first operand decides when it is evaluated.
func joined(operands []ast.Expr, signs []token.Pos) []edit {
	if slices.ContainsFunc(operands, isScalar) {
		return nil
	}
	begin, end := operands[0].Pos().Offset(), operands[len(operands)-1].End().Offset()
	before, after := lists+".Concat([", "])"
	if !slices.ContainsFunc(operands, isList) {
		terms := make([]string, len(operands))
		for index := range operands {
			terms[index] = fmt.Sprintf("_terms[%d]", index)
		}
		before = "({_terms: ["
		after = fmt.Sprintf("], sum: [if (_terms[0] & [...]) != _|_ {%s.Concat(_terms)}, if (_terms[0] & [...]) == _|_ {%s}][0]}).sum", lists, strings.Join(terms, " + "))
	}
	edits := []edit{{begin, begin, before, sumBegins}}
	for _, sign := range signs {
		edits = append(edits, edit{sign.Offset(), sign.Offset() + 1, ",", 0})
	}
	return append(edits, edit{end, end, after, sumEnds})
}

// repeated are the edits of a product with a list in it.
func repeated(product *ast.BinaryExpr) []edit {
	begin, end, sign := product.Pos().Offset(), product.End().Offset(), product.OpPos.Offset()
	switch {
	case isList(product.X):
		return []edit{{begin, begin, lists + ".Repeat(", productBegins}, {sign, sign + 1, ",", 0}, {end, end, ")", productEnds}}
	case isList(product.Y):
		many := fmt.Sprintf(", many: %s.Repeat(", lists)
		return []edit{{begin, begin, "({_count: ", productBegins}, {sign, sign + 1, many, 0}, {end, end, ", _count)}).many", productEnds}}
	}
	return nil
}

func isList(operand ast.Expr) bool {
	switch found := operand.(type) {
	case *ast.ListLit:
		return true
	case *ast.ParenExpr:
		return isList(found.X)
	}
	return false
}

func isScalar(operand ast.Expr) bool {
	switch found := operand.(type) {
	case *ast.BasicLit, *ast.Interpolation:
		return true
	case *ast.ParenExpr:
		return isScalar(found.X)
	case *ast.CallExpr:
		if selector, is := found.Fun.(*ast.SelectorExpr); is {
			from, is := selector.X.(*ast.Ident)
			return is && slices.Contains([]string{"math", "strconv", "strings"}, from.Name)
		}
	}
	return false
}

// importPlace is where an import may stand: before what is there already, and behind the package's name.
func importPlace(parsed *ast.File) int {
	for _, declaration := range parsed.Decls {
		switch declaration.(type) {
		case *ast.Package, *ast.CommentGroup, *ast.Attribute:
		default:
			return declaration.Pos().Offset()
		}
	}
	return 0
}

func changed(text string, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Or(a.begin-b.begin, a.rank-b.rank) })
	var made strings.Builder
	at := 0
	for _, each := range edits {
		made.WriteString(text[at:each.begin])
		made.WriteString(each.text)
		at = each.end
	}
	made.WriteString(text[at:])
	return made.String()
}
