// What the prelude relies on, kept before any script of a user runs. `call` makes a method a function of its receiver:
// call(String.prototype.slice)(text, 1).
const { apply, construct, ownKeys, getPrototypeOf, setPrototypeOf, defineProperty, getOwnPropertyDescriptor } = Reflect;
const { create, freeze, keys: objectKeys, prototype: ObjectPrototype, is: sameValue } = Object;
const call = Function.prototype.bind.bind(Function.prototype.call);
const getter = (object, name) => call(getOwnPropertyDescriptor(object, name).get);
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
const { fromCharCode } = String;

const regExec = call(RegExp.prototype.exec);
const matches = (re, text) => regExec(re, text) !== null;

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
const mapHas = call(Map.prototype.has);
const weakGet = call(WeakMap.prototype.get);
const weakSet = call(WeakMap.prototype.set);
const setAdd = call(Set.prototype.add);

const then = call(Promise.prototype.then);
const PromiseClass = Promise;
const resolved = Promise.resolve.bind(Promise);
const rejected = Promise.reject.bind(Promise);

const { parse: jsonParse, stringify: jsonStringify } = JSON;
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
const typedSlice = call(TypedArray.prototype.slice);
const typedSubarray = call(TypedArray.prototype.subarray);
const viewBuffer = getter(DataView.prototype, 'buffer');
const viewOffset = getter(DataView.prototype, 'byteOffset');
const viewByteLength = getter(DataView.prototype, 'byteLength');
const bufferByteLength = getter(ArrayBuffer.prototype, 'byteLength');
const bufferDetached = getter(ArrayBuffer.prototype, 'detached');
const bufferResizable = getter(ArrayBuffer.prototype, 'resizable');
const bufferMaxByteLength = getter(ArrayBuffer.prototype, 'maxByteLength');
const bufferSlice = call(ArrayBuffer.prototype.slice);
const bufferTransfer = call(ArrayBuffer.prototype.transfer);
const sharedByteLength = getter(SharedArrayBuffer.prototype, 'byteLength');
const isView = ArrayBuffer.isView;
const Bytes = Uint8Array;
const TypeErr = TypeError;
const RangeErr = RangeError;
const toBase64 = call(Uint8Array.prototype.toBase64);
const fromBase64 = Uint8Array.fromBase64.bind(Uint8Array);
const DOMExceptionClass = DOMException;
const domError = (name, message) => new DOMExceptionClass(message, name);
