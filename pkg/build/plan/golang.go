package plan

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultGo is the Go of go.mod files that name none.
const defaultGo = "1.26"

var (
	oldGo   = regexp.MustCompile(`^1(\.([0-9]|1[0-8]))?$`) // older than Debian bookworm: there are no such images
	goFile  = regexp.MustCompile(`\.go$`)
	importC = regexp.MustCompile(`(?m)^(import)?[ \t]+"C"`)
	needsC  = regexp.MustCompile(`^github\.com/(mattn/go-sqlite3|confluentinc/confluent-kafka-go|marcboeker/go-duckdb|duckdb/duckdb-go)(/v[0-9]+)?$`) // at run time: without C they compile
)

func goPlan(p *project) (*Plan, error) {
	if !p.has("go.mod") {
		return nil, nil
	}
	mod, err := modfile.Parse("go.mod", []byte(p.text("go.mod")), nil)
	if err != nil { // newer than what is known here
		mod, err = modfile.ParseLax("go.mod", []byte(p.text("go.mod")), nil)
	}
	if err != nil {
		return nil, model.Invalid("go.mod cannot be read").WithWhy("%s", err)
	}
	said := ""
	if mod.Toolchain != nil {
		said = mod.Toolchain.Name
	} else if mod.Go != nil {
		said = mod.Go.Version
	}
	v, why := version(2, defaultGo, [2]string{"go.mod", said})
	if oldGo.MatchString(v) {
		v, why = defaultGo, defaultGo+", since go.mod's "+v+" is a minimum"
	}
	pkg, whyMain, err := p.mainPackage()
	if err != nil && p.hugoConfig() != "" {
		return nil, nil // go.mod names the modules of a site
	}
	if err != nil {
		return nil, err
	}
	flags := "CGO_ENABLED=0 "
	if p.search(goFile, importC.Match) || slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return needsC.MatchString(r.Mod.Path) }) {
		flags = "CGO_ENABLED=1 "
	}
	// There is nothing to fetch, or it takes modules that are folders of the source.
	whole := p.hasDir("vendor") || slices.ContainsFunc(mod.Replace, func(r *modfile.Replace) bool { return r.New.Version == "" })
	return &Plan{
		Version: v, Reasons: []string{why, whyMain},
		Dockerfile: dockerfile(
			"FROM golang:"+v+"-bookworm AS build",
			"WORKDIR /src",
			when(!whole, "COPY go.mod go.su[m] ./"),
			when(!whole, "RUN --mount=type=cache,target=/go/pkg/mod go mod download"),
			"COPY . .",
			"RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \\",
			"    "+flags+"go build -trimpath -ldflags='-s -w' -o /out/app "+pkg,
			"",
			"FROM debian:bookworm-slim",
			"COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/",
			"COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/local/go/lib/time/",
			"WORKDIR /app",
			"COPY . .",
			"COPY --from=build /out/app /usr/local/bin/app",
			"USER 1000:1000",
			`CMD ["app"]`,
		),
	}, nil
}

// mainPackage finds the program: the root, cmd/APP, or the only folder below cmd.
func (p *project) mainPackage() (pkg, why string, err error) {
	if p.isMain(".") {
		return ".", "package main is at the root", nil
	}
	entries, _ := fs.ReadDir(p.dir, "cmd") // none is no fault
	var found []string
	for _, e := range entries {
		if e.IsDir() && p.isMain(path.Join("cmd", e.Name())) {
			found = append(found, e.Name())
		}
	}
	if slices.Contains(found, p.opt.App) {
		found = []string{p.opt.App}
	}
	switch {
	case len(found) == 1:
		return "./cmd/" + found[0], "cmd/" + found[0] + " is the program", nil
	case p.isMain("cmd"):
		return "./cmd", "cmd is the program", nil
	case len(found) == 0:
		return "", "", model.Invalid("the Go module has no program").WithWhy("neither the root nor a folder of cmd/ is package main").
			WithHint("add a Dockerfile that builds the right folder")
	}
	return "", "", model.Invalid("the Go module has %d programs", len(found)).WithWhy("cmd/ has %s", strings.Join(found, ", ")).
		WithHint("name the app like one of them: pandabox deploy -a %s", found[0])
}

// isMain tells whether a folder holds a Go program.
func (p *project) isMain(dir string) bool {
	files, _ := fs.Glob(p.dir, path.Join(dir, "*.go"))
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") || p.hasDir(f) {
			continue
		}
		for row := range strings.Lines(p.text(f)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(row), "package "); ok {
				if strings.Fields(name)[0] == "main" {
					return true
				}
				break
			}
		}
	}
	return false
}
