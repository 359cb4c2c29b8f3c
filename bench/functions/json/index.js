export default {
  fetch(request) {
    const url = new URL(request.url);
    const page = Number(url.searchParams.get("page"));
    const items = [];
    for (let i = 0; i < 10; i++) {
      items.push({ id: page * 10 + i, name: `item ${i}`, tags: ["a", "b"] });
    }
    return Response.json({ path: url.pathname, query: url.searchParams.get("q"), page, items });
  },
};
