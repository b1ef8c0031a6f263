import { expect, test } from 'vitest'

import { sounding } from './tones'

test('a cadence sounds and pauses in turn', () => {
  expect(sounding([1, 4], 12)).toEqual([
    [0, 1],
    [5, 6],
    [10, 11]
  ])
  expect(sounding([0.5, 0.5, 1, 2], 4)).toEqual([
    [0, 0.5],
    [1, 2]
  ])
})
