// Bodies, as Request and Response have them. https://fetch.spec.whatwg.org/#bodies
//
// The state of an object with a body has: body (null, a string, a Uint8Array nobody changes, a source of the runtime or
// a ReadableStream), stream (what .body showed, or undefined), used.

// extractBody sets s.body and s.type, the content type that goes with it or null.
const extractBody = (s, v) => {
  if (typeof v === 'string') {
    s.body = isWellFormed(v) ? v : wellFormed(v);
    s.type = 'text/plain;charset=UTF-8';
    return;
  }
  s.type = null;
  if (isObject(v)) {
    if (isStream(v)) {
      if (unusable(v)) throw new TypeErr('The body is a stream that was read already or is locked');
      s.body = s.stream = v;
      return;
    }
    if (isBufferSource(v)) {
      s.body = copyOf(v);
      return;
    }
    const blob = blobBytes(v);
    if (blob !== undefined) {
      s.body = blob;
      s.type = blobType(v) || null;
      return;
    }
    const params = paramsText(v);
    if (params !== undefined) {
      s.body = params;
      s.type = 'application/x-www-form-urlencoded;charset=UTF-8';
      return;
    }
    const form = formEntries(v);
    if (form !== undefined) {
      const m = multipart(form);
      s.body = m.bytes;
      s.type = m.type;
      return;
    }
    if (typeof v[symbolAsyncIterator] === 'function') {
      s.body = s.stream = streams.ReadableStream.from(v);
      return;
    }
  }
  s.body = usv(v);
  s.type = 'text/plain;charset=UTF-8';
};

const bodyStream = (s) => {
  if (s.stream !== undefined) return s.stream;
  const b = s.body;
  if (b === null) return null;
  const stream = typeof b === 'string' ? streamOf(utf8(b)) : typedName(b) === 'Uint8Array' ? streamOf(b) : streamFrom(b);
  if (s.used) {
    // What was read shows a stream that is at its end.
    then(readerCancel(getReader(stream)), undefined, () => {});
  }
  return (s.stream = stream);
};

const bodyUsed = (s) => s.used || (s.stream !== undefined && isDisturbed(s.stream));

const bodyUnusable = (s) => s.used || (s.stream !== undefined && unusable(s.stream));

const usedError = () => new TypeErr('The body was read already or is locked');

// takeBody takes the body away for sending: see readRequest in package bridge.
const takeBody = (s) => {
  const b = s.body;
  if (b === null) return null;
  if (bodyUnusable(s)) throw usedError();
  s.used = true;
  const stream = s.stream;
  if (stream === undefined) return b;
  if (b !== stream) {
    getReader(stream); // nobody else reads it now
    return b;
  }
  const source = sourceOf(stream);
  if (source === undefined) return stream;
  getReader(stream);
  return source;
};

// bodyBytes resolves with the bytes of the body, which belong to the caller where fresh is true.
const bodyBytes = (s) => {
  const b = s.body;
  if (b === null) return resolved(nothing);
  if (bodyUnusable(s)) return rejected(usedError());
  if (s.stream !== undefined && typeof b !== 'string' && typedName(b) === undefined) return readAll(s.stream);
  if (s.stream !== undefined) then(readerCancel(getReader(s.stream)), undefined, () => {});
  s.used = true;
  if (typeof b === 'string') return resolved(utf8(b));
  if (typedName(b) !== undefined) return resolved(b);
  return b.all();
};

const withoutBOM = (s) => (charCode(s, 0) === 0xfeff ? slice(s, 1) : s);

const bodyText = (s) => {
  const b = s.body;
  if (typeof b === 'string' && s.stream === undefined) {
    if (s.used) return rejected(usedError());
    s.used = true;
    return resolved(withoutBOM(b));
  }
  return then(bodyBytes(s), decodeBody);
};

// cloneBody gives `to` the same body as s.
const cloneBody = (s, to) => {
  if (bodyUnusable(s)) throw usedError();
  const b = s.body;
  if (b === null || typeof b === 'string' || (typedName(b) === 'Uint8Array' && s.stream === undefined)) {
    to.body = b;
    return;
  }
  const two = streamTee(bodyStream(s));
  s.body = s.stream = two[0];
  to.body = to.stream = two[1];
};

// withBody gives a class the members of the mixin Body. state finds the state of an object and throws for others.
const withBody = (Class, state, contentType) => {
  const mixin = {
    get body() {
      return bodyStream(state(this));
    },
    get bodyUsed() {
      return bodyUsed(state(this));
    },
    arrayBuffer() {
      return attempt(() => {
        const s = state(this);
        const own = ownsBytes(s);
        return then(bodyBytes(s), (b) => exactBuffer(b, own));
      });
    },
    blob() {
      return attempt(() => {
        const s = state(this);
        const type = mimeText(contentType(s) ?? '');
        return then(bodyBytes(s), (b) => newBlob(b, type));
      });
    },
    bytes() {
      return attempt(() => {
        const s = state(this);
        const own = ownsBytes(s);
        return then(bodyBytes(s), (b) => new Bytes(exactBuffer(b, own)));
      });
    },
    formData() {
      return attempt(() => {
        const s = state(this);
        const type = contentType(s);
        return then(bodyBytes(s), (b) => readForm(b, type));
      });
    },
    json() {
      return attempt(() => then(bodyText(state(this)), (text) => jsonParse(text)));
    },
    text() {
      return attempt(() => bodyText(state(this)));
    },
  };
  const names = ownKeys(mixin);
  for (let i = 0; i < names.length; i++) {
    defineProperty(Class.prototype, names[i], getOwnPropertyDescriptor(mixin, names[i]));
  }
};

// ownsBytes tells whether what bodyBytes resolves with is used by nobody else.
const ownsBytes = (s) => typeof s.body === 'string' || (s.body !== null && typedName(s.body) === undefined);
const exactBuffer = (b, own) =>
  own && typedOffset(b) === 0 && bufferByteLength(typedBuffer(b)) === typedLength(b) ? typedBuffer(b) : typedBuffer(typedSlice(b));

const attempt = (f) => {
  try {
    return f();
  } catch (e) {
    return rejected(e);
  }
};
