package fuel

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/pandabox/pandabox/pkg/model"
)

//go:embed testdata/corpus.wasm
var corpus []byte

const proposals = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall | experimental.CoreFeaturesExtendedConst

// world runs modules as they are and as they were rewritten.
type world struct {
	wazero.Runtime
	ticks int
	notes []uint64
}

func newWorld(t testing.TB, c wazero.RuntimeConfig) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{Runtime: wazero.NewRuntimeWithConfig(ctx, c.WithCoreFeatures(proposals))}
	t.Cleanup(func() { _ = w.Close(context.WithoutCancel(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, w.Runtime)
	tick := func(_ context.Context, stack []uint64) {
		w.ticks++
		stack[0] = Quantum
	}
	give := func(_ context.Context, stack []uint64) { stack[0] = uint64(uint32(stack[0]) * 10) }
	note := func(_ context.Context, stack []uint64) { w.notes = append(w.notes, stack[0]) }
	i32, i64 := []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI64}
	if _, err := w.NewHostModuleBuilder(TickModule).NewFunctionBuilder().WithGoFunction(api.GoFunc(tick), nil, i32).Export(TickName).Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.NewHostModuleBuilder("env").NewFunctionBuilder().WithGoFunction(api.GoFunc(give), i32, i32).Export("give").
		NewFunctionBuilder().WithGoFunction(api.GoFunc(note), i64, nil).Export("note").Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

// outcome is all that can be seen of a call: result or trap, memory, and the next values of the globals.
func (w *world) outcome(t *testing.T, wasm []byte, r *Result, name string) string {
	t.Helper()
	ctx := t.Context()
	if r != nil {
		wasm = r.Module
	}
	mod, err := w.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mod.Close(ctx) }()
	w.notes = nil
	if r != nil {
		for _, d := range r.Data {
			mod.Memory().Write(uint32(d.Offset), d.Content)
		}
		if _, err := mod.ExportedFunction(StartExport).Call(ctx); err != nil {
			t.Fatal(err)
		}
	}
	got, err := mod.ExportedFunction(name).Call(ctx)
	out := fmt.Sprintf("%x %v", got, w.notes)
	if err != nil {
		out, _, _ = strings.Cut(err.Error(), "\n")
	}
	globals, err := mod.ExportedFunction("globals").Call(ctx)
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := mod.Memory().Read(0, mod.Memory().Size())
	sum := uint64(len(memory))
	for _, b := range memory {
		sum = sum*31 + uint64(b)
	}
	return fmt.Sprintf("%s; globals %x, memory %x", out, globals, sum)
}

func TestRewritingChangesNothing(t *testing.T) {
	r, err := Rewrite(corpus)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Start || !r.Lifted || len(r.Data) != 2 || r.Restorable || len(r.Globals) != 2 || len(r.Imports) != 2 || r.Memory.Max != 40<<16 {
		t.Errorf("it is said to be like this: %+v", r)
	}
	for kind, c := range map[string]wazero.RuntimeConfig{"compiler": wazero.NewRuntimeConfigCompiler(), "interpreter": wazero.NewRuntimeConfigInterpreter()} {
		w := newWorld(t, c)
		for name := range r.Exports {
			t.Run(kind+"/"+name, func(t *testing.T) {
				before, after := w.outcome(t, corpus, nil, name), w.outcome(t, corpus, r, name)
				if before != after {
					t.Errorf("before: %s\nafter:  %s", before, after)
				}
			})
		}
	}
	if len(r.Exports) < 25 {
		t.Errorf("only %d functions were tried", len(r.Exports))
	}
}

func TestFuelRunsOut(t *testing.T) {
	r, err := Rewrite(corpus)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, wazero.NewRuntimeConfigCompiler())
	for name, least := range map[string]int{"nested": 0, "machine": 1, "tail": 15, "copy_up": 10, "fill": 0} {
		w.ticks = 0
		w.outcome(t, corpus, r, name)
		if w.ticks < least || w.ticks > least*10+2 {
			t.Errorf("%s called tick %d times", name, w.ticks)
		}
	}
}

