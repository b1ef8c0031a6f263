import { expect, test } from 'vitest'

import { Keeping, type KeptCall } from './keeping'

const CALL: KeptCall = { callId: 'x', localTag: 'l', remoteTag: 'r', party: '+4930123456', name: '', direction: 'outgoing', since: 1000 }
const KEPT = { address: '1001@phone.test', secret: 's', calls: [CALL] }

function storage(): Storage {
  const items = new Map<string, string>()
  const own = { getItem: (key: string) => items.get(key) ?? null, setItem: (key: string, text: string) => items.set(key, text), removeItem: (key: string) => items.delete(key) }
  return Object.defineProperty(own, 'length', { get: () => items.size }) as unknown as Storage
}

test('a call and the way to sign in are kept while there is a call, and then nothing', () => {
  const place = storage()
  const keeping = new Keeping(place)
  keeping.save(KEPT)
  expect(new Keeping(place).load()).toEqual(KEPT)
  keeping.save({ ...KEPT, calls: [] })
  expect(place.length).toBe(0)
  expect(keeping.load()).toBeNull()
})

test('what is too old is forgotten, counted from when the page was left', () => {
  const place = storage()
  let now = 0
  const keeping = new Keeping(place, () => now)
  keeping.save(KEPT)
  now = 599_000
  keeping.touch()
  now = 1_198_000
  expect(keeping.load()).toEqual(KEPT)
  now = 1_200_000
  expect(keeping.load()).toBeNull()
  expect(place.length).toBe(0)
})

test('what this page did not write is thrown away', () => {
  for (const text of ['', '{', 'null', '7', '{"calls":[]}', JSON.stringify({ ...KEPT, at: 0, calls: [{ ...CALL, localTag: 1 }] })]) {
    const place = storage()
    place.setItem('patchcord.calls', text)
    expect(new Keeping(place, () => 0).load()).toBeNull()
    expect(place.length).toBe(0)
  }
})
