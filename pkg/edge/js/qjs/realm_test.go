package qjs_test

import (
	"math"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/engine"
	"github.com/pandabox/pandabox/pkg/edge/js/qjs"
	"github.com/pandabox/pandabox/pkg/edge/vm"
)

// call is one call of the host by the guest.
type call func(r *qjs.Realm, magic int, this qjs.Value, args []qjs.Value) qjs.Value

func boot(t *testing.T, host call) *qjs.Realm {
	t.Helper()
	m, err := vm.New(t.Context(), vm.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(t.Context()) })
	var r *qjs.Realm
	if err := m.Register(t.Context(), qjs.HostModule, qjs.Imports(qjs.Host{
		Call: func(_ *vm.Instance, magic int, this qjs.Value, args []qjs.Value) (qjs.Value, error) {
			return host(r, magic, this, args), nil
		},
		Rejected:  func(*vm.Instance, qjs.Value, qjs.Value, bool) error { return nil },
		Interrupt: func(*vm.Instance) bool { return false },
	})); err != nil {
		t.Fatal(err)
	}
	wasm, err := engine.Wasm()
	if err != nil {
		t.Fatal(err)
	}
	if wasm, err = engine.Lean(wasm); err != nil {
		t.Fatal(err)
	}
	mod, err := m.Compile(t.Context(), wasm, qjs.HostModule, vm.WASI)
	if err != nil {
		t.Fatal(err)
	}
	i, err := mod.Instantiate(t.Context(), vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i.Begin(t.Context(), time.Minute, time.Now().Add(time.Minute))
	r = qjs.Attach(i)
	if err := r.Boot(512 << 10); err != nil {
		t.Fatal(err)
	}
	return r
}

func eval(t *testing.T, r *qjs.Realm, source string) qjs.Value {
	t.Helper()
	v, err := r.Eval(source, "test.js", qjs.Script)
	if err != nil {
		t.Fatal(err)
	}
	if v == qjs.Exception {
		e, _ := r.Caught()
		s, _, _ := r.Text(e)
		t.Fatalf("%s: %s", source, s)
	}
	return v
}

func TestValuesAreWhatTheEngineHas(t *testing.T) {
	r := boot(t, nil)
	for source, want := range map[string]qjs.Value{
		"null": qjs.Null, "undefined": qjs.Undefined, "true": qjs.True, "false": qjs.False, "7": qjs.Int(7), "-1": qjs.Int(-1),
		"0.5": qjs.Float(0.5), "-0": qjs.Float(math.Copysign(0, -1)), "1e300": qjs.Float(1e300), "NaN": qjs.Float(math.NaN()),
		"-Infinity": qjs.Float(math.Inf(-1)), "2**31": qjs.Float(1 << 31),
	} {
		if got := eval(t, r, source); got != want {
			t.Errorf("%s is %x, want %x", source, uint64(got), uint64(want))
		}
	}
	for source, want := range map[string]float64{"42": 42, "-42": -42, "1.25": 1.25, "1e100": 1e100, "2**31": 1 << 31} {
		if got := eval(t, r, source); !got.IsNumber() || got.Number() != want {
			t.Errorf("%s is %v", source, got.Number())
		}
	}
	if v := eval(t, r, "({})"); !v.IsObject() || v.IsString() || v.IsNumber() || v.IsBool() {
		t.Error("an object is taken for something else")
	}
	if v := eval(t, r, "'a'.repeat(9000) + 'b'.repeat(9000)"); !v.IsString() {
		t.Error("a rope is no string")
	}
}

