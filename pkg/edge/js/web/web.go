// Package web is the web platform for functions written in JavaScript: the classes (in JavaScript, folder js) and the Go
// functions behind them. Package bridge says how they meet the engine.
//
// The scripts are one program in one function scope, in the order below; what they keep of the built-in objects is in
// primordials.js. Nothing here holds state between calls: an isolate is a copy of memory, and what is not in its memory
// is not copied. A decoder's rest, a compressor's window and a key's bytes therefore are JavaScript values.
package web

import (
	"embed"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

//go:embed js/*.js
var scripts embed.FS

//go:embed streams/ponyfill.js
var streams string

// StreamsDigest is the SHA-256 of the script streams are made of.
const StreamsDigest = "fe4d30b1a69f423305bdb942847a546be92b7041ce71706174fbb5465081e549"

// order is which script needs which.
const order = "primordials webidl event eventtarget abort performance navigator encoding base64 urlsearchparams url streams " +
	"textstreams compression blob formdata headers body response request clone cryptokey algorithm keyimport keyexport " +
	"subtle crypto runtime"

// Source returns the prelude: one classic script.
func Source() string {
	var b strings.Builder
	b.WriteString("(host => {\n'use strict';\nconst streams = {};\n((exports, module) => {\n")
	b.WriteString(streams)
	b.WriteString("\n})(streams, {});\n")
	for name := range strings.FieldsSeq(order) {
		text, err := scripts.ReadFile("js/" + name + ".js")
		if err != nil {
			panic(err) // a name in order without a file: the first test finds it
		}
		b.Write(text)
	}
	b.WriteString("})(host);\n")
	return b.String()
}

// Functions returns the Go functions of the prelude.
func Functions() []bridge.Function {
	return slices.Concat(textFunctions(), urlFunctions(), formFunctions(), compressionFunctions(),
		randomFunctions(), digestFunctions(), cipherFunctions(), keyFunctions(), signatureFunctions(), derivationFunctions())
}
