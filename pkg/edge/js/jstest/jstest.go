//go:build linux

package jstest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

// Engine boots an engine with a prelude, js.Prelude{Source: web.Source(), Functions: web.Functions()} for the web
// platform. Native code of the engine is kept in the user's cache directory, so that only the first test compiles it.
func Engine(tb testing.TB, p js.Prelude) *js.Engine {
	tb.Helper()
	return EngineIn(tb, p, tb.TempDir())
}

// EngineIn boots an engine that keeps its snapshots in dir, or in memory where that is "".
func EngineIn(tb testing.TB, p js.Prelude, dir string) *js.Engine {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	m, err := vm.New(tb.Context(), vm.Config{CacheDir: filepath.Join(cache, "pandabox", "test-wasm")})
	if err != nil {
		tb.Fatal(err)
	}
	e, err := js.New(tb.Context(), js.Config{Machine: m, Prelude: p, Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
		if err := m.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// Limits of what is run here: five seconds of CPU.
const (
	cpu     = 5 * time.Second
	timeout = 20 * time.Second
)

// Code makes a module a program's code.
func Code(module string) guest.Code {
	return guest.Code{Main: []byte(module), Function: model.Function{Limits: model.FunctionLimits{
		CPU: model.Duration(cpu), Timeout: model.Duration(timeout)}.Filled()}}
}

// Run evaluates source as the body of an async function, in an isolate of its own and within a call: `return await
// new Response("x").text()`. It returns the result as JSON ("undefined" for undefined) and what was printed. What source
// throws fails the test, with its stack.
func Run(tb testing.TB, e *js.Engine, source string) (result string, printed []Line) {
	tb.Helper()
	const mark = "\x01result:"
	module := "export async function scheduled(event, env, ctx) { const body = async () => {" + source +
		"\n};\nconst value = await body();\nconsole.log(" + quoted(mark) + " + JSON.stringify(value)); }"
	p, err := e.Open(tb.Context(), Code(module))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = p.Close(tb.Context()) }()
	i, err := p.New(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = i.Close(tb.Context()) }()
	w := &World{}
	err = i.Scheduled(tb.Context(), &guest.Call{World: w, CPU: cpu, Deadline: time.Now().Add(timeout)}, model.ScheduledEvent{ScheduledTime: time.Now()})
	if err != nil {
		tb.Fatalf("%s\n%s", err, w.Text())
	}
	for _, l := range w.Lines() {
		if r, ok := strings.CutPrefix(l.Text, mark); ok {
			result = r
			continue
		}
		printed = append(printed, l)
	}
	return result, printed
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always can
	return string(b)
}
