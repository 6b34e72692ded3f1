// Helm's engine, over a chart that the host hands in. What it answers is what `helm template` would print, taken apart.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/ignore"
	"reconciler.dev/renderers/boundary"
)

// Input: the chart's files stand beside it by their path in its folder, or packed as the one that `packed` names. Values are those of the user.
type Input struct {
	Packed string         `json:"packed"`
	Values map[string]any `json:"values"`
	// Files of the chart with values, each over those before it; all of them under Values.
	ValuesFiles []string `json:"values_files"`
	Release     struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Revision  int    `json:"revision"`
		IsInstall *bool  `json:"isInstall"`
	} `json:"release"`
	Capabilities struct {
		KubeVersion string   `json:"kubeVersion"`
		APIVersions []string `json:"apiVersions"`
	} `json:"capabilities"`
	IncludeCRDs bool `json:"include_crds"`
	SkipHooks   bool `json:"skip_hooks"`
}

// Manifest is one document of a rendered template.
type Manifest struct {
	Path    string            `json:"path"`
	Objects []json.RawMessage `json:"objects"`
}

// Hook is an object that Helm would apply at a moment of its own.
type Hook struct {
	Path           string          `json:"path"`
	Events         []string        `json:"events"`
	Weight         int             `json:"weight"`
	DeletePolicies []string        `json:"deletePolicies"`
	Object         json.RawMessage `json:"object"`
}

// Output: everything in Helm's order of installation.
type Output struct {
	Chart     Chart      `json:"chart"`
	CRDs      []Manifest `json:"crds"`
	Manifests []Manifest `json:"manifests"`
	Hooks     []Hook     `json:"hooks"`
}

// Chart is which one it was.
type Chart struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
}

func init() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	boundary.Serve(map[string]boundary.Function{"template": render})
	// What the libraries make once and keep is made before the module is written down.
	warm := map[string][]byte{
		"Chart.yaml":       []byte("apiVersion: v2\nname: warm\nversion: 0.1.0\n"),
		"templates/a.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {{ .Values | toYaml | quote }}}\n"),
	}
	if _, err := render(json.RawMessage("{}"), warm); err != nil {
		panic(err)
	}
	boundary.Started()
}

func main() {}

func render(message json.RawMessage, files map[string][]byte) (any, error) {
	var input Input
	if err := json.Unmarshal(message, &input); err != nil {
		return nil, err
	}
	loaded, err := load(&input, files)
	if err != nil {
		return nil, err
	}
	capabilities, err := capable(&input, loaded)
	if err != nil {
		return nil, err
	}
	values, err := merged(&input, loaded)
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(loaded, values); err != nil {
		return nil, fmt.Errorf("the chart's dependencies: %w", err)
	}
	installs := input.Release.IsInstall == nil || *input.Release.IsInstall
	all, err := util.ToRenderValues(loaded, values, common.ReleaseOptions{
		Name: input.Release.Name, Namespace: input.Release.Namespace, Revision: max(input.Release.Revision, 1),
		IsInstall: installs, IsUpgrade: !installs,
	}, capabilities)
	if err != nil {
		return nil, err
	}
	templates := engine.Engine{CustomTemplateFuncs: refused()}
	rendered, err := templates.RenderWithContext(context.Background(), loaded, all)
	if err != nil {
		return nil, placed(err)
	}
	return sorted(&input, loaded, rendered)
}

