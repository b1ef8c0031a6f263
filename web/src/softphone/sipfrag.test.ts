import { expect, test } from 'vitest'

import { progressOf } from './sipfrag'

test('the status line is read, whatever follows it', () => {
  expect(progressOf('SIP/2.0 100 Trying\r\n')).toEqual({ status: 100, phrase: 'Trying' })
  expect(progressOf('SIP/2.0 486 Busy Here\r\nReason: Q.850;cause=17\r\n\r\n')).toEqual({ status: 486, phrase: 'Busy Here' })
  expect(progressOf('sip/2.0 200')).toEqual({ status: 200, phrase: '' })
})

test('anything else tells nothing', () => {
  for (const body of ['', 'SIP/2.0 OK', 'SIP/2.0 999 Odd', 'INVITE sip:a@b SIP/2.0']) expect(progressOf(body)).toBeNull()
})
