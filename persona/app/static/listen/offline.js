// A service worker that keeps what the page that listens is made of, so that it reloads without a
// network. The network comes first, so nothing is shown that is older than it has to be; the graphs
// are kept by worker.js.

const CACHE = "persona-page";

onmessage = (event) => event.waitUntil(keep(event.data));
onactivate = (event) => event.waitUntil(clients.claim());
onfetch = (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
};

// Keeps these addresses and no others.
async function keep(addresses) {
  const cache = await caches.open(CACHE);
  const wanted = new Set(addresses);
  for (const { url } of await cache.keys()) if (!wanted.delete(url)) await cache.delete(url);
  await Promise.allSettled([...wanted].map((address) => cache.add(address)));
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  try {
    const fresh = await fetch(request);
    if (kept && fresh.ok) await cache.put(request, fresh.clone());
    return fresh;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
