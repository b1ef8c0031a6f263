// The gateway's REST API, as far as it is an agent's: who else is there, and the agent's own calls. Authenticated by what the agent
// signs in with; the browser itself never asks for it.

import { Digest } from './digest'
import type { Colleague, Presence } from './state'

// Why a request came to nothing, in words for the agent where the gateway gave some.
export class GatewayError extends Error {
  // 0 when no answer came.
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface RunningLeg {
  id: string
  party: string
  // The number of the extension whose phone it is.
  extension: string | null
  sip_call_id: string | null
  // Its phone's connection is lost, and the phone waited for.
  away: boolean
  state: string
}

export interface RunningCall {
  id: string
  legs: RunningLeg[]
}

export interface RunningParticipant {
  id: string
  party: string
  // `routing`, `ringing`, `connected` or `ended`.
  state: string
  // Why it has ended.
  sip_status: number | null
}

export type Target = { number: string } | { call_id: string }

const DEADLINE_MS = 10_000
// As many as the gateway gives at once.
const PAGE = 200
const PRESENCES: readonly string[] = ['available', 'ringing', 'busy', 'offline'] satisfies Presence[]

export class Gateway {
  private readonly digest: Digest
  private readonly send: typeof fetch

  constructor(digest: Digest, send: typeof fetch = (...request) => fetch(...request)) {
    this.digest = digest
    this.send = send
  }

  async colleagues(): Promise<Colleague[]> {
    return (await this.list<Colleague>('/v1/directory')).map(({ number, name, presence }) => ({
      number,
      name: name ?? '',
      presence: PRESENCES.includes(presence) ? presence : 'offline'
    }))
  }

  calls(): Promise<RunningCall[]> {
    return this.list('/v1/calls')
  }

  // The gateway's id of the call one of whose legs is a session of this page; null when there is none.
  async callOf(sipCallId: string): Promise<string | null> {
    const calls = await this.calls()
    return calls.find((call) => call.legs.some((leg) => leg.sip_call_id === sipCallId))?.id ?? null
  }

  participants(call: string): Promise<RunningParticipant[]> {
    return this.list(`/v1/calls/${encodeURIComponent(call)}/participants`)
  }

  async addParticipant(call: string, target: Target): Promise<void> {
    await this.request('POST', `/v1/calls/${encodeURIComponent(call)}/participants`, { target })
  }

  async removeParticipant(call: string, leg: string): Promise<void> {
    await this.request('DELETE', `/v1/calls/${encodeURIComponent(call)}/participants/${encodeURIComponent(leg)}`)
  }

  // Has the gateway call this page, to take the place of the leg that is away.
  async reclaim(call: string): Promise<void> {
    await this.request('POST', `/v1/calls/${encodeURIComponent(call)}/reclaim`, {})
  }

  async hangUp(call: string): Promise<void> {
    await this.request('POST', `/v1/calls/${encodeURIComponent(call)}/hangup`)
  }

  // Everything, page by page.
  private async list<T>(path: string): Promise<T[]> {
    const all: T[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const page = (await this.request('GET', `${path}?limit=${PAGE}${from}`)) as { data?: T[]; next_cursor?: string | null } | null
      all.push(...(page?.data ?? []))
      cursor = page?.next_cursor ?? null
    }
    return all
  }

  private async request(method: string, path: string, body?: unknown): Promise<unknown> {
    let response = await this.once(method, path, body)
    // Once more: the first time there is no nonce yet, later it may have gone stale.
    if (response.status === 401 && this.digest.take(response.headers.get('WWW-Authenticate'))) {
      response = await this.once(method, path, body)
    }
    const text = await response.text()
    const isJson = /\bjson\b/.test(response.headers.get('Content-Type') ?? '')
    const answer: unknown = isJson && text !== '' ? JSON.parse(text) : null
    if (response.ok) return answer
    const { detail, title } = (answer ?? {}) as { detail?: string; title?: string }
    throw new GatewayError(response.status, detail ?? title ?? `The gateway answered ${response.status}.`)
  }

  private async once(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { Accept: 'application/json' }
    const authorization = await this.digest.authorization(method, path)
    if (authorization !== null) headers['Authorization'] = authorization
    if (body !== undefined) headers['Content-Type'] = 'application/json'
    const request: RequestInit = { method, headers, credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(DEADLINE_MS) }
    if (body !== undefined) request.body = JSON.stringify(body)
    return this.send(path, request).catch(() => {
      throw new GatewayError(0, 'The gateway cannot be reached.')
    })
  }
}
