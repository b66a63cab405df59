// What the page tries, and what it should get: the honest calls first, then what a thief or another page would do.
import { challenged, DPoP, loadKey } from "/dpop.js";

const { issuer, api, audience, client, stranger } = await (await fetch("/config.json")).json();
const key = await loadKey();

// The secret is the demo's own stand-in for a user who logs in: a real page has none. See README.md.
const form = { grant_type: "client_credentials", client_id: client.id, client_secret: client.secret, audience };
const dpop = new DPoP(key, { origins: [api], newToken: (dpop) => dpop.requestToken(`${issuer}/token`, form) });

/** Every answer of the API that the script could read, in order; `dpop` uses this `fetch`, too. */
const seen = [];
const plainFetch = globalThis.fetch;
globalThis.fetch = async (...asked) => {
  const answer = await plainFetch(...asked);
  if (answer.url.startsWith(api)) seen.push(`${answer.status} ${challenged(answer) ?? ""}`.trim());
  return answer;
};

const plain = (path, headers) => fetch(api + path, { headers });
const token = () => dpop.token();
const signed = async (by, path = "/protected") => ({
  Authorization: `DPoP ${await token()}`,
  DPoP: await by.proof("GET", api + path, await token()),
});

async function replay() {
  const headers = await signed(dpop);
  await plain("/protected", headers);
  await plain("/protected", headers);
}

async function withAnotherKey() {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const thief = new DPoP(pair, { origins: [api], newToken: null });
  thief.nonces = dpop.nonces;
  await plain("/protected", await signed(thief));
}

const exported = (format) =>
  crypto.subtle.exportKey(format, key.privateKey).then(() => "the key", (error) => error.name);

/** A page of another origin, in a frame, that somehow got token and proof. */
async function fromAnotherOrigin() {
  const heard = () => new Promise((resolve) => addEventListener("message", ({ data }) => resolve(data), { once: true }));
  const frame = Object.assign(document.createElement("iframe"), { src: `${stranger}/stranger.html`, hidden: true });
  const ready = heard();
  document.body.append(frame);
  await ready;
  const outcome = heard();
  frame.contentWindow.postMessage({ url: `${api}/protected`, headers: await signed(dpop) }, stranger);
  return outcome;
}

const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"note": "hello"}' };

// [what is tried, what it should get, how]. Without a word of its own, "got" is what the API answered meanwhile.
const STEPS = [
  ["A call without a token", "401", () => plain("/protected")],
  ["The first call: the API asks for its nonce, and gets it", "401 use_dpop_nonce, 200", () => dpop.fetch(`${api}/protected`)],
  ["The next one, with a query: the nonce is known", "200", () => dpop.fetch(`${api}/protected?page=2#top`)],
  ["A POST with a body", "200", () => dpop.fetch(`${api}/protected`, post)],
  ["Who the API says we are", "200", showAgent],
  ["A route that needs a scope we lack", "403 insufficient_scope", () => dpop.fetch(`${api}/admin`)],
  ["A script that wants to read the private key", "InvalidAccessError", () => exported("jwk")],
  ["A proof that is sent twice", "200, 401 invalid_dpop_proof", replay],
  ["The token, copied, as a Bearer token", "401 invalid_token", async () => plain("/protected", { Authorization: `Bearer ${await token()}` })],
  ["The token, copied, with a thief's own key", "401 invalid_token", withAnotherKey],
  ["The token and a good proof, from another origin's page", "TypeError", fromAnotherOrigin],
];

async function showAgent() {
  const agent = await (await dpop.fetch(`${api}/agent-info`)).json();
  document.getElementById("key").textContent = agent.key_thumbprint;
}

const results = document.getElementById("results");
const facts = { page: location.origin, issuer, api };
for (const [id, text] of Object.entries(facts)) document.getElementById(id).textContent = text;

let wrong = 0;
for (const [what, wanted, how] of STEPS) {
  seen.length = 0;
  const said = await how().catch((error) => `${error.name}: ${error.message}`);
  const got = typeof said === "string" ? said : seen.join(", ");
  const good = got === wanted;
  wrong += good ? 0 : 1;
  const row = results.insertRow();
  row.className = good ? "good" : "bad";
  for (const text of [what, wanted, got, good ? "✓" : "✗"]) row.insertCell().textContent = text;
}
const verdict = document.getElementById("verdict");
verdict.textContent = wrong ? `${wrong} of ${STEPS.length} are not as they should be.` : "All as it should be.";
verdict.className = wrong ? "bad" : "good";
