// structuredClone. https://html.spec.whatwg.org/multipage/structured-data.html

const dateValue = call(Date.prototype.getTime);
const regexpSource = getter(RegExp.prototype, 'source');
const regexpFlags = getter(RegExp.prototype, 'flags');
const setSize = getter(Set.prototype, 'size');
const mapForEach = call(Map.prototype.forEach);
const setForEach = call(Set.prototype.forEach);
const numberValue = call(Number.prototype.valueOf);
const stringValue = call(String.prototype.valueOf);
const booleanValue = call(Boolean.prototype.valueOf);
const bigintValue = call(BigInt.prototype.valueOf);
const symbolValue = call(Symbol.prototype.valueOf);
const domName = getter(DOMException.prototype, 'name');
const domMessage = getter(DOMException.prototype, 'message');
const weakRefDeref = call(WeakRef.prototype.deref);
const weakMapHas = call(WeakMap.prototype.has);
const weakSetHas = call(WeakSet.prototype.has);
const isErrorObject = Error.isError;
const errorClasses = { __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const { DataView: DataViewClass, Date: DateClass, Map: MapClass, Set: SetClass, RegExp: RegExpClass } = globalThis;
const typedClasses = { __proto__: null };
{
  const all = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array, Float16Array, Float32Array, Float64Array];
  for (let i = 0; i < all.length; i++) typedClasses[all[i].name] = all[i];
}

// is tells whether probe, a method that checks its receiver, takes v.
const is = (probe, v) => {
  try {
    probe(v);
    return true;
  } catch {
    return false;
  }
};

const cloneError = (what) => domError('DataCloneError', `${what} could not be cloned`);

const put = (object, key, value) => defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });

// platformClones copy objects of the prelude's own classes: each returns undefined for what is not its own.
const platformClones = [
  (v) => {
    const bytes = blobBytes(v);
    if (bytes === undefined) return undefined;
    const f = fileState(v);
    return f === undefined ? newBlob(bytes, blobType(v)) : newFile(bytes, blobType(v), f.name, f.modified);
  },
  (v) => cloneKey(v),
];

const cloneValue = (v, memory) => {
  if (!isObject(v)) {
    if (typeof v === 'symbol') throw cloneError('A symbol');
    return v;
  }
  const known = mapGet(memory, v);
  if (known !== undefined) return known;
  if (typeof v === 'function') throw cloneError('A function');
  const keep = (copy) => {
    mapSet(memory, v, copy);
    return copy;
  };
  if (isArray(v)) {
    const out = keep([]);
    out.length = v.length;
    return cloneProperties(v, out, memory);
  }
  const proto = getPrototypeOf(v);
  if (proto !== ObjectPrototype && proto !== null) {
    const special = cloneSpecial(v, memory, keep);
    if (special !== undefined) return special;
  }
  return cloneProperties(v, keep({}), memory);
};

const cloneProperties = (v, out, memory) => {
  const names = objectKeys(v);
  for (let i = 0; i < names.length; i++) {
    if (ownsProperty(v, names[i])) put(out, names[i], cloneValue(v[names[i]], memory));
  }
  return out;
};

const cloneSpecial = (v, memory, keep) => {
  if (isView(v)) return cloneView(v, memory, keep);
  if (is(bufferByteLength, v)) return keep(cloneBuffer(v));
  if (is(dateValue, v)) return keep(new DateClass(dateValue(v)));
  if (is(mapSize, v)) {
    const out = keep(new MapClass());
    const flat = [];
    mapForEach(v, (value, key) => {
      flat[flat.length] = key;
      flat[flat.length] = value;
    });
    for (let i = 0; i < flat.length; i += 2) mapSet(out, cloneValue(flat[i], memory), cloneValue(flat[i + 1], memory));
    return out;
  }
  if (is(setSize, v)) {
    const out = keep(new SetClass());
    const flat = [];
    setForEach(v, (value) => {
      flat[flat.length] = value;
    });
    for (let i = 0; i < flat.length; i++) setAdd(out, cloneValue(flat[i], memory));
    return out;
  }
  if (is(domName, v)) {
    const out = domError(domName(v), domMessage(v));
    if (typeof v.stack === 'string') defineProperty(out, 'stack', { value: v.stack, writable: true, configurable: true });
    return keep(out);
  }
  if (isErrorObject(v)) return cloneFailure(v, memory, keep);
  for (let i = 0; i < platformClones.length; i++) {
    const out = platformClones[i](v);
    if (out !== undefined) return keep(out);
  }
  // A RegExp's flags come from user-visible getters, so its source, which checks its receiver, is asked first.
  if (v !== RegExpClass.prototype && is(regexpSource, v)) return keep(new RegExpClass(regexpSource(v), regexpFlags(v)));
  const boxes = [numberValue, stringValue, booleanValue, bigintValue];
  for (let i = 0; i < boxes.length; i++) if (is(boxes[i], v)) return keep(Object(boxes[i](v)));
  if (is(symbolValue, v)) throw cloneError('A symbol');
  if (isPlatform(v)) throw cloneError(`An object of the class ${v.constructor?.name}`);
  return undefined;
};

