package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

const about1 = `{"runtime":"js","main":"main.js"}`

// packed makes a tar file of headers and their content.
func packed(t testing.TB, entries ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		text := entries[i+1].(string)
		h, ok := entries[i].(*tar.Header)
		if !ok {
			h = &tar.Header{Name: entries[i].(string), Typeflag: tar.TypeReg}
		}
		if h.Mode, h.Size = 0o644, int64(len(text)); h.Typeflag != tar.TypeReg {
			h.Size = 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = io.WriteString(w, text)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestABundleIsReadAsItIs(t *testing.T) {
	file := packed(t, "function.json", about1, "main.js", worker, "main.js.map", `{"version":3}`)
	b, err := Read(bytes.NewReader(file), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if string(b.Main) != worker || string(b.SourceMap) != `{"version":3}` || b.Runtime != model.RuntimeJS || b.Size != int64(len(file)) ||
		len(b.Digest) != 71 {
		t.Errorf("read %+v", b)
	}
	for want, c := range map[model.FunctionRuntime]string{model.RuntimeHTTPWasm: handlerWASM, model.RuntimeWAGI: commandWASM} {
		b, err := Read(bytes.NewReader(packed(t, "function.json", `{"runtime":"`+string(want)+`","main":"main.wasm"}`, "main.wasm", c)), 1<<20)
		if err != nil || b.Runtime != want {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	link := &tar.Header{Name: "main.js", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}
	commented := packed(t, "function.json", about1, &tar.Header{
		Name: "main.js", Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{"comment": "123456789"},
	}, worker)
	sparse := bytes.Replace(commented, []byte("21 comment=123456789\n"), []byte("21 GNU.sparse.size=9\n"), 1)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(packed(t, "function.json", about1, "main.js", worker))
	_ = z.Close()
	good := packed(t, "function.json", about1, "main.js", worker)
	for want, file := range map[string][]byte{
		`an entry "../main.js"`:       packed(t, "function.json", about1, "../main.js", worker),
		`an entry "/main.js"`:         packed(t, "function.json", about1, "/main.js", worker),
		`an entry "./main.js"`:        packed(t, "function.json", about1, "./main.js", worker),
		`an entry "extra.txt"`:        packed(t, "function.json", about1, "main.js", worker, "extra.txt", ""),
		"main.js is not a plain file": packed(t, "function.json", about1, link, ""),
		"function.json is not":        packed(t, &tar.Header{Name: "function.json", Typeflag: tar.TypeFifo}, ""),
		"main.js is not a plain":      sparse,
		"main.js twice":               packed(t, "function.json", about1, "main.js", worker, "main.js", worker),
		"it has no function.json":     packed(t, "main.js", worker),
		"it has no main.js":           packed(t, "function.json", about1),
		"cannot be read":              packed(t, "function.json", `{"runtime":"js","main":"main.js","x":1}`, "main.js", worker),
		`main is "main.wasm"`:         packed(t, "function.json", `{"runtime":"js","main":"main.wasm"}`, "main.wasm", worker),
		"is not UTF-8":                packed(t, "function.json", about1, "main.js", "\xff\xfe"),
		"is not JSON":                 packed(t, "function.json", about1, "main.js", worker, "main.js.map", "{"),
		"a WASM module beside":        packed(t, "function.json", about1, "main.js", worker, "main.wasm", handlerWASM),
		"JavaScript beside":           packed(t, "function.json", `{"runtime":"wagi","main":"main.wasm"}`, "main.wasm", commandWASM, "main.js", ""),
		"it is compressed":            zipped.Bytes(),
		"comes behind its end":        append(bytes.Clone(good), "more"...),
		"it is not a whole tar file":  append([]byte("x"), good[:600]...),
		"is cut off":                  good[:1030+512],
	} {
		_, err := Read(bytes.NewReader(file), 1<<20)
		var m *model.Error
		if !errors.As(err, &m) || !strings.Contains(m.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if b, err := Read(bytes.NewReader(commented), 1<<20); err != nil || string(b.Main) != worker {
		t.Errorf("a comment of pax: %v", err)
	}
	if _, err := Read(bytes.NewReader(good), int64(len(good)-1)); model.KindOf(err) != model.KindTooLarge {
		t.Errorf("too large: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(packed(f, "function.json", about1, "main.js", worker))
	f.Add(packed(f, "function.json", `{"runtime":"wagi","main":"main.wasm"}`, "main.wasm", commandWASM))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := Read(bytes.NewReader(file), 1<<20)
		if err == nil && (len(b.Main) > len(file) || b.Runtime == "") {
			t.Errorf("read %+v of %d bytes", b.Model(), len(file))
		}
		if err != nil && b == nil && model.KindOf(err) == model.KindInternal {
			t.Errorf("refused with %v", err)
		}
	})
}
