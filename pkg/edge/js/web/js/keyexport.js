// How keys get out. https://w3c.github.io/webcrypto/#SubtleCrypto-method-exportKey

const { exportParts } = host;

// exportKey returns bytes, or for jwk an object.
const exportKey = (format, key) => {
  const s = keyState(key);
  const { name } = s.algorithm;
  if (name === 'HKDF' || name === 'PBKDF2') throw unsupported(`${name} keys cannot be exported`);
  if (!s.extractable) throw domError('InvalidAccessError', 'The key is not extractable');
  if (format === 'jwk') return exportJwk(s);
  if (s.type === 'secret') {
    if (format !== 'raw') throw unsupported(`${name} keys cannot be exported as ${format}`);
    return typedSlice(s.material);
  }
  if (format === 'raw' && startsWith(name, 'RSA')) throw unsupported(`${name} keys cannot be exported as raw`);
  if (s.type !== (format === 'pkcs8' ? 'private' : 'public')) {
    throw domError('InvalidAccessError', `A ${s.type} key cannot be exported as ${format}`);
  }
  return format === 'raw' ? exportParts(s.material, false, true)[0] : typedSlice(s.material);
};

const jwkNames = (name) =>
  startsWith(name, 'RSA') ? ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] : startsWith(name, 'EC') ? ['x', 'y', 'd'] : ['x', 'd'];

const exportJwk = (s) => {
  const { name, hash, namedCurve } = s.algorithm;
  const out = {};
  if (s.type === 'secret') {
    out.kty = 'oct';
    out.k = toBase64url(s.material);
    out.alg = name === 'HMAC' ? `HS${slice(hash, 4)}` : `A${s.algorithm.length}${slice(name, 4)}`;
  } else {
    const parts = exportParts(s.material, s.type === 'private', false);
    const names = jwkNames(name);
    out.kty = names[0] === 'n' ? 'RSA' : names[1] === 'y' ? 'EC' : 'OKP';
    if (out.kty === 'EC') out.crv = namedCurve;
    if (out.kty === 'OKP') out.crv = name;
    if (out.kty === 'RSA') out.alg = rsaAlg(name, hash);
    for (let i = 0; i < parts.length; i++) out[names[i]] = toBase64url(parts[i]);
  }
  out.key_ops = arraySlice(s.usages);
  out.ext = s.extractable;
  return out;
};
