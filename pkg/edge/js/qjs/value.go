// Package qjs speaks to one QuickJS context in the memory of a WASM instance: values, strings, buffers, calls. It knows
// the pinned engine's representation of values (NaN boxes, reference counts before the object), which its tests check.
//
// Ownership is QuickJS's: a Value returned is the caller's to Free, arguments are borrowed unless a comment says taken.
// Nothing here is safe for more than one goroutine.
package qjs

import "math"

// Value is a JSValue: a number or constant by itself, or a counted reference.
type Value uint64

// Constants. Exception is returned in place of a value while an exception is pending.
const (
	Null      Value = 2 << 32
	Undefined Value = 3 << 32
	False     Value = 1 << 32
	True      Value = 1<<32 | 1
	Exception Value = 6 << 32
)

// The tags of the upper 32 bits that matter.
const (
	tagFirst      = -9
	tagString     = -7
	tagRope       = -6
	tagObject     = -1
	tagInt        = 0
	tagBool       = 1
	tagFloat      = 8
	floatAddend   = 0x7ff80000 - tagFirst + 1
	notANumber    = 0x7ff8000000000000 - floatAddend<<32
	countedBefore = 4 // bytes from the object back to its reference count
)

// Int makes a number of an int32.
func Int(i int32) Value { return Value(uint32(i)) }

// Float makes a number.
func Float(f float64) Value {
	if i := int32(f); float64(i) == f && (i != 0 || !math.Signbit(f)) {
		return Int(i)
	}
	if math.IsNaN(f) {
		v := int64(notANumber)
		return Value(uint64(v))
	}
	return Value(math.Float64bits(f) - floatAddend<<32)
}

// Bool makes a boolean.
func Bool(b bool) Value {
	if b {
		return True
	}
	return False
}

func (v Value) tag() int32 { return int32(uint32(v >> 32)) }

func (v Value) counted() bool { return uint32(v.tag()) >= 0xffffffff+tagFirst+1 }

func (v Value) pointer() uint32 { return uint32(v) }

// IsString tells whether v is a string.
func (v Value) IsString() bool { return v.tag() == tagString || v.tag() == tagRope }

// IsObject tells whether v is an object, functions included.
func (v Value) IsObject() bool { return v.tag() == tagObject }

// IsBool tells whether v is a boolean.
func (v Value) IsBool() bool { return v.tag() == tagBool }

// IsNumber tells whether v is a number.
func (v Value) IsNumber() bool { return v.tag() == tagInt || v.isFloat() }

func (v Value) isFloat() bool { return uint32(v.tag()-tagFirst) >= tagFloat-tagFirst }

// Number returns v as a number, 0 where it is none.
func (v Value) Number() float64 {
	switch {
	case v.tag() == tagInt:
		return float64(int32(uint32(v)))
	case v.isFloat():
		return math.Float64frombits(uint64(v) + floatAddend<<32)
	}
	return 0
}

// Int returns v as an int, clamped to int32; 0 where it is no number.
func (v Value) Int() int {
	n := v.Number()
	switch {
	case n != n:
		return 0
	case n > math.MaxInt32:
		return math.MaxInt32
	case n < math.MinInt32:
		return math.MinInt32
	}
	return int(n)
}
