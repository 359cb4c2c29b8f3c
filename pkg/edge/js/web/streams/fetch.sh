#!/bin/sh
# Writes ponyfill.js and LICENSE: the Streams standard in JavaScript, from the npm package web-streams-polyfill, as it
# is there. The package and the file are pinned by hash; a test compares the embedded file with the second one.
set -eu

version=4.3.0
package=79088822b40c14670896a9a803d981d4e26b66c5e2b4ca7d80cd9c143f6078c4
file=fe4d30b1a69f423305bdb942847a546be92b7041ce71706174fbb5465081e549

here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm pack --silent "web-streams-polyfill@$version" >/dev/null
echo "$package  web-streams-polyfill-$version.tgz" | sha256sum --check --quiet
tar -xzf "web-streams-polyfill-$version.tgz"
echo "$file  package/dist/ponyfill.js" | sha256sum --check --quiet
cp package/dist/ponyfill.js package/LICENSE "$here/"
