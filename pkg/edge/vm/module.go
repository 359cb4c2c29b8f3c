//go:build linux

package vm

import (
	"context"
	"slices"
	"sync"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
	"github.com/pandabox/pandabox/pkg/model"
)

// Module is a module that can be run. Its native code is in memory while it has instances, and some time after.
type Module struct {
	machine *Machine
	shared  *shared
	close   sync.Once
}

// Signature is the type of a function.
type Signature = fuel.Signature

// Compile makes a module ready. hosts are the names of the host modules it may import from: WASI, or what was registered.
// What cannot run here is a *model.Error of KindInvalid. Modules of equal bytes are one.
func (m *Machine) Compile(ctx context.Context, wasm []byte, hosts ...string) (*Module, error) {
	if err := checkBinary(wasm); err != nil {
		return nil, err
	}
	s := m.share(digestOf(wasm))
	if err := s.prepare(ctx, wasm); err != nil {
		m.unshare(ctx, s)
		return nil, err
	}
	if err := m.checkImports(s.meta.Imports, hosts); err != nil {
		m.unshare(ctx, s)
		return nil, err
	}
	return &Module{machine: m, shared: s}, nil
}

// Digest names the module: "sha256:…" of its bytes.
func (m *Module) Digest() string { return "sha256:" + m.shared.digest }

// Exports returns the exported functions. The map is not the caller's to change.
func (m *Module) Exports() map[string]Signature { return m.shared.meta.Exports }

// Imports tells whether the module imports a function of a host module, any where name is empty.
func (m *Module) Imports(host, name string) bool {
	return slices.ContainsFunc(m.shared.meta.Imports, func(i fuel.Import) bool {
		return i.Module == host && (name == "" || i.Name == name)
	})
}

// Memory is how many bytes of memory an instance begins with.
func (m *Module) Memory() int64 {
	if m.shared.meta.Memory == nil {
		return 0
	}
	return m.shared.meta.Memory.Min
}

// Restorable tells whether snapshots of its instances can be taken.
func (m *Module) Restorable() bool { return m.shared.meta.Restorable && m.shared.meta.Memory != nil }

// Close frees the module; its instances are closed before. What was compiled stays on disk.
func (m *Module) Close(ctx context.Context) error {
	m.close.Do(func() { m.machine.unshare(ctx, m.shared) })
	return nil
}

func checkBinary(wasm []byte) error {
	const component = "\x00asm\x0d\x00\x01\x00"
	switch {
	case len(wasm) >= len(component) && string(wasm[:len(component)]) == component:
		return model.Invalid("this is a WASM component, and functions run core modules").
			WithWhy("the component model and wasi-http need a host that pandabox does not have").
			WithHint("build for WASI preview 1 (wasm32-wasip1), or use the http-wasm handler ABI")
	case len(wasm) < 8 || string(wasm[:4]) != component[:4]:
		return model.Invalid("this is not a WASM module").WithHint("upload the .wasm file that your compiler writes")
	}
	return nil
}

// checkImports refuses what no host module offers to this module.
func (m *Machine) checkImports(imports []fuel.Import, hosts []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, i := range imports {
		refused := model.Invalid("the WASM module imports %s.%s, which functions do not have", i.Module, i.Name)
		if !slices.Contains(hosts, i.Module) {
			return refused.WithHint("functions may import %v: build for WASI preview 1 (wasm32-wasip1)", hosts)
		}
		f, ok := m.hosts[i.Module][i.Name]
		switch {
		case !ok:
			return refused.WithHint("the host has %s, but not that function of it", i.Module)
		case string(f.Params) != string(i.Params) || string(f.Results) != string(i.Results):
			return refused.WithWhy("the host's function has other parameters or results").
				WithHint("build it with the current headers or library of %s", i.Module)
		}
	}
	return nil
}
