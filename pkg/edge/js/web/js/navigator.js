// The names of the global object and of the program.

class Navigator {
  #agent = 'pandabox';
  constructor(secret = undefined) {
    if (secret !== SECRET) throw illegal();
  }
  get userAgent() {
    return this.#agent;
  }
  get language() {
    this.#agent;
    return 'en';
  }
  get hardwareConcurrency() {
    this.#agent;
    return 1;
  }
}
publish(Navigator);
defineMember('navigator', new Navigator(SECRET));
defineMember('self', globalThis);
