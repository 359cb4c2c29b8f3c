//go:build linux

package js_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/model"
)

// The limits under which hostile scripts run, and how much later than them a script may end.
const (
	hostileCPU     = 100 * time.Millisecond
	hostileTimeout = 300 * time.Millisecond
	margin         = time.Second // the machine may be busy with other tests; make bench measures it alone
)

func TestHostileScriptsEnd(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	neighbour := isolateOf(t, e, `export async function scheduled() { await 1; console.log("alive") }`)
	for name, h := range jstest.Hostile() {
		t.Run(name, func(t *testing.T) {
			code := jstest.Code("export default { async scheduled(event, env, ctx) { " + h.Source + "\n} }")
			code.Function.Limits.Memory = 16 << 20
			p, err := e.Open(t.Context(), code)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close(t.Context()) }()
			i, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w := &jstest.World{}
			began := time.Now()
			err = i.Scheduled(t.Context(), &guest.Call{World: w, CPU: hostileCPU, Deadline: began.Add(hostileTimeout)}, model.ScheduledEvent{})
			if took := time.Since(began); took > hostileTimeout+margin {
				t.Errorf("it ended after %s", took)
			}
			if !among(err, h.Ends) {
				t.Errorf("it ended with %v, want one of %v\n%.2000s", err, h.Ends, w.Text())
			}
			if err := i.Close(t.Context()); err != nil {
				t.Error(err)
			}
			alive(t, neighbour)
		})
	}
}

func among(err error, all []error) bool {
	limit := errors.Is(err, guest.ErrCPU) || errors.Is(err, guest.ErrMemory) || errors.Is(err, guest.ErrTimeout)
	for _, a := range all {
		switch {
		case a == nil:
			if err == nil {
				return true
			}
		case errors.Is(a, jstest.ErrThrown):
			if err != nil && !limit {
				return true
			}
		case errors.Is(err, a):
			return true
		}
	}
	return false
}

// alive checks that an isolate beside still answers.
func alive(t *testing.T, i guest.Isolate) {
	t.Helper()
	w := &jstest.World{}
	if err := i.Scheduled(t.Context(), &guest.Call{World: w, CPU: time.Second, Deadline: time.Now().Add(time.Second)}, model.ScheduledEvent{}); err != nil {
		t.Fatal(err)
	}
	if w.Text() != "alive\n" {
		t.Fatalf("the neighbour printed %q", w.Text())
	}
}

func TestHostileModulesDoNotLoad(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for name, source := range map[string]string{
		"loop": "for (;;);", "memory": "const a = []; for (;;) a.push('x'.repeat(1e5) + a.length)", "throw": "throw 1",
		"await": "await new Promise(() => {})", "regexp": "/^(a+)+$/.test('a'.repeat(40) + '!')",
		"jobs": "const f = () => Promise.resolve().then(f); await f()",
	} {
		code := jstest.Code(source + "; export default { fetch() {} }")
		code.Function.Limits.CPU = model.Duration(hostileCPU)
		code.Function.Limits.Memory = 16 << 20
		began := time.Now()
		_, err := e.Open(t.Context(), code)
		var told *model.Error
		if !errors.As(err, &told) || told.Kind != model.KindInvalid || told.Hint == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if took := time.Since(began); took > hostileTimeout+margin {
			t.Errorf("%s: ended after %s", name, took)
		}
	}
}
