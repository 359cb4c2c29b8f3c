// Lists of names and values. https://url.spec.whatwg.org/#interface-urlsearchparams

const { decodeForm, encodeForm } = host;
const plainForm = /^[A-Za-z0-9*\-._]*$/;

const decodeFormPart = (s) => (includes(s, '%') || includes(s, '+') || !isWellFormed(s) ? decodeForm(s) : s);
const encodeFormPart = (s) => (matches(plainForm, s) ? s : encodeForm(s));

// parseForm reads application/x-www-form-urlencoded into a flat array.
const parseForm = (text) => {
  const list = [];
  if (text === '') return list;
  const pieces = split(text, '&');
  for (let i = 0; i < pieces.length; i++) {
    const p = pieces[i];
    if (p === '') continue;
    const eq = indexOf(p, '=');
    list[list.length] = decodeFormPart(eq < 0 ? p : slice(p, 0, eq));
    list[list.length] = eq < 0 ? '' : decodeFormPart(slice(p, eq + 1));
  }
  return list;
};

const formText = (list) => {
  let out = '';
  for (let i = 0; i < list.length; i += 2) {
    out += `${i === 0 ? '' : '&'}${encodeFormPart(list[i])}=${encodeFormPart(list[i + 1])}`;
  }
  return out;
};

// findInText finds a value in a text that has no escapes without taking all of it apart; undefined where it cannot tell.
const findInText = (text, name) => {
  if (includes(text, '%') || includes(text, '+') || includes(name, '&') || includes(name, '=')) return undefined;
  const at = indexOf(text, `${name}=`);
  if (at < 0 || (at > 0 && charCode(text, at - 1) !== 38)) return undefined;
  const bare = indexOf(text, `${name}&`);
  if (bare >= 0 && bare < at) return undefined;
  const from = at + name.length + 1;
  const end = indexOf(text, '&', from);
  return end < 0 ? slice(text, from) : slice(text, from, end);
};

let paramsOf; // (url, query) → the object of url.searchParams
let resetParams; // (params, query)
let paramsText;

class URLSearchParams {
  #list; // a flat array, or the text it is read from when first looked at
  #url = null;
  constructor(init = '') {
    if (init === SECRET) return;
    if (typeof init === 'string') this.#list = usv(init[0] === '?' ? slice(init, 1) : init);
    else if (isObject(init)) {
      const method = init[symbolIterator];
      if (method !== undefined && method !== null) {
        if (typeof method !== 'function') throw new TypeErr('URLSearchParams: the iterator is not a function');
        const flat = [];
        iterate(init, method, (pair) => {
          const two = listOf(pair, usv, 'URLSearchParams: a pair');
          if (two.length !== 2) throw new TypeErr('URLSearchParams: a pair has not two elements');
          flat[flat.length] = two[0];
          flat[flat.length] = two[1];
        });
        this.#list = flat;
      } else this.#list = recordOf(init, usv);
    } else {
      init = usv(init);
      this.#list = init[0] === '?' ? slice(init, 1) : init;
    }
  }
  get size() {
    return this.#pairs().length / 2;
  }
  append(name, value) {
    const list = this.#pairs();
    need(arguments.length, 2, 'URLSearchParams.append');
    name = usv(name);
    list[list.length] = name;
    list[list.length] = usv(value);
    this.#update();
  }
  delete(name, value = undefined) {
    const list = this.#pairs();
    need(arguments.length, 1, 'URLSearchParams.delete');
    name = usv(name);
    if (value !== undefined) value = usv(value);
    for (let i = 0; i < list.length; ) {
      if (list[i] === name && (value === undefined || list[i + 1] === value)) arraySplice(list, i, 2);
      else i += 2;
    }
    this.#update();
  }
  get(name) {
    need(arguments.length, 1, 'URLSearchParams.get');
    name = usv(name);
    const text = this.#list;
    if (typeof text === 'string') {
      const found = findInText(text, name);
      if (found !== undefined) return found;
    }
    const list = this.#pairs();
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
    return null;
  }
  getAll(name) {
    const list = this.#pairs();
    need(arguments.length, 1, 'URLSearchParams.getAll');
    name = usv(name);
    const out = [];
    for (let i = 0; i < list.length; i += 2) if (list[i] === name) out[out.length] = list[i + 1];
    return out;
  }
  has(name, value = undefined) {
    const list = this.#pairs();
    need(arguments.length, 1, 'URLSearchParams.has');
    name = usv(name);
    if (value !== undefined) value = usv(value);
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] === name && (value === undefined || list[i + 1] === value)) return true;
    }
    return false;
  }
  set(name, value) {
    const list = this.#pairs();
    need(arguments.length, 2, 'URLSearchParams.set');
    name = usv(name);
    value = usv(value);
    let found = false;
    for (let i = 0; i < list.length; ) {
      if (list[i] !== name) i += 2;
      else if (found) arraySplice(list, i, 2);
      else {
        found = true;
        list[i + 1] = value;
        i += 2;
      }
    }
    if (!found) {
      list[list.length] = name;
      list[list.length] = value;
    }
    this.#update();
  }
  sort() {
    const list = this.#pairs();
    const pairs = [];
    for (let i = 0; i < list.length; i += 2) pairs[pairs.length] = [list[i], list[i + 1]];
    arraySort(pairs, (a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    for (let i = 0; i < pairs.length; i++) {
      list[2 * i] = pairs[i][0];
      list[2 * i + 1] = pairs[i][1];
    }
    this.#update();
  }
  toString() {
    return formText(this.#pairs());
  }
  #pairs() {
    const list = this.#list;
    return typeof list === 'string' ? (this.#list = parseForm(list)) : list;
  }
  #update() {
    if (this.#url !== null) setQuery(this.#url, formText(this.#list));
  }
  static {
    pairIterator(this, 'URLSearchParams', (p) => p.#pairs());
    paramsOf = (url, query) => {
      const p = new URLSearchParams(SECRET);
      p.#list = query;
      p.#url = url;
      return p;
    };
    resetParams = (p, query) => (p.#list = query);
    paramsText = (p) => (isObject(p) && #list in p ? formText(p.#pairs()) : undefined);
  }
}
publish(URLSearchParams);

// recordOf is record<K, V> as a flat array; of keys that convert to the same name the last value stays.
function recordOf(object, convertKey, convertValue = convertKey) {
  const flat = [];
  const names = ownKeys(object);
  for (let i = 0; i < names.length; i++) {
    const d = getOwnPropertyDescriptor(object, names[i]);
    if (d === undefined || !d.enumerable) continue;
    if (typeof names[i] === 'symbol') throw new TypeErr('A symbol is not a name');
    const k = convertKey(names[i]);
    const v = convertValue(object[names[i]]);
    let at = 0;
    while (at < flat.length && flat[at] !== k) at += 2;
    flat[at] = k;
    flat[at + 1] = v;
  }
  return flat;
}
