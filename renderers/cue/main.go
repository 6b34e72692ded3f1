// Command cue is KubeVela's definitions for the sandbox: CUE's own evaluator over templates that nobody trusts.
package main

import (
	"encoding/json"
	"errors"

	"reconciler.dev/renderers/boundary"
	"reconciler.dev/renderers/cue/definition"
)

func init() {
	boundary.Serve(map[string]boundary.Function{
		"check":        function(func(asked definition.CheckRequest) (any, error) { return definition.Check(asked), nil }),
		"walk":         function(func(asked definition.WalkRequest) (any, error) { return definition.Walk(asked) }),
		"render":       function(func(asked definition.RenderRequest) (any, error) { return definition.Render(asked) }),
		"file":         function(func(asked definition.FileRequest) (any, error) { return definition.TakeApart(asked), nil }),
		"judge":        function(func(asked definition.HealthRequest) (any, error) { return definition.Judge(asked), nil }),
		"check_status": function(func(asked definition.Status) (any, error) { return definition.CheckStatus(asked), nil }),
	})
	// The packages are read and compiled before the module is written down.
	if err := definition.Warm(); err != nil {
		panic(err)
	}
	boundary.Started()
}

func function[Request any](answer func(Request) (any, error)) boundary.Function {
	return func(input json.RawMessage, _ map[string][]byte) (any, error) {
		var asked Request
		if err := json.Unmarshal(input, &asked); err != nil {
			return nil, err
		}
		output, err := answer(asked)
		var problems definition.Problems
		if errors.As(err, &problems) {
			return nil, &boundary.Error{Message: problems.Error(), File: "template", Line: problems.Line()}
		}
		var misfit *definition.Misfit
		if errors.As(err, &misfit) {
			return nil, &boundary.Error{Message: misfit.Problems[0].Message, File: misfit.Place, Line: misfit.Problems.Line()}
		}
		return output, err
	}
}

func main() {}
