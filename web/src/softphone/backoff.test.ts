import { expect, test } from 'vitest'

import { backoff } from './backoff'

test('waits grow to half a minute and no further', () => {
  expect([0, 1, 2, 5, 6, 50, 5000].map((attempt) => backoff(attempt, () => 1))).toEqual([500, 1000, 2000, 16_000, 30_000, 30_000, 30_000])
})

test('half of a wait is chance', () => {
  expect(backoff(3, () => 0)).toBe(2000)
  expect(backoff(3, () => 0.5)).toBe(3000)
})
