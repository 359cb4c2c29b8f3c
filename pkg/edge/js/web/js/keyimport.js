// How keys get in. https://w3c.github.io/webcrypto/#SubtleCrypto-method-importKey

const { importMaterial, importParts } = host;

const badFormat = (format, name) => unsupported(`${name} keys cannot be imported as ${format}`);

const wantJwk = (jwk, kty, usages, use, extractable) => {
  if (jwk.kty !== kty) throw dataError(`The JWK has not the kty ${kty}`);
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) throw dataError(`The JWK has not the use ${use}`);
  if (jwk.key_ops !== undefined) {
    for (let i = 0; i < jwk.key_ops.length; i++) {
      for (let j = 0; j < i; j++) if (jwk.key_ops[i] === jwk.key_ops[j]) throw dataError('The JWK names a usage twice');
    }
    for (let i = 0; i < usages.length; i++) {
      if (!arrayIncludes(jwk.key_ops, usages[i])) throw dataError(`The key_ops of the JWK do not allow ${usages[i]}`);
    }
  }
  if (jwk.ext === false && extractable) throw dataError('The JWK is not extractable');
};

const jwkBytes = (jwk, name) => {
  if (jwk[name] === undefined) throw dataError(`The JWK has no ${name}`);
  return fromBase64url(jwk[name]);
};

const aesUsages = { __proto__: null, 'AES-CBC': 4, 'AES-CTR': 4, 'AES-GCM': 4, 'AES-KW': 2 };
const allowedAES = (name) =>
  aesUsages[name] === 4 ? ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'] : ['wrapKey', 'unwrapKey'];

const importAES = (a, format, data, extractable, usages) => {
  onlyUsages(usages, allowedAES(a.name));
  let bytes = data;
  if (format === 'jwk') {
    if (data.kty !== 'oct') throw dataError('The JWK has not the kty oct');
    bytes = jwkBytes(data, 'k');
  } else if (format !== 'raw') throw badFormat(format, a.name);
  const length = typedLength(bytes) * 8;
  if (length !== 128 && length !== 192 && length !== 256) throw dataError('An AES key has 128, 192 or 256 bits');
  if (format === 'jwk') {
    if (data.alg !== undefined && data.alg !== `A${length}${slice(a.name, 4)}`) throw dataError('The alg of the JWK does not fit');
    wantJwk(data, 'oct', usages, 'enc', extractable);
  }
  return newKey('secret', { name: a.name, length }, extractable, usages, bytes);
};

const importHMAC = (a, format, data, extractable, usages) => {
  onlyUsages(usages, ['sign', 'verify']);
  let bytes = data;
  if (format === 'jwk') {
    if (data.kty !== 'oct') throw dataError('The JWK has not the kty oct');
    bytes = jwkBytes(data, 'k');
    if (data.alg !== undefined && data.alg !== `HS${slice(a.hash, 4)}`) throw dataError('The alg of the JWK does not fit');
    wantJwk(data, 'oct', usages, 'sig', extractable);
  } else if (format !== 'raw') throw badFormat(format, 'HMAC');
  let length = typedLength(bytes) * 8;
  if (length === 0) throw dataError('The key is empty');
  if (a.length !== undefined) {
    if (a.length > length || a.length <= length - 8) throw dataError('The length of the key is another');
    length = a.length;
  }
  return newKey('secret', { name: 'HMAC', length, hash: a.hash }, extractable, usages, bytes);
};

const importSecret = (a, format, data, extractable, usages) => {
  if (format !== 'raw') throw badFormat(format, a.name);
  onlyUsages(usages, ['deriveBits', 'deriveKey']);
  if (extractable) throw domError('SyntaxError', `A key for ${a.name} cannot be extractable`);
  return newKey('secret', { name: a.name }, false, usages, data);
};

// What each asymmetric algorithm allows its public and private keys.
const pairUsages = {
  __proto__: null,
  ECDSA: [['verify'], ['sign']],
  Ed25519: [['verify'], ['sign']],
  'RSASSA-PKCS1-v1_5': [['verify'], ['sign']],
  'RSA-PSS': [['verify'], ['sign']],
  'RSA-OAEP': [['encrypt', 'wrapKey'], ['decrypt', 'unwrapKey']],
  ECDH: [[], ['deriveKey', 'deriveBits']],
  X25519: [[], ['deriveKey', 'deriveBits']],
};
const signs = (name) => name !== 'ECDH' && name !== 'X25519' && name !== 'RSA-OAEP';

