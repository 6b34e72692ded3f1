package definition

import (
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

const (
	byTopology = "use a topology policy"
	byDeploy   = "use a deploy step"
	byList     = "list the objects of a kind with #List"
	byPatching = "join the patch to the whole object and #Apply that"
	noLogs     = "logs are where the pods write them"
	noCloud    = "no cloud is asked here"
)

// absent are functions of the originals that are not done here, by package, and why, or what to do instead.
var absent = map[string]map[string]string{
	"vela/op": {
		"#ApplyEnvBindApp": byTopology, "#MakePlacementDecisions": byTopology, "#ReadPlacementDecisions": byTopology, "#PatchApplication": byTopology,
		"#LoadEnvBindingEnv": byTopology, "#PrepareEnvBinding": byTopology, "#ApplyComponentsToEnv": byTopology,
		"#ApplyComponentRemaining": "apply the component with #ApplyComponent", "#RenderComponent": "apply the component with #ApplyComponent",
		"#DeployCloudResource": noCloud, "#ShareCloudResource": noCloud, "#LoadTerraformComponents": noCloud, "#GetConnectionStatus": noCloud,
		"#Deploy": byDeploy, "#HandleDeployPolicies": byDeploy, "#LoadPoliciesInOrder": "load them with #LoadPolicies",
		"#Patch":              byPatching,
		"#ListResourcesInApp": byList, "#ListAppliedResources": byList,
		"#GetApplicationTree": byList, "#SearchEvents": byList, "#CollectLogsInPod": noLogs,
	},
	"vela/kube": {"#Patch": byPatching},
	"vela/oam": {
		"#RenderComponent": "apply the component with #ApplyComponent", "#ApplyComponentRemaining": "apply the component with #ApplyComponent",
		"#Apply": "use #ApplyComponent",
	},
	"vela/multicluster": {
		"#Deploy": byDeploy, "#MakePlacementDecisions": byTopology, "#PatchApplication": byTopology, "#ApplyEnvBindApp": byTopology,
		"#DeployCloudResource": noCloud, "#ShareCloudResource": noCloud,
	},
	"vela/query": {
		"#ListResourcesInApp": byList, "#ListAppliedResources": byList,
		"#GetApplicationTree": byList, "#SearchEvents": byList, "#CollectLogsInPod": noLogs,
	},
	"vela/ql": {
		"#ListResourcesInApp": byList, "#ListAppliedResources": byList,
		"#GetApplicationTree": byList, "#SearchEvents": byList, "#CollectLogsInPod": noLogs,
	},
	"vela/terraform": {"#LoadTerraformComponents": noCloud, "#GetConnectionStatus": noCloud},
}

// checkImports complains of packages that are not there, and of functions that are not done, at their places.
func checkImports(parsed *ast.File) Problems {
	var found Problems
	names := map[string]string{}
	for spec := range parsed.ImportSpecs() {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		_, ours := source(name)
		_, later := absent[name]
		if !ours && !later && !library[name] {
			found = append(found, at(spec.Path.Pos(), fmt.Sprintf("package %q is not available in a definition", name)))
			continue
		}
		short := path.Base(name)
		if spec.Name != nil {
			short = spec.Name.Name
		}
		if ours || later {
			names[short] = name
		}
	}
	astutil.Apply(parsed, func(cursor astutil.Cursor) bool {
		if field, is := cursor.Node().(*ast.Field); is {
			if label, err := labelOf(field.Label); err == nil && (label == "#do" || label == "#provider") {
				found = append(found, at(field.Pos(), label+" stands in packages alone: call a function, as vela/builtin has them"))
			}
		}
		selector, is := cursor.Node().(*ast.SelectorExpr)
		if !is {
			return true
		}
		from, is := selector.X.(*ast.Ident)
		if !is || names[from.Name] == "" {
			return true
		}
		label, err := labelOf(selector.Sel)
		if err != nil {
			return true
		}
		found = append(found, checkFunction(names[from.Name], label, selector.Pos())...)
		return true
	}, nil)
	return found
}

func checkFunction(name, label string, place token.Pos) Problems {
	if instead, later := absent[name][label]; later {
		return Problems{at(place, fmt.Sprintf("%s of %s is not available here; %s", label, name, instead))}
	}
	if !declared(name)[label] {
		return Problems{at(place, fmt.Sprintf("%s has no %s", name, label))}
	}
	return nil
}

// declared are the names in a package of ours.
func declared(name string) map[string]bool {
	if known := names[name]; known != nil {
		return known
	}
	found := map[string]bool{}
	names[name] = found
	text, _ := source(name)
	parsed, err := parser.ParseFile(name, text)
	if err != nil {
		return found
	}
	for _, label := range topNames(parsed) {
		found[label] = true
	}
	return found
}

func labelOf(label ast.Label) (string, error) {
	name, _, err := ast.LabelName(label)
	return name, err
}

func at(place token.Pos, text string) Problem {
	return Problem{Message: text, Line: place.Line(), Column: place.Column()}
}

func mapKeys[V any](values map[string]V) iter.Seq[string] { return maps.Keys(values) }

// text is the string below a path, empty where there is none yet.
func text(value cue.Value, names ...string) string {
	for _, name := range names {
		if found, err := value.LookupPath(cue.ParsePath(name)).String(); err == nil {
			return found
		}
	}
	return ""
}

// shortOf is the name by which a template calls a package of ours.
func shortOf(spec *ast.ImportSpec) (string, bool) {
	name, err := strconv.Unquote(spec.Path.Value)
	short, ours := strings.CutPrefix(name, "vela/")
	if spec.Name != nil {
		short = spec.Name.Name
	}
	return short, err == nil && ours
}

// uses are the functions of ours that a template names.
func uses(parsed *ast.File) []string {
	found := map[string]bool{}
	names := map[string]string{}
	for spec := range parsed.ImportSpecs() {
		if short, ours := shortOf(spec); ours {
			names[short] = short
		}
	}
	astutil.Apply(parsed, func(cursor astutil.Cursor) bool {
		if selector, is := cursor.Node().(*ast.SelectorExpr); is {
			if from, is := selector.X.(*ast.Ident); is && names[from.Name] != "" {
				if label, err := labelOf(selector.Sel); err == nil {
					found[label] = true
				}
			}
		}
		return true
	}, nil)
	return append([]string{}, slices.Sorted(maps.Keys(found))...)
}
