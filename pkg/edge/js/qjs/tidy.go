package qjs

// Where the engine has its C stack: it grows down from stackTop to 0, and is empty between calls.
const (
	stackTop = 1 << 20
	page     = 4096
)

// Tidy clears what earlier calls left in the stack and in the scratch buffer. A snapshot taken then has none of it.
func (r *Realm) Tidy() error {
	stack, ok := r.mem.Read(0, stackTop)
	if !ok {
		return errMemory
	}
	for len(stack) > 0 {
		if p := stack[:page]; used(p) { // reading costs no memory where nothing was ever written
			clear(p)
		}
		stack = stack[page:]
	}
	scratch, ok := r.mem.Read(r.marks.Scratch, scratchSize)
	if !ok {
		return errMemory
	}
	clear(scratch)
	return nil
}

func used(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return true
		}
	}
	return false
}

// Room makes the memory as large as n more bytes of objects need.
func (r *Realm) Room(n uint32) error {
	p, err := r.do(fnMalloc, uint64(n))
	if err != nil {
		return err
	}
	if uint32(p) == 0 {
		return ErrOutOfMemory
	}
	_, err = r.do(fnFree, p)
	return err
}
