// Names and parameters of algorithms. https://w3c.github.io/webcrypto/#algorithm-normalization-normalize-an-algorithm

const hashNames = { __proto__: null, 'SHA-1': 160, 'SHA-256': 256, 'SHA-384': 384, 'SHA-512': 512 };
const blockSizes = { __proto__: null, 'SHA-1': 512, 'SHA-256': 512, 'SHA-384': 1024, 'SHA-512': 1024 };
const curveNames = ['P-256', 'P-384', 'P-521'];

const unsupported = (what) => domError('NotSupportedError', what);
const dataError = (what) => domError('DataError', what);
const operationError = (what) => domError('OperationError', what);

// Conversions of the members of parameters.
const octet = (v) => integer(v, 255, 'enforce');
const ulong = (v) => integer(v, 0xffffffff, 'enforce');
const ushort = (v) => integer(v, 0xffff, 'enforce');
const source = (v) => copyOf(v, 'A parameter of the algorithm');
const bigInteger = (v) => {
  if (typedName(v) !== 'Uint8Array') throw new TypeErr('publicExponent is not a Uint8Array');
  return typedSlice(v);
};
const hashOf = (v) => normalize('digest', v).name;
const keyParameter = (v) => {
  if (keyState(v) === undefined) throw new TypeErr('The parameter public is not a CryptoKey');
  return v;
};
const text = (v) => `${v}`;

// Each: member, conversion, required. They are read in the order of their names.
const hashed = [['hash', hashOf, true]];
const rsaKeys = [['hash', hashOf, true], ['modulusLength', ulong, true], ['publicExponent', bigInteger, true]];
const curve = [['namedCurve', text, true]];
const aesSize = [['length', ushort, true]];
const hmacKeys = [['hash', hashOf, true], ['length', ulong, false]];
const iv = [['iv', source, true]];
const counter = [['counter', source, true], ['length', octet, true]];
const gcm = [['additionalData', source, false], ['iv', source, true], ['tagLength', octet, false]];
const agreed = [['public', keyParameter, true]];
const hkdf = [['hash', hashOf, true], ['info', source, true], ['salt', source, true]];
const pbkdf2 = [['hash', hashOf, true], ['iterations', ulong, true], ['salt', source, true]];
const aes = { generateKey: aesSize, importKey: [], length: aesSize };
const aesCipher = (params) => ({ ...aes, encrypt: params, decrypt: params });
const edwards = { generateKey: [], importKey: [], sign: [], verify: [] };
const montgomery = { generateKey: [], importKey: [], deriveBits: agreed };

const algorithms = {
  __proto__: null,
  'SHA-1': { digest: [] },
  'SHA-256': { digest: [] },
  'SHA-384': { digest: [] },
  'SHA-512': { digest: [] },
  HMAC: { generateKey: hmacKeys, importKey: hmacKeys, sign: [], verify: [], length: hmacKeys },
  'AES-CBC': aesCipher(iv),
  'AES-CTR': aesCipher(counter),
  'AES-GCM': aesCipher(gcm),
  'AES-KW': { ...aes, wrapKey: [], unwrapKey: [] },
  ECDSA: { generateKey: curve, importKey: curve, sign: hashed, verify: hashed },
  ECDH: { generateKey: curve, importKey: curve, deriveBits: agreed },
  Ed25519: edwards,
  X25519: montgomery,
  'RSASSA-PKCS1-v1_5': { generateKey: rsaKeys, importKey: hashed, sign: [], verify: [] },
  'RSA-PSS': { generateKey: rsaKeys, importKey: hashed, sign: [['saltLength', ulong, true]], verify: [['saltLength', ulong, true]] },
  'RSA-OAEP': { generateKey: rsaKeys, importKey: hashed, encrypt: [['label', source, false]], decrypt: [['label', source, false]] },
  HKDF: { importKey: [], deriveBits: hkdf, length: [] },
  PBKDF2: { importKey: [], deriveBits: pbkdf2, length: [] },
};
const algorithmNames = { __proto__: null };
{
  const names = objectKeys(algorithms);
  for (let i = 0; i < names.length; i++) algorithmNames[upperCase(names[i])] = names[i];
}

// normalize returns {name, …} with the parameters of op converted, or throws.
function normalize(op, algorithm) {
  let given = algorithm;
  if (typeof algorithm !== 'object' || algorithm === null) given = { name: `${algorithm}` };
  const n = given.name;
  if (n === undefined) throw new TypeErr('The algorithm has no name');
  const name = algorithmNames[upperCase(`${n}`)];
  const params = name === undefined ? undefined : algorithms[name][op];
  if (params === undefined) throw unsupported(`${n} is not an algorithm for ${op}`);
  const out = { __proto__: null, name };
  for (let i = 0; i < params.length; i++) {
    const p = params[i];
    const v = given[p[0]];
    if (v !== undefined) out[p[0]] = p[1](v);
    else if (p[2]) throw new TypeErr(`The parameter ${p[0]} of ${name} is missing`);
  }
  return out;
}

// usagesOf is sequence<KeyUsage>.
const usagesOf = (v) =>
  listOf(
    v,
    (u) => {
      u = `${u}`;
      if (!arrayIncludes(allUsages, u)) throw new TypeErr(`${jsonStringify(u)} is not a key usage`);
      return u;
    },
    'The usages of the key',
  );

const onlyUsages = (usages, allowed) => {
  for (let i = 0; i < usages.length; i++) {
    if (!arrayIncludes(allowed, usages[i])) throw domError('SyntaxError', `The key cannot be used for ${usages[i]}`);
  }
};

const keep = (usages, allowed) => {
  const out = [];
  for (let i = 0; i < usages.length; i++) if (arrayIncludes(allowed, usages[i])) out[out.length] = usages[i];
  return out;
};
