//go:build linux

package js_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/model"
)

// bundle makes code of TypeScript as pandabox does, with a source map.
func bundle(t *testing.T, file, source string) guest.Code {
	t.Helper()
	r := api.Build(api.BuildOptions{
		Stdin:  &api.StdinOptions{Contents: source, Sourcefile: file, Loader: api.LoaderTS, ResolveDir: "/"},
		Bundle: true, Format: api.FormatESModule, Sourcemap: api.SourceMapExternal, MinifyWhitespace: true, MinifySyntax: true,
		Outfile: "/out/main.js", AbsWorkingDir: "/", Target: api.ES2023,
	})
	if len(r.Errors) > 0 {
		t.Fatal(r.Errors)
	}
	var code guest.Code
	for _, f := range r.OutputFiles {
		if strings.HasSuffix(f.Path, ".map") {
			code.SourceMap = f.Contents
		} else {
			code.Main = f.Contents
		}
	}
	code.Function = jstest.Code("").Function
	return code
}

const failing = `interface A { b: string }
enum Kind { One = 1 }

function inner(a: A): string {
  throw new TypeError("no " + a.b + Kind.One);
}

export default {
  async fetch(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    if (path === "/later") setTimeout(() => { inner({ b: "later" }) }, 1);
    if (path === "/rejected") Promise.reject(new Error("nobody listens"));
    if (path === "/value") throw { code: 7 };
    if (path === "/cause") throw new Error("outer", { cause: new Error("the cause") });
    if (path === "/") inner({ b: "way" });
    await new Promise(r => setTimeout(r, 5));
    return new Response("ok");
  },
};
`

func TestErrorsShowTheAuthorsLines(t *testing.T) {
	e := jstest.EngineIn(t, js.Prelude{}, t.TempDir())
	p, err := e.Open(t.Context(), bundle(t, "src/index.ts", failing))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, c := range map[string]struct {
		status int
		log    []string
	}{
		"/":         {500, []string{"Uncaught TypeError: no way1", "at inner (src/index.ts:5:", "at fetch (src/index.ts:15:"}},
		"/later":    {200, []string{"Uncaught TypeError: no later1", "at inner (src/index.ts:5:", "src/index.ts:11:"}},
		"/rejected": {200, []string{"Uncaught (in promise) Error: nobody listens", "src/index.ts:12:"}},
		"/value":    {500, []string{"Uncaught { code: 7 }"}},
		"/cause":    {500, []string{"Uncaught Error: outer", "Caused by: Error: the cause", "src/index.ts:14:"}},
		"/good":     {200, nil},
	} {
		d := open(t, i, nil)
		resp, body := d.ask(t, "GET", path, "")
		if err := <-d.errs; err != nil {
			t.Errorf("%s: the isolate is lost: %v", path, err)
		}
		text := d.world.Text()
		if resp.StatusCode != c.status || strings.Contains(body, "way") {
			t.Errorf("%s: got %d %q", path, resp.StatusCode, body)
		}
		for _, want := range c.log {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the log lacks %q:\n%s", path, want, text)
			}
		}
		if strings.Contains(text, "pandabox:") || strings.Contains(text, "main.js") || strings.Contains(text, "Uncaught Uncaught") {
			t.Errorf("%s: the log shows what is not the author's:\n%s", path, text)
		}
		for _, l := range d.world.Lines() {
			if l.Stream != "stderr" {
				t.Errorf("%s: %q is on %s", path, l.Text, l.Stream)
			}
		}
	}
}

