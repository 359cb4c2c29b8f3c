// Blobs and files. https://w3c.github.io/FileAPI/

let blobBytes; // the bytes of a Blob, not to be changed; undefined for anything else
let blobType;
let newBlob;

class Blob {
  #bytes;
  #type;
  constructor(parts = undefined, options = undefined) {
    if (parts === SECRET) return;
    let pieces = [];
    if (parts !== undefined) {
      pieces = listOf(parts, (p) => (isBufferSource(p) || blobBytes(p) !== undefined ? p : usv(p)), 'The parts of a Blob');
    }
    const o = dictionary(options, 'The options of a Blob');
    const endings = o.endings === undefined ? 'transparent' : `${o.endings}`;
    if (endings !== 'transparent' && endings !== 'native') throw new TypeErr(`"${endings}" is not a valid value of endings`);
    const type = o.type === undefined ? '' : `${o.type}`;
    let total = 0;
    for (let i = 0; i < pieces.length; i++) {
      const p = pieces[i];
      if (typeof p === 'string') pieces[i] = utf8(endings === 'native' ? nativeEndings(p) : p);
      else pieces[i] = blobBytes(p) ?? bytesOf(p);
      total += typedLength(pieces[i]);
    }
    this.#bytes = join(pieces, total);
    this.#type = mimeText(type);
  }
  get size() {
    return typedLength(this.#bytes);
  }
  get type() {
    return this.#type;
  }
  slice(start = 0, end = undefined, contentType = undefined) {
    const size = typedLength(this.#bytes);
    const at = (v) => {
      v = integer(v, Number.MAX_SAFE_INTEGER, 'clamp', -Number.MAX_SAFE_INTEGER);
      return v < 0 ? max(size + v, 0) : min(v, size);
    };
    const from = at(start);
    const to = end === undefined ? size : at(end);
    const type = contentType === undefined ? '' : mimeText(`${contentType}`);
    return newBlob(typedSubarray(this.#bytes, from, max(from, to)), type);
  }
  stream() {
    return streamOf(this.#bytes);
  }
  async text() {
    return decodeBody(this.#bytes);
  }
  async arrayBuffer() {
    return typedBuffer(typedSlice(this.#bytes));
  }
  async bytes() {
    return typedSlice(this.#bytes);
  }
  static {
    blobBytes = (b) => (isObject(b) && #bytes in b ? b.#bytes : undefined);
    blobType = (b) => b.#type;
    newBlob = (bytes, type, blob = new Blob(SECRET)) => {
      blob.#bytes = bytes;
      blob.#type = type;
      return blob;
    };
  }
}
publish(Blob);

const mimeText = (type) => (matches(/^[\x20-\x7e]*$/, type) ? lowerCase(type) : '');
const nativeEndings = (s) => replaceEach(/\r\n?/g, s, () => '\n');

let newFile;
let fileState;

class File extends Blob {
  #f;
  constructor(parts, name, options = undefined) {
    if (parts !== SECRET) need(arguments.length, 2, 'File');
    if (parts !== SECRET && !isObject(parts)) throw new TypeErr('The parts of a File are not a sequence');
    super(parts, options);
    if (parts === SECRET) return;
    const o = dictionary(options);
    const modified = o.lastModified === undefined ? now() : integer(o.lastModified, Number.MAX_SAFE_INTEGER, 'wrap', -Number.MAX_SAFE_INTEGER);
    this.#f = { name: usv(name), modified };
  }
  get name() {
    return this.#f.name;
  }
  get lastModified() {
    return this.#f.modified;
  }
  get webkitRelativePath() {
    this.#f;
    return '';
  }
  static {
    fileState = (f) => (isObject(f) && #f in f ? f.#f : undefined);
    newFile = (bytes, type, name, modified = now()) => {
      const f = newBlob(bytes, type, new File(SECRET, ''));
      f.#f = { name, modified };
      return f;
    };
  }
}
publish(File);
