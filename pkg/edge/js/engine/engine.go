// Package engine holds the JavaScript engine: QuickJS-ng built to WebAssembly by the quickjs-wasi project (MIT, see
// LICENSE). fetch.sh makes the file.
package engine

import (
	"crypto/sha256"
	_ "embed" // the engine
	"encoding/hex"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// Digest is the SHA-256 of the module.
const Digest = "d4c9375f2b1ca4dc95f72c8aa2982a7a9951ac8011490d79c6582df732b4bbd9"

//go:embed quickjs.wasm.zst
var packed []byte

// Wasm returns the module: its bytes are exactly those that were published.
func Wasm() ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("unpacking the JavaScript engine: %w", err)
	}
	defer d.Close()
	wasm, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking the JavaScript engine: %w", err)
	}
	if sum := sha256.Sum256(wasm); hex.EncodeToString(sum[:]) != Digest {
		return nil, fmt.Errorf("the JavaScript engine is not the one that was pinned: sha256 %x", sum)
	}
	return wasm, nil
}