func TestStringsBothWays(t *testing.T) {
	r := boot(t, nil)
	for source, want := range map[string]string{
		`"héllo"`: "héllo", `"日本"`: "日本", `"😀"`: "😀", `"a\ud800b"`: "a\ufffdb", `"\ud800\ud800"`: "\ufffd\ufffd", `"a\0b"`: "a\x00b", `""`: "",
	} {
		got, ok, err := r.Text(eval(t, r, source))
		if err != nil || !ok || got != want {
			t.Errorf("%s is %q (%v, %v)", source, got, ok, err)
		}
	}
	same := eval(t, r, "(a, b) => a === b")
	long := make([]byte, 100_000)
	for i := range long {
		long[i] = 'x'
	}
	for source, s := range map[string]string{`"héllo 😀"`: "héllo 😀", `"x".repeat(100000)`: string(long), `"\ufffd"`: "\xff"} {
		v, err := r.String(s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Call(same, qjs.Undefined, v, eval(t, r, source)); err != nil || got != qjs.True {
			t.Errorf("%.20q is not %s", s, source)
		}
	}
}

func TestBuffersBothWays(t *testing.T) {
	r := boot(t, nil)
	for source, want := range map[string]string{
		"new Uint8Array([1,2,3])": "\x01\x02\x03", "new Uint8Array([1,2,3]).buffer": "\x01\x02\x03", "new Uint16Array([1,2]).subarray(1)": "\x02\x00",
		"new DataView(new Uint8Array([1,2,3]).buffer, 1, 1)": "\x02", "new Uint8Array(0)": "",
	} {
		got, ok, err := r.View(eval(t, r, source))
		if err != nil || !ok || string(got) != want {
			t.Errorf("%s is %q (%v, %v)", source, got, ok, err)
		}
	}
	for _, source := range []string{"({})", "[1]", "'a'", "(() => { const b = new Uint8Array(3); b.buffer.transfer(); return b })()",
		"(() => { const b = new Uint8Array(3).buffer; b.transfer(); return b })()",
		"Object.defineProperty(new DataView(new ArrayBuffer(4)), 'byteLength', {value: 1e9})"} {
		if _, ok, err := r.View(eval(t, r, source)); ok || err != nil {
			t.Errorf("%s has bytes (%v)", source, err)
		}
	}
	v, err := r.Bytes([]byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Call(eval(t, r, "b => b instanceof Uint8Array && b.length === 3 && b[2] === 3"), qjs.Undefined, v); err != nil || got != qjs.True {
		t.Error("bytes do not arrive")
	}
}

func TestTheHostIsCalled(t *testing.T) {
	var sum float64
	r := boot(t, func(r *qjs.Realm, magic int, _ qjs.Value, args []qjs.Value) qjs.Value {
		if magic == 8 {
			e, _ := r.String("no")
			v, _ := r.Throw(e)
			return v
		}
		for _, a := range args {
			sum += a.Number()
		}
		s, _ := r.String("done")
		return s
	})
	f, err := r.Function("add", 7)
	if err != nil {
		t.Fatal(err)
	}
	g, err := r.Function("fail", 8)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Call(eval(t, r, `(f, g) => { try { g() } catch (e) { return f(1, 2, 3.5) + f.name + e } }`), qjs.Undefined, f, g)
	if err != nil {
		t.Fatal(err)
	}
	if s, _, _ := r.Text(v); s != "doneaddno" || sum != 6.5 {
		t.Fatalf("got %q, %v", s, sum)
	}
}

func TestPromisesAndJobs(t *testing.T) {
	r := boot(t, nil)
	p, resolve, _, err := r.Promise()
	if err != nil {
		t.Fatal(err)
	}
	q, err := r.Call(eval(t, r, "p => p.then(v => v + 1)"), qjs.Undefined, p)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.State(q); err != nil || s != qjs.Pending {
		t.Fatalf("got %v, %v", s, err)
	}
	if _, err := r.Call(resolve, qjs.Undefined, qjs.Int(41)); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		if more, err = r.Job(); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := r.State(q); err != nil || s != qjs.Fulfilled {
		t.Fatalf("got %v, %v", s, err)
	}
	if v, err := r.Result(q); err != nil || v != qjs.Int(42) {
		t.Fatalf("got %v, %v", v, err)
	}
	if s, err := r.State(qjs.Int(1)); err != nil || s != qjs.NoPromise {
		t.Fatalf("got %v, %v", s, err)
	}
}

func TestRandomNumbersAreSeeded(t *testing.T) {
	r := boot(t, nil)
	draw := func(seed uint64) float64 {
		if err := r.Seed(seed); err != nil {
			t.Fatal(err)
		}
		return eval(t, r, "Math.random()").Number()
	}
	if a, b, c := draw(1), draw(2), draw(1); a == b || a != c {
		t.Fatalf("got %v, %v, %v", a, b, c)
	}
}
