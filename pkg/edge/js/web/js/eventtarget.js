// Event targets. https://dom.spec.whatwg.org/#interface-eventtarget

// report tells of what listeners throw, by the runtime's reportError, which does not exist yet.
const report = (e) => {
  const { reportError } = globalThis;
  if (typeof reportError === 'function') reportError(e);
};

let handlerOf;
let setHandler;

class EventTarget {
  #list; // of {type, callback, capture, once, passive, signal, removed}, made when the first is added
  constructor() {}
  addEventListener(type, callback, options = undefined) {
    const target = this ?? globalThis;
    #list in target;
    need(arguments.length, 2, 'EventTarget.addEventListener');
    type = `${type}`;
    const o = flatten(options);
    let signal;
    if (isObject(options)) {
      o.once = !!options.once;
      const p = options.passive;
      o.passive = p === undefined ? false : !!p;
      signal = options.signal;
      if (signal !== undefined && !isSignal(signal)) throw new TypeErr('The option signal is not an AbortSignal');
    }
    if (callback !== null && callback !== undefined && !isObject(callback)) {
      throw new TypeErr('The listener is not an object');
    }
    if (callback === null || callback === undefined) return;
    if (signal !== undefined && signal.aborted) return;
    const list = (target.#list ??= []);
    for (let i = 0; i < list.length; i++) {
      const l = list[i];
      if (l.type === type && l.callback === callback && l.capture === o.capture) return;
    }
    const l = { type, callback, capture: o.capture, once: o.once, passive: o.passive, removed: false };
    target.#list = [...arraySlice(list), l];
    if (signal !== undefined) onAbort(signal, () => target.#remove(l));
  }
  removeEventListener(type, callback, options = undefined) {
    const target = this ?? globalThis;
    #list in target;
    need(arguments.length, 2, 'EventTarget.removeEventListener');
    type = `${type}`;
    const { capture } = flatten(options);
    if (callback !== null && callback !== undefined && !isObject(callback)) {
      throw new TypeErr('The listener is not an object');
    }
    const list = target.#list;
    if (list === undefined) return;
    for (let i = 0; i < list.length; i++) {
      const l = list[i];
      if (l.type === type && l.callback === callback && l.capture === capture) return target.#remove(l);
    }
  }
  dispatchEvent(event) {
    #list in this;
    need(arguments.length, 1, 'EventTarget.dispatchEvent');
    const s = eventState(event);
    if (s === undefined) throw new TypeErr('The argument is not an Event');
    if (s.dispatching || !s.initialized) throw domError('InvalidStateError', 'The event is already being dispatched');
    s.trusted = false;
    return this.#dispatch(event, s);
  }
  #remove(l) {
    l.removed = true;
    const list = [];
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i] !== l) list[list.length] = this.#list[i];
    this.#list = list;
  }
  #dispatch(event, s) {
    s.dispatching = true;
    s.target = s.current = this;
    s.phase = 2;
    const list = this.#list;
    if (list !== undefined) {
      for (let pass = 0; pass < 2 && !(pass === 1 && s.stop); pass++) {
        for (let i = 0; i < list.length && !s.stopNow; i++) {
          const l = list[i];
          if (l.type !== s.type || l.removed || l.capture !== (pass === 0)) continue;
          if (l.once) this.#remove(l);
          this.#invoke(l, event, s);
        }
      }
    }
    s.phase = 0;
    s.current = null;
    s.dispatching = s.stop = s.stopNow = false;
    return !s.canceled;
  }
  #invoke(l, event, s) {
    s.passive = l.passive;
    try {
      const { callback } = l;
      if (typeof callback === 'function') apply(callback, this, [event]);
      else {
        const handle = callback.handleEvent;
        if (typeof handle !== 'function') throw new TypeErr('handleEvent is not a function');
        apply(handle, callback, [event]);
      }
    } catch (e) {
      report(e);
    }
    s.passive = false;
  }
  static {
    isTarget = (t) => isObject(t) && #list in t;
    // fire dispatches an event of the platform.
    fire = (target, event) => target.#dispatch(event, eventState(trustedEvent(event)));
    // onNAME attributes are listeners whose callback is exchanged.
    handlerOf = (target, type) => handlerEntry(target.#list, type)?.handler ?? null;
    setHandler = (target, type, handler) => {
      const fn = isObject(handler) ? handler : null;
      const l = handlerEntry(target.#list, type);
      if (l !== undefined) {
        if (fn === null) target.#remove(l);
        else l.handler = fn;
        return;
      }
      if (fn === null) return;
      const entry = { type, capture: false, once: false, passive: false, removed: false, handler: fn };
      entry.callback = function (e) {
        if (typeof entry.handler === 'function' && apply(entry.handler, this, [e]) === false) e.preventDefault();
      };
      target.#list = [...arraySlice(target.#list ?? []), entry];
    };
  }
}
var fire;
var isTarget;

const handlerEntry = (list, type) => {
  for (let i = 0; list !== undefined && i < list.length; i++) {
    if (list[i].type === type && list[i].handler !== undefined) return list[i];
  }
  return undefined;
};

const flatten = (options) => ({
  capture: typeof options === 'boolean' ? options : isObject(options) ? !!options.capture : !!options && true,
  once: false,
  passive: false,
});
publish(EventTarget);
