import { webcrypto } from 'node:crypto'

import { expect, test } from 'vitest'

import { Digest, type Source } from './digest'
import { Gateway, GatewayError } from './gateway'

const source: Source = { subtle: webcrypto.subtle as SubtleCrypto, getRandomValues: (array) => array }

interface Sent {
  path: string
  request: RequestInit
  authorization: string | null
}

// A gateway behind answers that are given in turn.
function gateway(...answers: Response[]) {
  const sent: Sent[] = []
  const send = (async (path: string, request: RequestInit) => {
    const headers = request.headers as Record<string, string>
    sent.push({ path, request, authorization: headers['Authorization'] ?? null })
    return answers.shift() ?? Promise.reject(new TypeError('network'))
  }) as unknown as typeof fetch
  return { gateway: new Gateway(new Digest('1001', 'secret', source), send), sent }
}

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } })
}

function challenge(nonce: string, stale = false): Response {
  const header = `Digest realm="phone.test", nonce="${nonce}", algorithm=SHA-256, qop="auth"${stale ? ', stale=true' : ''}`
  return new Response('', { status: 401, headers: { 'WWW-Authenticate': header } })
}

test('a nonce is asked for once, used again, and replaced when it has gone stale', async () => {
  const people = [{ number: '1002', name: 'Bob', presence: 'busy' }]
  const { gateway: asked, sent } = gateway(challenge('a'), json({ data: people }), json({ data: [] }), challenge('b', true), json({ data: [] }))
  expect(await asked.colleagues()).toEqual(people)
  await asked.calls()
  await asked.calls()
  const used = sent.map(({ authorization }) => authorization && /nonce="(\w)".*nc=0*(\d)/.exec(authorization)?.slice(1).join(''))
  expect(used).toEqual([null, 'a1', 'a2', 'a3', 'b1'])
  expect(sent.every(({ request }) => request.credentials === 'omit')).toBe(true)
})

test('a wrong secret is tried no second time with the same nonce', async () => {
  const { gateway: asked, sent } = gateway(challenge('a'), challenge('b'), json({ data: [] }))
  await expect(asked.calls()).rejects.toMatchObject({ status: 401 })
  expect(sent).toHaveLength(2)
})

test('why something was refused is told in the gateway\'s words', async () => {
  const problem = new Response(JSON.stringify({ title: 'Conflict', detail: 'the call is ending' }), {
    status: 409,
    headers: { 'Content-Type': 'application/problem+json' }
  })
  const { gateway: asked } = gateway(problem)
  await expect(asked.addParticipant('call_1', { number: '1002' })).rejects.toThrow('the call is ending')
  const { gateway: silent } = gateway()
  await expect(silent.hangUp('call_1')).rejects.toEqual(new GatewayError(0, 'The gateway cannot be reached.'))
})

test('a session of this page is found by its Call-ID', async () => {
  const calls = { data: [{ id: 'call_1', legs: [{ sip_call_id: 'x' }] }, { id: 'call_2', legs: [{ sip_call_id: null }, { sip_call_id: 'y' }] }] }
  const { gateway: asked } = gateway(json(calls), json(calls))
  expect(await asked.callOf('y')).toBe('call_2')
  expect(await asked.callOf('z')).toBeNull()
})

test('a list is read to its end', async () => {
  const { gateway: asked, sent } = gateway(json({ data: [{ id: 'call_1', legs: [] }], next_cursor: 'a b' }), json({ data: [{ id: 'call_2', legs: [] }], next_cursor: null }))
  expect((await asked.calls()).map(({ id }) => id)).toEqual(['call_1', 'call_2'])
  expect(sent.map(({ path }) => path)).toEqual(['/v1/calls?limit=200', '/v1/calls?limit=200&cursor=a%20b'])
})

test('ids stay within their place in a path', async () => {
  const { gateway: asked, sent } = gateway(new Response(null, { status: 204 }))
  await asked.removeParticipant('call/1', 'leg?2')
  expect([sent[0]?.request.method, sent[0]?.path]).toEqual(['DELETE', '/v1/calls/call%2F1/participants/leg%3F2'])
})
