package layers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// written are the exceptions.
func written() []string {
	return []string{
		"pkg/daemon.running", // one daemon in one process, since there can be one Caddy
	}
}

// TestPackageVariablesAreNeverWritten refuses hidden state: a package variable that a function assigns to, takes the
// address of, or deletes from, and one whose type is made to be changed (a lock, an atomic, a pool). pkg/proxy is free
// to: Caddy makes its modules itself, so they find the daemon's own parts through a table.
func TestPackageVariablesAreNeverWritten(t *testing.T) {
	all := list(t, "./cmd/...", "./internal/...", "./pkg/...")
	if len(all) < 10 {
		t.Fatalf("only %d packages were looked at", len(all))
	}
	for _, p := range all {
		if from, _ := component(p.ImportPath); from == "pkg/proxy" {
			continue
		}
		checkPackage(t, p)
	}
}

// checkPackage resolves names without looking at imports: whether a name means a package variable does not depend on
// them.
func checkPackage(t *testing.T, p goPackage) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parsing %s: %v", p.ImportPath, err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Error: func(error) {}, Importer: noImports{}}
	own, _ := conf.Check(p.ImportPath, fset, files, info) // its errors are about imports, or the compiler's to tell
	refuse := func(at token.Pos, name, what string) {
		if slices.Contains(written(), strings.TrimPrefix(p.ImportPath, module+"/")+"."+name) {
			return
		}
		pos := fset.Position(at)
		t.Errorf("%s:%d: package variable %s %s", pos.Filename, pos.Line, name, what)
	}
	for _, f := range files {
		checkTypes(f, refuse)
		checkWrites(f, own, info, refuse)
	}
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not looked at", path)
}

// checkTypes refuses variables declared as, or as a pointer to, a channel or a type of sync or sync/atomic.
func checkTypes(f *ast.File, refuse func(token.Pos, string, string)) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			typ := v.Type
			if len(v.Values) == 1 {
				switch e := v.Values[0].(type) {
				case *ast.CompositeLit:
					typ = e.Type
				case *ast.CallExpr: // make(chan T), new(sync.Mutex)
					if len(e.Args) > 0 {
						typ = e.Args[0]
					}
				}
			}
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if gen, ok := typ.(*ast.IndexExpr); ok {
				typ = gen.X
			}
			from := ""
			if sel, ok := typ.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok {
					from = id.Name
				}
			}
			if _, channel := typ.(*ast.ChanType); channel || from == "sync" || from == "atomic" {
				refuse(v.Pos(), v.Names[0].Name, "is of a type made to be changed")
			}
		}
	}
}

func checkWrites(f *ast.File, own *types.Package, info *types.Info, refuse func(token.Pos, string, string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		var written []ast.Expr
		what := "is written to"
		switch n := n.(type) {
		case *ast.AssignStmt:
			written = n.Lhs
		case *ast.IncDecStmt:
			written = []ast.Expr{n.X}
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				written, what = []ast.Expr{n.X}, "has its address taken"
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && info.Uses[id] == types.Universe.Lookup(id.Name) {
				written = n.Args[:1]
			}
		}
		for _, e := range written {
			if id := root(e); id != nil {
				if v, ok := info.Uses[id].(*types.Var); ok && v.Parent() == own.Scope() {
					refuse(id.Pos(), id.Name, what)
				}
			}
		}
		return true
	})
}

// root returns the variable an expression is a part of: x of x[i].f.
func root(e ast.Expr) *ast.Ident {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return v
		case *ast.IndexExpr:
			e = v.X
		case *ast.SelectorExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		case *ast.ParenExpr:
			e = v.X
		default:
			return nil
		}
	}
}
