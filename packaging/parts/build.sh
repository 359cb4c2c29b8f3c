#!/bin/sh
# Builds the small programs pandabox carries inside itself (runc, the containerd shim, the log writer) and leaves them
# compressed in pkg/runtime/parts. Each is built once per content: the result is kept under the user's cache directory,
# keyed by everything that goes into it, so that another checkout reuses it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=$root/pkg/runtime/parts
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pandabox/parts
arch=$(go env GOARCH)
mkdir -p "$cache"

# Two of these running at once would build the same thing twice.
exec 9>"$cache/lock"
flock 9

need() { # need PROGRAM-OR-FILE-TEST PACKAGE...
	test=$1
	shift
	if ! sh -c "$test" >/dev/null 2>&1; then
		echo "parts: installing $*" >&2
		sudo=
		[ "$(id -u)" = 0 ] || sudo=sudo
		$sudo apt-get update -qq >&2
		DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@" >&2
	fi
}

digest() { sha256sum | cut -c1-32; }

# What every part depends on: the compiler, this script, the architecture.
base=$(go version; echo "$arch"; cat "$here/build.sh")
pinned=$(cat "$here/go.mod" "$here/go.sum")

# place NAME KEY: puts the cached part into the tree, if there is one.
place() {
	[ -f "$cache/$2/$1.zst" ] || return 1
	touch "$cache/$2"
	cmp -s "$cache/$2/$1.zst" "$out/$1.zst" || { cp "$cache/$2/$1.zst" "$out/.$1.tmp" && mv "$out/.$1.tmp" "$out/$1.zst"; }
}

# keep NAME KEY FILE: compresses a fresh binary into the cache.
keep() {
	need "command -v zstd" zstd
	mkdir -p "$cache/$2"
	zstd -q -19 -f "$3" -o "$cache/$2/.$1.tmp"
	mv "$cache/$2/.$1.tmp" "$cache/$2/$1.zst"
	rm -f "$3"
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

key=$(printf '%s\n' runc "$base" "$pinned" | digest)
if ! place runc "$key"; then
	echo "parts: building runc" >&2
	need "command -v gcc && command -v pkg-config && pkg-config --exists libseccomp" gcc libc6-dev pkg-config libseccomp-dev
	(cd "$here" && CGO_ENABLED=1 go build -trimpath -tags "seccomp urfave_cli_no_docs netgo osusergo" \
		-ldflags "-s -w -linkmode external -extldflags -static" -o "$tmp/runc" github.com/opencontainers/runc)
	keep runc "$key" "$tmp/runc"
	place runc "$key"
fi

key=$(printf '%s\n' shim "$base" "$pinned" | digest)
if ! place shim "$key"; then
	echo "parts: building the containerd shim" >&2
	version=$(cd "$here" && go list -m -f '{{.Version}}' github.com/containerd/containerd/v2)
	(cd "$here" && CGO_ENABLED=0 go build -trimpath -tags no_grpc \
		-ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$version" \
		-o "$tmp/shim" github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2)
	keep shim "$key" "$tmp/shim"
	place shim "$key"
fi

sources=$(cd "$root" && go list -deps -f '{{if not .Standard}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{end}}' ./cmd/pandabox-log | sort | grep .)
key=$(printf '%s\n' log "$base" "$(echo "$sources" | tr '\n' '\0' | xargs -0 cat | digest)" | digest)
if ! place log "$key"; then
	echo "parts: building the log writer" >&2
	(cd "$root" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$tmp/log" ./cmd/pandabox-log)
	keep log "$key" "$tmp/log"
	place log "$key"
fi

# What no checkout has used for three months goes.
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +90 -exec rm -rf {} +
