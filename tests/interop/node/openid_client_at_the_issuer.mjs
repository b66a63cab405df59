// openid-client at the issuer's other endpoints: introspection, user info, token exchange, revocation.
import { readFileSync } from 'node:fs'
import * as client from 'openid-client'

const job = JSON.parse(readFileSync(0, 'utf8'))
const config = await client.discovery(
  new URL(job.issuer), job.client_id, undefined, client.ClientSecretPost(job.client_secret),
  { execute: [client.allowInsecureRequests] },
)
const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
const { access_token: token } = await client.clientCredentialsGrant(config, { scope: job.scope }, { DPoP })
const before = await client.tokenIntrospection(config, token)
const user = await client.fetchUserInfo(config, token, job.client_id, { DPoP })
const access_token = 'urn:ietf:params:oauth:token-type:access_token'
const exchanged = await client.genericGrantRequest(
  config,
  'urn:ietf:params:oauth:grant-type:token-exchange',
  { subject_token: token, subject_token_type: access_token, scope: 'read', audience: job.audience },
  { DPoP },
)
await client.tokenRevocation(config, token)
const after = await client.tokenIntrospection(config, token)
console.log(JSON.stringify({ before, user, exchanged, after }))
