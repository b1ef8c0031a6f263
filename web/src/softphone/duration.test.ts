import { expect, test } from 'vitest'

import { duration } from './duration'

test.each([
  [-5, '0:00'],
  [7_900, '0:07'],
  [754_000, '12:34'],
  [3_723_000, '1:02:03']
])('%i ms is %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text)
})
