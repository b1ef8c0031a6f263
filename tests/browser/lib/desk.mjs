// An agent at the gateway's own page, a customer behind the trunk and a colleague, each with a tone of its own, and what they hear of each
// other.

import assert from 'node:assert/strict'

import { Baresip } from './baresip.mjs'
import { Browser } from './browser.mjs'
import { Gateway } from './gateway.mjs'
import { AgentPage } from './page.mjs'

export const CUSTOMER = '+4930123456'
export const [AGENT, COLLEAGUE, TRUNK] = [440, 600, 1000]

const OURS = '+4930555000'
// Every tone is played at -12 dB, and that is about how it arrives.
const [SPOKEN, ABOUT] = [-12, 4]
// What is left of a tone that is not there, beside others that are; a browser that is short of time leaves some.
const SILENT = -40
// The loudest that a tone is in the music.
const MUSIC = -24
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

export class Desk {
  static async open() {
    const browser = await Browser.start()
    const gateway = await Gateway.start({ origins: [browser.origin] })
    const carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
    const agent = await gateway.agent('1001', { caller_id_number: OURS })
    const trunk = await gateway.trunk(carrier.sipPort)
    await gateway.api('POST', '/numbers', { e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId } })
    const colleague = await browser.phone('sipjs', gateway, await gateway.agent('1002', { display_name: 'Ben Okafor' }), COLLEAGUE)
    await colleague.event('registered')
    const page = await AgentPage.open(browser, gateway.origin)
    await page.signIn(`1001@${gateway.realm}`, agent.password)
    await page.registration('Ready')
    return new Desk({ browser, gateway, carrier, agent, colleague, page })
  }

  constructor(parts) {
    Object.assign(this, parts)
  }

  // Seconds since the customer is on the line.
  since() {
    return (Date.now() - this.begun) / 1000
  }

  async callOut() {
    await this.page.dial(CUSTOMER)
    await this.connected()
  }

  async callIn() {
    this.carrier.dial(`sip:${OURS}@127.0.0.1:${this.gateway.sipPort}`)
    await this.page.call('incoming')
    await this.page.press('Answer')
    await this.connected()
  }

  async connected() {
    await this.page.call('connected')
    await this.carrier.event('CALL_ESTABLISHED')
    this.begun = Date.now()
  }

  // The customer waits, and the colleague's phone rings.
  async consult() {
    await this.callIn()
    await this.page.ask('Transfer', '1002', 'Ask first')
    assert.equal(await this.colleague.event('incoming'), 'incoming 1001')
    await this.page.otherCall('connected')
    assert.equal(await this.page.page.locator('.other-call').getAttribute('data-held'), 'true')
  }

  async colleagueAnswers() {
    await this.colleague.run('answer')
    await this.colleague.event('established')
  }

  // The agent hears these tones as they are played, and none of the others. A single one is measured so that a jitter buffer that stretches
  // time does not matter.
  async hears(tones) {
    await this.page.listen(tones[0], SETTLE)
    const others = [AGENT, COLLEAGUE, TRUNK].filter((tone) => !tones.includes(tone))
    const heard = tones.length > 1 ? await this.page.levels(tones, 2) : [(await this.page.listen(tones[0], 2)).level]
    check(tones, heard, others, await this.page.levels(others, 1), 'at the agent')
  }

  async colleagueHears(tones) {
    await this.colleague.run('listen', tones[0], SETTLE)
    const others = [AGENT, COLLEAGUE, TRUNK].filter((tone) => !tones.includes(tone))
    const heard = tones.length > 1 ? await this.colleague.run('levels', tones, 2) : [(await this.colleague.run('listen', tones[0], 2)).level]
    check(tones, heard, others, await this.colleague.run('levels', others, 1), 'at the colleague')
  }

  // From one moment of the call to another, the customer heard these tones, and none of the others.
  customerHeard(tones, from, to) {
    const stretch = [from + SETTLE, to - 0.5]
    assert.ok(stretch[1] - stretch[0] > 1, `nothing to hear between ${from} and ${to}`)
    const others = [AGENT, COLLEAGUE].filter((tone) => !tones.includes(tone))
    const [heard, silent] = [tones, others].map((some) => some.map((tone) => this.carrier.level(tone, ...stretch)))
    check(tones, heard, others, silent, `at the customer from ${from} to ${to} s`)
  }

  // From one moment of the call to another, the customer heard neither of the others, but music, which has notes of its own.
  customerWaited(from, to) {
    const levels = [AGENT, COLLEAGUE].map((tone) => this.carrier.level(tone, from + SETTLE, to - 0.5))
    assert.ok(levels.every((level) => level < MUSIC), `at the customer, who waits from ${from} to ${to} s: ${levels} dB`)
  }

  async customerHangsUp() {
    this.carrier.hangup()
    await this.carrier.event('CALL_CLOSED')
  }

  async hangUp() {
    await this.page.press('Hang up')
    await this.carrier.event('CALL_CLOSED')
    await this.page.noCall()
  }

  async close() {
    await this.browser.stop()
    await this.carrier.stop()
    await this.gateway.stop()
  }
}

function check(tones, heard, others, silent, where) {
  assert.ok(heard.every((level) => Math.abs(level - SPOKEN) < ABOUT), `${where}: ${tones} Hz at ${heard} dB`)
  assert.ok(silent.every((level) => level < SILENT), `${where}: ${others} Hz, which is not there, at ${silent} dB`)
}
