//go:build linux

package web_test

import "testing"

func TestAbortClasses(t *testing.T) {
	check(t, []section{
		{"abort", `const c = new AbortController(); const seen = []; c.signal.onabort = (e) => seen.push(e.type, e.isTrusted); c.signal.addEventListener("abort", () => seen.push("l"), {once: true}); c.abort(); c.abort("again");
			return [seen, c.signal.reason.name, name(() => c.signal.throwIfAborted())]`, `[["abort",true,"l"],"AbortError","AbortError"]`},
		{"AbortSignal.timeout", `const s = AbortSignal.timeout(1); await new Promise((r) => s.addEventListener("abort", r)); return [s.reason.name, name(() => AbortSignal.timeout(-1))]`, `["TimeoutError","TypeError"]`},
		{"AbortSignal.any", `const a = new AbortController(), b = new AbortController(); const s = AbortSignal.any([a.signal, AbortSignal.any([b.signal])]); b.abort(7);
			return [s.aborted, s.reason, AbortSignal.any([AbortSignal.abort(8)]).reason, AbortSignal.any([]).aborted, name(() => new AbortSignal())]`, `[true,7,8,false,"TypeError"]`},
	})
}

func TestEventTargetClass(t *testing.T) {
	check(t, []section{
		{"inner invoke", `const t = new EventTarget(), seen = []; t.addEventListener("a", () => { seen.push(1); throw new Error("reported"); }); t.addEventListener("a", {handleEvent(e) { seen.push(e.target === t, this !== t); }});
			t.addEventListener("a", (e) => { seen.push(2); e.preventDefault(); e.stopImmediatePropagation(); }); t.addEventListener("a", () => seen.push(3)); return [t.dispatchEvent(new Event("a", {cancelable: true})), seen]`,
			`[false,[1,true,true,2]]`},
		{"signal and once", `const t = new EventTarget(), c = new AbortController(), seen = []; t.addEventListener("a", () => seen.push(1), {once: true}); t.addEventListener("a", () => seen.push(2), {signal: c.signal});
			t.dispatchEvent(new Event("a")); c.abort(); t.dispatchEvent(new Event("a")); return seen`, `[1,2]`},
		{"subclasses", `class T extends EventTarget {} const t = new T(); let got; t.addEventListener("x", (e) => { got = e.detail; }); t.dispatchEvent(new CustomEvent("x", {detail: 5})); const e = new ErrorEvent("error", {message: "m", error: 1}), m = new MessageEvent("message", {data: 2});
			return [got, e.message, e.error, m.data, name(() => t.dispatchEvent({})), name(() => new Event())]`, `[5,"m",1,2,"TypeError","TypeError"]`},
	})
}

func TestCompressionStreams(t *testing.T) {
	const through = `const through = async (bytes, s) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(s)).arrayBuffer());`
	check(t, []section{
		{"there and back, over many pieces", through + `const data = new Uint8Array(300000); for (let i = 0; i < data.length; i++) data[i] = (i * i) >> 7;
			const out = []; for (const f of ["gzip", "deflate", "deflate-raw"]) { const small = await through(data, new CompressionStream(f)); const back = await through(small, new DecompressionStream(f));
			out.push(small.length < 250000, back.length, back.every((b, i) => b === data[i])); } return out`,
			`[true,300000,true,true,300000,true,true,300000,true]`},
		{"an empty stream", through + `return (await through(await through(new Uint8Array(), new CompressionStream("gzip")), new DecompressionStream("gzip"))).length`, `0`},
		{"refuses", through + `const z = await through(new Uint8Array(100), new CompressionStream("gzip")); const bad = z.slice(); bad[z.length - 6] ^= 1; const more = new Uint8Array([...z, 1]);
			return Promise.all([name(() => through(bad, new DecompressionStream("gzip"))), name(() => through(z.subarray(0, 20), new DecompressionStream("gzip"))), name(() => through(more, new DecompressionStream("gzip"))),
				name(() => new CompressionStream("br")), name(() => new CompressionStream()), name(() => new Response(new Response("x").body.pipeThrough(new TransformStream({transform(_, c) { c.enqueue("text"); }})).pipeThrough(new CompressionStream("gzip"))).text())])`,
			`["TypeError","TypeError","TypeError","TypeError","TypeError","TypeError"]`},
		{"a bomb is bounded", through + `let z = await through(new Uint8Array(1 << 20), new CompressionStream("deflate-raw")); const member = z; return (await through(member, new DecompressionStream("deflate-raw"))).length`, `1048576`},
	})
}

