package qjs

// Global returns the global object.
func (r *Realm) Global() (Value, error) {
	v, err := r.do(fnGlobal, uint64(r.marks.Context))
	return Value(v), err
}

// Get reads a property, which may run user code.
func (r *Realm) Get(object Value, name string) (Value, error) {
	p, err := r.cstring(name)
	if err != nil {
		return 0, err
	}
	v, err := r.do(fnGetProp, uint64(r.marks.Context), uint64(object), uint64(p))
	if err != nil {
		return 0, err
	}
	_, err = r.do(fnFree, uint64(p))
	return Value(v), err
}

// Set writes a property and takes v.
func (r *Realm) Set(object Value, name string, v Value) error {
	p, err := r.cstring(name)
	if err != nil {
		return err
	}
	if _, err := r.do(fnSetProp, uint64(r.marks.Context), uint64(object), uint64(p), uint64(v)); err != nil {
		return err
	}
	_, err = r.do(fnFree, uint64(p))
	return err
}

// List makes an Array and takes its items.
func (r *Realm) List(items []Value) (Value, error) {
	a, err := r.do(fnNewArray, uint64(r.marks.Context))
	if err != nil || Value(a) == Exception {
		return Exception, err
	}
	for i, v := range items {
		if _, err := r.do(fnSetIndex, uint64(r.marks.Context), a, uint64(i), uint64(v)); err != nil {
			return 0, err
		}
	}
	return Value(a), nil
}

// Index reads an element.
func (r *Realm) Index(array Value, i int) (Value, error) {
	v, err := r.do(fnGetIndex, uint64(r.marks.Context), uint64(array), uint64(i))
	return Value(v), err
}

// IsFunction tells whether v can be called.
func (r *Realm) IsFunction(v Value) (bool, error) {
	if !v.IsObject() {
		return false, nil
	}
	is, err := r.do(fnIsFunction, uint64(r.marks.Context), uint64(v))
	return uint32(is) != 0, err
}
