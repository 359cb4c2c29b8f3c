// https://w3c.github.io/webcrypto/#subtlecrypto-interface

const { digestOf, hmacOf, aesCrypt, aesWrap, randomBytes, generatePair, signWith, verifyWith, oaep, agree, hkdfBits, pbkdf2Bits } = host;

// usable returns the state of a key that is of the algorithm and may be used so.
const usable = (key, a, usage) => {
  const s = keyState(key);
  if (s.algorithm.name !== a.name) throw domError('InvalidAccessError', `The key is not one for ${a.name}`);
  if (!arrayIncludes(s.usages, usage)) throw domError('InvalidAccessError', `The key may not be used for ${usage}`);
  return s;
};

const wantKey = (v) => {
  if (keyState(v) === undefined) throw new TypeErr('The key is not a CryptoKey');
  return v;
};

const crypt = (a, s, encrypting, data) => {
  switch (a.name) {
    case 'AES-CBC':
      if (typedLength(a.iv) !== 16) throw operationError('The iv is not 16 bytes long');
      return aesCrypt('CBC', encrypting, s.material, a.iv, data, nothing, 0);
    case 'AES-CTR':
      if (typedLength(a.counter) !== 16) throw operationError('The counter is not 16 bytes long');
      if (a.length === 0 || a.length > 128) throw operationError('The counter has 1 to 128 bits');
      return aesCrypt('CTR', encrypting, s.material, a.counter, data, nothing, a.length);
    case 'AES-GCM': {
      const tag = a.tagLength === undefined ? 128 : a.tagLength;
      if (!arrayIncludes([32, 64, 96, 104, 112, 120, 128], tag)) throw operationError('The tag has not a length that is allowed');
      return aesCrypt('GCM', encrypting, s.material, a.iv, data, a.additionalData ?? nothing, tag / 8);
    }
  }
  if (s.type !== (encrypting ? 'public' : 'private')) throw domError('InvalidAccessError', 'The key is the wrong half of its pair');
  return oaep(encrypting, s.algorithm.hash, s.material, data, a.label ?? nothing);
};

const signature = (a, s, data) => {
  if (a.name === 'HMAC') return hmacOf(s.algorithm.hash, s.material, data);
  if (s.type !== 'private') throw domError('InvalidAccessError', 'The key is not a private one');
  return signWith(a.name, a.hash ?? s.algorithm.hash ?? '', s.material, data, a.saltLength ?? 0);
};

const verified = (a, s, sig, data) => {
  if (a.name === 'HMAC') return equalBytes(hmacOf(s.algorithm.hash, s.material, data), sig);
  if (s.type !== 'public') throw domError('InvalidAccessError', 'The key is not a public one');
  return verifyWith(a.name, a.hash ?? s.algorithm.hash ?? '', s.material, sig, data, a.saltLength ?? 0);
};

// derive returns length bits; null asks for as many as there are.
const derive = (a, s, length) => {
  if (a.name === 'HKDF' || a.name === 'PBKDF2') {
    if (length === null || length % 8 !== 0 || (a.name === 'PBKDF2' && length === 0)) throw operationError('The length is not a multiple of 8 bits');
    if (a.name === 'HKDF') return hkdfBits(a.hash, s.material, a.salt, a.info, length / 8);
    if (a.iterations === 0) throw operationError('There are no iterations');
    return pbkdf2Bits(a.hash, s.material, a.salt, a.iterations, length / 8);
  }
  const other = keyState(a.public);
  if (s.type !== 'private') throw domError('InvalidAccessError', 'The key is not a private one');
  if (other.type !== 'public') throw domError('InvalidAccessError', 'The other key is not a public one');
  if (other.algorithm.name !== a.name || other.algorithm.namedCurve !== s.algorithm.namedCurve) {
    throw domError('InvalidAccessError', 'The other key is of another algorithm');
  }
  const secret = agree(s.material, other.material);
  if (length === null) return secret;
  if (length > typedLength(secret) * 8) throw operationError('The secret has not that many bits');
  const out = typedSlice(secret, 0, (length + 7) >> 3);
  if (length % 8 !== 0) out[out.length - 1] &= 0xff << (8 - (length % 8));
  return out;
};

