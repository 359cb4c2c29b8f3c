package qjs

// Bytes makes a Uint8Array with a copy of b.
func (r *Realm) Bytes(b []byte) (Value, error) {
	p, err := r.put(string(b))
	if err != nil {
		return 0, err
	}
	v, err := r.do(fnNewBytes, uint64(r.marks.Context), uint64(p), uint64(len(b)))
	if err != nil {
		return 0, err
	}
	return Value(v), r.drop(p)
}

// View returns the bytes of an ArrayBuffer, a typed array or a DataView, as they lie in guest memory: good until the
// guest runs again. ok is false for everything else, detached buffers too.
func (r *Realm) View(v Value) (b []byte, ok bool, err error) {
	if !v.IsObject() {
		return nil, false, nil
	}
	if is, err := r.do(fnIsArrayBuffer, uint64(v)); err != nil {
		return nil, false, err
	} else if uint32(is) != 0 {
		return r.buffer(v)
	}
	if kind, err := r.do(fnTypedArrayType, uint64(v)); err != nil {
		return nil, false, err
	} else if int32(uint32(kind)) >= 0 {
		return r.typed(v)
	}
	if is, err := r.do(fnIsDataView, uint64(v)); err != nil || uint32(is) == 0 {
		return nil, false, err
	}
	return r.dataView(v)
}

func (r *Realm) buffer(v Value) ([]byte, bool, error) {
	at := r.marks.Scratch + scratchSize - 64
	p, err := r.do(fnArrayBuffer, uint64(r.marks.Context), uint64(at), uint64(v))
	if err != nil {
		return nil, false, err
	}
	if uint32(p) == 0 {
		return nil, false, r.forget()
	}
	n, _ := r.mem.ReadUint32Le(at)
	b, ok := r.mem.Read(uint32(p), n)
	if !ok {
		return nil, false, errMemory
	}
	return b, true, nil
}

func (r *Realm) typed(v Value) ([]byte, bool, error) {
	at := r.marks.Scratch + scratchSize - 64
	buf, err := r.do(fnTypedArray, uint64(r.marks.Context), uint64(v), uint64(at+8), uint64(at+12), uint64(at+16))
	if err != nil {
		return nil, false, err
	}
	if Value(buf) == Exception {
		return nil, false, r.forget()
	}
	offset, _ := r.mem.ReadUint32Le(at + 8)
	length, _ := r.mem.ReadUint32Le(at + 12)
	return r.part(Value(buf), offset, length)
}

func (r *Realm) dataView(v Value) ([]byte, bool, error) {
	var numbers [2]uint32
	for i, name := range []string{"byteOffset", "byteLength"} {
		n, err := r.Get(v, name)
		if err != nil {
			return nil, false, err
		}
		if !n.IsNumber() || n.Int() < 0 {
			return nil, false, r.forget()
		}
		numbers[i] = uint32(n.Int())
	}
	buf, err := r.Get(v, "buffer")
	if err != nil {
		return nil, false, err
	}
	if is, err := r.do(fnIsArrayBuffer, uint64(buf)); err != nil || uint32(is) == 0 {
		return nil, false, err
	}
	return r.part(buf, numbers[0], numbers[1])
}

// part returns a piece of a buffer and takes the buffer: what it was taken from keeps it alive.
func (r *Realm) part(buf Value, offset, length uint32) ([]byte, bool, error) {
	b, ok, err := r.buffer(buf)
	if err != nil {
		return nil, false, err
	}
	if err := r.Free(buf); err != nil || !ok {
		return nil, false, err
	}
	if uint64(offset)+uint64(length) > uint64(len(b)) {
		return nil, false, nil
	}
	return b[offset : offset+length], true, nil
}

// forget drops the pending exception.
func (r *Realm) forget() error {
	v, err := r.Caught()
	if err != nil {
		return err
	}
	return r.Free(v)
}