// load reads the chart, and checks what `helm template` checks of it.
func load(input *Input, contents map[string][]byte) (*chart.Chart, error) {
	var loaded *chart.Chart
	var err error
	if input.Packed != "" {
		loaded, err = loader.LoadArchive(bytes.NewReader(contents[input.Packed]))
	} else {
		var files []*archive.BufferedFile
		if files, err = buffered(contents); err == nil {
			loaded, err = loader.LoadFiles(files)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the chart can't be read: %w", err)
	}
	if version := loaded.Metadata.APIVersion; version != chart.APIVersionV1 && version != chart.APIVersionV2 {
		return nil, fmt.Errorf("Chart.yaml: apiVersion %q is none of a chart: v1 or v2", version)
	}
	if kind := loaded.Metadata.Type; kind != "" && kind != "application" {
		return nil, fmt.Errorf("a chart of type %s is not installable", kind)
	}
	present := map[string]bool{}
	for _, dependency := range loaded.Dependencies() {
		present[dependency.Name()] = true
	}
	var missing []string
	for _, dependency := range loaded.Metadata.Dependencies {
		if !present[dependency.Name] {
			missing = append(missing, dependency.Name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("Chart.yaml names dependencies that are not in charts/: %s", strings.Join(missing, ", "))
	}
	return loaded, nil
}

// merged are the user's values.
func merged(input *Input, loaded *chart.Chart) (map[string]any, error) {
	values := map[string]any{}
	for _, name := range input.ValuesFiles {
		at := slices.IndexFunc(loaded.Raw, func(file *common.File) bool { return file.Name == path.Clean(name) })
		if at < 0 {
			return nil, &boundary.Error{Message: fmt.Sprintf("the chart has no file %s", name), File: name}
		}
		more, err := loader.LoadValues(bytes.NewReader(loaded.Raw[at].Data))
		if err != nil {
			return nil, &boundary.Error{Message: fmt.Sprintf("%s: %v", name, err), File: name}
		}
		values = loader.MergeMaps(values, more)
	}
	return loader.MergeMaps(values, input.Values), nil
}

// buffered hands the files on in an order that does not change, without those that .helmignore names.
func buffered(files map[string][]byte) ([]*archive.BufferedFile, error) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	found := make([]*archive.BufferedFile, 0, len(names))
	rules, err := ignored(files[".helmignore"])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !rules(name) {
			found = append(found, &archive.BufferedFile{Name: name, Data: bytes.TrimPrefix(files[name], []byte("\xef\xbb\xbf"))})
		}
	}
	return found, nil
}

// ignored are the rules of a .helmignore; a file is left out with its folder, too.
func ignored(text []byte) (func(string) bool, error) {
	rules, err := ignore.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf(".helmignore: %w", err)
	}
	rules.AddDefaults()
	return func(name string) bool {
		for end, letter := range name {
			if letter == '/' && rules.Ignore(name[:end], entry{name: path.Base(name[:end]), folder: true}) {
				return true
			}
		}
		return rules.Ignore(name, entry{name: path.Base(name)})
	}, nil
}

// entry is what the rules ask of a file that is in no file system.
type entry struct {
	name   string
	folder bool
}

func (e entry) Name() string       { return e.name }
func (e entry) Size() int64        { return 0 }
func (e entry) Mode() fs.FileMode  { return 0 }
func (e entry) ModTime() time.Time { return time.Time{} }
func (e entry) IsDir() bool        { return e.folder }
func (e entry) Sys() any           { return nil }

func capable(input *Input, loaded *chart.Chart) (*common.Capabilities, error) {
	capabilities := common.DefaultCapabilities.Copy()
	if input.Capabilities.KubeVersion != "" {
		version, err := common.ParseKubeVersion(input.Capabilities.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("the Kubernetes version %q: %w", input.Capabilities.KubeVersion, err)
		}
		capabilities.KubeVersion = *version
	}
	if len(input.Capabilities.APIVersions) > 0 { // those of a cluster, and nothing that it does not serve
		capabilities.APIVersions = input.Capabilities.APIVersions
	}
	if wanted := loaded.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, capabilities.KubeVersion.String()) {
		return nil, fmt.Errorf("chart requires kubeVersion: %s which is incompatible with Kubernetes %s", wanted, capabilities.KubeVersion.Version)
	}
	return capabilities, nil
}

// refused are the functions that would answer wrongly here. Randomness follows from the input, so a key made of it is known to all who
// know the input; and it must be the same in every call, which the runtime's own random numbers are not.
func refused() template.FuncMap {
	functions := template.FuncMap{
		"randInt": func(from, to int) (int, error) {
			if to <= from {
				return 0, errors.New("randInt: the second number must be larger than the first")
			}
			number, err := rand.Int(rand.Reader, big.NewInt(int64(to-from)))
			if err != nil {
				return 0, err
			}
			return from + int(number.Int64()), nil
		},
		"shuffle": func(text string) (string, error) {
			letters := []rune(text)
			for last := len(letters) - 1; last > 0; last-- {
				number, err := rand.Int(rand.Reader, big.NewInt(int64(last+1)))
				if err != nil {
					return "", err
				}
				other := int(number.Int64())
				letters[last], letters[other] = letters[other], letters[last]
			}
			return string(letters), nil
		},
	}
	for _, name := range []string{"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey"} {
		functions[name] = func(...any) (any, error) {
			return nil, fmt.Errorf("%s is off: a key that a template makes would follow from the repository; make it outside, and name its Secret", name)
		}
	}
	return functions
}

var place = regexp.MustCompile(`([^\s()"<>]+\.(?:ya?ml|tpl|txt|json)):(\d+)`)

// placed finds file and line in what the engine says; the last place is the innermost.
func placed(err error) error {
	failure := &boundary.Error{Message: err.Error()}
	if found := place.FindAllStringSubmatch(failure.Message, -1); found != nil {
		last := found[len(found)-1]
		failure.File = last[1]
		failure.Line, _ = strconv.Atoi(last[2])
	}
	return failure
}
