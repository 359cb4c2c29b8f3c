// Headers. https://fetch.spec.whatwg.org/#headers-class
//
// Names are kept in lower case, in the order in which they came; no name is forbidden, this is a server.

const tokenRE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badValue = /[\0\r\n]|[^\0-\xff]/;
const isSpace = (c) => c === 32 || c === 9 || c === 10 || c === 13;

// What was found good is remembered: most names and many values come again with every request.
const goodNames = new Map();
const goodValues = new Map();
const remember = (map, s, good) => {
  if (mapSize(map) >= 200) clearMap(map);
  mapSet(map, s, good);
  return good;
};

const headerName = (v) => {
  const s = typeof v === 'string' ? v : `${v}`;
  const good = mapGet(goodNames, s);
  if (good !== undefined) return good;
  if (!matches(tokenRE, s)) throw new TypeErr(`Invalid header name: ${jsonStringify(s)}`);
  return s.length > 64 ? lowerCase(s) : remember(goodNames, s, lowerCase(s));
};
const headerValue = (v) => {
  let s = typeof v === 'string' ? v : `${v}`;
  const n = s.length;
  const good = n > 64 ? undefined : mapGet(goodValues, s);
  if (good !== undefined) return good;
  const given = s;
  let from = 0;
  let to = n;
  while (from < to && isSpace(charCode(s, from))) from++;
  while (to > from && isSpace(charCode(s, to - 1))) to--;
  if (to - from < n) s = slice(s, from, to);
  if (matches(badValue, s)) throw new TypeErr(`Invalid header value: ${jsonStringify(s)}`);
  return n > 64 ? s : remember(goodValues, given, s);
};

let headerPairs; // the flat array of a Headers object
let isHeaders;
let newHeaders; // (pairs or a function that returns them, immutable)

class Headers {
  #list; // a flat array, or a function that returns it
  #immutable = false;
  #sorted; // what iteration shows, until the next change
  constructor(init = undefined) {
    if (init === undefined) this.#list = [];
    else if (init !== SECRET) this.#list = headersFrom(init);
  }
  append(name, value) {
    const list = this.#pairs();
    need(arguments.length, 2, 'Headers.append');
    name = headerName(name);
    value = headerValue(value);
    this.#change();
    list[list.length] = name;
    list[list.length] = value;
  }
  delete(name) {
    const list = this.#pairs();
    need(arguments.length, 1, 'Headers.delete');
    name = headerName(name);
    this.#change();
    for (let i = 0; i < list.length; ) {
      if (list[i] === name) arraySplice(list, i, 2);
      else i += 2;
    }
  }
  get(name) {
    const list = this.#pairs();
    need(arguments.length, 1, 'Headers.get');
    return headerGet(list, headerName(name));
  }
  getSetCookie() {
    const list = this.#pairs();
    const out = [];
    for (let i = 0; i < list.length; i += 2) if (list[i] === 'set-cookie') out[out.length] = list[i + 1];
    return out;
  }
  has(name) {
    const list = this.#pairs();
    need(arguments.length, 1, 'Headers.has');
    return arrayIndexOfName(list, headerName(name)) >= 0;
  }
  set(name, value) {
    const list = this.#pairs();
    need(arguments.length, 2, 'Headers.set');
    name = headerName(name);
    value = headerValue(value);
    this.#change();
    headerSet(list, name, value);
  }
  #pairs() {
    const list = this.#list;
    return typeof list === 'function' ? (this.#list = list()) : list;
  }
  #change() {
    if (this.#immutable) throw new TypeErr('These headers cannot be changed: copy them with new Headers(headers)');
    this.#sorted = undefined;
  }
  static {
    pairIterator(this, 'Headers', (h) => (h.#sorted ??= sortAndCombine(h.#pairs())));
    isHeaders = (h) => isObject(h) && #list in h;
    headerPairs = (h) => h.#pairs();
    newHeaders = (pairs, immutable) => {
      const h = new Headers(SECRET);
      h.#list = pairs;
      h.#immutable = immutable;
      return h;
    };
  }
}
publish(Headers);

const arrayIndexOfName = (list, name) => {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return i;
  return -1;
};

function headerGet(list, name) {
  let found = null;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] === name) found = found === null ? list[i + 1] : `${found}, ${list[i + 1]}`;
  }
  return found;
}

function headerSet(list, name, value) {
  const at = arrayIndexOfName(list, name);
  if (at < 0) {
    list[list.length] = name;
    list[list.length] = value;
    return;
  }
  list[at + 1] = value;
  for (let i = at + 2; i < list.length; ) {
    if (list[i] === name) arraySplice(list, i, 2);
    else i += 2;
  }
}

// headersFrom is what `fill` makes of a HeadersInit: a new flat array.
function headersFrom(init) {
  if (!isObject(init)) throw new TypeErr('Headers: the argument is not an object');
  const method = init[symbolIterator];
  if (isHeaders(init) && method === Headers.prototype.entries) return arraySlice(headerPairs(init));
  if (method === undefined || method === null) {
    const flat = [];
    const names = ownKeys(init);
    for (let i = 0, n = 0; i < names.length; i++) {
      if (!isEnumerable(init, names[i])) continue;
      flat[n++] = headerName(names[i]);
      flat[n++] = headerValue(init[names[i]]);
    }
    return flat;
  }
  if (typeof method !== 'function') throw new TypeErr('Headers: the iterator is not a function');
  const pairs = iterate(init, method, (pair) => listOf(pair, (v) => `${v}`, 'Headers: a pair'));
  const flat = [];
  for (let i = 0; i < pairs.length; i++) {
    if (pairs[i].length !== 2) throw new TypeErr('Headers: a pair has not two elements');
    flat[flat.length] = headerName(pairs[i][0]);
    flat[flat.length] = headerValue(pairs[i][1]);
  }
  return flat;
}

// byteString need not be asked for names and values: what it refuses they refuse as well.
function byteString(v) {
  const s = typeof v === 'string' ? v : `${v}`;
  if (matches(/[^\0-\xff]/, s)) throw new TypeErr(`${jsonStringify(s)} has characters above U+00FF`);
  return s;
}

// sortAndCombine: names sorted, values of one name joined, each Set-Cookie by itself.
function sortAndCombine(list) {
  const names = [];
  for (let i = 0; i < list.length; i += 2) if (!arrayIncludes(names, list[i])) names[names.length] = list[i];
  arraySort(names);
  const out = [];
  for (let i = 0; i < names.length; i++) {
    const n = names[i];
    if (n !== 'set-cookie') {
      out[out.length] = n;
      out[out.length] = headerGet(list, n);
      continue;
    }
    for (let j = 0; j < list.length; j += 2) {
      if (list[j] !== n) continue;
      out[out.length] = n;
      out[out.length] = list[j + 1];
    }
  }
  return out;
}