const importPair = (a, format, data, extractable, usages) => {
  const isPrivate = format === 'pkcs8' || (format === 'jwk' && data.d !== undefined);
  const { name } = a;
  const kind = name === 'ECDSA' || name === 'ECDH' ? 'EC' : startsWith(name, 'RSA') ? 'RSA' : name;
  if (format === 'raw' && kind === 'RSA') throw badFormat(format, name);
  if (kind === 'EC' && !arrayIncludes(curveNames, a.namedCurve)) {
    throw format === 'raw' ? dataError(`Unknown curve ${a.namedCurve}`) : dataError(`Unknown curve ${a.namedCurve}`);
  }
  onlyUsages(usages, pairUsages[name][isPrivate ? 1 : 0]);
  const got =
    format === 'jwk'
      ? importJwkPair(a, kind, isPrivate, data, extractable, usages)
      : importMaterial(kind, format, a.namedCurve ?? '', data);
  const shown = kind === 'EC' ? { name, namedCurve: a.namedCurve } : { name };
  if (kind === 'RSA') {
    shown.modulusLength = got[1];
    shown.publicExponent = got[2];
    shown.hash = a.hash;
  }
  return newKey(isPrivate ? 'private' : 'public', shown, extractable, usages, got[0]);
};

const rsaAlg = (name, hash) => {
  const bits = slice(hash, 4);
  if (name === 'RSA-OAEP') return bits === '1' ? 'RSA-OAEP' : `RSA-OAEP-${bits}`;
  return `${name === 'RSA-PSS' ? 'PS' : 'RS'}${bits}`;
};

const rsaPrivateParts = ['d', 'p', 'q', 'dp', 'dq', 'qi'];

const importJwkPair = (a, kind, isPrivate, jwk, extractable, usages) => {
  const { name } = a;
  const kty = kind === 'EC' ? 'EC' : kind === 'RSA' ? 'RSA' : 'OKP';
  wantJwk(jwk, kty, usages, signs(name) ? 'sig' : 'enc', extractable);
  if (kind === 'RSA') {
    if (jwk.alg !== undefined && jwk.alg !== rsaAlg(name, a.hash)) throw dataError('The alg of the JWK does not fit');
    const all = [jwkBytes(jwk, 'n'), jwkBytes(jwk, 'e')];
    if (isPrivate) {
      if (jwk.oth !== undefined) throw unsupported('RSA keys of more than two primes');
      for (let i = 0; i < rsaPrivateParts.length; i++) all[all.length] = jwkBytes(jwk, rsaPrivateParts[i]);
    }
    return importParts('RSA', '', isPrivate, ...all);
  }
  if (kind === 'EC') {
    if (jwk.crv !== a.namedCurve) throw dataError('The JWK is of another curve');
    if (name === 'ECDSA' && jwk.alg !== undefined && jwk.alg !== `ES${jwk.crv === 'P-521' ? '512' : slice(jwk.crv, 2)}`) {
      throw dataError('The alg of the JWK does not fit');
    }
    const x = jwkBytes(jwk, 'x');
    const y = jwkBytes(jwk, 'y');
    return isPrivate ? importParts('EC', jwk.crv, true, x, y, jwkBytes(jwk, 'd')) : importParts('EC', jwk.crv, false, x, y);
  }
  if (jwk.crv !== name) throw dataError('The JWK is of another curve');
  if (name === 'Ed25519' && jwk.alg !== undefined && jwk.alg !== 'EdDSA' && jwk.alg !== 'Ed25519') throw dataError('The alg of the JWK does not fit');
  const x = jwkBytes(jwk, 'x');
  return isPrivate ? importParts(name, '', true, x, jwkBytes(jwk, 'd')) : importParts(name, '', false, x);
};

const importers = {
  __proto__: null,
  HMAC: importHMAC,
  'AES-CBC': importAES,
  'AES-CTR': importAES,
  'AES-GCM': importAES,
  'AES-KW': importAES,
  HKDF: importSecret,
  PBKDF2: importSecret,
};

// importKey imports data (bytes, or a JWK as jwkOf returns it) by a normalised algorithm.
const importKey = (a, format, data, extractable, usages) => {
  const key = (importers[a.name] ?? importPair)(a, format, data, extractable, usages);
  if (keyState(key).type !== 'public' && usages.length === 0) throw domError('SyntaxError', 'The key has no usage');
  return key;
};

const jwkTexts = ['alg', 'crv', 'd', 'dp', 'dq', 'e', 'k', 'kty', 'n', 'p', 'q', 'qi', 'use', 'x', 'y'];

// jwkOf is the dictionary JsonWebKey.
const jwkOf = (v) => {
  if (!isObject(v)) throw new TypeErr('The key is not a JWK');
  const out = { __proto__: null };
  for (let i = 0; i < jwkTexts.length; i++) {
    const t = v[jwkTexts[i]];
    if (t !== undefined) out[jwkTexts[i]] = `${t}`;
  }
  const { ext, key_ops: operations, oth } = v;
  if (ext !== undefined) out.ext = !!ext;
  if (operations !== undefined) out.key_ops = listOf(operations, (o) => `${o}`, 'key_ops');
  if (oth !== undefined) out.oth = oth;
  return out;
};

const formatOf = (v) => {
  v = `${v}`;
  if (v !== 'raw' && v !== 'pkcs8' && v !== 'spki' && v !== 'jwk') throw new TypeErr(`${jsonStringify(v)} is not a key format`);
  return v;
};
