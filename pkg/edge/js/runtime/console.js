// console, and inspect: values as people want to read them in a log. It is evaluated before runtime.js.
(host => {
  'use strict';
  const { apply, ownKeys } = Reflect;
  const { Object, Map, Set, Promise, Date, RegExp, Error, ArrayBuffer, Symbol, String, JSON, Array } = globalThis;
  const hasOwn = Object.hasOwn, describeProperty = Object.getOwnPropertyDescriptor, protoOf = Object.getPrototypeOf;
  const isArray = Array.isArray, isView = ArrayBuffer.isView, quote = JSON.stringify;
  const join = (list, by) => apply(Array.prototype.join, list, [by]);
  const WIDE = 76, ITEMS = 100, TEXT = 10000, DEPTH = 4, WORK = 5000;
  const NAME = /^[A-Za-z_$][\w$]*$/;
  const test = RegExp.prototype.test, iso = Date.prototype.toISOString, source = RegExp.prototype.toString;
  const mapEach = Map.prototype.forEach, setEach = Set.prototype.forEach, push = Array.prototype.push, slice = String.prototype.slice;
  const log = host.log;

  const textOf = (s, top) => {
    const long = s.length > TEXT;
    const shown = long ? apply(slice, s, [0, TEXT]) : s;
    return (top ? shown : quote(shown)) + (long ? `… ${s.length - TEXT} more characters` : '');
  };

  function inspect(value, depth = 0, seen = [], budget = { left: WORK }) {
    switch (typeof value) {
      case 'string': return textOf(value, false);
      case 'bigint': return String(value) + 'n';
      case 'symbol': return String(value);
      case 'number': return value === 0 && 1 / value < 0 ? '-0' : String(value);
      case 'function': {
        const d = describeProperty(value, 'name');
        const name = d && typeof d.value === 'string' && d.value;
        return name ? `[Function: ${name}]` : '[Function (anonymous)]';
      }
      case 'object': break;
      default: return String(value);
    }
    if (value === null) return 'null';
    for (let i = 0; i < seen.length; i++) if (seen[i] === value) return '[Circular]';
    if (--budget.left < 0) return '…';
    if (value instanceof Error) return errorText(value);
    if (value instanceof Date) { try { return apply(iso, value, []); } catch { return 'Invalid Date'; } }
    if (value instanceof RegExp) return apply(source, value, []);
    if (value instanceof Promise) return 'Promise {}';
    const name = className(value);
    if (typeof host.show === 'function') { const s = host.show(value); if (typeof s === 'string') return s; }
    if (depth >= DEPTH) return isArray(value) ? '[Array]' : `[${name || 'Object'}]`;
    seen[seen.length] = value;
    try { return composite(value, name, v => inspect(v, depth + 1, seen, budget)); } finally { seen.length--; }
  }

  function className(value) {
    const proto = protoOf(value);
    if (proto === null) return '[Object: null prototype]';
    const d = describeProperty(proto, 'constructor');
    const n = d && typeof d.value === 'function' && describeProperty(d.value, 'name');
    return n && typeof n.value === 'string' ? n.value : '';
  }

  function composite(value, name, show) {
    const parts = [];
    const add = s => { parts[parts.length] = s; return parts.length < ITEMS; };
    if (isArray(value) || isView(value) && typeof value.length === 'number') {
      const n = value.length;
      for (let i = 0; i < n; i++) if (!add(i in value ? show(value[i]) : '<empty>')) { add(`… ${n - i - 1} more`); break; }
      return frame(isArray(value) && name === 'Array' ? '' : `${name}(${n}) `, '[', parts, ']');
    }
    if (value instanceof ArrayBuffer) return `ArrayBuffer { byteLength: ${value.byteLength} }`;
    let prefix = name && name !== 'Object' ? name + ' ' : '';
    try {
      if (value instanceof Map) { prefix = `${name}(${value.size}) `; apply(mapEach, value, [(v, k) => parts.length < ITEMS && add(show(k) + ' => ' + show(v))]); }
      else if (value instanceof Set) { prefix = `${name}(${value.size}) `; apply(setEach, value, [v => parts.length < ITEMS && add(show(v))]); }
    } catch {}
    const keys = ownKeys(value);
    for (let i = 0; i < keys.length; i++) {
      const k = keys[i], d = describeProperty(value, k);
      if (!d || !d.enumerable) continue;
      const shown = typeof k === 'symbol' ? `[${String(k)}]` : apply(test, NAME, [k]) ? k : quote(k);
      const what = 'value' in d ? show(d.value) : d.get ? d.set ? '[Getter/Setter]' : '[Getter]' : '[Setter]';
      if (!add(shown + ': ' + what)) { add(`… ${keys.length - i - 1} more`); break; }
    }
    return frame(prefix, '{', parts, '}');
  }

  function frame(prefix, open, parts, close) {
    if (parts.length === 0) return prefix + open + close;
    let width = prefix.length + 4, lines = false;
    for (let i = 0; i < parts.length; i++) { width += parts[i].length + 2; lines ||= apply(String.prototype.includes, parts[i], ['\n']); }
    const pad = open === '{' || open === '[' ? ' ' : '';
    if (width <= WIDE && !lines) return prefix + open + pad + join(parts, ', ') + pad + close;
    for (let i = 0; i < parts.length; i++) parts[i] = '  ' + join(apply(String.prototype.split, parts[i], ['\n']), '\n  ');
    return prefix + open + '\n' + join(parts, ',\n') + '\n' + close;
  }

  function errorText(e) {
    const head = (e.name ?? 'Error') + (e.message ? ': ' + e.message : '');
    const stack = typeof e.stack === 'string' && e.stack !== '' ? '\n' + host.trace(e.stack) : '';
    return head + stack + (e.cause !== undefined ? '\n[cause]: ' + inspect(e.cause, DEPTH - 1) : '');
  }

  // format joins the arguments of console.log; the first may hold %s %d %i %f %j %o %O %c and %%.
  function format(args) {
    const out = [];
    let i = 0;
    if (typeof args[0] === 'string') {
      i = 1;
      const f = args[0];
      let s = '', from = 0;
      for (let at = 0; at < f.length - 1; at++) {
        if (f[at] !== '%') continue;
        const c = f[at + 1];
        let put;
        if (c === '%') put = '%';
        else if (i >= args.length) continue;
        else if (c === 's') put = typeof args[i] === 'string' ? args[i] : inspect(args[i], DEPTH - 1);
        else if (c === 'd' || c === 'f') put = typeof args[i] === 'object' ? 'NaN' : String(+args[i]);
        else if (c === 'i') put = typeof args[i] === 'object' ? 'NaN' : String(parseInt(args[i]));
        else if (c === 'j') put = quote(args[i]);
        else if (c === 'o' || c === 'O') put = inspect(args[i]);
        else if (c === 'c') put = '';
        else continue;
        if (c !== '%') i++;
        s += apply(slice, f, [from, at]) + put;
        from = at + 2;
        at++;
      }
      out[0] = textOf(s + apply(slice, f, [from]), true);
    }
    for (; i < args.length; i++) out[out.length] = typeof args[i] === 'string' ? textOf(args[i], true) : inspect(args[i]);
    return join(out, ' ');
  }
  const parseInt = globalThis.parseInt;

  let indent = '';
  const print = (level, args) => {
    const text = format(args);
    log(level, indent === '' ? text : indent + join(apply(String.prototype.split, text, ['\n']), '\n' + indent));
  };
  const counts = new Map(), timers = new Map();
  const now = Date.now;
  const console = {
    log(...args) { print(0, args); },
    info(...args) { print(0, args); },
    debug(...args) { print(0, args); },
    warn(...args) { print(1, args); },
    error(...args) { print(1, args); },
    trace(...args) { print(1, ['Trace: ' + format(args) + '\n' + host.trace(new Error().stack)]); },
    assert(ok, ...args) { if (!ok) print(1, ['Assertion failed' + (args.length ? ': ' + format(args) : '')]); },
    dir(value) { print(0, [inspect(value)]); },
    table(value) { print(0, [inspect(value)]); },
    group(...args) { if (args.length) print(0, args); indent += '  '; },
    groupCollapsed(...args) { console.group(...args); },
    groupEnd() { indent = apply(slice, indent, [2]); },
    count(label = 'default') { const n = (counts.get(label) ?? 0) + 1; counts.set(label, n); print(0, [`${label}: ${n}`]); },
    countReset(label = 'default') { counts.delete(label); },
    time(label = 'default') { timers.set(label, now()); },
    timeLog(label = 'default', ...args) { if (timers.has(label)) print(0, [`${label}: ${now() - timers.get(label)} ms`, ...args]); },
    timeEnd(label = 'default') { console.timeLog(label); timers.delete(label); },
    clear() {},
  };
  Object.defineProperty(globalThis, 'console', { value: console, writable: true, configurable: true, enumerable: false });
  host.inspect = v => { try { return inspect(v); } catch { return '[a value that cannot be shown]'; } };
})(host);
