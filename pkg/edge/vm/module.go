//go:build linux

package vm

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/pandabox/pandabox/pkg/model"
)

// Module is a compiled module. It costs little until it has instances.
type Module struct {
	machine *Machine
	shared  *shared
	once    sync.Once
}

// shared is what modules of equal bytes have in common.
type shared struct {
	compiled wazero.CompiledModule
}

// Compile makes a module ready. hosts are the names of the host modules it may import from, WASI or what was registered.
// What cannot run here is a *model.Error of KindInvalid.
func (m *Machine) Compile(ctx context.Context, wasm []byte, hosts ...string) (*Module, error) {
	if err := checkBinary(wasm); err != nil {
		return nil, err
	}
	compiled, err := m.runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, model.Invalid("the WASM module cannot be compiled").WithWhy("%s", err).Wrap(err)
	}
	allowed := map[string]bool{}
	for _, h := range hosts {
		allowed[h] = true
	}
	for _, f := range compiled.ImportedFunctions() {
		mod, name, _ := f.Import()
		if !allowed[mod] {
			_ = compiled.Close(ctx)
			return nil, model.Invalid("the WASM module imports %s.%s, which functions do not have", mod, name).
				WithHint("build it for WASI preview 1 or for the http-wasm handler ABI")
		}
	}
	return &Module{machine: m, shared: &shared{compiled: compiled}}, nil
}

// Signature is the type of a function.
type Signature struct{ Params, Results []ValueType }

// Exports returns the functions that the module exports.
func (m *Module) Exports() map[string]Signature {
	found := map[string]Signature{}
	for name, f := range m.shared.compiled.ExportedFunctions() {
		found[name] = signature(f)
	}
	return found
}

// Imports tells whether the module imports the function.
func (m *Module) Imports(host, name string) bool {
	for _, f := range m.shared.compiled.ImportedFunctions() {
		if mod, n, _ := f.Import(); mod == host && n == name {
			return true
		}
	}
	return false
}

// Close frees the module; its instances are closed before.
func (m *Module) Close(ctx context.Context) error {
	var err error
	m.once.Do(func() { err = m.shared.compiled.Close(ctx) })
	if err != nil {
		return fmt.Errorf("closing a module: %w", err)
	}
	return nil
}

func signature(f api.FunctionDefinition) Signature {
	return Signature{Params: f.ParamTypes(), Results: f.ResultTypes()}
}

func checkBinary(wasm []byte) error {
	switch {
	case bytes.HasPrefix(wasm, []byte("\x00asm\x0d\x00\x01\x00")):
		return model.Invalid("this is a WASM component, and functions run core modules").
			WithWhy("the component model and wasi-http need a host that pandabox does not have").
			WithHint("build for WASI preview 1 (wasm32-wasip1), or use the http-wasm handler ABI")
	case !bytes.HasPrefix(wasm, []byte("\x00asm")):
		return model.Invalid("this is not a WASM module").WithHint("upload the .wasm file that your compiler writes")
	}
	return nil
}
