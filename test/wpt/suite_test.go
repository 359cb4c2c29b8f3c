//go:build linux

package wpt

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// suite is the folder of the web-platform-tests.
type suite string

func open(tb testing.TB) suite {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "./fetch.sh")
	cmd.Stderr = tb.Output()
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("the web-platform-tests cannot be had: %v", err)
	}
	return suite(strings.TrimSpace(string(out)))
}

// areas are the folders that concern functions.
func areas() []string {
	return []string{
		"FileAPI", "WebCryptoAPI", "console", "dom/abort", "dom/events", "encoding", "hr-time", "html/webappapis",
		"streams", "url", "webidl/ecmascript-binding",
	}
}

// files are the tests of an area, by their paths, variants apart: url/x.any.js, encoding/y.any.js?1-1000.
func (s suite) files(tb testing.TB, area string) []string {
	tb.Helper()
	var all []string
	err := filepath.WalkDir(filepath.Join(string(s), area), func(p string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(p, ".any.js") {
			return err
		}
		name := strings.TrimPrefix(p, string(s)+"/")
		variants := meta(s.read(tb, name), "variant")
		if len(variants) == 0 {
			variants = []string{""}
		}
		for _, v := range variants {
			all = append(all, name+v)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func (s suite) read(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(string(s), filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// script puts together what a test needs: the harness, its helpers, itself.
func (s suite) script(tb testing.TB, name string) string {
	tb.Helper()
	text := s.read(tb, name)
	var b strings.Builder
	b.WriteString(s.read(tb, "resources/testharness.js"))
	b.WriteString("\n" + report)
	for _, dep := range meta(text, "script") {
		if dep == "/resources/WebIDLParser.js" {
			dep = "/resources/webidl2/lib/webidl2.js"
		}
		if dep == "/common/sab.js" { // it gets at shared memory through WebAssembly
			b.WriteString("\nself.createBuffer = (type, length) => new self[type](length);\n")
			continue
		}
		if !strings.HasPrefix(dep, "/") {
			dep = path.Join(path.Dir(name), dep)
		}
		b.WriteString("\n" + s.read(tb, strings.TrimPrefix(dep, "/")))
	}
	b.WriteString("\n" + text)
	return b.String()
}

// meta returns the values of a test's lines "// META: key=value".
func meta(text, key string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "//") {
			break
		}
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "// META: "+key+"="); ok {
			all = append(all, v)
		}
	}
	return all
}
