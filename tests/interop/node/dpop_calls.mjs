// The package dpop makes the proofs and fetch sends them: a bound token by discovery, then the calls of the job; once for
// each algorithm.
import { readFileSync } from 'node:fs'
import * as dpop from 'dpop'

async function send(keys, nonces, url, method, { token, headers, body } = {}) {
  for (let tries = 1; ; tries++) {
    const proof = await dpop.generateProof(keys, url.origin + url.pathname, method, nonces.get(url.origin), token)
    const authorization = token && { Authorization: `DPoP ${token}` }
    const response = await fetch(url, { method, headers: { DPoP: proof, ...headers, ...authorization }, body })
    const nonce = response.headers.get('DPoP-Nonce')
    if (nonce) nonces.set(url.origin, nonce)
    const told = await response.json()
    if (tries > 1 || told.error !== 'use_dpop_nonce') return { status: response.status, tries, body: told }
  }
}

async function run(job, alg) {
  const keys = await dpop.generateKeyPair(alg)
  const nonces = new Map() // by origin, RFC 9449 8.2
  const metadata = await (await fetch(`${job.issuer}/.well-known/openid-configuration`)).json()
  const form = { grant_type: 'client_credentials', scope: job.scope, audience: job.audience }
  const basic = Buffer.from(`${job.client_id}:${job.client_secret}`).toString('base64')
  const token = await send(keys, nonces, new URL(metadata.token_endpoint), 'POST', {
    headers: { Authorization: `Basic ${basic}` },
    body: new URLSearchParams(form),
  })
  const answers = []
  for (const [method, path] of job.calls) {
    const url = new URL(job.api + path)
    answers.push(await send(keys, nonces, url, method, { token: token.body.access_token }))
  }
  return { token, answers, thumbprint: await dpop.calculateThumbprint(keys.publicKey) }
}

const job = JSON.parse(readFileSync(0, 'utf8'))
const every = []
for (const alg of job.algs) every.push(await run(job, alg))
console.log(JSON.stringify(every))
