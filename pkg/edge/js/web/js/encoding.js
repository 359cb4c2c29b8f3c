// Text encodings; the work is done by the host. https://encoding.spec.whatwg.org/

const { encodeText, encodeInto, decodeText, decodePlain, decodePiece, encodingName } = host;

// utf8 encodes, decodeUTF8 decodes without looking for a byte order mark.
const utf8 = (text) => encodeText(text);
const decodeUTF8 = (bytes) => decodeText('utf-8', bytes, false, true);
// decodeBody decodes as TextDecoder does by default.
const decodeBody = decodePlain;

class TextEncoder {
  #brand;
  constructor() {}
  get encoding() {
    this.#brand;
    return 'utf-8';
  }
  encode(input = undefined) {
    this.#brand;
    return input === undefined ? new Bytes(0) : encodeText(`${input}`);
  }
  encodeInto(source, destination) {
    this.#brand;
    need(arguments.length, 2, 'TextEncoder.encodeInto');
    source = `${source}`;
    if (typedName(destination) !== 'Uint8Array') throw new TypeErr('TextEncoder.encodeInto: parameter 2 is not a Uint8Array');
    const done = encodeInto(source, destination);
    return { read: done[0], written: done[1] };
  }
}
publish(TextEncoder);

const textDecoderOptions = (label, options) => {
  const name = label === 'utf-8' ? label : encodingName(`${label}`);
  if (options === undefined) {
    if (name !== null) return { name, fatal: false, ignoreBOM: false, plain: name === 'utf-8', tail: undefined, begun: false };
  }
  if (name === null) throw new RangeErr(`There is no encoding of the name ${label}`);
  const o = dictionary(options, 'The options of a TextDecoder');
  return { name, fatal: !!o.fatal, ignoreBOM: !!o.ignoreBOM, plain: false, tail: undefined, begun: false };
};

const nothing = new Bytes(0);

// decodeNext decodes the next piece of a stream; s is what textDecoderOptions made.
const decodeNext = (s, bytes, last) => {
  if (s.tail !== undefined) {
    const tail = s.tail;
    s.tail = undefined;
    bytes = join([tail, bytes], typedLength(tail) + typedLength(bytes));
  }
  // A failure leaves the decoder as new, unless more is to come.
  const begun = s.begun;
  if (last) s.begun = false;
  const done = decodePiece(s.name, bytes, s.fatal, s.ignoreBOM || begun, last);
  if (!last) {
    if (done[1] !== null) s.tail = done[1];
    s.begun = begun || done[2];
  }
  return done[0];
};

class TextDecoder {
  #s;
  constructor(label = 'utf-8', options = undefined) {
    this.#s = textDecoderOptions(label, options);
  }
  get encoding() {
    return this.#s.name;
  }
  get fatal() {
    return this.#s.fatal;
  }
  get ignoreBOM() {
    return this.#s.ignoreBOM;
  }
  decode(input = undefined, options = undefined) {
    const s = this.#s;
    const bytes = input === undefined ? nothing : sharedBytes(input);
    if (options === undefined && s.plain && s.tail === undefined && !s.begun) return decodePlain(bytes);
    const stream = !!dictionary(options, 'The options of TextDecoder.decode').stream;
    if (!stream && s.tail === undefined && !s.begun) return decodeText(s.name, bytes, s.fatal, s.ignoreBOM);
    return decodeNext(s, bytes, !stream);
  }
}
publish(TextDecoder);

// sharedBytes is bytesOf that takes shared memory too.
const sharedBytes = (v) => (!isView(v) && isShared(v) ? new Bytes(v) : bytesOf(v));
