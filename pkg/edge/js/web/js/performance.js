// High resolution time, in steps of 0.1 ms as a defence against timing attacks.
// https://w3c.github.io/hr-time/

const nativeNow = performance.now.bind(performance);
// An isolate begins as a copy of a booted one, so that its clock starts a millisecond before the first look at it.
let clockStart;
let clockOrigin;
const clock = () => {
  const t = nativeNow();
  if (clockStart === undefined) {
    clockStart = t - 1;
    clockOrigin = now() - 1;
  }
  return max(0, floor((t - clockStart) * 10) / 10);
};

class Performance extends EventTarget {
  #brand;
  constructor(secret = undefined) {
    if (secret !== SECRET) throw illegal();
    super();
  }
  now() {
    this.#brand;
    return clock();
  }
  get timeOrigin() {
    this.#brand;
    clock();
    return clockOrigin;
  }
  toJSON() {
    this.#brand;
    return { timeOrigin: this.timeOrigin };
  }
}
publish(Performance);
defineMember('performance', new Performance(SECRET));
