// Streams are those of web-streams-polyfill (see the folder streams); here they become part of the global object, and
// what the rest of the prelude needs of them. https://streams.spec.whatwg.org/

const { ReadableStream, WritableStream, TransformStream, ReadableByteStreamController, ReadableStreamBYOBReader } = streams;
{
  const names = objectKeys(streams);
  for (let i = 0; i < names.length; i++) define(names[i], streams[names[i]]);
}

// Their asynchronous iterator is no heir of the engine's, as it would be in the standard.
setPrototypeOf(getPrototypeOf(new ReadableStream().values()), getPrototypeOf(getPrototypeOf(async function* () {}).prototype));

const getReader = call(ReadableStream.prototype.getReader);
const readerRead = call(streams.ReadableStreamDefaultReader.prototype.read);
const readerCancel = call(streams.ReadableStreamDefaultReader.prototype.cancel);
const isLocked = getter(ReadableStream.prototype, 'locked');
const streamTee = call(ReadableStream.prototype.tee);
const readableOf = getter(TransformStream.prototype, 'readable');
const writableOf = getter(TransformStream.prototype, 'writable');

const isStream = (v) => {
  if (!isObject(v) || !ownsProperty(v, '_readableStreamController')) return false;
  try {
    isLocked(v);
    return true;
  } catch {
    return false;
  }
};
const isDisturbed = (stream) => stream._disturbed === true;

// unusable tells a stream that was read from or is being read.
const unusable = (stream) => isDisturbed(stream) || isLocked(stream);

// readAll resolves with every byte of a stream.
const readAll = async (stream) => {
  const reader = getReader(stream);
  const pieces = [];
  let total = 0;
  for (;;) {
    const { done, value } = await readerRead(reader);
    if (done) break;
    if (typedName(value) !== 'Uint8Array') {
      const e = new TypeErr('The stream of a body holds something else than Uint8Arrays');
      then(readerCancel(reader, e), undefined, () => {});
      throw e;
    }
    pieces[pieces.length] = value;
    total += typedLength(value);
  }
  return pieces.length === 1 ? pieces[0] : join(pieces, total);
};

const CHUNK = 65536;

// streamOf makes a byte stream of bytes that are not changed by anybody: its chunks are copies.
const streamOf = (bytes) => {
  let at = 0;
  const end = typedLength(bytes);
  return new ReadableStream({
    type: 'bytes',
    pull(c) {
      if (at < end) {
        const next = min(end, at + CHUNK);
        c.enqueue(typedSlice(bytes, at, next));
        at = next;
      }
      if (at >= end) {
        c.close();
        c.byobRequest?.respond(0);
      }
    },
  });
};

// streamFrom makes a byte stream of a source of the runtime. sourceOf finds the source again.
const sources = new WeakMap();
const streamFrom = (source) => {
  const stream = new ReadableStream(
    {
      type: 'bytes',
      async pull(c) {
        const piece = await source.pull();
        if (piece === null) {
          c.close();
          c.byobRequest?.respond(0);
        } else if (typedLength(piece) > 0) c.enqueue(piece);
      },
      cancel(reason) {
        source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  weakSet(sources, stream, source);
  return stream;
};
const sourceOf = (stream) => weakGet(sources, stream);

// transformer makes a class whose objects hold a TransformStream: `readable` and `writable`.
class Transformer {
  #t;
  constructor(transform) {
    this.#t = transform;
  }
  static readable(o) {
    return readableOf(o.#t);
  }
  static writable(o) {
    return writableOf(o.#t);
  }
}
