// HTTP Digest as a client (RFC 7616): SHA-256 and qop=auth only, with one nonce for as long as the server takes it.

export interface Challenge {
  realm: string
  nonce: string
  opaque: string | null
  stale: boolean
}

// What this needs of the browser's cryptography.
export type Source = Pick<Crypto, 'subtle' | 'getRandomValues'>

// A parameter, with the scheme before it when it is the first of its challenge.
const PARAMETER = /[\s,]*(?:([A-Za-z][\w-]*)[ \t]+(?=[\w-]+[ \t]*=))?([\w-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y

// The challenge of a WWW-Authenticate header that this client can answer; the header may hold several, of other schemes too.
export function challengeOf(header: string): Challenge | null {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  for (let at = 0; at < header.length; ) {
    PARAMETER.lastIndex = at
    const match = PARAMETER.exec(header)
    if (!match) {
      // A scheme without parameters, or what nobody understands.
      const comma = header.indexOf(',', at + 1)
      if (comma < 0) break
      at = comma
      continue
    }
    const [, scheme, name = '', quoted, bare] = match
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    challenges.at(-1)?.parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '')
    at = PARAMETER.lastIndex
  }
  for (const { scheme, parameters } of challenges) {
    const [realm, nonce] = [parameters.get('realm'), parameters.get('nonce')]
    const offered = (parameters.get('qop') ?? '').split(',').map((qop) => qop.trim().toLowerCase())
    const isOurs = scheme === 'digest' && parameters.get('algorithm')?.toUpperCase() === 'SHA-256' && offered.includes('auth')
    if (!isOurs || realm === undefined || nonce === undefined) continue
    return { realm, nonce, opaque: parameters.get('opaque') ?? null, stale: parameters.get('stale')?.toLowerCase() === 'true' }
  }
  return null
}

export class Digest {
  private readonly username: string
  private readonly secret: string
  private readonly source: Source
  private challenge: Challenge | null = null
  private count = 0

  constructor(username: string, secret: string, source: Source = crypto) {
    this.username = username
    this.secret = secret
    this.source = source
  }

  // Takes what a 401 said. False when it is nothing to be answered: no challenge of ours, or credentials that were wrong.
  take(header: string | null): boolean {
    const challenge = header === null ? null : challengeOf(header)
    if (!challenge) return false
    this.challenge = challenge
    this.count = 0
    return true
  }

  // The Authorization for a request; null before the first challenge.
  async authorization(method: string, uri: string): Promise<string | null> {
    const { challenge, username } = this
    if (!challenge) return null
    // Counted before anything is awaited: requests may overlap, their numbers may not.
    const nc = (++this.count).toString(16).padStart(8, '0')
    const cnonce = hex(this.source.getRandomValues(new Uint8Array(16)))
    const { realm, nonce } = challenge
    const response = await responseOf({ username, realm, secret: this.secret, nonce, nc, cnonce, method, uri }, this.source.subtle)
    const parameters = [
      `username=${quote(username)}`,
      `realm=${quote(challenge.realm)}`,
      `nonce=${quote(challenge.nonce)}`,
      `uri=${quote(uri)}`,
      'algorithm=SHA-256',
      'qop=auth',
      `nc=${nc}`,
      `cnonce="${cnonce}"`,
      `response="${response}"`
    ]
    if (challenge.opaque !== null) parameters.push(`opaque=${quote(challenge.opaque)}`)
    return `Digest ${parameters.join(', ')}`
  }
}

export interface Proof {
  username: string
  realm: string
  secret: string
  nonce: string
  nc: string
  cnonce: string
  method: string
  uri: string
}

// What proves the secret (§3.4.1).
export async function responseOf({ username, realm, secret, nonce, nc, cnonce, method, uri }: Proof, subtle: SubtleCrypto): Promise<string> {
  const hash = async (text: string) => hex(new Uint8Array(await subtle.digest('SHA-256', new TextEncoder().encode(text))))
  const [first, second] = [await hash(`${username}:${realm}:${secret}`), await hash(`${method}:${uri}`)]
  return hash(`${first}:${nonce}:${nc}:${cnonce}:auth:${second}`)
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
