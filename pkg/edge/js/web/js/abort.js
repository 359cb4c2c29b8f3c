// Aborting. https://dom.spec.whatwg.org/#aborting-ongoing-activities

let isSignal;
let onAbort; // (signal, steps) → a function that takes the steps away again
let abortSignal;
let newSignal;

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #steps; // of functions, run before the event
  #sources; // of a dependent signal: those it follows
  #dependents;
  constructor(secret = undefined) {
    if (secret !== SECRET) throw illegal();
    super();
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  get onabort() {
    #aborted in this;
    return handlerOf(this, 'abort');
  }
  set onabort(f) {
    setHandler(this, 'abort', f);
  }
  static abort(reason = undefined) {
    const s = new AbortSignal(SECRET);
    s.#aborted = true;
    s.#reason = reason === undefined ? aborted() : reason;
    return s;
  }
  static timeout(milliseconds) {
    need(arguments.length, 1, 'AbortSignal.timeout');
    const ms = integer(milliseconds, Number.MAX_SAFE_INTEGER, 'enforce');
    const s = new AbortSignal(SECRET);
    globalThis.setTimeout(() => abortSignal(s, domError('TimeoutError', 'The operation timed out')), min(ms, 0x7fffffff));
    return s;
  }
  static any(signals) {
    need(arguments.length, 1, 'AbortSignal.any');
    const list = listOf(
      signals,
      (s) => {
        if (!isSignal(s)) throw new TypeErr('AbortSignal.any: an element is not an AbortSignal');
        return s;
      },
      'The argument of AbortSignal.any',
    );
    const s = new AbortSignal(SECRET);
    for (let i = 0; i < list.length; i++) {
      if (list[i].#aborted) {
        s.#aborted = true;
        s.#reason = list[i].#reason;
        return s;
      }
    }
    s.#sources = [];
    for (let i = 0; i < list.length; i++) {
      const from = list[i].#sources ?? [list[i]];
      for (let j = 0; j < from.length; j++) {
        if (arrayIncludes(s.#sources, from[j])) continue;
        s.#sources[s.#sources.length] = from[j];
        const d = (from[j].#dependents ??= []);
        d[d.length] = s;
      }
    }
    return s;
  }
  static {
    isSignal = (s) => isObject(s) && #aborted in s;
    newSignal = () => new AbortSignal(SECRET);
    onAbort = (signal, step) => {
      const steps = (signal.#steps ??= []);
      steps[steps.length] = step;
      return () => {
        const i = apply(Array_indexOf, steps, [step]);
        if (i >= 0) arraySplice(steps, i, 1);
      };
    };
    abortSignal = (signal, reason) => {
      if (signal.#aborted) return;
      const all = [signal];
      signal.#aborted = true;
      signal.#reason = reason === undefined ? aborted() : reason;
      const dependents = signal.#dependents ?? [];
      for (let i = 0; i < dependents.length; i++) {
        const d = dependents[i];
        if (d.#aborted) continue;
        d.#aborted = true;
        d.#reason = signal.#reason;
        all[all.length] = d;
      }
      for (let i = 0; i < all.length; i++) {
        const steps = all[i].#steps ?? [];
        all[i].#steps = undefined;
        for (let j = 0; j < steps.length; j++) steps[j]();
        fire(all[i], new Event('abort'));
      }
    };
  }
}
const Array_indexOf = Array.prototype.indexOf;
const aborted = () => domError('AbortError', 'This operation was aborted');
publish(AbortSignal);

class AbortController {
  #signal = newSignal();
  constructor() {}
  get signal() {
    return this.#signal;
  }
  abort(reason = undefined) {
    abortSignal(this.#signal, reason);
  }
}
publish(AbortController);