func TestStructuredClone(t *testing.T) {
	check(t, []section{
		{"StructuredSerializeInternal", `const o = {d: new Date(5), m: new Map([[1, {a: 1}]]), s: new Set(["x"]), r: /a/gi, e: new RangeError("m", {cause: 1}), b: 5n, n: [, 1], u: new Uint16Array([1, 2])}; o.self = o;
			const c = structuredClone(o); return [c.self === c, c.d.getTime(), c.m.get(1).a, c.s.has("x"), String(c.r), c.e instanceof RangeError, c.e.message, c.e.cause, c.b === 5n, 0 in c.n, c.u[1], c.u.buffer !== o.u.buffer]`,
			`[true,5,1,true,"/a/gi",true,"m",1,true,false,2,true]`},
		{"platform objects", `const f = structuredClone(new File(["x"], "n", {type: "a/b", lastModified: 3})); const e = structuredClone(new DOMException("m", "DataError"));
			const k = structuredClone(await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", true, ["encrypt"])); return [f.name, f.type, f.lastModified, await f.text(), e instanceof DOMException, e.name, k.algorithm.name]`,
			`["n","a/b",3,"x",true,"DataError","AES-GCM"]`},
		{"what cannot be cloned", `return [() => {}, Symbol(), new WeakMap(), Promise.resolve(), new Response(), new URL("http://a/"), new ReadableStream(), {a: {b: () => {}}}].map((v) => name(() => structuredClone(v)))`,
			`["DataCloneError","DataCloneError","DataCloneError","DataCloneError","DataCloneError","DataCloneError","DataCloneError","DataCloneError"]`},
		{"transfer", `const b = new Uint8Array([1, 2, 3]); const c = structuredClone({b, same: b.buffer}, {transfer: [b.buffer]}); return [b.length, b.buffer.byteLength, c.b[2], c.b.buffer === c.same, name(() => structuredClone(1, {transfer: [b.buffer]})), name(() => structuredClone(1, {transfer: [{}]}))]`,
			`[0,0,3,true,"DataCloneError","DataCloneError"]`},
	})
}

func TestCryptoExtensions(t *testing.T) {
	check(t, []section{
		{"timingSafeEqual", `const s = crypto.subtle, b = (...x) => new Uint8Array(x); return [s.timingSafeEqual(b(1, 2), b(1, 2)), s.timingSafeEqual(b(1, 2), b(1, 3).buffer), name(() => s.timingSafeEqual(b(1), b(1, 2)))]`, `[true,false,"TypeError"]`},
		{"limits", `return Promise.all([name(() => crypto.getRandomValues(new Uint8Array(65537))), name(() => crypto.subtle.generateKey({name: "RSA-PSS", modulusLength: 8192, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256"}, true, ["sign"])),
			name(() => crypto.getRandomValues(new Float32Array(1)))])`, `["QuotaExceededError","OperationError","TypeMismatchError"]`},
		{"RSA-PSS without a salt", `const k = await crypto.subtle.generateKey({name: "RSA-PSS", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256"}, true, ["sign", "verify"]);
			const d = new Uint8Array([1]), a = (saltLength) => ({name: "RSA-PSS", saltLength}); const one = await crypto.subtle.sign(a(0), k.privateKey, d), two = await crypto.subtle.sign(a(0), k.privateKey, d), salted = await crypto.subtle.sign(a(8), k.privateKey, d);
			const v = (n, s) => crypto.subtle.verify(a(n), k.publicKey, s, d); return [crypto.subtle.timingSafeEqual(one, two), await v(0, one), await v(8, one), await v(0, salted), await v(8, salted)]`, `[true,true,false,false,true]`},
	})
}

// What a program changes of the built-in objects must not break what the classes do for others, and never the host.
func TestTampering(t *testing.T) {
	check(t, []section{
		{"prototypes", `const boom = () => { throw new Error("tampered"); }; const undo = [];
			for (const [o, names] of [[String.prototype, ["slice", "indexOf", "split", "toLowerCase", "includes", "charCodeAt"]], [Array.prototype, ["push", "join", "sort", "splice", "slice", "includes", "indexOf"]],
				[Map.prototype, ["get", "set", "has"]], [RegExp.prototype, ["exec", "test"]], [Promise, ["resolve", "reject"]], [JSON, ["parse"]], [Reflect, ["apply", "ownKeys"]], [Object, ["keys", "create", "defineProperty"]],
				[Function.prototype, ["call", "apply", "bind"]], [Uint8Array.prototype.__proto__, ["set", "slice", "subarray"]]]) for (const n of names) { undo[undo.length] = [o, n, o[n]]; o[n] = boom; }
			const h = new Headers({"X-A": " b "}); h.append("x-a", "c"); const u = new URL("http://a.b:81/c%20d?e=f&g=h%20i#j"); const r = new Response("{}", {headers: h});
			const f = new FormData(); f.append("a", "b"); const c = structuredClone({size: [2]});
			const out = [h.get("x-a"), u.host, u.searchParams.get("g"), await r.text(), (await crypto.subtle.digest("SHA-256", new Uint8Array(1))).byteLength, new TextDecoder().decode(new TextEncoder().encode("é")), (await new Response(f).formData()).get("a"), c.size]; for (const [o, n, f] of undo) o[n] = f; return out`,
			`["b, c","a.b:81","h i","{}",32,"é","b",[2]]`},
		{"the constructors of species and iterators", `Array.prototype[Symbol.iterator] = function () { throw new Error("tampered"); }; Uint8Array.prototype.constructor = 1; Promise.prototype.constructor = class extends Promise {};
			const r = new Response(new Response(new Uint8Array(1)).body); const h = new Headers({a: "b"}); return [await r.text(), h.get("a"), new URL("http://a/?b=c").searchParams.get("b")].join`, `undefined`},
		{"secrets", `return [name(() => new CryptoKey(Object.create(null), {})), name(() => new SubtleCrypto({})), typeof host, Object.keys(new Response("x")).length, Object.getOwnPropertySymbols(new Request("http://a/")).length]`, `["TypeError","TypeError","undefined",0,0]`},
	})
}
