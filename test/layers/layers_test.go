// Package layers checks what the compiler does not: which package may import which, and that package variables are
// constants in all but name.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pandabox/pandabox"

// layers is the table of docs/architecture.md, top to bottom. Imports point down only, and components of one layer do
// not know each other. A component is a directory with everything below it.
func layers() [][]string {
	return [][]string{
		{"cmd/pandabox"},
		{"internal/cli"},
		{"pkg/daemon"},
		{"pkg/httpapi", "pkg/client", "pkg/dashboard", "pkg/source"},
		{"pkg/control", "pkg/reconcile"},
		{
			"pkg/store", "pkg/runtime", "pkg/build", "pkg/proxy", "pkg/edge", "pkg/static", "pkg/cron", "pkg/dataservice", "pkg/identity",
			"pkg/secrets", "pkg/observe", "pkg/manifest",
		},
		{"pkg/api"},
		{"pkg/model"},
	}
}

// outside are programs of their own: they may import anything, and nothing imports them.
func outside() []string { return []string{"test", "bench", "examples", "cmd/pandabox-log"} }

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

func TestImportsPointDown(t *testing.T) {
	known := 0
	for _, p := range list(t, "./...") {
		from, rank := component(p.ImportPath)
		if rank == unknown {
			t.Errorf("%s is in no layer: add it to the table in docs/architecture.md and here", p.ImportPath)
			continue
		}
		known++
		for _, imported := range p.Imports {
			to, below := component(imported)
			switch {
			case below == foreign || to == from || rank == programs:
			case below == programs:
				t.Errorf("%s imports %s, which is a program of its own", p.ImportPath, imported)
			case to == "pkg/daemon" && from != "internal/cli":
				t.Errorf("%s imports %s; only internal/cli may", p.ImportPath, imported)
			case from == "cmd/pandabox" && to != "internal/cli":
				t.Errorf("%s imports %s; it may import internal/cli only", p.ImportPath, imported)
			case below < rank:
				t.Errorf("%s imports %s, which is above it", p.ImportPath, imported)
			case below == rank:
				t.Errorf("%s imports %s, which is beside it: let the layer above connect them", p.ImportPath, imported)
			}
		}
	}
	if known < 10 {
		t.Fatalf("only %d packages were looked at", known)
	}
}

func TestModelUsesTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "-deps", "./pkg/model") {
		if !p.Standard && p.ImportPath != module+"/pkg/model" {
			t.Errorf("pkg/model depends on %s", p.ImportPath)
		}
	}
}

func TestTheArchitecturePageHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, layer := range layers() {
		var ends []int
		for _, name := range layer {
			i := strings.Index(string(page[at:]), "\n"+name+" ")
			if i < 0 {
				t.Errorf("docs/architecture.md does not have %s, or has it above a layer that is above it", name)
				continue
			}
			ends = append(ends, at+i)
		}
		if len(ends) > 0 {
			at = slices.Max(ends)
		}
	}
}

const (
	foreign  = -1 // another module's
	unknown  = -2
	programs = -3
)

// component returns the component a package belongs to and its layer, 0 at the top.
func component(importPath string) (string, int) {
	rel, ours := strings.CutPrefix(importPath, module+"/")
	if !ours {
		return importPath, foreign
	}
	for _, dir := range outside() {
		if below(rel, dir) {
			return dir, programs
		}
	}
	for rank, layer := range layers() {
		for _, dir := range layer {
			if below(rel, dir) {
				return dir, rank
			}
		}
	}
	return rel, unknown
}

func below(rel, dir string) bool { return rel == dir || strings.HasPrefix(rel, dir+"/") }

// list runs go list at the module's root.
func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,GoFiles,Imports,Standard"}, args...)...)
	cmd.Dir = path.Join("..", "..")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("reading go list: %v", err)
		}
		all = append(all, p)
	}
}
