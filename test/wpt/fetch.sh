#!/bin/sh
# Prints the folder of the web-platform-tests that the tests here run. They are those that Node.js carries, taken from
# Debian's source package of it through apt, pinned by hash, and kept under the user's cache directory. Only the first
# run needs the network.
set -eu

package=nodejs
archive=nodejs_18.20.4+dfsg.orig.tar.xz
hash=6ce58062c71eae37d9c5ac31eeaeff9c2d48561d21c2849179d056c9c1bd9ebc

cache=${XDG_CACHE_HOME:-$HOME/.cache}/pandabox/wpt
out=$cache/$(echo "$hash" | cut -c1-16)
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

tmp=$(mktemp -d "$cache/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

# apt with lists of its own: this machine's sources of Debian, asked for source packages.
mkdir -p etc/parts lists/partial archives/partial
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
	[ -f "$f" ] || continue
	case $f in
	*.sources) grep -qi 'debian-archive' "$f" && sed 's/^Types:.*/Types: deb-src/' "$f" >"etc/parts/$(basename "$f")" ;;
	*) grep -E '^deb .*debian' "$f" | sed 's/^deb /deb-src /' >"etc/parts/$(basename "$f" .list).list" ;;
	esac || true
done
set -- -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$tmp/etc/parts" -o "Dir::State::lists=$tmp/lists" \
	-o "Dir::Cache=$tmp" -o "Dir::Cache::archives=$tmp/archives" -o APT::Sandbox::User=root
apt-get "$@" update >&2
# Of the package's files only one is needed: whether the others arrive does not matter.
apt-get "$@" source --download-only "$package" >apt.log 2>&1 || true
if [ ! -f "$archive" ]; then
	cat apt.log >&2
	echo "wpt: $archive could not be fetched" >&2
	exit 1
fi
echo "$hash  $archive" | sha256sum --check --quiet >&2
mkdir tree
tar -xJf "$archive" -C tree --strip-components=4 --wildcards '*/test/fixtures/wpt/*'
mv tree "$out"
echo "$out"
