#!/bin/sh
# Builds the bundle for boxes without Go or internet: build.sh BINARY VERSION DIRECTORY. It holds the program,
# install.sh, the unit, and the demo's image.
set -eu
binary=$(realpath "$1") version=$2 out=$(realpath -m "$3")
cd "$(dirname "$0")/../.."
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
name=pandabox_${version}_$(go env GOARCH)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

mkdir "$stage/$name"
cp "$binary" "$stage/$name/pandabox"
cp install.sh packaging/systemd/pandabox.service LICENSE examples/hello/pandabox.toml "$stage/$name/"
go run ./examples/hello/image "$stage/$name/hello.tar" >"$stage/$name/hello.tar.digest"
chmod 0755 "$stage/$name/pandabox" "$stage/$name/install.sh"
mkdir -p "$out"
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -cf - "$name" | gzip -n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"
