#!/bin/sh
# Prints the folder of a Gitea that the tests here start: the program and the files it reads. It is compiled from its
# source as a Go module, which go checks against the checksum database, and kept under the user's cache directory. Only
# the first run needs the network, and some minutes.
set -eu

version=v1.26.4
export CGO_ENABLED=1 GOFLAGS='' GOWORK=off GOTOOLCHAIN=auto

cache=${XDG_CACHE_HOME:-$HOME/.cache}/pandabox/gitea
out=$cache/$({ go version && cat "$0"; } | sha256sum | cut -c1-16)
if [ -d "$out" ]; then
	echo "$out"
	exit 0
fi
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -d "$out" ]; then
	echo "$out"
	exit 0
fi

tmp=$(mktemp -d "$cache/.build.XXXXXX")
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
source=$(go mod download -json "code.gitea.io/gitea@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
mkdir "$tmp/out"
go build -C "$source" -tags 'sqlite sqlite_unlock_notify' -ldflags "-X main.Version=${version#v}" -o "$tmp/out/gitea" . >&2
cp -r "$source/options" "$source/templates" "$source/public" "$tmp/out"
chmod -R u+w "$tmp/out"
mv "$tmp/out" "$out"
echo "$out"
