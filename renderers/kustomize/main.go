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

// Input: `path` is the overlay's folder. It and those of the files are relative to the repository's top.
type Input struct {
	Path string `json:"path"`
}

func init() {
	boundary.Serve(map[string]boundary.Function{"build": build})
	// What Kustomize makes once and keeps, the schemas of Kubernetes' kinds above all, is made before the module is written down.
	warm := map[string][]byte{
		"x/kustomization.yaml": []byte("resources: [a.yaml]\nnamePrefix: x-\npatches: [{path: p.yaml}]\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n"),
		"x/a.yaml":             []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n"),
		"x/p.yaml":             []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: c}]}}}\n"),
	}
	if _, err := build(json.RawMessage(`{"path": "x"}`), warm); err != nil {
		panic(err)
	}
	boundary.Started()
}

func main() {}

// build answers {"objects": [...]} in the order of `kustomize build`.
func build(message json.RawMessage, files map[string][]byte) (any, error) {
	var input Input
	if err := json.Unmarshal(message, &input); err != nil {
		return nil, err
	}
	disk := filesys.MakeFsInMemory()
	for name, data := range files {
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
