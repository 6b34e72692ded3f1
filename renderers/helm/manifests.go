package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"reconciler.dev/renderers/boundary"
	"sigs.k8s.io/yaml"
)

// moments are the events of a hook, by what an annotation may call them.
var moments = map[string]string{
	"pre-install": "pre-install", "post-install": "post-install", "pre-upgrade": "pre-upgrade", "post-upgrade": "post-upgrade",
	"pre-rollback": "pre-rollback", "post-rollback": "post-rollback", "pre-delete": "pre-delete", "post-delete": "post-delete",
	"test": "test", "test-success": "test",
}

// ranks are the kinds in Helm's order of installation.
var ranks = func() map[string]int {
	found := map[string]int{}
	for rank, kind := range releaseutil.InstallOrder {
		found[kind] = rank
	}
	return found
}()

// document is one of a rendered file.
type document struct {
	path   string
	head   releaseutil.SimpleHead
	object json.RawMessage
}

// sorted takes the rendered files apart, and brings them in order, as Helm's SortManifests does. That one reads each document for its head
// alone, and makes a table of all kinds for each comparison; here a document is read once.
func sorted(input *Input, loaded *chart.Chart, files map[string]string) (*Output, error) {
	output := &Output{
		Chart: Chart{loaded.Metadata.Name, loaded.Metadata.Version, loaded.Metadata.AppVersion},
		CRDs:  []Manifest{}, Manifests: []Manifest{}, Hooks: []Hook{},
	}
	if input.IncludeCRDs {
		if err := addCRDs(output, loaded); err != nil {
			return nil, err
		}
	}
	documents, err := read(files)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(documents, compare)
	for _, found := range documents {
		types, hooked := annotations(found.head)["helm.sh/hook"]
		switch {
		case !hooked && string(found.object) != "null":
			output.Manifests = append(output.Manifests, Manifest{Path: found.path, Objects: []json.RawMessage{found.object}})
		case hooked && !input.SkipHooks:
			if events := known(types); len(events) > 0 {
				output.Hooks = append(output.Hooks, hook(found, events))
			}
		}
	}
	return output, nil
}

// read are the documents of all files but partials and notes, in the order of the files' names.
func read(files map[string]string) ([]document, error) {
	var found []document
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, "NOTES.txt") || strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		for _, text := range split(files[name]) {
			one, err := decode(name, text)
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
	}
	return found, nil
}

// decode reads one document. What is no text where Helm wants one, such as a weight without quotes, is read as Helm reads it.
func decode(file, text string) (document, error) {
	found := document{path: file}
	var unread error
	if found.object, unread = yaml.YAMLToJSON([]byte(text)); unread == nil && json.Unmarshal(found.object, &found.head) == nil {
		return found, nil
	}
	found.head = releaseutil.SimpleHead{}
	if err := yaml.Unmarshal([]byte(text), &found.head); err != nil {
		unread = err
	}
	if unread != nil {
		return found, &boundary.Error{Message: fmt.Sprintf("YAML parse error on %s: %v", file, unread), File: file}
	}
	return found, nil
}

// compare puts the kinds that Helm knows first, in its order, and the others by their names.
func compare(one, other document) int {
	first, known := ranks[one.head.Kind]
	second, also := ranks[other.head.Kind]
	switch {
	case known && also:
		return first - second
	case known:
		return -1
	case also:
		return 1
	default:
		return cmp.Compare(one.head.Kind, other.head.Kind)
	}
}

func annotations(head releaseutil.SimpleHead) map[string]string {
	if head.Metadata == nil {
		return nil
	}
	return head.Metadata.Annotations
}

// known are a hook's events; none where one of them is unknown: Helm leaves such a document out.
func known(types string) []string {
	var events []string
	for _, name := range words(types) {
		event, is := moments[name]
		if !is {
			return nil
		}
		events = append(events, event)
	}
	return events
}

func hook(found document, events []string) Hook {
	said := annotations(found.head)
	weight, err := strconv.Atoi(said["helm.sh/hook-weight"])
	if err != nil {
		weight = 0
	}
	policies := []string{}
	if text, is := said["helm.sh/hook-delete-policy"]; is {
		policies = words(text)
	}
	return Hook{Path: found.path, Events: events, Weight: weight, DeletePolicies: policies, Object: found.object}
}

// words are those of a list in an annotation.
func words(text string) []string {
	var found []string
	for word := range strings.SplitSeq(text, ",") {
		found = append(found, strings.ToLower(strings.TrimSpace(word)))
	}
	return found
}

// addCRDs appends the objects of the chart's crds folder, file by file; documents that hold nothing are left out.
func addCRDs(output *Output, loaded *chart.Chart) error {
	for _, crd := range loaded.CRDObjects() {
		made := Manifest{Path: crd.Filename}
		for _, text := range split(string(crd.File.Data)) {
			object, err := yaml.YAMLToJSON([]byte(text))
			if err != nil {
				return &boundary.Error{Message: fmt.Sprintf("%s is no YAML: %v", crd.Filename, err), File: crd.Filename}
			}
			if string(object) != "null" {
				made.Objects = append(made.Objects, object)
			}
		}
		if len(made.Objects) > 0 {
			output.CRDs = append(output.CRDs, made)
		}
	}
	return nil
}

// split are the documents of a file, in its order.
func split(content string) []string {
	parts := releaseutil.SplitManifests(content)
	keys := slices.Collect(maps.Keys(parts))
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	found := make([]string, 0, len(keys))
	for _, key := range keys {
		found = append(found, parts[key])
	}
	return found
}
