package definition

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
)

// What does not change is read once, and kept as long as the module lives. Each call has an instance of the module of its own: what a
// template leaves here, no other sees.
var (
	evaluator = cuecontext.New()
	instances = map[string]*build.Instance{}
	names     = map[string]map[string]bool{}
)

// Warm reads and compiles the packages of ours, and some of CUE's own.
func Warm() error {
	entries, err := packages.ReadDir("packages")
	if err != nil {
		return err
	}
	var template strings.Builder
	for index, entry := range entries {
		name := "vela/" + strings.TrimSuffix(entry.Name(), ".cue")
		fmt.Fprintf(&template, "import p%d %q\n", index, name)
		declared(name)
	}
	template.WriteString("import \"strings\"\nimport \"list\"\nimport \"encoding/json\"\n")
	template.WriteString("parameter: {a: *\"b\" | string}\nmade: strings.ToUpper(json.Marshal(parameter)) + strings.Join(list.Concat([[\"c\"]]), \",\")\n")
	for index, entry := range entries {
		for _, name := range slices.Sorted(mapKeys(declared("vela/" + strings.TrimSuffix(entry.Name(), ".cue")))) {
			if cue.ParsePath(name).Err() == nil {
				fmt.Fprintf(&template, "if false {u%d: p%d.%s}\n", index, index, name)
			}
		}
	}
	if checked := Check(CheckRequest{Template: template.String(), Given: true}); len(checked.Problems) > 0 {
		return Problems(checked.Problems)
	}
	_, err = Walk(WalkRequest{Template: template.String()})
	return err
}
