package qjs

// stripSource leaves the text of functions out of bytecode.
const stripSource = 1 << 4

// Compile turns a script or a module into bytecode, which another instance of the same engine can Run: without having to
// parse it, and without its text. ok is false where it does not compile: the exception is pending.
func (r *Realm) Compile(source, name string, how int) (code []byte, ok bool, err error) {
	src, err := r.cstring(source)
	if err != nil {
		return nil, false, err
	}
	file, err := r.cstring(name)
	if err != nil {
		return nil, false, err
	}
	at := r.marks.Scratch
	p, err := r.do(fnCompile, uint64(src), uint64(len(source)), uint64(file), uint64(how), stripSource, uint64(at))
	if err != nil || uint32(p) == 0 {
		return nil, false, err
	}
	n, _ := r.mem.ReadUint32Le(at)
	view, ok := r.mem.Read(uint32(p), n)
	if !ok {
		return nil, false, errMemory
	}
	return append([]byte{}, view...), true, nil
}

// Run runs bytecode, with what Eval returns. It is trusted: the engine does not check it.
func (r *Realm) Run(code []byte) (Value, error) {
	p, err := r.do(fnMalloc, uint64(len(code)))
	if err != nil {
		return 0, err
	}
	if uint32(p) == 0 {
		return 0, ErrOutOfMemory
	}
	if !r.mem.Write(uint32(p), code) {
		return 0, errMemory
	}
	box, err := r.do(fnRun, p, uint64(len(code)))
	if err != nil {
		return 0, err
	}
	v, ok := r.mem.ReadUint64Le(uint32(box))
	if !ok {
		return 0, errMemory
	}
	if _, err := r.do(fnFree, box); err != nil {
		return 0, err
	}
	_, err = r.do(fnFree, p)
	return Value(v), err
}
