// Events. https://dom.spec.whatwg.org/#events

let eventTrust;
const trusted = {
  get isTrusted() {
    return eventTrust(this);
  },
};
const isTrusted = { ...getOwnPropertyDescriptor(trusted, 'isTrusted'), enumerable: true, configurable: false };

let eventState;

class Event {
  #s;
  constructor(type, init = undefined) {
    need(arguments.length, 1, 'Event');
    type = `${type}`;
    const o = dictionary(init, 'The options of an event');
    this.#s = {
      type,
      bubbles: !!o.bubbles,
      cancelable: !!o.cancelable,
      composed: !!o.composed,
      target: null,
      current: null,
      phase: 0,
      stop: false,
      stopNow: false,
      canceled: false,
      passive: false,
      dispatching: false,
      initialized: true,
      trusted: false,
      time: clock(),
    };
    defineProperty(this, 'isTrusted', isTrusted);
  }
  get type() {
    return this.#s.type;
  }
  get target() {
    return this.#s.target;
  }
  get srcElement() {
    return this.#s.target;
  }
  get currentTarget() {
    return this.#s.current;
  }
  composedPath() {
    return this.#s.current === null ? [] : [this.#s.current];
  }
  get eventPhase() {
    return this.#s.phase;
  }
  stopPropagation() {
    this.#s.stop = true;
  }
  get cancelBubble() {
    return this.#s.stop;
  }
  set cancelBubble(v) {
    if (v) this.#s.stop = true;
  }
  stopImmediatePropagation() {
    this.#s.stop = this.#s.stopNow = true;
  }
  get bubbles() {
    return this.#s.bubbles;
  }
  get cancelable() {
    return this.#s.cancelable;
  }
  get returnValue() {
    return !this.#s.canceled;
  }
  set returnValue(v) {
    if (!v) cancelEvent(this.#s);
  }
  preventDefault() {
    cancelEvent(this.#s);
  }
  get defaultPrevented() {
    return this.#s.canceled;
  }
  get composed() {
    return this.#s.composed;
  }
  get timeStamp() {
    return this.#s.time;
  }
  initEvent(type, bubbles = false, cancelable = false) {
    const s = this.#s;
    need(arguments.length, 1, 'Event.initEvent');
    type = `${type}`;
    if (s.dispatching) return;
    s.stop = s.stopNow = s.canceled = s.trusted = false;
    s.initialized = true;
    s.target = null;
    s.type = type;
    s.bubbles = !!bubbles;
    s.cancelable = !!cancelable;
  }
  static {
    eventState = (e) => (isObject(e) && #s in e ? e.#s : undefined);
    eventTrust = (e) => e.#s.trusted;
  }
}
const cancelEvent = (s) => {
  if (s.cancelable && !s.passive) s.canceled = true;
};
publish(Event);
constants(Event, { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });

// trustedEvent makes an event of the platform itself.
const trustedEvent = (e) => {
  eventState(e).trusted = true;
  return e;
};

class CustomEvent extends Event {
  #detail;
  constructor(type, init = undefined) {
    need(arguments.length, 1, 'CustomEvent');
    super(type, init);
    const d = dictionary(init).detail;
    this.#detail = d === undefined ? null : d;
  }
  get detail() {
    return this.#detail;
  }
  initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
    need(arguments.length, 1, 'CustomEvent.initCustomEvent');
    if (eventState(this).dispatching) return;
    this.initEvent(type, bubbles, cancelable);
    this.#detail = detail;
  }
}
publish(CustomEvent);

class ErrorEvent extends Event {
  #o;
  constructor(type, init = undefined) {
    need(arguments.length, 1, 'ErrorEvent');
    super(type, init);
    const o = dictionary(init);
    this.#o = {
      message: o.message === undefined ? '' : `${o.message}`,
      filename: o.filename === undefined ? '' : usv(o.filename),
      lineno: o.lineno === undefined ? 0 : integer(o.lineno, 0xffffffff),
      colno: o.colno === undefined ? 0 : integer(o.colno, 0xffffffff),
      error: o.error,
    };
  }
  get message() {
    return this.#o.message;
  }
  get filename() {
    return this.#o.filename;
  }
  get lineno() {
    return this.#o.lineno;
  }
  get colno() {
    return this.#o.colno;
  }
  get error() {
    return this.#o.error;
  }
}
publish(ErrorEvent);

class MessageEvent extends Event {
  #o;
  constructor(type, init = undefined) {
    need(arguments.length, 1, 'MessageEvent');
    super(type, init);
    const o = dictionary(init);
    this.#o = {
      data: o.data === undefined ? null : o.data,
      origin: o.origin === undefined ? '' : usv(o.origin),
      lastEventId: o.lastEventId === undefined ? '' : `${o.lastEventId}`,
      source: o.source === undefined ? null : o.source,
      ports: freeze(o.ports === undefined ? [] : listOf(o.ports, (p) => p, 'ports')),
    };
  }
  get data() {
    return this.#o.data;
  }
  get origin() {
    return this.#o.origin;
  }
  get lastEventId() {
    return this.#o.lastEventId;
  }
  get source() {
    return this.#o.source;
  }
  get ports() {
    return this.#o.ports;
  }
}
publish(MessageEvent);
