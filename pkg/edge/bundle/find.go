package bundle

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// findMain returns the main file of the function in dir, relative to it and with slashes.
func findMain(dir string, o Options) (string, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", model.NotFound("there is no folder %s", dir).WithHint("run this in the folder of the function")
	}
	if o.Main != "" {
		return checkMain(dir, filepath.ToSlash(o.Main))
	}
	if o.Runtime == "" || o.Runtime == model.RuntimeJS {
		if name, err := findScript(dir); name != "" || err != nil {
			return name, err
		}
	}
	if o.Runtime != model.RuntimeJS {
		if name, err := findModule(dir); name != "" || err != nil {
			return name, err
		}
	}
	return "", model.NotFound("there is no function in %s", dir).
		WithWhy("looked for src/index.*, index.* (ts, tsx, js, jsx, mjs, mts), package.json's main, main.wasm and *.wasm").
		WithHint("`pandabox fn init` writes one to begin with; or name the file: main = \"app.ts\" under [function] in pandabox.toml")
}

func extensions() []string {
	return []string{".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs", ".cts"}
}

func isWASM(name string) bool   { return strings.EqualFold(path.Ext(name), ".wasm") }
func isScript(name string) bool { return slices.Contains(extensions(), path.Ext(name)) }

func checkMain(dir, name string) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(clean) || !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", model.Invalid("main %q is outside of the function's folder", name).WithHint("name it relative to %s", dir)
	}
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(clean)))
	switch {
	case errors.Is(err, fs.ErrNotExist) && isWASM(clean):
		return "", model.NotFound("there is no %s", name).WithWhy("main names it").WithHint("build it first: make, or the command of your toolchain")
	case errors.Is(err, fs.ErrNotExist):
		return "", model.NotFound("there is no %s", name).WithWhy("main names it").WithHint("correct main under [function] in pandabox.toml")
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", model.Invalid("%s is not a file", name).WithHint("name the file itself: main = %q", path.Join(clean, "index.ts"))
	case !isWASM(clean) && !isScript(clean):
		return "", model.Invalid("%s is of no kind that runs as a function", name).
			WithHint("JavaScript and TypeScript end in %s; other languages are built to a .wasm file", strings.Join(extensions(), ", "))
	}
	return clean, nil
}

func findScript(dir string) (string, error) {
	for _, below := range []string{"src", ""} {
		for _, ext := range extensions()[:6] {
			if name := path.Join(below, "index"+ext); isFile(dir, name) {
				return name, nil
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", nil //nolint:nilerr // no package.json, no main in it
	}
	var pkg struct{ Main, Module string }
	if err := json.Unmarshal(text, &pkg); err != nil {
		return "", model.Invalid("package.json cannot be read").WithWhy("%s", err).WithHint("correct it")
	}
	for _, name := range []string{pkg.Module, pkg.Main} {
		if name != "" && isScript(name) {
			return checkMain(dir, name)
		}
	}
	return "", nil
}

func findModule(dir string) (string, error) {
	if isFile(dir, "main.wasm") {
		return "main.wasm", nil
	}
	found, err := filepath.Glob(filepath.Join(escape(dir), "*.wasm"))
	if err != nil {
		return "", err
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return checkMain(dir, found[0])
	}
	return "", model.Invalid("there are %d WASM files", len(found)).WithWhy("%s", strings.Join(found, ", ")).
		WithHint("say which one it is: main = %q under [function] in pandabox.toml", found[0])
}

// escape makes a folder's name match itself only.
func escape(dir string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]", `\`, `[\\]`).Replace(dir)
}

func isFile(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
	return err == nil && info.Mode().IsRegular()
}
