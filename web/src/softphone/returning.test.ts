import { beforeEach, expect, test, vi } from 'vitest'

import type { Gateway, RunningCall } from './gateway'
import { Keeping, type KeptCall } from './keeping'
import { Returning } from './returning'
import type { PhoneState } from './state'

vi.mock('./claim', () => ({ claim: async () => () => undefined }))

const KEPT: KeptCall = {
  callId: 'before', localTag: 'l', remoteTag: 'r', party: '+4930123456', name: '', direction: 'outgoing', since: 0
}

// The call as the gateway tells of it while the page is gone.
const AWAY = {
  id: 'call_1', state: 'connected',
  legs: [{ extension: '1001', party: '1001', away: true, sip_call_id: 'before' }, { extension: null, party: '+4930123456', away: false }]
} as unknown as RunningCall

let state: PhoneState
let answer: (calls: RunningCall[]) => void

// A page that was loaded again has asked the gateway for its calls, and has no answer yet.
async function asking(kept: KeptCall[]): Promise<Returning> {
  state = { calls: [], lost: [] } as unknown as PhoneState
  const stored = new Map<string, string>()
  const storage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => stored.set(key, value),
    removeItem: (key: string) => stored.delete(key)
  } as unknown as Storage
  const keeping = new Keeping(storage)
  keeping.save({ address: '1001@phone.test', secret: 's', calls: kept })
  const gateway = { calls: () => new Promise<RunningCall[]>((settle) => (answer = settle)) } as unknown as Gateway
  const context = { gateway: () => gateway, dialog: () => null, own: () => '1001', inform: () => undefined }
  const returning = new Returning(state, context, keeping)
  await returning.load()
  returning.registered()
  return returning
}

async function answered(): Promise<void> {
  answer([AWAY])
  await new Promise((wake) => setTimeout(wake))
}

beforeEach(() => {
  vi.stubGlobal('window', { addEventListener: () => undefined })
})

test('a call of this extension whose phone is gone is offered, though nothing is kept of it', async () => {
  const returning = await asking([])
  await answered()
  expect(state.lost.map(({ key, party }) => [key, party])).toEqual([['call_1', '+4930123456']])
  returning.clear()
})

test('a call that was returned to while the gateway was asked is not offered again by what it was before', async () => {
  const returning = await asking([KEPT])
  expect(state.lost.map(({ key }) => key)).toEqual(['before'])
  returning.settle('before')
  await answered()
  expect(state.lost).toEqual([])
  returning.clear()
})
