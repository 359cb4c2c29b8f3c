package plan

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/pandabox/pandabox/pkg/model"
)

// defaultRust is the newest compiler of the first edition line: Rust keeps compiling what it once did.
const defaultRust = "1"

func rustPlan(p *project) (*Plan, error) {
	if !p.has("Cargo.toml") {
		return nil, nil
	}
	var cargo struct {
		Package struct {
			Name       string `toml:"name"`
			DefaultRun string `toml:"default-run"`
			Rust       any    `toml:"rust-version"`
		} `toml:"package"`
		Bin []struct {
			Name string `toml:"name"`
		} `toml:"bin"`
		Workspace struct {
			Members []string `toml:"members"`
		} `toml:"workspace"`
	}
	if err := toml.Unmarshal([]byte(p.text("Cargo.toml")), &cargo); err != nil {
		return nil, model.Invalid("Cargo.toml cannot be read").WithWhy("%s", err)
	}
	var names []string
	for _, b := range cargo.Bin {
		names = append(names, b.Name)
	}
	if p.has("src/main.rs") && len(cargo.Bin) == 0 {
		names = append(names, cargo.Package.Name)
	}
	files, _ := fs.Glob(p.dir, "src/bin/*.rs")
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), ".rs"))
	}
	for _, m := range cargo.Workspace.Members {
		dirs, _ := fs.Glob(p.dir, m)
		for _, dir := range dirs {
			var member struct {
				Package struct {
					Name string `toml:"name"`
				} `toml:"package"`
			}
			if p.has(path.Join(dir, "src/main.rs")) && toml.Unmarshal([]byte(p.text(path.Join(dir, "Cargo.toml"))), &member) == nil {
				names = append(names, member.Package.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var name, why string
	switch {
	case cargo.Package.DefaultRun != "":
		name, why = cargo.Package.DefaultRun, "Cargo.toml names default-run"
	case slices.Contains(names, p.opt.App):
		name, why = p.opt.App, "the program is named like the app"
	case slices.Contains(names, cargo.Package.Name):
		name, why = cargo.Package.Name, "the program is named like the package"
	case len(names) == 1:
		name, why = names[0], names[0]+" is the program"
	default:
		return nil, model.Invalid("the Cargo package has %d programs", len(names)).WithHint("set default-run in Cargo.toml, name the app like one, or add a Dockerfile")
	}
	v, whyVersion := version(2, defaultRust, [2]string{"rust-toolchain", channel(p)})
	debian := libraries(p.links, [][]string{{"openssl", "libssl3"}, {"pq", "libpq5"}, {"mysqlclient", "libmariadb3"}})
	locked := ""
	if p.has("Cargo.lock") {
		locked = " --locked"
	}
	return &Plan{
		Version: v, Reasons: []string{whyVersion, why},
		Dockerfile: dockerfile(
			"FROM rust:"+v+"-bookworm AS build",
			"WORKDIR /src",
			"COPY . .",
			// Cargo goes by times, and what another build left in the cache may be younger than this source.
			"RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \\",
			"    find . -path ./target -prune -o -type f -exec touch {} + \\",
			"    && cargo build --release"+locked+" --bin "+name+" && install -D target/release/"+name+" /out/app",
			"",
			"FROM debian:bookworm-slim",
			when(len(debian) > 0, apt(debian...)),
			"COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/",
			"WORKDIR /app",
			"COPY . .",
			"COPY --from=build /out/app /usr/local/bin/app",
			"USER 1000:1000",
			`CMD ["app"]`,
		),
	}, nil
}

// links tells whether the program needs a library of Debian: not where it is built along.
func (p *project) links(library string) bool {
	lock := p.text("Cargo.lock")
	return strings.Contains(lock, "name = \""+library+"-sys\"") && !strings.Contains(lock, "name = \""+library+"-src\"")
}

// channel returns what rust-toolchain.toml or rust-toolchain say of the compiler; "stable" is no version.
func channel(p *project) string {
	var file struct {
		Toolchain struct {
			Channel string `toml:"channel"`
		} `toml:"toolchain"`
	}
	name := p.line("rust-toolchain")
	if toml.Unmarshal([]byte(p.text("rust-toolchain.toml")), &file) == nil && file.Toolchain.Channel != "" {
		name = file.Toolchain.Channel
	}
	if !strings.ContainsAny(name[:min(1, len(name))], "0123456789") { // "nightly-2024-05-01"
		return ""
	}
	return name
}
