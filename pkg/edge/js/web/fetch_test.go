//go:build linux

package web_test

import "testing"

func TestHeadersClass(t *testing.T) {
	check(t, []section{
		{"constructor from a record", `return [...new Headers({B: "2", a: " 1\t"})]`, `[["a","1"],["b","2"]]`},
		{"constructor from pairs and another object", `return [...new Headers(new Headers([["x", "1"], ["X", "2"]]))]`, `[["x","1, 2"]]`},
		{"constructor refuses", `return [name(() => new Headers([["a"]])), name(() => new Headers("a")), name(() => new Headers({"a b": "c"})),
			name(() => new Headers({a: "\n\0"})), name(() => new Headers({a: "\u0100"})), name(() => new Headers(null)), name(() => new Headers([["a", "b", "c"]]))]`,
			`["TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError"]`},
		{"append get has set delete", `const h = new Headers(); h.append("A", "1"); h.append("a", "2"); const one = h.get("A");
			h.set("a", "3"); const two = h.get("a"), has = h.has("A"); h.delete("a"); return [one, two, has, h.has("a"), h.get("a")]`,
			`["1, 2","3",true,false,null]`},
		{"getSetCookie", `const h = new Headers(); h.append("Set-Cookie", "a=1"); h.append("set-cookie", "b=2"); h.append("c", "d");
			return [h.getSetCookie(), h.get("set-cookie"), [...h]]`,
			`[["a=1","b=2"],"a=1, b=2",[["c","d"],["set-cookie","a=1"],["set-cookie","b=2"]]]`},
		{"normalize a byte sequence", `return [new Headers([["a", "\r\n b\t "]]).get("a"), new Headers([["a", ""]]).get("a")]`, `["b",""]`},
		{"iteration sees changes", `const h = new Headers({a: "1", b: "2"}); const seen = []; for (const [n] of h) { seen.push(n); if (n === "a") h.append("c", "3"); } return seen`,
			`["a","b","c"]`},
		{"forEach keys values", `const h = new Headers({b: "2", a: "1"}), all = []; h.forEach(function (v, k, o) { all.push(v, k, o === h, this.x); }, {x: 1});
			return [all, [...h.keys()], [...h.values()], Object.prototype.toString.call(h.entries())]`,
			`[["1","a",true,1,"2","b",true,1],["a","b"],["1","2"],"[object Headers Iterator]"]`},
		{"guard immutable", `return [name(() => Response.error().headers.set("a", "b")), name(() => Response.redirect("http://a/").headers.append("a", "b"))]`,
			`["TypeError","TypeError"]`},
		{"no forbidden names on a server", `return [new Request("http://a/", {headers: {cookie: "a", host: "b"}}).headers.get("cookie"), new Response("", {headers: {"set-cookie": "a"}}).headers.get("set-cookie")]`,
			`["a","a"]`},
	})
}

func TestRequestClass(t *testing.T) {
	check(t, []section{
		{"constructor", `const r = new Request("http://EXAMPLE.com:80/a b?c#d", {method: "post", headers: {A: "b"}, body: "x"});
			return [r.url, r.method, r.headers.get("a"), r.headers.get("content-type"), await r.text(), r.bodyUsed]`,
			`["http://example.com/a%20b?c#d","POST","b","text/plain;charset=UTF-8","x",true]`},
		{"constructor refuses", `return [name(() => new Request("/relative")), name(() => new Request("http://u:p@a/")), name(() => new Request("http://a/", {method: "a b"})),
			name(() => new Request("http://a/", {method: "TRACE"})), name(() => new Request("http://a/", {body: "x"})), name(() => new Request("http://a/", {method: "HEAD", body: "x"})),
			name(() => new Request("http://a/", {redirect: "sideways"})), name(() => new Request("http://a/", {signal: 1})), name(() => new Request("http://a/", {window: 1})), name(() => new Request())]`,
			`["TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError"]`},
		{"methods are normalised", `return ["get", "delete", "Options", "patch", "PATCH", "chicken"].map((m) => new Request("http://a/", {method: m}).method)`,
			`["GET","DELETE","OPTIONS","patch","PATCH","chicken"]`},
		{"defaults", `const r = new Request("http://a/"); return [r.redirect, r.cache, r.credentials, r.mode, r.referrer, r.integrity, r.keepalive, r.destination, r.duplex, r.signal.aborted, r.body]`,
			`["follow","default","same-origin","cors","about:client","",false,"","half",false,null]`},
		{"from a Request", `const a = new Request("http://a/", {method: "PUT", body: "x", headers: {b: "c"}}); const b = new Request(a, {headers: {d: "e"}});
			return [a.bodyUsed, b.method, b.headers.get("b"), b.headers.get("d"), await b.text(), name(() => new Request(a))]`,
			`[true,"PUT",null,"e","x","TypeError"]`},
		{"from a Request with a stream", `const a = new Request("http://a/", {method: "PUT", duplex: "half", body: new Response("abc").body}); const b = new Request(a);
			return [a.bodyUsed, await b.text()]`, `[true,"abc"]`},
		{"signal follows", `const c = new AbortController(); const r = new Request("http://a/", {signal: c.signal}); const copy = r.clone(); c.abort("why");
			return [r.signal === c.signal, r.signal.aborted, r.signal.reason, copy.signal.aborted]`, `[false,true,"why",true]`},
		{"clone", `const a = new Request("http://a/", {method: "POST", body: "x"}); const b = a.clone(); const texts = [await a.text(), await b.text()];
			return [texts, name(() => a.clone())]`, `[["x","x"],"TypeError"]`},
	})
}

