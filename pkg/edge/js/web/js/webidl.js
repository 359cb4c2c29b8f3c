// Conversions of Web IDL, and how a class becomes an interface.
// https://webidl.spec.whatwg.org/

// SECRET is the first argument with which the prelude itself constructs what users cannot.
const SECRET = create(null);

const isObject = (v) => (typeof v === 'object' && v !== null) || typeof v === 'function';

const need = (given, wanted, where) => {
  if (given < wanted) {
    throw new TypeErr(`${where}: ${wanted} argument${wanted === 1 ? '' : 's'} required, but only ${given} present`);
  }
};

const illegal = () => new TypeErr('Illegal constructor');

// usv converts to a string without lone surrogates.
const usv = (v) => {
  const s = typeof v === 'string' ? v : `${v}`;
  return isWellFormed(s) ? s : wellFormed(s);
};

const dictionary = (v, where) => {
  if (v === undefined || v === null) return {};
  if (!isObject(v)) throw new TypeErr(`${where} is not an object`);
  return v;
};

// integer is unsigned long and its like: max is the largest value, how is 'wrap', 'enforce' or 'clamp'.
const integer = (v, limit, how = 'wrap', low = 0) => {
  let n = +v;
  if (how === 'enforce') {
    n = trunc(n);
    if (!isNumberFinite(n) || n < low || n > limit) throw new TypeErr(`${v} is outside the range of ${low} to ${limit}`);
    return n + 0;
  }
  if (how === 'clamp') {
    if (n !== n) return 0;
    n = min(max(n, low), limit);
    const f = floor(n);
    const d = n - f;
    return (d < 0.5 || (d === 0.5 && f % 2 === 0) ? f : f + 1) + 0;
  }
  if (!isNumberFinite(n)) return 0;
  n = trunc(n);
  const span = limit - low + 1;
  n %= span;
  if (n < 0 && low === 0) n += span;
  if (n > limit) n -= span;
  if (n < low) n += span;
  return n + 0;
};

// isShared tells a view of a SharedArrayBuffer, or one itself.
const isShared = (buffer) => {
  if (!(buffer instanceof SharedBufferClass)) return false;
  try {
    sharedByteLength(buffer);
    return true;
  } catch {
    return false;
  }
};

const isBuffer = (v) => {
  if (!isObject(v) || !(v instanceof BufferClass)) return false; // without an exception, which costs more than all else
  try {
    bufferByteLength(v);
    return true;
  } catch {
    return false;
  }
};

const isBufferSource = (v) => isView(v) || isBuffer(v);

// bytesOf returns a Uint8Array over the memory of a buffer source; detached buffers are empty.
const bytesOf = (v, where = 'The argument') => {
  if (typedName(v) === 'Uint8Array' && getPrototypeOf(v) === Bytes.prototype) return v;
  if (isView(v)) {
    if (typedName(v) !== undefined) {
      return new Bytes(typedBuffer(v), typedOffset(v), typedByteLength(v));
    }
    return new Bytes(viewBuffer(v), viewOffset(v), viewByteLength(v));
  }
  if (isBuffer(v)) return bufferDetached(v) ? new Bytes(0) : new Bytes(v);
  throw new TypeErr(`${where} is not an ArrayBuffer or a view of one`);
};

const copyOf = (v, where) => {
  const b = bytesOf(v, where);
  const out = new Bytes(typedLength(b));
  typedSet(out, b);
  return out;
};

const join = (pieces, total) => {
  const out = new Bytes(total);
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    typedSet(out, pieces[i], at);
    at += typedLength(pieces[i]);
  }
  return out;
};

// listOf is sequence<T>: each element of an iterable, converted.
const listOf = (v, convert, where) => {
  if (!isObject(v)) throw new TypeErr(`${where} is not a sequence`);
  const method = v[symbolIterator];
  if (typeof method !== 'function') throw new TypeErr(`${where} is not iterable`);
  return iterate(v, method, convert);
};

const iterate = (v, method, convert) => {
  const it = apply(method, v, []);
  if (!isObject(it)) throw new TypeErr('The iterator is not an object');
  const next = it.next;
  const out = [];
  for (;;) {
    const step = apply(next, it, []);
    if (!isObject(step)) throw new TypeErr('The result of the iterator is not an object');
    if (step.done) return out;
    out[out.length] = convert(step.value);
  }
};

// publish makes Class the interface `name` of the global object: members enumerable, a tag, no writable prototype.
const publish = (Class, name = Class.name, hidden = false) => {
  dress(Class.prototype);
  dress(Class, true);
  defineProperty(Class.prototype, toStringTag, { value: name, configurable: true });
  if (!hidden) define(name, Class);
  return Class;
};

const dress = (object, isClass = false) => {
  const names = ownKeys(object);
  for (let i = 0; i < names.length; i++) {
    const n = names[i];
    if (typeof n === 'symbol' || n === 'constructor') continue;
    if (isClass && (n === 'prototype' || n === 'name' || n === 'length')) continue;
    const d = getOwnPropertyDescriptor(object, n);
    d.enumerable = true;
    defineProperty(object, n, d);
  }
};

const define = (name, value) =>
  defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });

// defineMember is for functions and objects of the global scope, which are enumerable.
const defineMember = (name, value) =>
  defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });

const constants = (Class, values) => {
  const names = objectKeys(values);
  for (let i = 0; i < names.length; i++) {
    const d = { value: values[names[i]], enumerable: true };
    defineProperty(Class, names[i], d);
    defineProperty(Class.prototype, names[i], d);
  }
};

// pairIterator gives Class entries, keys, values, forEach and @@iterator over pairs(object): a flat array, read afresh
// at each step so that changes while iterating show.
const pairIterator = (Class, name, pairs) => {
  const proto = create(getPrototypeOf(getPrototypeOf([][symbolIterator]())));
  class Cursor {
    #object;
    #kind;
    #at = 0;
    constructor(object, kind) {
      this.#object = object;
      this.#kind = kind;
      setPrototypeOf(this, proto);
    }
    static next(cursor) {
      const list = pairs(cursor.#object);
      const i = cursor.#at;
      if (i >= list.length) return { value: undefined, done: true };
      cursor.#at = i + 2;
      const kind = cursor.#kind;
      return { value: kind === 0 ? list[i] : kind === 1 ? list[i + 1] : [list[i], list[i + 1]], done: false };
    }
  }
  const next = Cursor.next;
  const method = {
    next() {
      return next(this);
    },
  }.next;
  defineProperty(proto, 'next', { value: method, writable: true, enumerable: true, configurable: true });
  defineProperty(proto, toStringTag, { value: `${name} Iterator`, configurable: true });
  const methods = {
    entries() {
      pairs(this);
      return new Cursor(this, 2);
    },
    keys() {
      pairs(this);
      return new Cursor(this, 0);
    },
    values() {
      pairs(this);
      return new Cursor(this, 1);
    },
    forEach(callback, thisArg = undefined) {
      pairs(this);
      need(arguments.length, 1, `${name}.forEach`);
      if (typeof callback !== 'function') throw new TypeErr(`${name}.forEach: parameter 1 is not a function`);
      for (let i = 0, list; (list = pairs(this)), i < list.length; i += 2) {
        apply(callback, thisArg, [list[i + 1], list[i], this]);
      }
    },
  };
  const names = objectKeys(methods);
  for (let i = 0; i < names.length; i++) {
    defineProperty(Class.prototype, names[i], {
      value: methods[names[i]],
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  defineProperty(Class.prototype, symbolIterator, { value: methods.entries, writable: true, configurable: true });
};
