import { UserAgent, type URI } from 'sip.js'
import { expect, test } from 'vitest'

import { referTo, replaces } from './replaces'

const DIALOG = { callId: 'a;b@c', localTag: 'ours', remoteTag: 'theirs' }

test('the gateway is told its own tag as the to-tag', () => {
  expect(replaces(DIALOG)).toBe('a;b@c;to-tag=theirs;from-tag=ours')
})

test('a REFER names the dialog in brackets, with nothing that would end the URI early', () => {
  const party = UserAgent.makeURI('sip:+4930123456@phone.test;transport=ws') as URI
  expect(referTo(party, DIALOG).toString()).toBe(
    '<sip:+4930123456@phone.test?Replaces=a%3Bb%40c%3Bto-tag%3Dtheirs%3Bfrom-tag%3Dours>'
  )
})