func TestResponseClass(t *testing.T) {
	check(t, []section{
		{"constructor", `const r = new Response("x", {status: 404, statusText: "No", headers: {a: "b"}}); return [r.status, r.statusText, r.ok, r.type, r.url, r.redirected, r.headers.get("a"), r.headers.get("content-type"), await r.text()]`,
			`[404,"No",false,"default","",false,"b","text/plain;charset=UTF-8","x"]`},
		{"constructor refuses", `return [name(() => new Response("", {status: 199})), name(() => new Response("", {status: 600})), name(() => new Response("", {statusText: "\n"})), name(() => new Response("x", {status: 204})), name(() => new Response(null, {status: 204})), name(() => new Response("", 1))]`,
			`["RangeError","RangeError","TypeError","TypeError","nothing","TypeError"]`},
		{"content type of the body stays the user's", `return new Response("x", {headers: {"Content-Type": "text/html"}}).headers.get("content-type")`, `"text/html"`},
		{"error", `const r = Response.error(); return [r.type, r.status, r.body]`, `["error",0,null]`},
		{"redirect", `const r = Response.redirect("http://a/é", 307); return [r.status, r.headers.get("location"), name(() => Response.redirect("http://a/", 200)), name(() => Response.redirect("relative"))]`,
			`[307,"http://a/%C3%A9","RangeError","TypeError"]`},
		{"json", `const r = Response.json({a: [1]}, {status: 201}); return [r.status, r.headers.get("content-type"), await r.json(), name(() => Response.json(undefined)), name(() => Response.json(() => {})), Response.json(1, {headers: {"content-type": "x/y"}}).headers.get("content-type")]`,
			`[201,"application/json",{"a":[1]},"TypeError","TypeError","x/y"]`},
		{"clone", `const a = new Response("x", {status: 201, headers: {a: "b"}}); const b = a.clone(); b.headers.set("a", "c"); return [await a.text(), await b.text(), b.status, a.headers.get("a"), name(() => a.clone())]`,
			`["x","x",201,"b","TypeError"]`},
		{"clone of a stream", `const s = new ReadableStream({start(c) { c.enqueue(new Uint8Array([65])); c.close(); }}); const a = new Response(s), b = a.clone(); return [await a.text(), await b.text()]`, `["A","A"]`},
	})
}

