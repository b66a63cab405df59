// DPoP (RFC 9449) for a page: a key that never leaves the browser, a token bound to it, a fresh proof for each request.
//
//   const dpop = new DPoP(await loadKey(), {
//     origins: ["https://api.example.com"],
//     newToken: (dpop) => dpop.requestToken("https://id.example.com/token", { grant_type: "...", ... }),
//   });
//   const answer = await dpop.fetch("https://api.example.com/things");
//
// Copy it; it needs nothing else. WebCrypto is there on https and on loopback only.

const utf8 = new TextEncoder();
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const segment = (value) => base64url(utf8.encode(JSON.stringify(value)));

/** This origin's key pair of that name, made on first use. A script can use it, but nobody can read the private key. */
export async function loadKey(name = "default") {
  return inDatabase(async (keys) => {
    const kept = await keys("readonly", (store) => store.get(name));
    if (kept) return kept;
    const extractable = false; // what IndexedDB keeps is a handle: neither a thief's script nor ours gets the key's bytes
    const made = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, extractable, ["sign", "verify"]);
    await keys("readwrite", (store) => store.add(made, name)).catch(() => {}); // another tab was first: its key counts
    return (await keys("readonly", (store) => store.get(name))) ?? made;
  });
}

/** Where the user signs out: no proof can be made with that key any more. */
export const forgetKey = (name = "default") => inDatabase((keys) => keys("readwrite", (store) => store.delete(name)));

export class DPoP {
  /** Origin -> the last nonce it gave. Each origin has its own (RFC 9449 section 8.2). */
  nonces = new Map();
  #key;
  #origins;
  #newToken;
  #token = null; // { value, until }: in memory only, so that no other page and no later one finds it
  #coming = null; // the request for a token that is under way, which all who need one share

  /** `origins`: where the token may go. `newToken`: given this object, asks the issuer and returns the token response. */
  constructor(key, { origins, newToken }) {
    this.#key = key;
    this.#origins = origins.map((origin) => new URL(origin).origin);
    this.#newToken = newToken;
  }

  /** What `fetch` does, with token and proof, and again where a nonce or a new token is asked for. Redirects are errors. */
  async fetch(input, init) {
    const request = new Request(input, { ...init, redirect: "error" }); // a proof is for one URL, a token for some origins
    const { origin } = new URL(request.url);
    if (!this.#origins.includes(origin)) throw new TypeError(`the token is not for ${origin}`);
    const known = this.#token;
    const token = await this.token();
    const answer = await this.#send(request, token);
    // A token that was there before may have been revoked or be of yesterday's keys. A new one that is refused, stays so.
    if (token !== known?.value || answer.status !== 401 || challenged(answer) !== "invalid_token") return answer;
    if (this.#token === known) this.#token = null;
    return this.#send(request, await this.token());
  }

  /** The access token; a new one half a minute before the old one ends. */
  async token() {
    if (this.#token && Date.now() < this.#token.until) return this.#token.value;
    this.#coming ??= this.#renew().finally(() => (this.#coming = null));
    return this.#coming;
  }

  async #renew() {
    const { access_token: value, token_type: type, expires_in: seconds = 60 } = await this.#newToken(this);
    // An issuer that knows no DPoP ignores the proof, and gives a token that is good in any thief's hands.
    if (type?.toLowerCase() !== "dpop") throw new Error(`the issuer gave a ${type} token, which no key protects`);
    this.#token = { value, until: Date.now() + (seconds - 30) * 1000 };
    return value;
  }

  /** A token request with a proof, so that the token gets bound to the key (RFC 9449 section 5). */
  async requestToken(endpoint, form) {
    const answer = await this.#send(new Request(endpoint, { method: "POST", body: new URLSearchParams(form) }));
    const said = await answer.json();
    if (!answer.ok) throw new Error(`the issuer refused: ${said.error}`);
    return said;
  }

  /** Send it, with a proof of its own; once more, where the answer gives a nonce and asks for it (section 8). */
  async #send(request, token) {
    const { origin } = new URL(request.url);
    for (let again = false; ; again = true) {
      const headers = new Headers(request.headers);
      if (token) headers.set("Authorization", `DPoP ${token}`);
      headers.set("DPoP", await this.proof(request.method, request.url, token));
      const answer = await fetch(new Request(request.clone(), { headers }));
      const nonce = answer.headers.get("DPoP-Nonce"); // on any answer: a renewed one saves the next refusal
      if (nonce) this.nonces.set(origin, nonce);
      if (again || !nonce || (await refusal(answer)) !== "use_dpop_nonce") return answer;
    }
  }

  /** A proof for one request (section 4.2): it is good once, for this method and URL, and with this token. */
  async proof(method, url, token) {
    const { origin, pathname } = new URL(url);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", this.#key.publicKey);
    const claims = {
      jti: crypto.randomUUID(),
      htm: method,
      htu: origin + pathname, // without query and fragment
      iat: Math.floor(Date.now() / 1000),
      ath: token && base64url(await crypto.subtle.digest("SHA-256", utf8.encode(token))),
      nonce: this.nonces.get(origin), // JSON leaves out what is undefined
    };
    const signed = `${segment({ typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } })}.${segment(claims)}`;
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    return `${signed}.${base64url(await crypto.subtle.sign(algorithm, this.#key.privateKey, utf8.encode(signed)))}`;
  }
}

/** The error code of a challenge; the API must expose WWW-Authenticate (CORS) for a page to see it. */
export const challenged = (answer) => /\berror="([^"]*)"/.exec(answer.headers.get("WWW-Authenticate"))?.[1];

/** Why it was refused: an API says so in its challenge, a token endpoint in its body. */
async function refusal(answer) {
  if (answer.status === 401) return challenged(answer);
  return answer.status === 400 ? (await answer.clone().json().catch(() => ({}))).error : undefined;
}

/** Runs `work` with a function that does one thing to the store of keys. */
async function inDatabase(work) {
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const opening = indexedDB.open("dpop", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
  const database = await done(opening);
  try {
    return await work((mode, what) => done(what(database.transaction("keys", mode).objectStore("keys"))));
  } finally {
    database.close();
  }
}
