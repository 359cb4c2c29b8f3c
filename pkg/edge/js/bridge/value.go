package bridge

import "context"

// Kind is what a Value is.
type Kind uint8

// The kinds of values. KindOther is what arrives for objects, functions, symbols and bigints.
const (
	KindUndefined Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindBytes
	KindList  // to JavaScript only: an Array
	KindLater // to JavaScript only: a Promise
	KindOther
)

// Value is one JavaScript value on its way over the bridge.
type Value struct {
	kind  Kind
	num   float64
	str   string
	bytes []byte
	list  []Value
	later func(ctx context.Context) (Value, error)
}

// Undefined is undefined.
func Undefined() Value { return Value{} }

// Null is null.
func Null() Value { return Value{kind: KindNull} }

// Other stands for a value that does not cross.
func Other() Value { return Value{kind: KindOther} }

// Bool is a boolean.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Number is a number.
func Number(n float64) Value { return Value{kind: KindNumber, num: n} }

// String is a string. Strings are UTF-8: lone surrogates arrive as U+FFFD, bytes that are no UTF-8 leave as U+FFFD.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Bytes becomes a new Uint8Array that holds a copy of b.
func Bytes(b []byte) Value { return Value{kind: KindBytes, bytes: b} }

// List becomes a new Array.
func List(vs ...Value) Value { return Value{kind: KindList, list: vs} }

// Later becomes a Promise, settled with what f returns. f runs on a goroutine of its own, is for waiting and not for
// computing, ends when ctx does, and must not touch the arguments' bytes.
func Later(f func(ctx context.Context) (Value, error)) Value { return Value{kind: KindLater, later: f} }

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// Str returns the string of a KindString.
func (v Value) Str() string { return v.str }

// Num returns the number of a KindNumber, 1 or 0 of a KindBool.
func (v Value) Num() float64 { return v.num }

// Raw returns the bytes of a KindBytes.
func (v Value) Raw() []byte { return v.bytes }

// Items returns the values of a KindList.
func (v Value) Items() []Value { return v.list }

// Wait runs what a KindLater waits for.
func (v Value) Wait(ctx context.Context) (Value, error) { return v.later(ctx) }
