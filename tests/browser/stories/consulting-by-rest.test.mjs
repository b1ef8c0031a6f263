// A consultation by REST: the gateway calls whom the agent wants to ask, over the call its browser is in. The customer hears music
// meanwhile and nobody else; the agent hears it ring, then the colleague; then the two others talk, or the agent has its customer back.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard, assertHears } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
// None of the tones is one of the music's, whose loudest is here.
const [AGENT, COLLEAGUE, TRUNK, RINGBACK, MUSIC] = [460, 610, 1010, 425, 523]
// A tone that is heard arrives at -12 dB; what the music has at its frequency is far below that.
const SILENT = -35
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

describe('consultation by REST', () => {
  let browser, gateway, carrier, phone, colleague, begun

  before(async () => {
    browser = await Browser.start()
    gateway = await Gateway.start({ origins: [browser.origin] })
    carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
    await gateway.trunk(carrier.sipPort)
    phone = await browser.phone('sipjs', gateway, await gateway.agent('1001'), AGENT)
    colleague = await browser.phone('jssip', gateway, await gateway.agent('1002'), COLLEAGUE)
    await phone.event('registered')
    await colleague.event('registered')
  })

  after(async () => {
    await browser?.stop()
    await carrier?.stop()
    await gateway?.stop()
  })

  afterEach(() => gateway.hangUp())

  const since = () => (Date.now() - begun) / 1000

  // A page hears this tone as it was played.
  async function hears(page, frequency) {
    await page.run('listen', frequency, SETTLE)
    await assertHears(page, frequency, `${frequency} Hz in the browser`)
  }

  // The customer heard none of these from one moment of the call to another.
  function trunkHeardNone(frequencies, from, to) {
    for (const frequency of frequencies) {
      const level = carrier.level(frequency, from + SETTLE, to - 0.5)
      assert.ok(level < SILENT, `${frequency} Hz at the trunk from ${from} to ${to} s at ${level} dB`)
    }
  }

  function trunkHeard(frequency, from, to) {
    assert.ok(to - from > SETTLE + 1.5, `nothing to hear between ${from} and ${to}`)
    assertHeard(carrier.heard(frequency, from + SETTLE, to - 0.5), `${frequency} Hz at the trunk from ${from} to ${to} s`)
  }

  // The agent talks to the customer, and the colleague is called; gives the way to the transfer and when it was asked for.
  async function ask() {
    await phone.run('call', CUSTOMER)
    await phone.event('established')
    await carrier.event('CALL_ESTABLISHED')
    begun = Date.now()
    await hears(phone, TRUNK)
    const { id } = (await gateway.api('GET', '/calls')).data[0]
    const asked = since()
    const transfer = await gateway.api('POST', `/calls/${id}/transfers`, { mode: 'attended', target: { number: '1002' } })
    assert.deepEqual([transfer.mode, transfer.status], ['attended', 'trying'])
    assert.equal(await colleague.event('incoming'), 'incoming 1001')
    return { at: `/calls/${id}/transfers/${transfer.id}`, call: `/calls/${id}`, asked }
  }

  async function hearings(call) {
    return (await gateway.api('GET', call)).legs.filter(({ state }) => state === 'connected').map(({ hears }) => hears)
  }

  async function consult() {
    const consultation = await ask()
    await phone.run('listen', RINGBACK, 3)
    assert.deepEqual(await hearings(consultation.call), ['ringback', 'music'])
    await colleague.run('answer')
    await colleague.event('established')
    await hears(phone, COLLEAGUE)
    await hears(colleague, AGENT)
    assert.equal((await gateway.api('GET', consultation.at)).status, 'consulting')
    assert.deepEqual(await hearings(consultation.call), ['party', 'music', 'party'])
    return consultation
  }

  test('the customer hears music while the agent asks, and then the colleague', async () => {
    const { at, asked } = await consult()
    const joined = since()
    assert.equal((await gateway.api('POST', `${at}/complete`)).status, 'succeeded')
    await phone.event('bye Q.850;cause=16;text="Call transferred"')
    await hears(colleague, TRUNK)
    const ended = since()
    await colleague.run('hangup')
    await carrier.event('CALL_CLOSED')
    trunkHeard(AGENT, 0, asked)
    trunkHeardNone([AGENT, COLLEAGUE], asked, joined)
    const music = carrier.level(MUSIC, asked + SETTLE, joined - 0.5)
    assert.ok(music > SILENT, `the customer hears music: ${music} dB`)
    trunkHeard(COLLEAGUE, joined, ended)
    trunkHeardNone([AGENT], joined, ended)
  })

  test('the agent takes its customer back, and the colleague is let go', async () => {
    const { at, asked } = await consult()
    const back = since()
    assert.equal((await gateway.api('POST', `${at}/cancel`)).status, 'cancelled')
    await colleague.event('bye')
    await hears(phone, TRUNK)
    const ended = since()
    await phone.run('hangup')
    await carrier.event('CALL_CLOSED')
    trunkHeardNone([AGENT, COLLEAGUE], asked, back)
    trunkHeard(AGENT, back, ended)
  })

  test('a colleague who declines leaves the agent its customer', async () => {
    const { at } = await ask()
    await colleague.run('reject')
    const { sip_status } = await gateway.until(() => gateway.api('GET', at), ({ status }) => status === 'failed')
    assert.equal(sip_status, 486)
    const back = since()
    await hears(phone, TRUNK)
    const ended = since()
    await phone.run('hangup')
    await carrier.event('CALL_CLOSED')
    trunkHeard(AGENT, back, ended)
  })

  test('an agent who hangs up while it rings has handed its customer on, who hears it ring', async () => {
    await ask()
    const left = since()
    await phone.run('hangup')
    await phone.event('ended')
    await new Promise((wake) => setTimeout(wake, 7000))
    await colleague.run('answer')
    await colleague.event('established')
    const joined = since()
    await hears(colleague, TRUNK)
    const ended = since()
    await colleague.run('hangup')
    await carrier.event('CALL_CLOSED')
    assert.ok(carrier.level(RINGBACK, left, joined) > -30, 'the customer hears it ring')
    trunkHeard(COLLEAGUE, joined, ended)
  })
})
