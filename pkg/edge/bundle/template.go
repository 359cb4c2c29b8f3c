package bundle

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// files are the starting points. A name that ends in .tmpl loses that when it is written: the Go tool would take go.mod
// and .go files here for its own.
//
//go:embed all:templates
var files embed.FS

// Template is a function to begin with.
type Template struct {
	Name  string   // "ts"
	About string   // one line
	Build []string // commands that make it deployable, in its folder; none: it is as it stands
}

// Templates returns the starting points, the simplest first.
func Templates() []Template {
	return []Template{
		{"js", "JavaScript, one file", nil},
		{"ts", "TypeScript with types for requests, the store and jobs", nil},
		{"hono", "TypeScript with the Hono router", []string{"npm install"}},
		{"go", "Go, http-wasm handler that stays loaded", []string{"make"}},
		{"go-wagi", "Go, a command run once per request", []string{"make"}},
		{"c", "C, http-wasm handler, no library needed", []string{"make"}},
		{"rust", "Rust, http-wasm handler", []string{"make"}},
		{"assemblyscript", "AssemblyScript, http-wasm handler", []string{"npm install", "npm run build"}},
	}
}

// WriteTemplate writes a template into dir for a function called name and returns the files, relative to dir and sorted.
// dir is made where it is missing. Where one of the files is there already nothing is written.
func WriteTemplate(dir, name, template string) ([]string, error) {
	if err := model.CheckName("app", name); err != nil {
		return nil, err
	}
	known := Templates()
	if !slices.ContainsFunc(known, func(t Template) bool { return t.Name == template }) {
		var names []string
		for _, t := range known {
			names = append(names, t.Name)
		}
		return nil, model.NotFound("there is no template %q", template).WithHint("choose %s", strings.Join(names, ", "))
	}
	content, err := render(name, template)
	if err != nil {
		return nil, err
	}
	var names, taken []string
	for f := range content {
		names = append(names, f)
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f))); err == nil {
			taken = append(taken, f)
		}
	}
	slices.Sort(names)
	slices.Sort(taken)
	if len(taken) > 0 {
		return nil, model.Conflict("%s has %s already", dir, strings.Join(taken, ", ")).
			WithHint("choose an empty folder: pandabox fn init %s", name)
	}
	for i, f := range names {
		if err := writeNew(filepath.Join(dir, filepath.FromSlash(f)), content[f]); err != nil {
			for _, made := range names[:i] {
				_ = os.Remove(filepath.Join(dir, filepath.FromSlash(made)))
			}
			return nil, err
		}
	}
	return names, nil
}

// render returns the files of a template by name.
func render(name, template string) (map[string][]byte, error) {
	root := path.Join("templates", template)
	out := map[string][]byte{}
	err := fs.WalkDir(files, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(p)
		if err != nil {
			return err
		}
		to := strings.TrimSuffix(strings.TrimPrefix(p, root+"/"), ".tmpl")
		out[to] = []byte(strings.ReplaceAll(string(text), "{{name}}", name))
		return nil
	})
	return out, err
}

// writeNew never touches a file that is there.
func writeNew(to string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("making the folder of %s: %w", to, err)
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("writing a template: %w", err)
	}
	if _, err = f.Write(content); err == nil {
		return f.Close()
	}
	return errors.Join(err, f.Close(), os.Remove(to))
}
