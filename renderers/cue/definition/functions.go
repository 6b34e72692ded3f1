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
	"cuelang.org/go/cue/token"
)

// absent are functions of the originals that are not done here, by package, and what to do instead.
var absent = map[string]map[string]string{
	"vela/op": {
		"#ApplyRemaining": "apply them by an apply-component step each", "#ApplyApplication": "apply the components by steps of their own",
		"#ApplyApplicationInParallel": "apply the components by steps of their own", "#ApplyEnvBindApp": "use a topology policy",
		"#ApplyComponentRemaining": "apply the components by steps of their own",
		"#DeployCloudResource":     "", "#ShareCloudResource": "", "#Deploy": "use a deploy step", "#RenderComponent": "", "#ListClusters": "",
		"#GetPlacementsFromTopologyPolicies": "use a topology policy", "#MakePlacementDecisions": "use a topology policy", "#PatchApplication": "",
		"#Load": "name the component itself", "#LoadInOrder": "", "#Delete": "leave the object out: it is pruned", "#LoadPolicies": "", "#Patch": "use #Apply", "#PatchK8sObject": "", "#DoVar": "use the step's outputs and inputs",
		"#SendEmail": "use a notification step", "#DingTalk": "use #HTTPPost", "#Slack": "use #HTTPPost", "#Lark": "use #HTTPPost",
		"#PromCheck": "use a check-metrics step", "#CreateConfig": "", "#DeleteConfig": "", "#ReadConfig": "", "#ListConfig": "",
		"#ListResourcesInApp": "", "#ListAppliedResources": "", "#CollectPods": "", "#CollectServices": "", "#SearchEvents": "",
		"#CollectLogsInPod": "", "#CollectServiceEndpoints": "use a collect-service-endpoints step", "#GetApplicationTree": "",
		"#LoadTerraformComponents": "", "#GetConnectionStatus": "",
	},
	"vela/kube":    {"#Patch": "use #Apply", "#Delete": "leave the object out: it is pruned"},
	"vela/builtin": {"#DoVar": "use the step's outputs and inputs"},
	"vela/util":    {"#PatchK8sObject": ""},
	"vela/email":   {"#SendEmail": "use a notification step"},
	"vela/metrics": {"#PromCheck": "use a check-metrics step"},
	"vela/config":  {"#CreateConfig": "", "#DeleteConfig": "", "#ReadConfig": "", "#ListConfig": ""},
	"vela/oam": {
		"#RenderComponent": "", "#LoadComponets": "name the component itself", "#LoadComponetsInOrder": "", "#LoadPolicies": "", "#ApplyApplication": "apply the components by steps of their own",
		"#ApplyApplicationInParallel": "", "#ApplyComponentRemaining": "", "#ApplyRemaining": "",
	},
	"vela/multicluster": {
		"#ListClusters": "", "#GetPlacementsFromTopologyPolicies": "use a topology policy", "#Deploy": "use a deploy step",
		"#MakePlacementDecisions": "", "#PatchApplication": "", "#ApplyEnvBindApp": "", "#DeployCloudResource": "", "#ShareCloudResource": "",
	},
	"vela/query": {
		"#ListResourcesInApp": "", "#ListAppliedResources": "", "#CollectPods": "", "#CollectServices": "", "#SearchEvents": "",
		"#CollectLogsInPod": "", "#CollectServiceEndpoints": "use a collect-service-endpoints step", "#GetApplicationTree": "",
	},
	"vela/terraform": {"#LoadTerraformComponents": "", "#GetConnectionStatus": ""},
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
		text := fmt.Sprintf("%s of %s is not available here", label, name)
		if instead != "" {
			text += "; " + instead
		}
		return Problems{at(place, text)}
	}
	if !declared(name)[label] {
		return Problems{at(place, fmt.Sprintf("%s has no %s", name, label))}
	}
	return nil
}

// declared are the names in a package of ours.
func declared(name string) map[string]bool {
	found := map[string]bool{}
	text, _ := source(name)
	parsed, problems := parse(string(text))
	if problems != nil {
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

// uses are the functions of ours that a template names.
func uses(parsed *ast.File) []string {
	found := map[string]bool{}
	names := map[string]string{}
	for spec := range parsed.ImportSpecs() {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && strings.HasPrefix(name, "vela/") {
			short := strings.TrimPrefix(name, "vela/")
			if spec.Name != nil {
				short = spec.Name.Name
			}
			names[short] = name
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