func TestModulesThatDoNotLoadSayWhy(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for source, want := range map[string]string{
		"export default { fetch() {} }\nconst x: any = null; x.f()":        "src/index.ts:2:",
		"export default { fetch() {} }\nthrow new RangeError('mine')":      "RangeError: mine",
		"export default { fetch() {} }\nawait fetch('http://example.com')": "only handlers may",
		"export default { fetch() {} }\nsetTimeout(() => {}, 1)":           "only handlers may",
		"export default { fetch() {} }\ncrypto.randomUUID()":               "only handlers may",
		"export default { fetch() {} }\nawait new Promise(() => {})":       "never finishes loading",
		"export default { x: 1 }":                                          "exports no handler",
		"export const a = 1":                                               "exports no handler",
		"export default { fetch() {} }\nrequireX('fs')":                    "requireX is not defined",
	} {
		_, err := e.Open(t.Context(), bundle(t, "src/index.ts", source))
		var told *model.Error
		if !errors.As(err, &told) || told.Kind != model.KindInvalid || told.Hint == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot %v, want %q", source, err, want)
		}
	}
	for source, want := range map[string]string{
		"export default {": "SyntaxError",
		"import fs from 'node:fs'; export default { fetch() { fs.x } }": "could not load module",
	} {
		_, err := e.Open(t.Context(), jstest.Code(source))
		var told *model.Error
		if !errors.As(err, &told) || told.Hint == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot %v", source, err)
		}
	}
}

func TestAHandlerThatIsNotThere(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	i := isolateOf(t, e, "export default { fetch() {} }")
	call := &guest.Call{World: &jstest.World{}, CPU: time.Second, Deadline: time.Now().Add(time.Second)}
	if err := i.Scheduled(t.Context(), call, model.ScheduledEvent{}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("got %v", err)
	}
}

func TestScheduledEventsArrive(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	at := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	run := func(body string) (string, error) {
		w := &jstest.World{}
		i := isolateOf(t, e, "export default { async scheduled(event, env, ctx) { "+body+" } }")
		err := i.Scheduled(t.Context(), &guest.Call{World: w, CPU: time.Second, Deadline: time.Now().Add(time.Second)},
			model.ScheduledEvent{Cron: "5 4 * * *", Job: "nightly", ScheduledTime: at})
		return w.Text(), err
	}
	out, err := run("console.log(event.cron, event.job, new Date(event.scheduledTime).toISOString()); ctx.waitUntil((async () => { await new Promise(r => setTimeout(r, 5)); console.log('done') })())")
	if err != nil || out != "5 4 * * * nightly 2026-11-23T04:05:06.000Z\ndone\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if out, err = run("throw new Error('broken')"); err == nil || !strings.Contains(err.Error(), "Error: broken") || !strings.Contains(out, "Uncaught Error: broken") {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestTheLogSaysWhereTheTimeWent(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	told := false
	for name, source := range map[string]string{
		"at once":    "export default {\n  fetch() {\n    spin();\n  },\n};\nfunction spin() {\n  for (;;) Math.random();\n}",
		"in a job":   "export default {\n  async fetch() {\n    await 1; spin();\n  },\n};\nfunction spin() {\n  for (;;) Math.random();\n}",
		"in a timer": "export default {\n  fetch() {\n    return new Promise(() => setTimeout(spin, 1));\n  },\n};\nfunction spin() {\n  for (;;) Math.random();\n}",
	} {
		p, err := e.Open(t.Context(), bundle(t, "src/index.ts", source))
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w := &jstest.World{}
		_, err = i.Serve(t.Context(), &guest.Call{Request: httptest.NewRequest(http.MethodGet, "/", nil), Writer: httptest.NewRecorder(), World: w, CPU: 400 * time.Millisecond, Deadline: time.Now().Add(time.Minute)})
		if !errors.Is(err, guest.ErrCPU) {
			t.Errorf("%s: it ended with %v", name, err)
		}
		// On a machine so busy that the limit passes between two looks at the clock there is only the limit.
		if text := w.Text(); text != "" && !strings.Contains(text, "at spin (src/index.ts:") {
			t.Errorf("%s: the log has %q", name, text)
		}
		told = told || w.Text() != ""
	}
	if !told {
		t.Error("no log says where the time went")
	}
}
