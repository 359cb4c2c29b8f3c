// The crypto object. https://w3c.github.io/webcrypto/#Crypto-interface

const { randomFill, randomUUID, equalBytes } = host;

class Crypto {
  #subtle;
  constructor(secret = undefined) {
    if (secret !== SECRET) throw illegal();
    this.#subtle = new SubtleCrypto(SECRET);
  }
  get subtle() {
    return this.#subtle;
  }
  getRandomValues(array) {
    this.#subtle;
    need(arguments.length, 1, 'Crypto.getRandomValues');
    const name = isView(array) ? typedName(array) : undefined;
    if (!isView(array)) throw new TypeErr('Crypto.getRandomValues: the argument is not a typed array');
    if (name === undefined || name === 'Float16Array' || name === 'Float32Array' || name === 'Float64Array') {
      throw domError('TypeMismatchError', 'Crypto.getRandomValues: the argument is not an array of integers');
    }
    const n = typedByteLength(array);
    if (n > 65536) throw quotaError(n);
    if (n > 0) randomFill(bytesOf(array));
    return array;
  }
  randomUUID() {
    this.#subtle;
    return randomUUID();
  }
}
const quotaError = (n) => domError('QuotaExceededError', `${n} random bytes are more than the 65536 of one call`);
publish(Crypto);
defineMember('crypto', new Crypto(SECRET));
