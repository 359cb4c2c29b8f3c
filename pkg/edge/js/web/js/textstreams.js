// Streams that encode and decode text. https://encoding.spec.whatwg.org/#interface-textdecoderstream

class TextDecoderStream {
  #s;
  #t;
  constructor(label = 'utf-8', options = undefined) {
    const s = textDecoderOptions(label, options);
    this.#s = s;
    this.#t = new TransformStream({
      transform(chunk, c) {
        const text = decodeNext(s, sharedBytes(chunk), false);
        if (text !== '') c.enqueue(text);
      },
      flush(c) {
        const text = decodeNext(s, nothing, true);
        if (text !== '') c.enqueue(text);
      },
    });
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
  get readable() {
    return readableOf(this.#t);
  }
  get writable() {
    return writableOf(this.#t);
  }
}
publish(TextDecoderStream);

class TextEncoderStream {
  #t;
  constructor() {
    let high = ''; // half of a character, the other half of which may begin the next chunk
    this.#t = new TransformStream({
      transform(chunk, c) {
        let text = high + `${chunk}`;
        high = '';
        const last = text.length === 0 ? 0 : charCode(text, text.length - 1);
        if (last >= 0xd800 && last < 0xdc00) {
          high = slice(text, text.length - 1);
          text = slice(text, 0, text.length - 1);
        }
        if (text !== '') c.enqueue(utf8(text));
      },
      flush(c) {
        if (high !== '') c.enqueue(utf8(high));
      },
    });
  }
  get encoding() {
    this.#t;
    return 'utf-8';
  }
  get readable() {
    return readableOf(this.#t);
  }
  get writable() {
    return writableOf(this.#t);
  }
}
publish(TextEncoderStream);
