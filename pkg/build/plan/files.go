package plan

import (
	"github.com/pandabox/pandabox/pkg/model"
)

// filesPlan serves a folder as it is: nothing is built.
func filesPlan(p *project) (*Plan, error) {
	if dir := p.opt.Output; dir != "" {
		if !p.hasDir(dir) {
			return nil, model.NotFound("there is no folder %s", dir).WithHint("build the site first, or correct [static] dir in pandabox.toml")
		}
		return &Plan{Path: "Static files", Output: dir, Reasons: []string{"pandabox.toml names " + dir}}, nil
	}
	for _, dir := range []string{".", "public", "dist", "build", "out", "_site"} {
		if p.has(index(dir)) {
			return &Plan{Output: dir, Reasons: []string{index(dir) + " is there"}}, nil
		}
	}
	return nil, nil
}

func index(dir string) string {
	if dir == "." {
		return "index.html"
	}
	return dir + "/index.html"
}

// hugoConfig returns the file that makes a folder a site of Hugo, "" where there is none.
func (p *project) hugoConfig() string {
	config := p.first("hugo.toml", "hugo.yaml", "hugo.json")
	if config == "" && p.hasDir("content") {
		config = p.first("config.toml", "config.yaml")
	}
	return config
}

func hugoPlan(p *project) (*Plan, error) {
	config := p.hugoConfig()
	if config == "" {
		return nil, nil
	}
	packages := []string{"hugo", "ca-certificates"}
	if p.has("go.mod") {
		packages = append(packages, "git", "golang-go") // Hugo fetches modules by them
	}
	return &Plan{
		Output: "/site/public", Reasons: []string{config + " is there"},
		Dockerfile: dockerfile(
			"FROM debian:bookworm-slim AS build",
			apt(packages...),
			"WORKDIR /site",
			"COPY . .",
			"RUN hugo --minify --destination /site/public",
		),
	}, nil
}
