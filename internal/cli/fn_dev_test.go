//go:build linux

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// said collects what is written to it, from several goroutines.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// devRun is a fn dev under way in a folder.
type devRun struct {
	t        *testing.T
	dir, url string
	out, err said
	end      func() int // Ctrl-C; returns the exit code
}

func runDev(t *testing.T, files map[string]string, args ...string) *devRun {
	t.Helper()
	d := &devRun{t: t, dir: t.TempDir()}
	for name, text := range files {
		d.write(name, text)
	}
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, Config{Dir: d.dir, Out: &d.out, Err: &d.err, In: strings.NewReader(""), Env: func(string) string { return "" }}, append([]string{"fn", "dev", "--port", "0"}, args...))
	}()
	var once sync.Once
	var ended int
	d.end = func() int {
		once.Do(func() { cancel(); ended = <-code })
		return ended
	}
	t.Cleanup(func() {
		d.end()
		if t.Failed() {
			t.Logf("it said:\n%s%s", d.out.String(), d.err.String())
		}
	})
	return d
}

func (d *devRun) write(name, text string) {
	d.t.Helper()
	file := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// until waits for something to be so.
func (d *devRun) until(what string, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("never: %s", what)
		}
	}
}

// says waits for a text on standard error.
func (d *devRun) says(text string) {
	d.t.Helper()
	d.until(text, func() bool { return strings.Contains(d.err.String(), text) })
}

// serves waits for an answer.
func (d *devRun) serves(path, want string) {
	d.t.Helper()
	d.until("the address", func() bool { return strings.Contains(d.out.String(), "http://127.0.0.1:") })
	d.url = strings.TrimSpace(d.out.String())
	last := ""
	d.until("an answer", func() bool { last = d.get(path); return last == want })
}

func (d *devRun) get(path string) string {
	d.t.Helper()
	res, err := http.Get(d.url + path) //nolint:noctx // a test, and on this machine
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(res.StatusCode, " ", string(b))
}

func worker(body string) string {
	return "import { note } from './note.ts';\nexport default {\n  async fetch(request, env, ctx) {\n" + body + "\n  },\n" +
		"  async scheduled(event) { console.log('scheduled', event.cron); },\n};\n"
}

