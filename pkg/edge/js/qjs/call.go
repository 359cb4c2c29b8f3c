package qjs

// Ways to evaluate.
const (
	Script = 0
	Module = 1
)

// Eval evaluates source: a script to its completion value, a module to a promise of its namespace. name is what stacks
// show.
func (r *Realm) Eval(source, name string, how int) (Value, error) {
	src, err := r.cstring(source)
	if err != nil {
		return 0, err
	}
	file, err := r.cstring(name)
	if err != nil {
		return 0, err
	}
	v, err := r.eval(how, uint64(src), uint64(len(source)), uint64(file))
	if err != nil {
		return 0, err
	}
	if _, err := r.do(fnFree, uint64(src)); err != nil {
		return 0, err
	}
	_, err = r.do(fnFree, uint64(file))
	return v, err
}

func (r *Realm) eval(how int, source, length, name uint64) (Value, error) {
	if how == Script {
		v, err := r.do(fnEval, uint64(r.marks.Context), source, length, name, 0)
		return Value(v), err
	}
	// JS_Eval gives a promise of nothing for a module; the package's own function gives one of its namespace, in a box.
	box, err := r.do(fnEvalModule, source, length, name, uint64(how))
	if err != nil {
		return 0, err
	}
	v, ok := r.mem.ReadUint64Le(uint32(box))
	if !ok {
		return 0, errMemory
	}
	_, err = r.do(fnFree, box)
	return Value(v), err
}

// Call calls f with at most eight arguments.
func (r *Realm) Call(f, this Value, args ...Value) (Value, error) {
	argv := r.marks.Scratch + scratchSize - 64
	for i, a := range args {
		if !r.mem.WriteUint64Le(argv+8*uint32(i), uint64(a)) {
			return 0, errMemory
		}
	}
	v, err := r.do(fnCall, uint64(r.marks.Context), uint64(f), uint64(this), uint64(len(args)), uint64(argv))
	return Value(v), err
}

// Function makes a function that calls the host with magic.
func (r *Realm) Function(name string, magic int16) (Value, error) {
	p, err := r.cstring(name)
	if err != nil {
		return 0, err
	}
	const trampoline = 112 // its place in the module's table
	v, err := r.do(fnNewCFunction, uint64(r.marks.Context), trampoline, uint64(p), 0, uint64(magic), 0, 0)
	if err != nil {
		return 0, err
	}
	_, err = r.do(fnFree, uint64(p))
	return Value(v), err
}

// Dup takes one more reference.
func (r *Realm) Dup(v Value) Value {
	if v.counted() {
		n, _ := r.mem.ReadUint32Le(v.pointer() - countedBefore)
		r.mem.WriteUint32Le(v.pointer()-countedBefore, n+1)
	}
	return v
}

// Free gives a reference back.
func (r *Realm) Free(v Value) error {
	if !v.counted() {
		return nil
	}
	if n, ok := r.mem.ReadUint32Le(v.pointer() - countedBefore); ok && n > 1 {
		r.mem.WriteUint32Le(v.pointer()-countedBefore, n-1)
		return nil
	}
	_, err := r.do(fnFreeValue, uint64(r.marks.Context), uint64(v))
	return err
}

// Throw makes v the pending exception and takes it; the result is Exception.
func (r *Realm) Throw(v Value) (Value, error) {
	e, err := r.do(fnThrow, uint64(r.marks.Context), uint64(v))
	return Value(e), err
}

// Caught returns the pending exception, which is none from then on.
func (r *Realm) Caught() (Value, error) {
	v, err := r.do(fnException, uint64(r.marks.Context))
	return Value(v), err
}

// Job runs one pending job (a promise reaction). more is false when there was none. What a job throws is its promise's
// to tell; what it throws besides is pending, for Caught.
func (r *Realm) Job() (more bool, err error) {
	pending, err := r.do(fnIsJob)
	if err != nil || uint32(pending) == 0 {
		return false, err
	}
	_, err = r.do(fnRunJob)
	return true, err
}