func TestWhatCannotRunIsRefused(t *testing.T) {
	head := "\x00asm\x01\x00\x00\x00"
	types := "\x01\x04\x01\x60\x00\x00" // one type: () -> ()
	body := func(code string) string {
		return head + types + "\x03\x02\x01\x00" + "\x0a" + string(rune(len(code)+4)) + "\x01" + string(rune(len(code)+2)) + "\x00" + code + "\x0b"
	}
	for name, test := range map[string]struct{ wasm, why string }{
		"nothing":          {"", "does not begin"},
		"another version":  {"\x00asm\x02\x00\x00\x00", "version 1"},
		"a cut section":    {head + "\x01\x10\x01", "ends in the middle"},
		"twice":            {head + types + types, "out of order"},
		"shared memory":    {head + "\x05\x04\x01\x03\x01\x02", "threads"},
		"64-bit memory":    {head + "\x05\x03\x01\x04\x01", "64-bit"},
		"huge memory":      {head + "\x05\x05\x01\x00\xff\xff\x04", "4 GB"},
		"imported memory":  {head + "\x02\x08\x01\x01a\x01b\x02\x00\x01", "only functions"},
		"imported global":  {head + "\x02\x08\x01\x01a\x01b\x03\x7f\x00", "only functions"},
		"a tag":            {head + "\x02\x08\x01\x01a\x01b\x04\x00\x00", "only functions"},
		"huge table":       {head + "\x04\x07\x01\x70\x00\xff\xff\xff\x7f", "elements"},
		"too many types":   {head + "\x01\x03\xff\xff\x03", "types"},
		"atomics":          {body("\xfe\x03\x00"), "threads"},
		"exceptions":       {body("\x06\x40\x0b"), "exceptions"},
		"relaxed vectors":  {body("\xfd\x80\x02"), "relaxed"},
		"new instructions": {body("\xfb\x00"), "proposal"},
		"two memories":     {body("\x28\x42\x00\x00"), "more than one memory"},
		"the added call":   {body("\x10\x01"), "not there"},
		"the added global": {body("\x23\x00\x1a"), "not there"},
		"the added local":  {body("\x20\x00\x1a"), "not there"},
		"branch too far":   {body("\x0c\x07"), "nowhere"},
		"no end":           {body("\x02\x40"), "no end"},
		"locals":           {head + types + "\x03\x02\x01\x00\x0a\x08\x01\x06\x01\xff\xff\x7f\x7f\x0b", "locals"},
		"reserved export":  {head + types + "\x03\x02\x01\x00\x07\x0e\x01\x0apandabox:x\x00\x00\x0a\x04\x01\x02\x00\x0b", "reserved"},
		"export of tick":   {head + types + "\x03\x02\x01\x00\x07\x05\x01\x01a\x00\x01\x0a\x04\x01\x02\x00\x0b", "not there"},
	} {
		_, err := Rewrite([]byte(test.wasm))
		if model.KindOf(err) != model.KindInvalid || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Rewrite(make([]byte, MaxModule+1)); model.KindOf(err) != model.KindTooLarge {
		t.Errorf("a huge module: %v", err)
	}
}

// TestWhatTakesLongToCompileIsRefused tries small modules that keep wazero busy for minutes.
func TestWhatTakesLongToCompileIsRefused(t *testing.T) {
	function := func(locals int, code []byte) []byte {
		body := append(append(putU32([]byte{1}, uint32(locals)), I32), append(code, opEnd)...)
		section := append(putU32([]byte{1}, uint32(len(body))), body...)
		head := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a")
		return append(putU32(head, uint32(len(section))), section...)
	}
	nested := append(bytes.Repeat([]byte{opLoop, 0x40}, 300), bytes.Repeat([]byte{opEnd}, 300)...)
	for name, wasm := range map[string][]byte{
		"loops in each other":  function(300, nested),
		"loops and locals":     function(2000, bytes.Repeat([]byte{opLoop, 0x40, opEnd}, 8000)),
		"very many conditions": function(1, bytes.Repeat([]byte{opLocalGet, 0, opIf, 0x40, opEnd}, 20000)),
	} {
		if _, err := Rewrite(wasm); err == nil || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// checkRewrite rewrites anything, and wants of what comes out that it is valid exactly where what went in was.
func checkRewrite(t *testing.T, w *world, wasm []byte) {
	t.Helper()
	r, err := Rewrite(wasm)
	if err != nil {
		if model.KindOf(err) != model.KindInvalid || strings.Contains(err.Error(), "pandabox") {
			t.Fatalf("it is refused with %v", err)
		}
		return
	}
	// Not before: wazero believes what a module says of its sizes, and takes as much memory. See docs/decisions/0011.
	before, invalid := w.compile(t, bare(wasm))
	if before != nil {
		defer func() { _ = before.Close(t.Context()) }()
	}
	after, broken := w.compile(t, r.Module)
	if after != nil {
		defer func() { _ = after.Close(t.Context()) }()
	}
	if invalid == nil && broken != nil {
		t.Fatalf("a valid module became an invalid one: %v\n%x", broken, wasm)
	}
	if invalid != nil && broken == nil && !harmless(invalid) {
		t.Fatalf("an invalid module became a valid one; it was invalid since %v\n%x", invalid, wasm)
	}
}

// compile is CompileModule, which panics at some modules.
func (w *world) compile(t *testing.T, wasm []byte) (mod wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return w.CompileModule(t.Context(), wasm)
}

// bare is the module without custom sections.
func bare(wasm []byte) []byte {
	out := bytes.Clone(wasm[:8])
	for r := (&reader{b: wasm, at: 8}); r.more(); {
		from := r.at
		id := r.byte()
		r.bytes(r.u32())
		if id != secCustom {
			out = append(out, wasm[from:r.at]...)
		}
	}
	return out
}

// harmless tells whether what makes a module invalid is gone with what was left out or made anew.
func harmless(err error) bool {
	for _, part := range []string{"section data", "DataCount", "data count"} {
		if strings.Contains(err.Error(), part) {
			return true
		}
	}
	return false
}

func TestMutationsAreHandled(t *testing.T) {
	w := newWorld(t, wazero.NewRuntimeConfigInterpreter())
	for n := range len(corpus) {
		checkRewrite(t, w, corpus[:n])
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		wasm := bytes.Clone(corpus)
		for range 1 + random.IntN(4) {
			at := random.IntN(len(wasm))
			switch random.IntN(4) {
			case 0:
				wasm[at] ^= 1 << random.IntN(8)
			case 1:
				wasm[at] = byte(random.IntN(256))
			case 2:
				wasm = append(wasm[:at], wasm[min(len(wasm), at+1+random.IntN(4)):]...)
			case 3:
				wasm = append(wasm[:at:at], append([]byte{byte(random.IntN(256))}, wasm[at:]...)...)
			}
			if len(wasm) == 0 {
				break
			}
		}
		checkRewrite(t, w, wasm)
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add(corpus)
	guest, err := os.ReadFile("../vm/testdata/guest.wasm")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(guest)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		checkRewrite(t, newWorld(t, wazero.NewRuntimeConfigInterpreter()), wasm)
	})
}