// keyLength is how many bits a derived key needs.
const keyLength = (a) => {
  if (a.name === 'HKDF' || a.name === 'PBKDF2') return null;
  if (a.name === 'HMAC') {
    if (a.length === undefined) return blockSizes[a.hash];
    if (a.length === 0) throw new TypeErr('The length of the key is 0');
    return a.length;
  }
  if (a.length !== 128 && a.length !== 192 && a.length !== 256) throw operationError('An AES key has 128, 192 or 256 bits');
  return a.length;
};

const generate = (a, extractable, usages) => {
  const { name } = a;
  const halves = pairUsages[name];
  if (halves === undefined) {
    const hmac = name === 'HMAC';
    onlyUsages(usages, hmac ? ['sign', 'verify'] : allowedAES(name));
    const length = hmac && a.length === undefined ? blockSizes[a.hash] : a.length;
    if (hmac ? length === 0 : length !== 128 && length !== 192 && length !== 256) throw operationError('The key has not a length that is allowed');
    if (usages.length === 0) throw domError('SyntaxError', 'The key has no usage');
    return newKey('secret', hmac ? { name, length, hash: a.hash } : { name, length }, extractable, usages, randomBytes((length + 7) >> 3));
  }
  onlyUsages(usages, [...arraySlice(halves[0]), ...arraySlice(halves[1])]);
  const shown = { name };
  if (a.namedCurve !== undefined) {
    if (!arrayIncludes(curveNames, a.namedCurve)) throw unsupported(`Unknown curve ${a.namedCurve}`);
    shown.namedCurve = a.namedCurve;
  }
  if (a.modulusLength !== undefined) {
    shown.modulusLength = a.modulusLength;
    shown.publicExponent = a.publicExponent;
    shown.hash = a.hash;
  }
  if (a.publicExponent !== undefined && !isF4(a.publicExponent)) throw operationError('The public exponent of an RSA key is 65537');
  const mine = keep(usages, halves[1]);
  if (mine.length === 0) throw domError('SyntaxError', 'The private key has no usage');
  const pair = generatePair(
    a.namedCurve === undefined ? (a.modulusLength === undefined ? name : 'RSA') : 'EC',
    a.namedCurve ?? '',
    a.modulusLength ?? 0,
    a.publicExponent ?? nothing,
  );
  return {
    publicKey: newKey('public', shown, true, keep(usages, halves[0]), pair[1]),
    privateKey: newKey('private', shown, extractable, mine, pair[0]),
  };
};

const isF4 = (e) => {
  let n = 0;
  for (let i = 0; i < typedLength(e); i++) n = n * 256 + e[i];
  return n === 65537;
};

// wrapping normalises for wrapKey or unwrapKey, falling back to encrypt or decrypt as the specification has it.
const wrapping = (op, algorithm) => {
  try {
    return normalize(op, algorithm);
  } catch {
    return normalize(op === 'wrapKey' ? 'encrypt' : 'decrypt', algorithm);
  }
};

const bufferOf = (bytes) => typedBuffer(bytes);