func TestDevServesEverySavedVersion(t *testing.T) {
	d := runDev(t, map[string]string{
		"src/index.ts": worker("return new Response([env.A, env.B, env.C, note].join(' '))"), "src/note.ts": "export const note: string = 'one';\n",
		"pandabox.toml": "[variables]\nA = \"toml\"\nB = \"toml\"\nC = \"toml\"\nMISSING = { required = true }\n[env.development.variables]\nA = \"dev\"\n",
		".env":          "B=env\nC=env\n", ".dev.vars": "C=vars\n",
	})
	d.serves("/", "200 dev env vars one")
	d.says("warning: MISSING has no value")
	d.says("GET / 200 ")

	d.write("src/note.ts", "export const note: string = 'second';\n")
	d.serves("/", "200 dev env vars second")
	d.write(".dev.vars", "C=later\nMISSING=x\n")
	d.serves("/", "200 dev env later second")

	// What is wrong is shown with its place; the version before goes on, until it is right again.
	d.write("src/note.ts", "export const note: string = ;\n")
	d.says("error: src/note.ts:1:29: ")
	d.says("the version before goes on")
	d.serves("/", "200 dev env later second")
	d.write("src/index.ts", worker("return new Response(note)")+"import './more.js';\n")
	d.write("src/note.ts", "export const note: string = 'third';\n")
	d.says(`there is no file "./more.js"`)
	d.write("src/more.js", "console.log('more');\n")
	d.serves("/", "200 third")
	d.write("src/more.js", "throw new RangeError('at the top');\n")
	d.says("RangeError: at the top, at src/more.js:1:")
	d.write("src/more.js", "\n")
	d.write("pandabox.toml", "[function]\nlimit = 3\n")
	d.says(`error: pandabox.toml:2:1: "limit" is not a key of [function]`)
	d.write("pandabox.toml", "kind = \"web\"\n")
	d.says("is no function any more")
	d.write("pandabox.toml", "")
	d.write("src/index.ts", worker("return new Response('last')"))
	d.serves("/", "200 last")

	if code := d.end(); code != 0 {
		t.Errorf("Ctrl-C ends it with %d", code)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDevShowsWhatGoesWrongAndKeepsKV(t *testing.T) {
	files := map[string]string{"index.js": `export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/throw") {
      console.log("before", [1]);
      null.of;
    }
    if (path === "/echo") return new Response(request.body);
    if (path === "/inside") return fetch("http://127.0.0.1:1/");
    const count = Number((await env.KV.get("count")) ?? 0) + 1;
    await env.KV.put("count", String(count));
    return new Response(String(count));
  },
  async scheduled(event) { console.log("due:", event.cron); },
};
`}
	d := runDev(t, files)
	d.serves("/", "200 1")
	if got := d.get("/throw"); !strings.HasPrefix(got, "500 ") || strings.Contains(got, "TypeError") {
		t.Errorf("who asks is told %q", got)
	}
	d.says("before [ 1 ]")
	d.says("at fetch (index.js:6:")
	d.get("/inside")
	d.says("may not connect to 127.0.0.1")
	if got := d.get("/__scheduled?cron=@daily"); got != "200 ok\n" {
		t.Errorf("scheduled: %q", got)
	}
	d.says("due: @daily")
	res, err := http.Post(d.url+"/echo", "text/plain", strings.NewReader("back")) //nolint:noctx // a test, and on this machine
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if _ = res.Body.Close(); err != nil || string(b) != "back" {
		t.Errorf("got %q, %v", b, err)
	}

	// One at a time in a folder, and one on a port.
	var out, say said
	if code := Run(t.Context(), Config{Dir: d.dir, Out: &out, Err: &say}, []string{"fn", "dev", "--port", "0"}); code != ExitFailed || !strings.Contains(say.String(), "another fn dev runs in this folder") {
		t.Errorf("a second one: %d, %s", code, say.String())
	}
	port := d.url[strings.LastIndex(d.url, ":")+1:]
	if code := Run(t.Context(), Config{Dir: d.dir, Out: &out, Err: &say}, []string{"fn", "dev", "--port", port}); code != ExitFailed || !strings.Contains(say.String(), "port "+port+" cannot be used") {
		t.Errorf("a port that is taken: %d, %s", code, say.String())
	}
	if code := d.end(); code != 0 {
		t.Errorf("Ctrl-C ends it with %d", code)
	}

	files[".pandabox/kv.db"] = read(t, filepath.Join(d.dir, ".pandabox", "kv.db"))
	if got := read(t, filepath.Join(d.dir, ".pandabox", ".gitignore")); got != "*\n" {
		t.Errorf("git is told %q", got)
	}
	runDev(t, files).serves("/", "200 2")
}

func TestDevOfMiddleware(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "shop "+r.URL.Path) }))
	defer behind.Close()
	files := map[string]string{
		"pandabox.toml": "[function]\non = \"shop\"\nroutes = [\"/*\"]\nmiddleware = true\n",
		"index.js":      "export default { fetch: async (request, env, { next }) => new Response('gate: ' + await (await next(request)).text()) };\n",
	}
	runDev(t, files, "--upstream", behind.URL).serves("/tea", "200 gate: shop /tea")
	runDev(t, files).serves("/tea", "200 gate: next: GET /tea would go on to the app here; to see it, add --upstream URL\n")
}

// TestDevBegunWithAMistake serves once it is corrected.
func TestDevBegunWithAMistake(t *testing.T) {
	d := runDev(t, map[string]string{"index.js": "export default { fetch( };\n"})
	d.says("error: index.js:1:")
	d.write("index.js", "export default { fetch: () => new Response('well') };\n")
	d.serves("/", "200 well")
}

func TestDevRefuses(t *testing.T) {
	for _, args := range [][]string{{"--port", "70000"}, {"--env", "No Env"}, {"--upstream", "shop"}, {"now"}} {
		var out, say said
		if code := Run(t.Context(), Config{Dir: t.TempDir(), Out: &out, Err: &say}, append([]string{"fn", "dev"}, args...)); code != ExitUsage || !strings.Contains(say.String(), "error: ") {
			t.Errorf("%v: %d, %s", args, code, say.String())
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
