//go:build linux

package vm

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/pandabox/pandabox/pkg/edge/js/engine"
)

// caller calls an exported function of a JavaScript engine.
type caller func(name string, args ...uint64) uint64

// script is a JavaScript engine with a context in which scripts run.
type script struct {
	call    caller
	memory  api.Memory
	context uint64
}

func boot(call caller, memory api.Memory) *script {
	call("_initialize")
	s := &script{call: call, memory: memory}
	s.context = call("JS_NewContext", call("JS_NewRuntime"))
	return s
}

// eval runs a script and returns its result, a 32-bit number.
func (s *script) eval(source string) int32 {
	at := s.call("malloc", uint64(len(source)+1))
	s.memory.WriteString(uint32(at), source+"\x00")
	v := s.call("JS_Eval", s.context, at, uint64(len(source)), at, 0)
	s.call("free", at)
	return int32(v)
}

func engineWasm(t testing.TB) []byte {
	t.Helper()
	wasm, err := engine.Wasm()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// engineHosts are the host functions of the engine, which plain scripts do not call.
func engineHosts() []HostFunc {
	types := map[string][2]int{
		"host_get_timezone_offset": {2, 1}, "host_interrupt": {0, 1}, "host_promise_rejection": {3, 0},
		"host_module_normalize": {2, 1}, "host_module_load": {2, 1}, "host_call": {5, 1},
	}
	var funcs []HostFunc
	for name, n := range types {
		f := HostFunc{Name: name, Call: func(*Instance, []uint64) {}}
		for range n[0] {
			f.Params = append(f.Params, I32)
		}
		for range n[1] {
			f.Results = append(f.Results, I32)
		}
		funcs = append(funcs, f)
	}
	return funcs
}

// fueled is the engine in a Machine, between Begin and End.
func fueled(t testing.TB) (*Instance, *script) {
	t.Helper()
	m := newMachine(t)
	if err := m.Register(t.Context(), "env", engineHosts()); err != nil {
		t.Fatal(err)
	}
	mod, err := m.Compile(t.Context(), engineWasm(t), WASI, "env")
	if err != nil {
		t.Fatal(err)
	}
	i := instantiate(t, mod, Options{})
	i.Begin(t.Context(), time.Hour, time.Now().Add(time.Hour))
	return i, boot(func(name string, args ...uint64) uint64 {
		results, err := i.Call(name, args...)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) == 0 {
			return 0
		}
		return results[0]
	}, i.Memory())
}

// plain is the engine as it was published, in wazero alone.
func plain(t testing.TB) *script {
	t.Helper()
	ctx := t.Context()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = r.Close(context.WithoutCancel(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	b := r.NewHostModuleBuilder("env")
	for _, f := range engineHosts() {
		b.NewFunctionBuilder().WithGoFunction(api.GoFunc(func(context.Context, []uint64) {}), f.Params, f.Results).Export(f.Name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	mod, err := r.InstantiateWithConfig(ctx, engineWasm(t), wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return boot(func(name string, args ...uint64) uint64 {
		results, err := mod.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) == 0 {
			return 0
		}
		return results[0]
	}, mod.Memory())
}

// scripts are what the engine is compared with and measured by.
func scripts() map[string]string {
	return map[string]string{
		"calls":   `(function(){function fib(n){return n<2?n:fib(n-1)+fib(n-2)} return fib(22)})()`,
		"loop":    `(function(){let s=0;for(let i=0;i<200000;i++)s=(s*31+i)|0;return s})()`,
		"strings": `(function(){let s="";for(let i=0;i<3000;i++)s+=i+",";return s.split(",").map(Number).reduce((a,b)=>(a*7+b)|0,0)})()`,
		"objects": `(function(){const m=new Map();for(let i=0;i<3000;i++)m.set("k"+i,{i});let s=0;for(const [k,v] of m)s=(s*3+v.i+k.length)|0;return s})()`,
		"json":    `(function(){let s=0;for(let i=0;i<100;i++){const o=JSON.parse('{"a":[1,2,3,{"b":"text"}],"c":1.5}');s+=JSON.stringify(o).length+o.a[1]}return s})()`,
		"regexp":  `(function(){let s=0;for(let i=0;i<300;i++){const m=/(\w+)@(\w+)\.com/.exec("mail ada@example.com and "+i);s+=m.index+m[2].length}return s})()`,
		"arrays":  `(function(){const a=new Uint8Array(200000).fill(3);a.copyWithin(1000,0,150000);a.set(a.subarray(7,90000),20000);return a.reduce((x,y)=>(x*33+y)|0,5)})()`,
		"sort":    `(function(){const a=[];let x=12345;for(let i=0;i<3000;i++){x=(x*1103515245+12345)&0x7fffffff;a.push(x)}a.sort((p,q)=>p-q);return a[7]^a[2000]})()`,
	}
}

func TestFuelChangesNothing(t *testing.T) {
	_, with := fueled(t)
	without := plain(t)
	for name, source := range scripts() {
		if a, b := with.eval(source), without.eval(source); a != b {
			t.Errorf("%s: %d with fuel, %d without", name, a, b)
		}
	}
}

func BenchmarkJavaScript(b *testing.B) {
	i, with := fueled(b)
	without := plain(b)
	for name, source := range scripts() {
		for kind, s := range map[string]*script{"fuel": with, "plain": without} {
			b.Run(fmt.Sprintf("%s/%s", name, kind), func(b *testing.B) {
				for b.Loop() {
					s.eval(source)
				}
			})
		}
	}
	i.End()
}