class SubtleCrypto {
  #brand;
  constructor(secret = undefined) {
    if (secret !== SECRET) throw illegal();
  }
  async encrypt(algorithm, key, data) {
    this.#brand;
    need(arguments.length, 3, 'SubtleCrypto.encrypt');
    wantKey(key);
    data = copyOf(data);
    const a = normalize('encrypt', algorithm);
    return bufferOf(crypt(a, usable(key, a, 'encrypt'), true, data));
  }
  async decrypt(algorithm, key, data) {
    this.#brand;
    need(arguments.length, 3, 'SubtleCrypto.decrypt');
    wantKey(key);
    data = copyOf(data);
    const a = normalize('decrypt', algorithm);
    return bufferOf(crypt(a, usable(key, a, 'decrypt'), false, data));
  }
  async sign(algorithm, key, data) {
    this.#brand;
    need(arguments.length, 3, 'SubtleCrypto.sign');
    wantKey(key);
    data = copyOf(data);
    const a = normalize('sign', algorithm);
    return bufferOf(signature(a, usable(key, a, 'sign'), data));
  }
  async verify(algorithm, key, sig, data) {
    this.#brand;
    need(arguments.length, 4, 'SubtleCrypto.verify');
    wantKey(key);
    sig = copyOf(sig);
    data = copyOf(data);
    const a = normalize('verify', algorithm);
    return verified(a, usable(key, a, 'verify'), sig, data);
  }
  async digest(algorithm, data) {
    this.#brand;
    need(arguments.length, 2, 'SubtleCrypto.digest');
    data = bytesOf(data);
    return bufferOf(digestOf(normalize('digest', algorithm).name, data));
  }
  async generateKey(algorithm, extractable, usages) {
    this.#brand;
    need(arguments.length, 3, 'SubtleCrypto.generateKey');
    extractable = !!extractable;
    usages = usagesOf(usages);
    return generate(normalize('generateKey', algorithm), extractable, usages);
  }
  async deriveKey(algorithm, key, type, extractable, usages) {
    this.#brand;
    need(arguments.length, 5, 'SubtleCrypto.deriveKey');
    wantKey(key);
    extractable = !!extractable;
    usages = usagesOf(usages);
    const a = normalize('deriveBits', algorithm);
    const as = normalize('importKey', type);
    const length = normalize('length', type);
    const s = usable(key, a, 'deriveKey');
    return importKey(as, 'raw', derive(a, s, keyLength(length)), extractable, usages);
  }
  async deriveBits(algorithm, key, length = null) {
    this.#brand;
    need(arguments.length, 2, 'SubtleCrypto.deriveBits');
    wantKey(key);
    if (length !== null) length = integer(length, 0xffffffff);
    const a = normalize('deriveBits', algorithm);
    return bufferOf(derive(a, usable(key, a, 'deriveBits'), length));
  }
  async importKey(format, data, algorithm, extractable, usages) {
    this.#brand;
    need(arguments.length, 5, 'SubtleCrypto.importKey');
    format = formatOf(format);
    extractable = !!extractable;
    usages = usagesOf(usages);
    const bytes = isBufferSource(data);
    if (bytes === (format === 'jwk')) throw new TypeErr(bytes ? 'A JWK is an object' : 'The key is not an ArrayBuffer or a view of one');
    data = bytes ? copyOf(data) : jwkOf(data);
    return importKey(normalize('importKey', algorithm), format, data, extractable, usages);
  }
  async exportKey(format, key) {
    this.#brand;
    need(arguments.length, 2, 'SubtleCrypto.exportKey');
    format = formatOf(format);
    const out = exportKey(format, wantKey(key));
    return format === 'jwk' ? out : bufferOf(out);
  }
  async wrapKey(format, key, wrapper, algorithm) {
    this.#brand;
    need(arguments.length, 4, 'SubtleCrypto.wrapKey');
    format = formatOf(format);
    wantKey(key);
    wantKey(wrapper);
    const a = wrapping('wrapKey', algorithm);
    const s = usable(wrapper, a, 'wrapKey');
    let bytes = exportKey(format, key);
    if (format === 'jwk') bytes = utf8(jsonStringify(bytes));
    return bufferOf(a.name === 'AES-KW' ? aesWrap(true, s.material, bytes) : crypt(a, s, true, bytes));
  }
  async unwrapKey(format, wrapped, wrapper, algorithm, keyAlgorithm, extractable, usages) {
    this.#brand;
    need(arguments.length, 7, 'SubtleCrypto.unwrapKey');
    format = formatOf(format);
    wrapped = copyOf(wrapped);
    wantKey(wrapper);
    extractable = !!extractable;
    usages = usagesOf(usages);
    const a = wrapping('unwrapKey', algorithm);
    const as = normalize('importKey', keyAlgorithm);
    const s = usable(wrapper, a, 'unwrapKey');
    let data = a.name === 'AES-KW' ? aesWrap(false, s.material, wrapped) : crypt(a, s, false, wrapped);
    if (format === 'jwk') {
      try {
        data = jsonParse(decodeUTF8(data));
      } catch {
        throw dataError('What was wrapped is not a JWK');
      }
      data = jwkOf(data);
    }
    return importKey(as, format, data, extractable, usages);
  }
  // timingSafeEqual is an extension that Workers have too.
  timingSafeEqual(a, b) {
    this.#brand;
    need(arguments.length, 2, 'SubtleCrypto.timingSafeEqual');
    a = bytesOf(a);
    b = bytesOf(b);
    if (typedLength(a) !== typedLength(b)) throw new TypeErr('timingSafeEqual: the lengths differ');
    return equalBytes(a, b);
  }
}
publish(SubtleCrypto);
