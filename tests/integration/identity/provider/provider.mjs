// A real OpenID provider (panva's oidc-provider) on a loopback port, for the integration tests.
//
// Says `{"issuer": ...}` on standard output once it listens. Each line on standard input is a command, answered by one
// line of JSON: `rotate` signs with a new key from then on and still publishes the old ones, `retire` publishes the
// newest key only. Ends when standard input does.
import http from 'node:http'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'

const AUDIENCE = 'urn:penstock:api'
const RESOURCE_SCOPE = 'query'
const USERS = new Map([
  ['alice', { sub: 'user-1', preferred_username: 'alice', groups: ['analysts', 'eu'] }],
  ['bob', { sub: 'user-2', preferred_username: 'bob', groups: ['ops'] }],
])
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

// Standard output is for answers only; the library logs there.
console.log = console.info = console.error
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)
const userOf = (sub) => [...USERS.values()].find((user) => user.sub === sub)

async function newKey() {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: `key-${keysMade++}`, use: 'sig', alg: 'RS256' }
}

let keysMade = 1
let keys = [await newKey()]
let serve

const server = http.createServer((request, response) => serve(request, response))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const issuer = `http://127.0.0.1:${server.address().port}`
publish()
say({ issuer })

for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'rotate') keys = [await newKey(), ...keys]
  else if (command === 'retire') keys = keys.slice(0, 1)
  else throw new Error(`no such command: ${command}`)
  publish()
  say({ kids: keys.map((key) => key.kid) })
}
process.exit(0)

// A provider has its keys for life, so new keys make a new provider over the same store.
function publish() {
  const provider = new Provider(issuer, configuration())
  const answer = provider.callback()
  serve = async (request, response) => {
    try {
      if (request.url.startsWith('/interaction/')) await interact(provider, request, response)
      else answer(request, response)
    } catch (error) {
      console.error(error)
      response.statusCode = 500
      response.end()
    }
  }
}

function configuration() {
  return {
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    clients: [
      {
        client_id: 'penstock-cli',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', DEVICE_GRANT],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback'],
      },
      {
        client_id: 'service',
        client_secret: 'a secret that only tests know, and long enough',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ['sub', 'preferred_username'] },
    scopes: ['openid', 'offline_access'],
    pkce: { required: () => true },
    findAccount: (context, sub) => userOf(sub) && { accountId: sub, claims: () => userOf(sub) },
    extraTokenClaims: (context, token) => {
      const user = userOf(token.accountId)
      return user && { groups: user.groups, preferred_username: user.preferred_username }
    },
    // The standard asks for `prompt=consent` before offline access; many providers do not, and neither does this one.
    issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 300, IdToken: 300, ClientCredentials: 300, DeviceCode: 600, Interaction: 600, Session: 600, Grant: 600, RefreshToken: 600 },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: RESOURCE_SCOPE,
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  }
}

async function interact(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    grant.addOIDCScope('openid offline_access')
    grant.addResourceScope(AUDIENCE, RESOURCE_SCOPE)
    const result = { consent: { grantId: await grant.save() } }
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
  }
  if (request.method === 'GET') {
    const buttons = [...USERS.keys()].map((name) => `<button name="username" value="${name}">${name}</button>`)
    response.setHeader('content-type', 'text/html')
    return response.end(`<form method="post" action="${request.url}">${buttons.join('')}</form>`)
  }
  let form = ''
  for await (const part of request) form += part
  const user = USERS.get(new URLSearchParams(form).get('username'))
  const result = user
    ? { login: { accountId: user.sub } }
    : { error: 'access_denied', error_description: 'nobody was chosen' }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}
