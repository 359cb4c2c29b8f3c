#!/bin/sh
# Builds the Debian package: build.sh BINARY VERSION DIRECTORY. $NFPM is the packager. The package depends on its input
# only: times in it are SOURCE_DATE_EPOCH, by default that of the commit.
set -eu
binary=$(realpath "$1") version=$2 out=$(realpath -m "$3")
cd "$(dirname "$0")/../.."
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) echo "no package for $(uname -m)" >&2; exit 1 ;; esac
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

"$binary" completion bash >"$stage/pandabox.bash"
gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
{
	echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
	echo "Upstream-Name: pandabox"
	echo "Source: https://github.com/pandabox/pandabox"
	echo
	echo "Files: *"
	echo "Copyright: the pandabox authors"
	echo "License: Apache-2.0"
	echo " On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0."
} >"$stage/copyright"

# The packager fills in only some fields of its configuration, so it is done here.
mtime=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)
sed -e "s|\${ARCH}|$arch|g; s|\${VERSION}|$version|g; s|\${MTIME}|$mtime|g; s|\${BINARY}|$binary|g; s|\${STAGE}|$stage|g" \
	packaging/deb/nfpm.yaml >"$stage/nfpm.yaml"
mkdir -p "$out"
SOURCE_DATE_EPOCH=$epoch "$NFPM" package --config "$stage/nfpm.yaml" --packager deb --target "$out/pandabox_${version}_$arch.deb" >"$stage/log" || {
	cat "$stage/log" >&2
	exit 1
}
echo "$out/pandabox_${version}_$arch.deb"
