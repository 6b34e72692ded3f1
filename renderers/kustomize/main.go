// Kustomize, over files that the host hands in: an overlay's folder and everything that it may refer to.
package main

import (
	"encoding/json"
	"fmt"
	"path"

	"reconciler.dev/renderers/boundary"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Input: `path` is the overlay's folder; `files` has every file by its path, in base64. Paths are relative to the repository's top.
type Input struct {
	Path  string            `json:"path"`
	Files map[string][]byte `json:"files"`
}

func init() {
	boundary.Serve(map[string]boundary.Function{"build": build})
}

func main() {}

// build answers {"objects": [...]} in the order of `kustomize build`.
func build(message json.RawMessage) (any, error) {
	var input Input
	if err := json.Unmarshal(message, &input); err != nil {
		return nil, err
	}
	disk := filesys.MakeFsInMemory()
	for name, data := range input.Files {
		if err := disk.WriteFile(path.Join("/", name), data); err != nil {
			return nil, fmt.Errorf("the file %s: %w", name, err)
		}
	}
	// As `kustomize build` without flags: files of the overlay's own folder alone, no plug-ins, no Helm, its order of kinds.
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	made, err := krusty.MakeKustomizer(options).Run(disk, path.Join("/", input.Path))
	if err != nil {
		return nil, err
	}
	objects := make([]json.RawMessage, 0, made.Size())
	for _, resource := range made.Resources() {
		object, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return map[string]any{"objects": objects}, nil
}
