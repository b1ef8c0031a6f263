import { expect, test } from 'vitest'

import { answerHolds, directionOf, offerHolds } from './direction'

const sdp = (audio: string, session = '') => `v=0\r\ns=-\r\n${session}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n${audio}a=rtcp-mux\r\n`

test('the direction is the audio stream\'s own, else the session\'s, else both ways', () => {
  expect(directionOf(sdp('a=sendonly\r\n'))).toBe('sendonly')
  expect(directionOf(sdp('', 'a=inactive\r\n'))).toBe('inactive')
  expect(directionOf(sdp('a=recvonly\r\n', 'a=inactive\r\n'))).toBe('recvonly')
  expect(directionOf(sdp(''))).toBe('sendrecv')
  expect(directionOf('m=video 9 RTP/AVP 96\r\na=inactive\r\n' + sdp('a=sendonly\r\n'))).toBe('sendonly')
  expect(directionOf('')).toBe('sendrecv')
})

test('whoever does not want to hear us holds', () => {
  const holds = (['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const).map((direction) => offerHolds(sdp(`a=${direction}\r\n`)))
  expect(holds).toEqual([false, true, false, true])
})

test('an answer says so only where the offer asked to be heard', () => {
  const [both, send, receive, none] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'].map((direction) => sdp(`a=${direction}\r\n`)) as [string, string, string, string]
  expect(answerHolds(both, both)).toBe(false)
  expect(answerHolds(both, none)).toBe(true)
  expect(answerHolds(send, receive)).toBe(false)
  expect(answerHolds(send, none)).toBe(true)
  expect(answerHolds(receive, send)).toBeNull()
  expect(answerHolds(none, none)).toBeNull()
})
