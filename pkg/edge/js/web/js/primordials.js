// What the prelude relies on, kept before any script of a user runs. `call` makes a method a function of its receiver:
// call(String.prototype.slice)(text, 1).
const { apply, construct, ownKeys, getPrototypeOf, setPrototypeOf, defineProperty, getOwnPropertyDescriptor } = Reflect;
const { create, freeze, keys: objectKeys, prototype: ObjectPrototype, is: sameValue } = Object;
const call = Function.prototype.bind.bind(Function.prototype.call);
const getter = (object, name) => call(getOwnPropertyDescriptor(object, name).get);
const isEnumerable = call(ObjectPrototype.propertyIsEnumerable);
const ownsProperty = call(ObjectPrototype.hasOwnProperty);

const { toWellFormed: _toWellFormed } = String.prototype;
const wellFormed = call(_toWellFormed);
const isWellFormed = call(String.prototype.isWellFormed);
const charCode = call(String.prototype.charCodeAt);
const indexOf = call(String.prototype.indexOf);
const slice = call(String.prototype.slice);
const split = call(String.prototype.split);
const startsWith = call(String.prototype.startsWith);
const endsWith = call(String.prototype.endsWith);
const includes = call(String.prototype.includes);
const lowerCase = call(String.prototype.toLowerCase);
const upperCase = call(String.prototype.toUpperCase);

const regExec = call(RegExp.prototype.exec);
const matches = (re, text) => regExec(re, text) !== null;


// replaceEach is replaceAll that asks no property of the expression (global) but its own lastIndex.
const replaceEach = (re, text, by) => {
  let out = '';
  let from = 0;
  re.lastIndex = 0;
  for (let m; (m = regExec(re, text)) !== null; ) {
    out += slice(text, from, m.index) + by(m);
    from = m.index + m[0].length;
    if (m[0] === '') re.lastIndex++;
  }
  return out + slice(text, from);
};

const isArray = Array.isArray;
const arrayJoin = call(Array.prototype.join);
const arraySort = call(Array.prototype.sort);
const arraySplice = call(Array.prototype.splice);
const arraySlice = call(Array.prototype.slice);
const arrayIncludes = call(Array.prototype.includes);
const arrayIterator = call(Array.prototype[Symbol.iterator]);
const arrayIteratorNext = call(getPrototypeOf([][Symbol.iterator]()).next);
const { iterator: symbolIterator, asyncIterator: symbolAsyncIterator, toStringTag } = Symbol;

const mapGet = call(Map.prototype.get);
const mapSet = call(Map.prototype.set);
const mapSize = getter(Map.prototype, 'size');
const clearMap = call(Map.prototype.clear);
const mapHas = call(Map.prototype.has);
const weakGet = call(WeakMap.prototype.get);
const weakSet = call(WeakMap.prototype.set);
const setAdd = call(Set.prototype.add);

const then = call(Promise.prototype.then);
const PromiseClass = Promise;
const resolved = Promise.resolve.bind(Promise);
const rejected = Promise.reject.bind(Promise);

const { parse: jsonParse, stringify: jsonStringify } = JSON;
const { encodeURI } = globalThis;
const { min, max, floor, trunc, round, sign } = Math;
const isInteger = Number.isInteger;
const isNumberFinite = Number.isFinite;
const now = Date.now;

const TypedArray = getPrototypeOf(Uint8Array);
const typedName = getter(TypedArray.prototype, toStringTag); // undefined for what is none
const typedBuffer = getter(TypedArray.prototype, 'buffer');
const typedOffset = getter(TypedArray.prototype, 'byteOffset');
const typedByteLength = getter(TypedArray.prototype, 'byteLength');
const typedLength = getter(TypedArray.prototype, 'length');
const typedSet = call(TypedArray.prototype.set);
const viewBuffer = getter(DataView.prototype, 'buffer');
const viewOffset = getter(DataView.prototype, 'byteOffset');
const viewByteLength = getter(DataView.prototype, 'byteLength');
const bufferByteLength = getter(ArrayBuffer.prototype, 'byteLength');
const bufferDetached = getter(ArrayBuffer.prototype, 'detached');
const bufferResizable = getter(ArrayBuffer.prototype, 'resizable');
const bufferMaxByteLength = getter(ArrayBuffer.prototype, 'maxByteLength');
const bufferTransfer = call(ArrayBuffer.prototype.transfer);
const sharedByteLength = getter(SharedArrayBuffer.prototype, 'byteLength');
const isView = ArrayBuffer.isView;
const Bytes = Uint8Array;
// Of Uint8Arrays alone, and without the constructor that the methods of these names ask for.
const typedSubarray = (b, from, to) => new Bytes(typedBuffer(b), typedOffset(b) + from, to - from);
const typedSlice = (b, from = 0, to = typedLength(b)) => {
  if (to > typedLength(b)) to = typedLength(b);
  const out = new Bytes(to - from);
  typedSet(out, typedSubarray(b, from, to));
  return out;
};
const BufferClass = ArrayBuffer;
const SharedBufferClass = SharedArrayBuffer;
const TypeErr = TypeError;
const RangeErr = RangeError;
const toBase64 = call(Uint8Array.prototype.toBase64);
const fromBase64 = Uint8Array.fromBase64.bind(Uint8Array);
const DOMExceptionClass = DOMException;
const domError = (name, message) => new DOMExceptionClass(message, name);