func TestBodyMixin(t *testing.T) {
	check(t, []section{
		{"extract a body", `const type = async (b) => { const r = new Response(b); return [r.headers.get("content-type"), await r.text()]; };
			return [await type("é"), await type(new URLSearchParams({a: "b c"})), await type(new Blob(["x"], {type: "A/B"})), await type(new Uint8Array([65]).buffer), await type(new DataView(new ArrayBuffer(1))), await type(12), await type(null)]`,
			`[["text/plain;charset=UTF-8","é"],["application/x-www-form-urlencoded;charset=UTF-8","a=b+c"],["a/b","x"],[null,"A"],[null,"\u0000"],["text/plain;charset=UTF-8","12"],[null,""]]`},
		{"a body is a copy", `const b = new Uint8Array([65]); const r = new Response(b); b[0] = 66; return r.text()`, `"A"`},
		{"consume", `return [await new Response("[1]").json(), (await new Response("ab").arrayBuffer()).byteLength, (await new Response("ab").bytes()).length, (await new Response("ab", {headers: {"content-type": "x/y"}}).blob()).type, await name(() => new Response("{").json())]`,
			`[[1],2,2,"x/y","SyntaxError"]`},
		{"UTF-8 decode", `return [await new Response("\ufeffa").text(), await new Response(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff])).text(), await new Response("\ud800").text()]`, `["a","a�","�"]`},
		{"bodyUsed", `const r = new Response("x"); const before = r.bodyUsed; await r.text(); return [before, r.bodyUsed, await name(() => r.text()), await name(() => r.json()), new Response().bodyUsed, await new Response().text()]`,
			`[false,true,"TypeError","TypeError",false,""]`},
		{"locked", `const r = new Response("x"); r.body.getReader(); return [r.bodyUsed, await name(() => r.text()), name(() => r.clone()), name(() => new Response(r.body))]`, `[false,"TypeError","TypeError","TypeError"]`},
		{"body", `const r = new Response("abc"); const same = r.body === r.body; const {value, done} = await r.body.getReader().read(); return [same, [...value], done, r.bodyUsed]`, `[true,[97,98,99],false,true]`},
		{"body after reading", `const r = new Response("abc"); await r.text(); return [r.body !== null, r.bodyUsed, await name(() => r.body.getReader().read())]`, `[true,true,"TypeError"]`},
		{"a stream of something else", `return name(() => new Response(new ReadableStream({start(c) { c.enqueue("text"); c.close(); }})).text())`, `"TypeError"`},
		{"an async iterable", `return new Response((async function* () { yield new Uint8Array([104]); yield new Uint8Array([105]); })()).text()`, `"hi"`},
		{"on another object", `return [await name(() => Response.prototype.text.call({})), name(() => Object.getOwnPropertyDescriptor(Request.prototype, "body").get.call({}))]`, `["TypeError","TypeError"]`},
	})
}

func TestFormDataClass(t *testing.T) {
	check(t, []section{
		{"append get getAll set delete has", `const f = new FormData(); f.append("a", 1); f.append("a", "2"); f.set("b", "3"); const all = f.getAll("a"); f.set("a", "x"); f.delete("b");
			return [all, [...f], f.get("b"), f.has("a"), name(() => f.append("a", "b", "c")), name(() => f.append("a")), name(() => new FormData(1))]`,
			`[["1","2"],[["a","x"]],null,true,"TypeError","TypeError","TypeError"]`},
		{"files", `const f = new FormData(); f.append("a", new Blob(["x"], {type: "t/u"})); f.append("b", new File(["y"], "n"), "m"); const a = f.get("a"), b = f.get("b");
			return [a instanceof File, a.name, a.type, await a.text(), b.name]`, `[true,"blob","t/u","x","m"]`},
		{"multipart there and back", `const f = new FormData(); f.append("a\"\r\n", "line\nend"); f.append("é", new File([new Uint8Array([0, 255, 13, 10])], "n\".bin", {type: "x/y"}));
			const back = await new Response(f).formData(); const e = [...back]; return [e[0], e[1][0], e[1][1].name, e[1][1].type, [...await e[1][1].bytes()]]`,
			`[["a\"\r\n","line\r\nend"],"é","n\".bin","x/y",[0,255,13,10]]`},
		{"urlencoded", `return [...await new Response("a=b+c&d=%C3%A9", {headers: {"content-type": "application/x-www-form-urlencoded; charset=x"}}).formData()]`, `[["a","b c"],["d","é"]]`},
		{"multipart parser", `const parse = async (body, b = "X") => [...await new Response(body, {headers: {"content-type": "multipart/form-data; boundary=" + b}}).formData()].map(([k, v]) => [k, typeof v === "string" ? v : v.name + ":" + v.type]);
			return [await parse("--X\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--X--"), await parse('preamble\r\n--X\r\ncontent-disposition: form-data; filename="f"; name="a"\r\n\r\n1\r\n--X--\r\nepilogue'),
				await parse("--X--\r\n"), await parse('--a b\r\nContent-Disposition: form-data; name="n"\r\n\r\n\r\n--a b--', '"a b"')]`,
			`[[["a","1"]],[["a","f:text/plain"]],[],[["n",""]]]`},
		{"multipart parser refuses", `const bad = (body, type = "multipart/form-data; boundary=X") => name(() => new Response(body, {headers: {"content-type": type}}).formData());
			return Promise.all([bad(""), bad("--X"), bad("--X\r\n\r\n1\r\n--X--"), bad("--X\r\nContent-Disposition: form-data; name=a\r\n\r\n1"), bad("--X\r\nfoo\r\n\r\n1\r\n--X--"), bad("a", "multipart/form-data"), bad("a=b", "text/plain"), name(() => new Response(new Uint8Array(1)).formData())])`,
			`["TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError","TypeError"]`},
	})
}
