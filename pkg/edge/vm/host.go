//go:build linux

package vm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/pandabox/pandabox/pkg/edge/fuel"
)

// ValueType is the type of a parameter or result.
type ValueType = api.ValueType

// The types of parameters and results of host functions.
const (
	I32 = api.ValueTypeI32
	I64 = api.ValueTypeI64
	F32 = api.ValueTypeF32
	F64 = api.ValueTypeF64
)

// HostFunc is a function that guests may call.
type HostFunc struct {
	Name            string
	Params, Results []ValueType
	// Call gets the parameters in stack and leaves the results there, from index 0. i is the caller; i.State is what its
	// owner keeps with it. An i32 must be masked: uint32(stack[0]). The time in Call counts as the guest's CPU time except
	// between i.Pause and i.Resume. To end the guest it calls i.Fail.
	Call func(i *Instance, stack []uint64)
}

// Register makes host functions importable under a module name. It is done once for a name, before Compile.
func (m *Machine) Register(ctx context.Context, name string, funcs []HostFunc) error {
	b := m.runtime.NewHostModuleBuilder(name)
	known := map[string]fuel.Signature{}
	for _, f := range funcs {
		call := f.Call
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			call(ctx.(*callContext).i, stack)
		}), f.Params, f.Results).Export(f.Name)
		known[f.Name] = fuel.Signature{Params: f.Params, Results: f.Results}
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("registering the host functions of %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hosts[name] = known
	return nil
}

// callContext is what wazero hands to host functions: the instance itself, so that finding it costs a type assertion. Its
// deadline and values are not looked at: tick ends guests, and host functions that wait use Instance.Context.
type callContext struct {
	context.Context
	i *Instance
}

// Value hides the values of the context: wazero looks for one at each call, and a request's context is a long chain.
func (c *callContext) Value(any) any { return nil }
