package bundle

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/edge/bundle/wasm"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	manifest = "function.json"
	mainWASM = "main.wasm"
)

// about is function.json.
type about struct {
	Runtime model.FunctionRuntime `json:"runtime"`
	Main    string                `json:"main"`
}

// Write writes b as a tar file: the same bytes for the same function, whenever and wherever it is made.
func (b *Bundle) Write(w io.Writer) error {
	main := mainWASM
	if b.Runtime == model.RuntimeJS {
		main = mainJS
	}
	text, err := json.Marshal(about{Runtime: b.Runtime, Main: main})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	add := func(name string, content []byte) error {
		h := &tar.Header{Typeflag: tar.TypeReg, Format: tar.FormatUSTAR, Name: name, Mode: 0o644, Size: int64(len(content))}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := out.Write(content)
		return err
	}
	err = errors.Join(add(manifest, append(text, '\n')), add(main, b.Main))
	if len(b.SourceMap) > 0 && err == nil {
		err = add(mapJS, b.SourceMap)
	}
	return errors.Join(err, out.Close())
}

// seal computes the digest and size.
func (b *Bundle) seal() error {
	sum := sha256.New()
	count := counter{w: sum}
	if err := b.Write(&count); err != nil {
		return err
	}
	b.Digest, b.Size = "sha256:"+hex.EncodeToString(sum.Sum(nil)), count.n
	if b.Size > model.MaxFunctionBundle {
		return tooLarge(b.Size)
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Read reads a bundle of at most max bytes and checks all of it, up to whether the runtime can run the module. What is
// wrong with it is a *model.Error; nothing else in the stream is accepted.
func Read(r io.Reader, max int64) (*Bundle, error) {
	file, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(file)) > max {
		return nil, tooLarge(0)
	}
	entries, err := unpack(file)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	b := &Bundle{Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(file))}
	return b, b.fill(entries)
}

func refuse(format string, args ...any) error {
	return model.Invalid("the upload is not a function's bundle").WithWhy(format, args...).
		WithHint("use `pandabox fn deploy`, which makes it")
}

// unpack returns the entries by name. They share the file's memory.
func unpack(file []byte) (map[string][]byte, error) {
	if bytes.HasPrefix(file, []byte{0x1f, 0x8b}) || bytes.HasPrefix(file, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return nil, refuse("it is compressed; a bundle is a plain tar file")
	}
	entries := map[string][]byte{}
	from := bytes.NewReader(file)
	in := tar.NewReader(from)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refuse("it is not a whole tar file: %s", err)
		}
		if err := checkEntry(h, entries); err != nil {
			return nil, err
		}
		// Only plain files come this far, so that the content stands in the file as it is.
		at := int64(len(file)) - int64(from.Len())
		if h.Size > int64(from.Len()) {
			return nil, refuse("%s is cut off", h.Name)
		}
		entries[h.Name] = file[at : at+h.Size : at+h.Size]
	}
	if rest := file[len(file)-from.Len():]; len(bytes.Trim(rest, "\x00")) > 0 {
		return nil, refuse("something comes behind its end")
	}
	return entries, nil
}

func checkEntry(h *tar.Header, seen map[string][]byte) error {
	if !slices.Contains([]string{manifest, mainJS, mapJS, mainWASM}, h.Name) {
		return refuse("it has an entry %q", h.Name)
	}
	if _, twice := seen[h.Name]; twice {
		return refuse("it has %s twice", h.Name)
	}
	if h.Typeflag != tar.TypeReg || h.Linkname != "" {
		return refuse("%s is not a plain file", h.Name)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") { // its size is whatever it says
			return refuse("%s is not a plain file", h.Name)
		}
	}
	return nil
}

func (b *Bundle) fill(entries map[string][]byte) error {
	text, ok := entries[manifest]
	if !ok {
		return refuse("it has no %s", manifest)
	}
	var a about
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil || d.More() {
		return refuse("%s cannot be read: %v", manifest, err)
	}
	want := mainWASM
	switch a.Runtime {
	case model.RuntimeJS:
		want = mainJS
	case model.RuntimeHTTPWasm, model.RuntimeWAGI:
	default:
		return unknownRuntime(a.Runtime)
	}
	if a.Main != want {
		return refuse("main is %q; of runtime %s it is %s", a.Main, a.Runtime, want)
	}
	b.Runtime = a.Runtime
	if b.Main, ok = entries[want]; !ok {
		return refuse("it has no %s", want)
	}
	delete(entries, manifest)
	delete(entries, want)
	if a.Runtime != model.RuntimeJS {
		if len(entries) > 0 {
			return refuse("it has JavaScript beside %s", want)
		}
		return wasm.Check(want, b.Main, a.Runtime)
	}
	if b.SourceMap = entries[mapJS]; b.SourceMap != nil && !json.Valid(b.SourceMap) {
		return refuse("%s is not JSON", mapJS)
	}
	delete(entries, mapJS)
	if len(entries) > 0 {
		return refuse("it has a WASM module beside %s", want)
	}
	if !utf8.Valid(b.Main) {
		return refuse("%s is not UTF-8", want)
	}
	return nil
}
