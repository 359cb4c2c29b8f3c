package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/pandabox/pandabox/pkg/model"
)

const (
	mainJS = "main.js"
	mapJS  = "main.js.map"
)

// buildJS bundles the sources to one module. Nothing is minified: an error names functions as their author did, and the
// engine does not care.
func (b *Bundle) buildJS(ctx context.Context, dir string, o Options) error {
	switch o.Runtime {
	case "", model.RuntimeJS:
		b.Runtime = model.RuntimeJS
	case model.RuntimeHTTPWasm, model.RuntimeWAGI:
		return model.Invalid("%s is JavaScript and the runtime is %s", b.Source, o.Runtime).
			WithHint("leave runtime out, or set main to a .wasm file")
	default:
		return unknownRuntime(o.Runtime)
	}
	how := options(dir, b.Source)
	if o.Within != "" {
		how.Plugins = []api.Plugin{within(o.Within)}
	}
	build, fault := api.Context(how)
	if fault != nil {
		return describe(fault.Errors)
	}
	defer build.Dispose()
	stop := context.AfterFunc(ctx, build.Cancel)
	defer stop()
	result := build.Rebuild()
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(result.Errors) > 0 {
		return describe(result.Errors)
	}
	for _, f := range result.OutputFiles {
		switch filepath.Base(f.Path) {
		case mainJS:
			b.Main = f.Contents
		case mapJS:
			b.SourceMap = f.Contents
		}
	}
	for _, w := range result.Warnings {
		b.Warnings = append(b.Warnings, place(w)+w.Text)
	}
	return b.readMetafile(dir, result.Metafile)
}

// within keeps files from being read that are not below a folder, and what is no file at all.
func within(tree string) api.Plugin {
	return api.Plugin{Name: "within", Setup: func(b api.PluginBuild) {
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: "file"}, func(f api.OnLoadArgs) (api.OnLoadResult, error) {
			at, err := filepath.EvalSymlinks(f.Path)
			if err != nil {
				return api.OnLoadResult{}, err
			}
			info, err := os.Stat(at)
			rel, out := filepath.Rel(tree, at)
			if err != nil || out != nil || !filepath.IsLocal(rel) || !info.Mode().IsRegular() {
				return api.OnLoadResult{}, errors.New("a file is imported that is not in the source")
			}
			return api.OnLoadResult{}, nil // as without the plugin
		})
	}}
}

func options(dir, main string) api.BuildOptions {
	return api.BuildOptions{
		LogLevel:       api.LogLevelSilent,
		LogLimit:       20,
		AbsWorkingDir:  dir,
		EntryPoints:    []string{filepath.Join(dir, filepath.FromSlash(main))},
		Outfile:        filepath.Join(dir, mainJS), // nothing is written there; paths in the source map are relative to it
		Bundle:         true,
		Metafile:       true,
		Format:         api.FormatESModule,
		Target:         api.ES2023,
		Platform:       api.PlatformNeutral,
		Conditions:     []string{"worker", "browser"},
		MainFields:     []string{"browser", "module", "main"},
		Sourcemap:      api.SourceMapExternal,
		SourcesContent: api.SourcesContentExclude, // places are enough for the box; the text stays with its author
		TreeShaking:    api.TreeShakingTrue,
		LegalComments:  api.LegalCommentsNone,
		Charset:        api.CharsetUTF8,
		JSX:            api.JSXAutomatic,
		Define:         map[string]string{"process.env.NODE_ENV": `"production"`},
		Loader: map[string]api.Loader{
			".txt": api.LoaderText, ".html": api.LoaderText, ".md": api.LoaderText, ".sql": api.LoaderText, ".css": api.LoaderText,
			".wasm": api.LoaderBinary, ".bin": api.LoaderBinary,
		},
	}
}

// readMetafile takes the inputs from esbuild's account of the build, and sees that there is something to call.
func (b *Bundle) readMetafile(dir, text string) error {
	var meta struct {
		Inputs  map[string]json.RawMessage
		Outputs map[string]struct{ Exports []string }
	}
	if err := json.Unmarshal([]byte(text), &meta); err != nil {
		return err
	}
	for name := range meta.Inputs {
		if !strings.HasPrefix(name, "(disabled):") && !strings.HasPrefix(name, "<") {
			b.Inputs = append(b.Inputs, filepath.Join(dir, filepath.FromSlash(name)))
		}
	}
	slices.Sort(b.Inputs)
	if slices.Contains(meta.Outputs[mainJS].Exports, "default") {
		return nil
	}
	e := model.Invalid("%s has no default export", b.Source)
	if strings.Contains(string(b.Main), "addEventListener(\"fetch\"") {
		e = e.WithWhy("it listens for fetch events, which is the old form of a worker")
	}
	return e.WithHint(`export default { async fetch(request, env, ctx) { return new Response("hello") } }`)
}
