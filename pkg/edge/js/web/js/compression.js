// Compression. https://compression.spec.whatwg.org/
//
// No state is kept by the host: what one piece needs of those before it (window, checksum, length) is here.

const { deflatePiece, inflateAll } = host;

const compressionFormat = (v) => {
  v = `${v}`;
  if (v !== 'gzip' && v !== 'deflate' && v !== 'deflate-raw') throw new TypeErr(`Unsupported compression format: ${v}`);
  return v;
};

const chunkBytes = (chunk) => {
  if (!isBufferSource(chunk) || (isView(chunk) && isShared(isView(chunk) && typedName(chunk) !== undefined ? typedBuffer(chunk) : viewBuffer(chunk)))) {
    throw new TypeErr('A chunk is not an ArrayBuffer or a view of one');
  }
  return copyOf(chunk);
};

const WINDOW = 32768;

class CompressionStream {
  #t;
  constructor(format) {
    need(arguments.length, 1, 'CompressionStream');
    format = compressionFormat(format);
    let waiting = [];
    let size = 0;
    let window = nothing;
    let sum = format === 'deflate' ? 1 : 0;
    let length = 0;
    let begun = false;
    const press = (c, last) => {
      const bytes = join(waiting, size);
      waiting = [];
      size = 0;
      const out = deflatePiece(format, window, bytes, sum, length, begun, last);
      begun = true;
      sum = out[1];
      length = (length + typedLength(bytes)) % 4294967296;
      const seen = join([window, bytes], typedLength(window) + typedLength(bytes));
      window = typedSlice(seen, max(0, typedLength(seen) - WINDOW));
      if (typedLength(out[0]) > 0) c.enqueue(out[0]);
    };
    this.#t = new TransformStream({
      transform(chunk, c) {
        const bytes = chunkBytes(chunk);
        waiting[waiting.length] = bytes;
        size += typedLength(bytes);
        if (size >= CHUNK) press(c, false);
      },
      flush(c) {
        press(c, true);
      },
    });
  }
  get readable() {
    return readableOf(this.#t);
  }
  get writable() {
    return writableOf(this.#t);
  }
}
publish(CompressionStream);

class DecompressionStream {
  #t;
  constructor(format) {
    need(arguments.length, 1, 'DecompressionStream');
    format = compressionFormat(format);
    const waiting = [];
    let size = 0;
    this.#t = new TransformStream({
      transform(chunk) {
        const bytes = chunkBytes(chunk);
        waiting[waiting.length] = bytes;
        size += typedLength(bytes);
      },
      flush(c) {
        const out = inflateAll(format, join(waiting, size));
        for (let at = 0; at < typedLength(out); at += CHUNK) c.enqueue(typedSlice(out, at, at + CHUNK));
      },
    });
  }
  get readable() {
    return readableOf(this.#t);
  }
  get writable() {
    return writableOf(this.#t);
  }
}
publish(DecompressionStream);
