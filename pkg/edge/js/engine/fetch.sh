#!/bin/sh
# Writes quickjs.wasm.zst and LICENSE: QuickJS-ng as a WASI reactor, from the npm package quickjs-wasi, as it is there.
# The package and the module are pinned by hash; a test compares the embedded file with the second one.
set -eu

version=3.6.2
package=f1f4349f19a2d849e33ea0ae9bec2e7062b8839f4eceb17c9051ddbaa2720982
module=d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9

here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm pack --silent "quickjs-wasi@$version" >/dev/null
echo "$package  quickjs-wasi-$version.tgz" | sha256sum --check --quiet
tar -xzf "quickjs-wasi-$version.tgz"
echo "$module  package/quickjs.wasm" | sha256sum --check --quiet
zstd -q -19 --ultra -22 --no-progress -f package/quickjs.wasm -o "$here/quickjs.wasm.zst"
cp package/LICENSE "$here/LICENSE"
