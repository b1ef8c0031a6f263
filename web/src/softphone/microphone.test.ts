import { expect, test } from 'vitest'

import { explain, loudness } from './microphone'

function sine(amplitude: number) {
  return Float32Array.from({ length: 2048 }, (_, n) => amplitude * Math.sin((2 * Math.PI * n) / 32))
}

test('loudness runs from silence to a loud voice', () => {
  expect(loudness(new Float32Array(2048))).toBe(0)
  expect(loudness(new Float32Array(0))).toBe(0)
  expect(loudness(sine(1))).toBe(1)
  // A sine of 0.25 has -15 dB: 45 of the scale's 54.
  expect(loudness(sine(0.25))).toBeCloseTo(45 / 54, 2)
})

test('a missing microphone is told apart from a forbidden one', () => {
  const named = (name: string) => explain(Object.assign(new Error('x'), { name })).message
  expect(named('NotFoundError')).toContain('No microphone')
  expect(named('NotAllowedError')).toContain('may not use')
  expect(named('Odd')).toContain('x')
  expect(explain('odd').message).toContain('odd')
})
