package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

const worker = "export default { fetch() { return new Response('hi') } }\n"

// handlerWASM is the smallest http-wasm handler, commandWASM the smallest command.
const (
	handlerWASM = "\x00asm\x01\x00\x00\x00" +
		"\x01\x0a\x02\x60\x00\x01\x7e\x60\x02\x7f\x7f\x00" + // types: () -> i64, (i32, i32) -> ()
		"\x03\x03\x02\x00\x01" + "\x05\x03\x01\x00\x01" +
		"\x07\x2d\x03\x06memory\x02\x00\x0ehandle_request\x00\x00\x0fhandle_response\x00\x01" +
		"\x0a\x09\x02\x04\x00\x42\x00\x0b\x02\x00\x0b"
	commandWASM = "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x05\x03\x01\x00\x01" +
		"\x07\x13\x02\x06memory\x02\x00\x06_start\x00\x00" + "\x0a\x04\x01\x02\x00\x0b"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t *testing.T, files map[string]string, o Options) *Bundle {
	t.Helper()
	b, err := Build(t.Context(), folder(t, files), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// refusal builds what cannot be, and returns why.
func refusal(t *testing.T, files map[string]string, o Options) *model.Error {
	t.Helper()
	_, err := Build(t.Context(), folder(t, files), o)
	var m *model.Error
	if !errors.As(err, &m) {
		t.Fatalf("built: %v", err)
	}
	if m.Hint == "" {
		t.Errorf("%q has no hint", m.What)
	}
	return m
}

func TestMainIsFound(t *testing.T) {
	for _, c := range []struct {
		files []string
		main  string
		want  string
	}{
		{files: []string{"src/index.ts", "index.js", "main.wasm"}, want: "src/index.ts"},
		{files: []string{"index.mjs", "package.json"}, want: "index.mjs"},
		{files: []string{"package.json", "lib/entry.js"}, want: "lib/entry.js"},
		{files: []string{"main.wasm", "other.wasm"}, want: "main.wasm"},
		{files: []string{"other.wasm"}, want: "other.wasm"},
		{files: []string{"src/index.ts", "app.tsx"}, main: "./app.tsx", want: "app.tsx"},
	} {
		files := map[string]string{}
		for _, f := range c.files {
			files[f] = worker
			if strings.HasSuffix(f, ".wasm") {
				files[f] = handlerWASM
			}
			if f == "package.json" {
				files[f] = `{"main":"lib/entry.js"}`
			}
		}
		if got := build(t, files, Options{Main: c.main}).Source; got != c.want {
			t.Errorf("%v: found %s, not %s", c.files, got, c.want)
		}
	}
}

func TestWhatIsNoFunction(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		o     Options
		want  string
	}{
		"nothing":         {nil, Options{}, "there is no function"},
		"outside":         {nil, Options{Main: "../x.js"}, "outside of the function's folder"},
		"missing":         {nil, Options{Main: "x.js"}, "there is no x.js"},
		"a folder":        {map[string]string{"src/a.ts": ""}, Options{Main: "src"}, "is not a file"},
		"another kind":    {map[string]string{"a.py": ""}, Options{Main: "a.py"}, "of no kind that runs"},
		"two modules":     {map[string]string{"a.wasm": "", "b.wasm": ""}, Options{}, "there are 2 WASM files"},
		"not that":        {map[string]string{"index.js": worker}, Options{Main: "index.js", Runtime: "wagi"}, "is JavaScript and the runtime is wagi"},
		"nor that":        {map[string]string{"main.wasm": commandWASM}, Options{Main: "main.wasm", Runtime: "js"}, "is a WASM module and the runtime is js"},
		"no such runtime": {map[string]string{"index.js": worker}, Options{Main: "index.js", Runtime: "php"}, "is not a runtime"},
		"no export":       {map[string]string{"index.js": "export const a = 1\n"}, Options{}, "index.js has no default export"},
		"a component":     {map[string]string{"main.wasm": "\x00asm\x0d\x00\x01\x00"}, Options{}, "is a WebAssembly component"},
		"text":            {map[string]string{"main.wasm": "(module)"}, Options{}, "is not a WASM module"},
		"exports nothing": {map[string]string{"main.wasm": handlerWASM[:8]}, Options{}, "is not a function"},
		"no handler":      {map[string]string{"main.wasm": commandWASM}, Options{Runtime: "http-wasm"}, "does not export handle_request"},
	} {
		t.Run(name, func(t *testing.T) {
			if m := refusal(t, c.files, c.o); !strings.Contains(m.What, c.want) {
				t.Errorf("refused with %q, not %q", m.What, c.want)
			}
		})
	}
}

func TestTheRuntimeOfAModuleIsFound(t *testing.T) {
	if got := build(t, map[string]string{"main.wasm": handlerWASM}, Options{}).Runtime; got != model.RuntimeHTTPWasm {
		t.Errorf("a handler is %s", got)
	}
	if got := build(t, map[string]string{"main.wasm": commandWASM}, Options{}).Runtime; got != model.RuntimeWAGI {
		t.Errorf("a command is %s", got)
	}
}

func TestWhatIsBundled(t *testing.T) {
	b := build(t, map[string]string{
		"src/index.ts": `import text from "./page.html"; import data from "./data.json"; import bytes from "./a.bin"
import { used } from "lib"; import { View } from "./view"
export default { fetch(): Response { return new Response(text + data.key + bytes.length + used + View) } }`,
		"src/page.html":                 "<p>page</p>",
		"src/data.json":                 `{"key":"datavalue"}`,
		"src/a.bin":                     "\x00\x01\x02",
		"src/view.tsx":                  `/** @jsxImportSource lib */ export const View = <b>view</b>`,
		"node_modules/lib/package.json": `{"exports":{".":{"worker":"./worker.js","default":"./node.js"},"./jsx-runtime":"./jsx.js"}}`,
		"node_modules/lib/worker.js":    `export const used = "forworkers"; export const unused = "neverused"`,
		"node_modules/lib/node.js":      `import "fs"`,
		"node_modules/lib/jsx.js":       `export const jsx = (...a) => a`,
	}, Options{})
	for _, want := range []string{"<p>page</p>", "datavalue", "forworkers", "export {"} {
		if !strings.Contains(string(b.Main), want) {
			t.Errorf("%q is not in the module:\n%s", want, b.Main)
		}
	}
	if strings.Contains(string(b.Main), "neverused") || strings.Contains(string(b.Main), "): Response") {
		t.Errorf("unused code or types are in the module:\n%s", b.Main)
	}
	var sources struct{ Sources []string }
	if err := json.Unmarshal(b.SourceMap, &sources); err != nil || !strings.Contains(strings.Join(sources.Sources, " "), "src/index.ts") {
		t.Errorf("the source map names %v, %v", sources.Sources, err)
	}
	if len(b.Inputs) != 7 || !filepath.IsAbs(b.Inputs[0]) {
		t.Errorf("it was made of %q", b.Inputs)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	m := refusal(t, map[string]string{"src/index.ts": "const a = 1\n\tconst b = ;\nexport default {}\n"}, Options{})
	if m.What != `src/index.ts:2:12: Unexpected ";"` || m.Why != "2 | \tconst b = ;\n  | \t          ^" {
		t.Errorf("refused with %q, %q", m.What, m.Why)
	}
	m = refusal(t, map[string]string{"index.js": "import a from './a'\nimport b from 'left-pad/x'\nimport c from '@x/y/z'\n" + worker}, Options{})
	if !strings.HasPrefix(m.What, `index.js:1:15: there is no file "./a"`) ||
		!strings.Contains(m.Why, `also index.js:2:15: the package "left-pad" is not installed`) ||
		!strings.Contains(m.Why, `also index.js:3:15: the package "@x/y" is not installed`) {
		t.Errorf("refused with %q, %q", m.What, m.Why)
	}
}

func TestJSXGoesWhereTsconfigSays(t *testing.T) {
	files := map[string]string{"src/index.tsx": "export default { fetch() { return new Response(<b/>) } }"}
	if m := refusal(t, files, Options{}); !strings.Contains(m.What, "src/index.tsx:1:48: JSX needs") || !strings.Contains(m.Hint, "jsxImportSource") {
		t.Errorf("refused with %q, try %q", m.What, m.Hint)
	}
	files["tsconfig.json"] = `{"compilerOptions":{"jsx":"react-jsx","jsxImportSource":"views"}}`
	files["node_modules/views/package.json"] = `{"exports":{"./jsx-runtime":"./run.js"}}`
	files["node_modules/views/run.js"] = "export const jsx = () => 'made by views'\n"
	if b := build(t, files, Options{}); !strings.Contains(string(b.Main), "made by views") {
		t.Errorf("bundled\n%s", b.Main)
	}
}

func TestPartsOfNodeAreRefused(t *testing.T) {
	for module, hint := range map[string]string{
		"fs": "env.KV", "node:fs/promises": "env.KV", "node:crypto": "crypto.subtle", "http": "fetch", "node:sqlite": "web or worker",
		"path": "path-browserify", "node:ffi": "docs/functions-apis.md", "cloudflare:workers": "second argument",
	} {
		m := refusal(t, map[string]string{"index.js": "\nimport * as x from '" + module + "'\nexport default { fetch() { return x } }\n"}, Options{})
		if !strings.HasPrefix(m.What, "index.js:2:20: ") || !strings.Contains(m.What, module) || !strings.Contains(m.Hint, hint) {
			t.Errorf("%s: refused with %q, try %q", module, m.What, m.Hint)
		}
	}
	// What a package brings under the name is no part of Node.js.
	build(t, map[string]string{
		"index.js":                         "import { Buffer } from 'buffer'\nexport default { fetch() { return Buffer } }\n",
		"node_modules/buffer/index.js":     "export const Buffer = 1\n",
		"node_modules/buffer/package.json": `{"module":"index.js"}`,
	}, Options{})
}

func TestEqualSourcesMakeEqualBundles(t *testing.T) {
	files := map[string]string{"src/index.ts": "import { a } from './a'\nexport default { fetch: () => new Response(a) }", "src/a.ts": "export const a = 'b'"}
	one, two := build(t, files, Options{}), build(t, files, Options{})
	var first, second bytes.Buffer
	if err := errors.Join(one.Write(&first), two.Write(&second)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || one.Digest != two.Digest || one.Size != int64(first.Len()) {
		t.Errorf("two folders made %s and %s", one.Digest, two.Digest)
	}
	read, err := Read(&first, model.MaxFunctionBundle)
	if err != nil {
		t.Fatal(err)
	}
	if read.Model() != one.Model() || !bytes.Equal(read.Main, one.Main) || !bytes.Equal(read.SourceMap, one.SourceMap) {
		t.Errorf("written %+v, read %+v", one.Model(), read.Model())
	}
}

func TestABuildCanBeCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, folder(t, map[string]string{"index.js": worker}), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("built: %v", err)
	}
}
