package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/test/box"
	"github.com/pandabox/pandabox/test/ociimage"
)

// project is an app's source, without a Dockerfile for pandabox and with a hand-written one for plain BuildKit.
type project struct {
	base  string
	files map[string]string // by path; %d in the file main stands for what changes
	main  string
	plain string // the Dockerfile
}

func goProject() project {
	return project{
		base: "golang", main: "main.go",
		files: map[string]string{
			"go.mod": "module example.com/shop\n\ngo " + ociimage.GoVersion() + "\n\nrequire " + ociimage.GoModule + " v1.0.0\n",
			"go.sum": ociimage.GoSum,
			"main.go": `package main

import (
	"log"
	"net/http"
	"os"

	"example.com/greet"
)

func main() {
	http.HandleFunc("/up", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(greet.Hello("version %d"))) })
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
`,
		},
		plain: `FROM golang:` + ociimage.GoVersion() + `-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /app .

FROM debian:bookworm-slim
COPY --from=build /app /usr/local/bin/app
USER 1000:1000
CMD ["app"]
`,
	}
}

func nodeProject() project {
	return project{
		base: "node", main: "src/index.ts",
		files: map[string]string{
			"package.json": `{"name":"shop","version":"1.0.0","engines":{"node":"` + ociimage.NodeVersion + `"},
"scripts":{"build":"tsc --outDir dist --target es2022 --module commonjs src/index.ts","start":"node dist/index.js"},
"dependencies":{"picocolors":"1.1.1"},"devDependencies":{"typescript":"5.9.3"}}
`,
			"package-lock.json": ociimage.TypeScriptLock,
			"src/index.ts": `declare const require: (name: string) => any
declare const process: any
const colors = require("picocolors")
process.on("SIGTERM", () => process.exit()) // as the first process of a container it would be ignored
require("http").createServer((req: any, res: any) => res.end(req.url === "/up" ? "" : "hello version %d" + typeof colors.red)).listen(process.env.PORT)
`,
		},
		plain: `FROM node:` + ociimage.NodeVersion + `-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev

FROM node:` + ociimage.NodeVersion + `-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build

FROM node:` + ociimage.NodeVersion + `-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
CMD ["node", "dist/index.js"]
`,
	}
}

// write puts the project into a folder, changed for the n-th time.
func (p project) write(dir string, n int) error {
	for name, text := range p.files {
		if name == p.main {
			text = fmt.Sprintf(text, n)
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// builds starts a box with the bases of a language.
func (s *setup) builds(ctx context.Context, language string) (_ *bench, _ []ociimage.Base, err error) {
	cache, err := ociimage.CacheDir()
	if err != nil {
		return nil, nil, err
	}
	bases, err := ociimage.Bases(ctx, cache, "debian", language)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.boxOf(ctx, box.Options{})
	if err != nil {
		return nil, nil, err
	}
	if err := b.addBases(ctx, bases); err != nil {
		b.end(ctx, &err)
		return nil, nil, err
	}
	return b, bases, nil
}

// deployFolder is `pandabox deploy` of a folder, from the start of the command to its end.
func (b *bench) deployFolder(ctx context.Context, dir, app string, more ...string) (time.Duration, error) {
	began := time.Now()
	r := b.RunIn(ctx, dir, "", append([]string{"deploy", "-a", app}, more...)...)
	if r.Code != 0 {
		return 0, fmt.Errorf("pandabox deploy: exit %d\n%s%s", r.Code, r.Out, r.Err)
	}
	return time.Since(began), nil
}

// deployAlone is the deploy of the image that serves, with nothing to upload or build: from the start of the command's
// like to its end.
func (b *bench) deployAlone(ctx context.Context, app string) (time.Duration, error) {
	releases, err := b.Releases(ctx, client.Ref{App: app}, api.Page{Limit: 1})
	if err != nil || len(releases.Items) == 0 {
		return 0, errors.Join(errors.New("there is no release"), err)
	}
	img := releases.Items[0].Image
	began := time.Now()
	err = b.deploy(ctx, app, api.NewDeploy{Image: model.Image{Digest: img.Digest}})
	return time.Since(began), err
}

// rebuildSame deploys a folder in which nothing has changed.
func rebuildSame(ctx context.Context, s *setup) (_ result, err error) {
	b, _, err := s.builds(ctx, "golang")
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	dir := filepath.Join(b.Dir, "same")
	if err := goProject().write(dir, 0); err != nil {
		return result{}, err
	}
	if _, err := b.deployFolder(ctx, dir, "same"); err != nil {
		return result{}, err
	}
	var with, alone, difference []float64
	for range s.times(7) {
		w, err := b.deployFolder(ctx, dir, "same")
		if err != nil {
			return result{}, err
		}
		a, err := b.deployAlone(ctx, "same")
		if err != nil {
			return result{}, err
		}
		with, alone, difference = append(with, w.Seconds()), append(alone, a.Seconds()), append(difference, (w-a).Seconds())
	}
	return result{value: median(difference), detail: fmt.Sprintf("s, deploys of the folder: %s; of its image: %s", list(with), list(alone))}, nil
}

func rebuildLineGo(ctx context.Context, s *setup) (result, error) {
	return rebuildLine(ctx, s, goProject())
}

func rebuildLineNode(ctx context.Context, s *setup) (result, error) {
	return rebuildLine(ctx, s, nodeProject())
}

// rebuildLine changes one line again and again: from `pandabox deploy` to serving, minus the deploy alone, divided by
// what plain BuildKit takes for an image that is ready to run.
func rebuildLine(ctx context.Context, s *setup, p project) (_ result, err error) {
	b, bases, err := s.builds(ctx, p.base)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	peer, err := s.plainBuildKit(ctx, b, bases)
	if err != nil {
		return result{}, err
	}
	defer peer.end(&err)
	ours, theirs := filepath.Join(b.Dir, "ours"), filepath.Join(b.Dir, "theirs")
	var ratios, we, they, deploys []float64
	for n := range s.times(7) + 1 {
		if err := errors.Join(p.write(ours, n), p.write(theirs, n), os.WriteFile(filepath.Join(theirs, "Dockerfile"), []byte(p.plain), 0o600)); err != nil {
			return result{}, err
		}
		w, err := b.deployFolder(ctx, ours, "line")
		if err != nil {
			return result{}, err
		}
		t, err := peer.build(ctx, theirs, "line")
		if err != nil {
			return result{}, err
		}
		a, err := b.deployAlone(ctx, "line")
		if err != nil {
			return result{}, err
		}
		if n > 0 { // the first fills the caches
			ratios = append(ratios, (w-a).Seconds()/t.Seconds())
			we, they, deploys = append(we, w.Seconds()), append(they, t.Seconds()), append(deploys, a.Seconds())
		}
	}
	return result{value: median(ratios), detail: fmt.Sprintf("s, deploys of the folder: %s; of its image: %s; plain BuildKit: %s", list(we), list(deploys), list(they))}, nil
}
