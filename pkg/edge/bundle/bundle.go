// Package bundle makes the one file a function is uploaded as, and reads it on the other side.
//
// A bundle is a tar file of function.json ({"runtime","main"}), the main file (main.js, one ECMAScript module, or
// main.wasm) and main.js.map. Equal sources make equal bytes: the digest of a bundle is its name.
package bundle

import (
	"context"
	"os"
	"path/filepath"

	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Options say how a folder is bundled. The zero value finds everything out.
type Options struct {
	Main    string                // relative to the folder: "src/index.ts"; "": found
	Runtime model.FunctionRuntime // "": found
	Within  string                // absolute, without links in it: only files below it are read; "": any
}

// Bundle is a function ready to be uploaded, or as it was uploaded.
type Bundle struct {
	Runtime   model.FunctionRuntime
	Main      []byte // one ECMAScript module, or a WASM module
	SourceMap []byte // of Main; nil where there is none
	Digest    string // "sha256:…" of the tar file
	Size      int64  // bytes of the tar file

	// Of a bundle that was made here, for those who watch.
	Source   string   // the main file, relative to the folder
	Inputs   []string // absolute paths of all files it was made of, sorted
	Warnings []string // "src/index.ts:3:7: …": what is probably not meant
}

// Model returns what of b is told to others.
func (b *Bundle) Model() model.Bundle {
	return model.Bundle{Digest: b.Digest, Size: b.Size, Runtime: b.Runtime}
}

// Build bundles the function in dir. What is wrong with the sources is a *model.Error with the place in its What.
func Build(ctx context.Context, dir string, o Options) (*Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	source, err := findMain(dir, o)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Source: source}
	if isWASM(source) {
		err = b.readWASM(dir, o.Runtime)
	} else {
		err = b.buildJS(ctx, dir, o)
	}
	if err != nil {
		return nil, err
	}
	return b, b.seal()
}

func (b *Bundle) readWASM(dir string, runtime model.FunctionRuntime) (err error) {
	path := filepath.Join(dir, filepath.FromSlash(b.Source))
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > model.MaxFunctionBundle {
		return tooLarge(info.Size())
	}
	if b.Main, err = os.ReadFile(path); err != nil {
		return err
	}
	b.Inputs = []string{path}
	switch runtime {
	case "":
		b.Runtime, err = wasm.Detect(b.Source, b.Main)
		return err
	case model.RuntimeHTTPWasm, model.RuntimeWAGI:
		b.Runtime = runtime
		return wasm.Check(b.Source, b.Main, runtime)
	case model.RuntimeJS:
		return model.Invalid("%s is a WASM module and the runtime is js", b.Source).
			WithHint(`leave runtime out, or set main to a .js or .ts file`)
	}
	return unknownRuntime(runtime)
}

func unknownRuntime(r model.FunctionRuntime) error {
	return model.Invalid("%q is not a runtime of functions", r).WithHint("choose js, http-wasm or wagi")
}

func tooLarge(size int64) error {
	e := model.Errorf(model.KindTooLarge, "the function is larger than %d MB", model.MaxFunctionBundle>>20)
	if size > 0 {
		e = e.WithWhy("it has %d bytes", size)
	}
	return e.WithHint("leave debug information and unused packages out; big files belong into the key-value store or a volume of another app")
}