// isPlatform tells objects with state that cannot be copied.
const isPlatform = (v) =>
  is((x) => weakMapHas(x, ObjectPrototype), v) ||
  is((x) => weakSetHas(x, ObjectPrototype), v) ||
  is(weakRefDeref, v) ||
  is((x) => then(x), v) ||
  is(sharedByteLength, v) ||
  isStream(v) ||
  is(readableOf, v) ||
  is(isWritableLocked, v) ||
  requestState(v) !== undefined ||
  responseState(v) !== undefined ||
  eventState(v) !== undefined ||
  urlRecord(v) !== undefined ||
  paramsText(v) !== undefined ||
  formEntries(v) !== undefined ||
  isHeaders(v) ||
  isTarget(v);
const isWritableLocked = getter(WritableStream.prototype, 'locked');

const cloneBuffer = (v) => {
  if (bufferDetached(v)) throw cloneError('A detached ArrayBuffer');
  const out = placeholder(v);
  typedSet(new Bytes(out), new Bytes(v));
  return out;
};

const cloneView = (v, memory, keep) => {
  const name = typedName(v);
  const [buffer, offset, length] = name === undefined ? [viewBuffer(v), viewOffset(v), undefined] : [typedBuffer(v), typedOffset(v), typedLength(v)];
  if (isShared(buffer)) throw cloneError('A view of a SharedArrayBuffer');
  const copy = cloneValue(buffer, memory);
  if (name === undefined) return keep(new DataViewClass(copy, offset, viewByteLength(v)));
  return keep(new typedClasses[name](copy, offset, length));
};

const cloneFailure = (v, memory, keep) => {
  let name = v.name;
  name = name === undefined ? 'Error' : `${name}`;
  const Class = errorClasses[name] ?? errorClasses.Error;
  const d = getOwnPropertyDescriptor(v, 'message');
  const out = keep(create(Class.prototype) && new Class());
  delete out.stack;
  if (d !== undefined && 'value' in d) defineProperty(out, 'message', { value: `${d.value}`, writable: true, configurable: true });
  if (typeof v.stack === 'string') defineProperty(out, 'stack', { value: v.stack, writable: true, configurable: true });
  if (ownsProperty(v, 'cause')) {
    defineProperty(out, 'cause', { value: cloneValue(v.cause, memory), writable: true, configurable: true });
  }
  return out;
};

const cloning = {
  structuredClone(value, options = undefined) {
    need(arguments.length, 1, 'structuredClone');
    const { transfer } = dictionary(options, 'The options of structuredClone');
    const memory = new MapClass();
    const list = transfer === undefined ? [] : listOf(transfer, (t) => t, 'The option transfer');
    const buffers = new SetClass();
    for (let i = 0; i < list.length; i++) {
      if (!is(bufferByteLength, list[i])) throw cloneError('What is to be transferred');
      if (setHas(buffers, list[i])) throw cloneError('An ArrayBuffer that is to be transferred twice');
      if (bufferDetached(list[i])) throw cloneError('A detached ArrayBuffer');
      setAdd(buffers, list[i]);
      // The copy stands for the buffer while its views are cloned; it is filled when nothing can fail any more.
      mapSet(memory, list[i], placeholder(list[i]));
    }
    const out = cloneValue(value, memory);
    for (let i = 0; i < list.length; i++) {
      typedSet(new Bytes(mapGet(memory, list[i])), new Bytes(list[i]));
      bufferTransfer(list[i], 0);
    }
    return out;
  },
};
const setHas = call(Set.prototype.has);
const placeholder = (b) =>
  bufferResizable(b)
    ? new BufferClass(bufferByteLength(b), { maxByteLength: bufferMaxByteLength(b) })
    : new BufferClass(bufferByteLength(b));
defineMember('structuredClone', cloning.structuredClone);
