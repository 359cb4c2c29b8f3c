package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// The modules a guest may import.
const (
	HTTPHandler = "http_handler"           // the http-wasm handler ABI
	WASI        = "wasi_snapshot_preview1" // WASI 0.1
	KV          = "pandabox_kv"            // the environment's key-value store
	HTTP        = "pandabox_http"          // outbound requests
	Job         = "pandabox_job"           // the job that is due
)

// What a guest exports.
const (
	HandleRequest   = "handle_request"   // http-wasm
	HandleResponse  = "handle_response"  // http-wasm
	HandleScheduled = "handle_scheduled" // http-wasm, optional: jobs
	Initialize      = "_initialize"      // of a reactor, optional
	Start           = "_start"           // of a command
)

const component = "build a core module instead: target wasm32-wasi (WASI 0.1) with the http-wasm handler ABI, or a command for WAGI; " +
	"see docs/functions-wasm.md"

// Detect says which runtime a WASM file is made for, and refuses one that is made for none as Check does. name is what
// errors call the file.
func Detect(name string, file []byte) (model.FunctionRuntime, error) {
	m, err := inspect(name, file)
	if err != nil {
		return "", err
	}
	_, handler := m.Export(HandleRequest, Func)
	_, command := m.Export(Start, Func)
	switch {
	case handler:
		return model.RuntimeHTTPWasm, m.check(name, model.RuntimeHTTPWasm)
	case command:
		return model.RuntimeWAGI, m.check(name, model.RuntimeWAGI)
	}
	// What it wants says more than what it lacks: a module of another host has neither export.
	if err := m.checkImports(name, append(modules(model.RuntimeHTTPWasm), WASI)); err != nil {
		return "", err
	}
	return "", model.Invalid("%s is not a function", name).
		WithWhy("it exports %s; wanted is %s (http-wasm) or %s (WAGI)", m.exported(), HandleRequest, Start).
		WithHint("export %s() -> i64 and %s(i32, i32), or build a WASI command; `pandabox fn init` has an example of each", HandleRequest, HandleResponse)
}

// Check refuses, with a *model.Error, a file that the runtime cannot run.
func Check(name string, file []byte, runtime model.FunctionRuntime) error {
	m, err := inspect(name, file)
	if err != nil {
		return err
	}
	return m.check(name, runtime)
}

func inspect(name string, file []byte) (*Module, error) {
	m, err := Inspect(file)
	switch {
	case errors.Is(err, ErrComponent):
		return nil, model.Invalid("%s is a WebAssembly component", name).
			WithWhy("components (WASI 0.2 and later) do not run here; core modules do").WithHint(component)
	case errors.Is(err, ErrNotWASM):
		return nil, model.Invalid("%s is not a WASM module", name).WithWhy("%s", err).
			WithHint("give the binary your compiler makes; for text use `wat2wasm`")
	case err != nil:
		return nil, model.Invalid("%s is not a WASM module", name).WithWhy("%s", err).WithHint("build it again; the file may be cut off")
	}
	return m, nil
}

func (m *Module) check(name string, runtime model.FunctionRuntime) error {
	if err := m.checkImports(name, modules(runtime)); err != nil {
		return err
	}
	want := []Export{{Start, Func, "() -> nothing"}}
	if runtime == model.RuntimeHTTPWasm {
		want = []Export{{HandleRequest, Func, "() -> i64"}, {HandleResponse, Func, "(i32, i32) -> nothing"}}
		if e, ok := m.Export(HandleScheduled, Func); ok && e.Type != "() -> i32" {
			want = append(want, Export{HandleScheduled, Func, "() -> i32"})
		}
	}
	for _, w := range want {
		e, ok := m.Export(w.Name, w.Kind)
		if !ok {
			return model.Invalid("%s does not export %s", name, w.Name).
				WithWhy("a function of runtime %s needs it; the module exports %s", runtime, m.exported()).
				WithHint("export %s %s", w.Name, w.Type)
		}
		if e.Type != w.Type {
			return model.Invalid("%s exports %s %s", name, w.Name, e.Type).WithWhy("wanted is %s", w.Type).
				WithHint("export %s %s", w.Name, w.Type)
		}
	}
	if _, ok := m.Export("memory", Memory); !ok {
		return model.Invalid("%s does not export its memory", name).WithWhy("the host reads and writes requests there").
			WithHint("export it under the name memory; linkers do so unless told otherwise")
	}
	return nil
}

func modules(runtime model.FunctionRuntime) []string {
	if runtime == model.RuntimeHTTPWasm {
		return []string{HTTPHandler, WASI, KV, HTTP, Job}
	}
	return []string{WASI, KV, HTTP, Job}
}

func (m *Module) checkImports(name string, known []string) error {
	var foreign []string
	for _, i := range m.Imports {
		what := i.Module + "." + i.Name
		switch {
		case i.Kind == Func && slices.Contains(known, i.Module):
		case i.Kind == Func:
			foreign = append(foreign, what)
		case i.Module == "env" && i.Kind == Memory:
			return model.Invalid("%s imports its memory", name).WithWhy("it has to bring its own").
				WithHint("link without --import-memory")
		default:
			return model.Invalid("%s imports the %s %s", name, i.Kind, what).WithWhy("only functions can be imported").
				WithHint("build it as a module that stands alone, not as one to be linked at run time")
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return model.Invalid("%s imports %s", name, some(foreign)).
		WithWhy("functions may import from %s", strings.Join(known, ", ")).WithHint("%s", advice(foreign[0]))
}

// advice knows the hosts that modules are commonly built for.
func advice(foreign string) string {
	from, what, _ := strings.Cut(foreign, ".")
	switch {
	case strings.HasPrefix(from, "wasi:"):
		return component
	case from == "wasi_unstable" || strings.HasPrefix(from, "wasi_snapshot_preview"):
		return "build for WASI 0.1 (wasi_snapshot_preview1) with a current toolchain"
	case from == "gojs" || from == "go":
		return "this is Go for browsers: build with GOOS=wasip1 GOARCH=wasm"
	case from == "wbg" || strings.HasPrefix(from, "__wbindgen"):
		return "wasm-bindgen needs a JavaScript host: build without it, for wasm32-wasi"
	case from == HTTPHandler:
		return "a command has no http_handler: leave out _start and export handle_request, or set runtime = \"http-wasm\""
	case from == "env" && what == "abort":
		return "with AssemblyScript give your own abort: asc --use abort=assembly/index/abort; `pandabox fn init --template assemblyscript` shows how"
	case from == "env" && strings.HasPrefix(what, "emscripten"), from == "a":
		return "this is Emscripten's JavaScript output: build with -sSTANDALONE_WASM, or with clang --target=wasm32-wasi"
	case from == "env":
		return "a function was declared and never defined: link it in, or import it from one of these modules"
	}
	return "build it for WASI 0.1 or the http-wasm handler ABI; see docs/functions-wasm.md"
}

func (m *Module) exported() string {
	var names []string
	for _, e := range m.Exports {
		if e.Kind == Func {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 {
		return "no functions"
	}
	return some(names)
}

func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}
