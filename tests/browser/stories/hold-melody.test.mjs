// Hold where no music is configured.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'

const CUSTOMER = '+4930123456'
const TRUNK = 1000
// What is left of a tone that is not there, beside others that are.
const SILENT = -50

describe('hold without a file of music', () => {
  let browser, gateway, carrier

  after(async () => {
    await browser?.stop()
    await carrier?.stop()
    await gateway?.stop()
  })

  test('the held party hears a melody', async () => {
    // A tone that the melody does not have.
    const voice = 920
    browser = await Browser.start()
    gateway = await Gateway.start({ origins: [browser.origin] })
    carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
    await gateway.trunk(carrier.sipPort)
    const phone = await browser.phone('sipjs', gateway, await gateway.agent('1001'), voice)
    await phone.event('registered')
    await phone.run('call', CUSTOMER)
    await phone.event('established')
    await carrier.event('CALL_ESTABLISHED')
    await phone.run('hold', 'sendonly')
    await phone.event('changed')
    // Once through.
    await phone.run('listen', TRUNK, 12)
    await phone.run('hangup')
    await carrier.event('CALL_CLOSED')
    const notes = [523, 659, 784].map((note) => carrier.level(note, 2, 11.6))
    assert.ok(notes.every((level) => level > -45), `the melody's notes at ${notes} dB`)
    const level = carrier.level(voice, 2, 11.6)
    assert.ok(level < SILENT, `the agent at ${level} dB`)
  })
})
