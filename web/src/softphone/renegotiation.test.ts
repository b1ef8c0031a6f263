import { expect, test } from 'vitest'

import { pause, Renegotiation, type Outcome } from './renegotiation'

test('one change is sent after the other is settled, also after one that failed', async () => {
  const changes = new Renegotiation(true)
  const log: string[] = []
  let settle: (outcome: Outcome) => void = () => undefined
  const first = changes.run(() => {
    log.push('first')
    return new Promise((done) => (settle = done))
  })
  const second = changes.run(async () => {
    log.push('second')
    throw new Error('gone')
  })
  const third = changes.run(async () => {
    log.push('third')
    return 200
  })
  await Promise.resolve()
  expect(log).toEqual(['first'])
  settle(488)
  expect(await first).toBe(488)
  await expect(second).rejects.toThrow('gone')
  expect(await third).toBe(200)
  expect(log).toEqual(['first', 'second', 'third'])
})

test('a change that collides is sent again after a while, and given up after the fifth time', async () => {
  const waits: number[] = []
  const changes = new Renegotiation(false, async (ms) => void waits.push(ms))
  const outcomes: Outcome[] = [491, 'pending', 200]
  expect(await changes.run(async () => outcomes.shift() ?? 500)).toBe(200)
  expect(waits).toHaveLength(2)
  expect(waits.every((ms) => ms >= 0 && ms <= 2000)).toBe(true)
  let sent = 0
  expect(await changes.run(async () => (sent++, 491))).toBe(491)
  expect(sent).toBe(5)
})

test('whoever made the Call-ID waits longer than the other', () => {
  expect([pause(true, () => 0), pause(true, () => 1)]).toEqual([2100, 4000])
  expect([pause(false, () => 0), pause(false, () => 1)]).toEqual([0, 2000])
})
