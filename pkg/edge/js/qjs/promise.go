package qjs

// Promise makes a promise and the functions that settle it.
func (r *Realm) Promise() (promise, resolve, reject Value, err error) {
	at := r.marks.Scratch + scratchSize - 64
	v, err := r.do(fnCapability, uint64(r.marks.Context), uint64(at))
	if err != nil || Value(v) == Exception {
		return Exception, 0, 0, err
	}
	a, _ := r.mem.ReadUint64Le(at)
	b, ok := r.mem.ReadUint64Le(at + 8)
	if !ok {
		return Exception, 0, 0, errMemory
	}
	return Value(v), Value(a), Value(b), nil
}

// State is how far a promise is.
type State int32

// The states of a promise, and what is none.
const (
	NoPromise State = -1
	Pending   State = 0
	Fulfilled State = 1
	Rejected  State = 2
)

// State returns how far v is.
func (r *Realm) State(v Value) (State, error) {
	if !v.IsObject() {
		return NoPromise, nil
	}
	s, err := r.do(fnPromiseState, uint64(r.marks.Context), uint64(v))
	return State(int32(uint32(s))), err
}

// Result returns what a settled promise was settled with.
func (r *Realm) Result(v Value) (Value, error) {
	res, err := r.do(fnPromiseResult, uint64(r.marks.Context), uint64(v))
	return Value(res), err
}
