import { expect, test } from 'vitest'

import { infoBody, isKey, press } from './digits'

test('keys are those of a telephone', () => {
  expect(['0', '9', '*', '#', 'A', 'D'].every(isKey)).toBe(true)
  expect(['a', 'E', '10', '', ' ', 'Enter'].some(isKey)).toBe(false)
})

test('quick presses are queued, not lost', () => {
  const sender = {
    canInsertDTMF: true,
    toneBuffer: '',
    insertDTMF(tones: string) {
      this.toneBuffer = tones
    }
  }
  for (const key of '159#') expect(press(sender, key)).toBe(true)
  expect(sender.toneBuffer).toBe('159#')
})

test('without a sender the digit goes by INFO', () => {
  expect(press(null, '1')).toBe(false)
  expect(press({ canInsertDTMF: false, toneBuffer: '', insertDTMF: () => expect.unreachable() }, '1')).toBe(false)
  expect(infoBody('#')).toEqual({ contentType: 'application/dtmf-relay', content: 'Signal=#\r\nDuration=120\r\n' })
})
