//go:build linux

// Package wpt runs the web-platform-tests against the classes that functions find, in the real engine. fetch.sh says
// which those are and where they come from; expected.txt says what fails and why. What fails and is not in there, and
// what is in there and does not fail, fails the test.
package wpt

import (
	"context"
	_ "embed" // the program around the tests
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/edge/js/web"
	"github.com/pandabox/pandabox/pkg/model"
)

//go:embed program.js
var program string

//go:embed report.js
var report string

// limit is what one file may take: the largest need seconds of CPU.
const limit = 2 * time.Minute

// result is what program.js answers.
type result struct {
	Status  int // of the harness: 0 is well
	Message string
	Tests   [][3]any // name, status (0 passed), message
}

func TestWebPlatform(t *testing.T) {
	s, e := open(t), readExpected(t)
	engine := jstest.Engine(t, js.Prelude{Source: web.Source(), Functions: web.Functions()})
	code := jstest.Code(program)
	code.Function.Limits.Memory = 256 << 20
	p, err := engine.Open(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close(context.WithoutCancel(t.Context())) }()

	var mu sync.Mutex
	only := os.Getenv("WPT")
	for _, area := range areas() {
		passed, failed := 0, 0
		t.Run(area, func(t *testing.T) {
			for _, name := range s.files(t, area) {
				if !strings.Contains(name, only) || e.skips(name) {
					continue
				}
				t.Run(strings.TrimPrefix(name, area+"/"), func(t *testing.T) {
					t.Parallel()
					r := run(t, p, s, name)
					mu.Lock()
					defer mu.Unlock()
					ok, bad := judge(t, e, name, r)
					passed += ok
					failed += bad
				})
			}
		})
		t.Logf("%-28s %5d subtests pass, %d fail as expected", area, passed, failed)
	}
	if only == "" {
		for _, line := range e.unused() {
			t.Errorf("expected.txt: nothing fails like this any more: %s", line)
		}
	}
}

// run runs one test file in an isolate of its own.
func run(t *testing.T, p guest.Program, s suite, name string) result {
	file, variant, _ := strings.Cut(name, "?")
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = i.Close(context.WithoutCancel(t.Context())) }()
	w := &world{suite: s, folder: path.Dir(file), tb: t}
	put := func(key, value string) {
		if err := w.Put(t.Context(), key, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	put("script", s.script(t, file))
	put("search", variant)
	call := &guest.Call{World: w, CPU: limit, Deadline: time.Now().Add(limit)}
	if err := i.Scheduled(t.Context(), call, model.ScheduledEvent{ScheduledTime: time.Now()}); err != nil {
		return result{Status: -1, Message: fmt.Sprintf("%v %s", err, w.Text())}
	}
	b, _, err := w.Get(t.Context(), "result")
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(b, &r); err != nil {
		return result{Status: -1, Message: fmt.Sprintf("%v: %.200q %s", err, b, w.Text())}
	}
	return r
}

// judge compares what came out with what was expected.
func judge(t *testing.T, e *expected, name string, r result) (passed, failed int) {
	if r.Status != 0 && !e.fails(name, "(harness)") {
		t.Errorf("(harness): %d %s", r.Status, r.Message)
	}
	for _, sub := range r.Tests {
		text := oneLine(fmt.Sprint(sub[0]))
		if sub[1] == 0. {
			passed++
			continue
		}
		failed++
		if !e.fails(name, text) {
			t.Errorf("FAIL %s :: %s: %v", name, text, sub[2])
		}
	}
	for _, sub := range r.Tests {
		if text := oneLine(fmt.Sprint(sub[0])); sub[1] == 0. && e.failsExactly(name, text) {
			t.Errorf("PASS %s :: %s, which expected.txt has among the failing ones", name, text)
		}
	}
	if len(r.Tests) == 0 && r.Status == 0 {
		t.Errorf("there are no tests in %s", name)
	}
	return passed, failed
}

// oneLine makes the name of a subtest fit into a line.
func oneLine(s string) string { return strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(s) }

// world is where a test file reads its resources from, as values of the store.
type world struct {
	jstest.World
	suite  suite
	folder string
	tb     testing.TB
}

func (w *world) KV() guest.KV { return w }

// Get reads a resource where the key says so.
func (w *world) Get(ctx context.Context, key string) ([]byte, bool, error) {
	name, ok := strings.CutPrefix(key, "file:")
	if !ok {
		return w.World.Get(ctx, key)
	}
	if !strings.HasPrefix(name, "/") {
		name = path.Join(w.folder, name)
	}
	return []byte(w.suite.read(w.tb, strings.TrimPrefix(name, "/"))), true, nil
}
