// openid-client, as its documentation has it: discovery, client credentials, then the calls of the job; DPoP if it says so.
import { readFileSync } from 'node:fs'
import * as client from 'openid-client'
import { told } from './told.mjs'

const job = JSON.parse(readFileSync(0, 'utf8'))
const config = await client.discovery(
  new URL(job.issuer), job.client_id, undefined, client.ClientSecretBasic(job.client_secret),
  { execute: [client.allowInsecureRequests] }, // loopback has no TLS
)
let requests = 0
config[client.customFetch] = (...args) => {
  requests += 1
  return fetch(...args)
}
const options = {}
if (job.alg) {
  options.DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(job.alg))
}
const form = { scope: job.scope, audience: job.audience }
const token = await told(() => client.clientCredentialsGrant(config, form, options))
const answers = []
for (const [method, path] of job.calls) {
  requests = 0
  const answer = await told(async () => {
    const url = new URL(job.api + path)
    const response = await client.fetchProtectedResource(
      config, token.access_token, url, method, null, new Headers(), options,
    )
    return { status: response.status, body: await response.json() }
  })
  answers.push({ ...answer, tries: requests })
}
const thumbprint = await options.DPoP?.calculateThumbprint()
console.log(JSON.stringify({ token, answers, thumbprint }))
