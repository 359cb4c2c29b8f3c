package wasm

import (
	"errors"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// importing is a module with one import and an exported memory.
func importing(module, name string, kind byte, rest string) []byte {
	entry := "\x01" + sized(module) + sized(name) + string(rune(kind)) + rest
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x02" + sized(entry) + "\x07\x0a\x01\x06memory\x02\x00")
}

func sized(s string) string { return string(rune(len(s))) + s }

func TestForeignImportsAreNamedWithAdvice(t *testing.T) {
	for _, c := range []struct {
		module, name string
		hint         string
	}{
		{"wasi:http/types@0.2.0", "x", "core module"},
		{"wasi_unstable", "fd_write", "wasi_snapshot_preview1"},
		{"gojs", "runtime.wasmExit", "GOOS=wasip1"},
		{"__wbindgen_placeholder__", "x", "wasm-bindgen"},
		{"env", "abort", "--use abort"},
		{"env", "emscripten_memcpy_big", "STANDALONE_WASM"},
		{"env", "missing", "link it in"},
		{"strange", "x", "functions-wasm.md"},
	} {
		_, err := Detect("main.wasm", importing(c.module, c.name, byte(Func), "\x00"))
		var m *model.Error
		if !errors.As(err, &m) || !strings.Contains(m.What, c.module+"."+c.name) || !strings.Contains(m.Hint, c.hint) {
			t.Errorf("%s.%s: %v, try %q", c.module, c.name, err, m.Hint)
		}
	}
	_, err := Detect("main.wasm", importing("env", "memory", byte(Memory), "\x00\x01"))
	if err == nil || !strings.Contains(err.Error(), "imports its memory") {
		t.Errorf("a memory: %v", err)
	}
	if err := Check("main.wasm", importing(HTTPHandler, "get_uri", byte(Func), "\x00"), model.RuntimeWAGI); err == nil ||
		!strings.Contains(err.Error(), "http_handler.get_uri") {
		t.Errorf("a command with the handler's functions: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	f.Add(importing("env", "abort", byte(Func), "\x00"))
	f.Add(importing("env", "memory", byte(Memory), "\x01\x01\x02"))
	f.Add([]byte("\x00asm\x0d\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := Inspect(file)
		if err == nil && len(m.Imports)+len(m.Exports) > len(file) {
			t.Errorf("%d bytes have %d imports and %d exports", len(file), len(m.Imports), len(m.Exports))
		}
	})
}
