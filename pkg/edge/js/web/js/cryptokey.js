// Keys. https://w3c.github.io/webcrypto/#cryptokey-interface
//
// The material of a secret key is its bytes, of a private key its PKCS #8 and of a public key its SPKI form in DER.

let keyState; // the state of a CryptoKey, undefined for anything else
let newKey; // (type, algorithm, extractable, usages, material)
let cloneKey;

const allUsages = ['encrypt', 'decrypt', 'sign', 'verify', 'deriveKey', 'deriveBits', 'wrapKey', 'unwrapKey'];

class CryptoKey {
  #s;
  constructor(secret = undefined, state = undefined) {
    if (secret !== SECRET) throw illegal();
    this.#s = state;
  }
  get type() {
    return this.#s.type;
  }
  get extractable() {
    return this.#s.extractable;
  }
  get algorithm() {
    return (this.#s.shown ??= shownAlgorithm(this.#s.algorithm));
  }
  get usages() {
    return (this.#s.shownUsages ??= arraySlice(this.#s.usages));
  }
  static {
    keyState = (k) => (isObject(k) && #s in k ? k.#s : undefined);
    newKey = (type, algorithm, extractable, usages, material) => {
      const sorted = [];
      for (let i = 0; i < allUsages.length; i++) if (arrayIncludes(usages, allUsages[i])) sorted[sorted.length] = allUsages[i];
      return new CryptoKey(SECRET, { type, algorithm, extractable, usages: sorted, material, shown: undefined, shownUsages: undefined });
    };
    cloneKey = (k) => {
      const s = keyState(k);
      return s === undefined ? undefined : newKey(s.type, s.algorithm, s.extractable, s.usages, s.material);
    };
  }
}
publish(CryptoKey);

const shownAlgorithm = (a) => {
  const out = { ...a };
  if (a.hash !== undefined) out.hash = { name: a.hash };
  if (a.publicExponent !== undefined) out.publicExponent = typedSlice(a.publicExponent);
  return out;
};
