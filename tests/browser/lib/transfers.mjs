// Transfers from real browsers: whoever is handed on hears the target ring, then the target, at the level it speaks; the agent is told
// step by step and hung up on, or has its call back.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from './baresip.mjs'
import { Browser } from './browser.mjs'
import { Gateway } from './gateway.mjs'
import { assertHeard, assertHears } from './hearing.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'
const [AGENT, COLLEAGUE, TRUNK, RINGBACK] = [440, 600, 1000, 425]
// What is left of a tone that is not there, beside others that are.
const SILENT = -50
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

// What an agent on one library does, its colleague being on the other; each a file of its own, for the time they take.
export function transfers(library, other) {
  describe(`transfer by ${library}`, () => {
    let browser, gateway, carrier, agent, phone, colleague, begun

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
      const trunk = await gateway.trunk(carrier.sipPort)
      agent = await gateway.agent('1001')
      await gateway.api('POST', '/numbers', {
        e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
      })
      phone = await browser.phone(library, gateway, agent, AGENT)
      colleague = await browser.phone(other, gateway, await gateway.agent('1002'), COLLEAGUE)
      await phone.event('registered')
      await colleague.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await carrier?.stop()
      await gateway?.stop()
    })

    afterEach(() => gateway.hangUp())

    async function callOut() {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      begun = Date.now()
      await hears(phone, TRUNK)
    }

    async function callIn() {
      carrier.dial(`sip:${OURS}@127.0.0.1:${gateway.sipPort}`)
      await phone.event('incoming')
      await phone.run('answer')
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      begun = Date.now()
      await hears(phone, TRUNK)
    }

    // A page hears this tone as it was played.
    async function hears(page, frequency) {
      await page.run('listen', frequency, SETTLE)
      await assertHears(page, frequency, `${frequency} Hz in the browser`)
    }

    const since = () => (Date.now() - begun) / 1000

    // The trunk heard this tone as it was played from one moment of the call to another, and nothing of the other.
    function trunkHeard(frequency, other, from, to) {
      const stretch = [from + SETTLE, to - 0.5]
      assert.ok(stretch[1] - stretch[0] > 1, `nothing to hear between ${from} and ${to}`)
      assertHeard(carrier.heard(frequency, ...stretch), `${frequency} Hz at the trunk from ${from} to ${to} s`)
      const level = carrier.level(other, ...stretch)
      assert.ok(level < SILENT, `${other} Hz at the trunk from ${from} to ${to} s at ${level} dB`)
    }

    async function colleagueAnswers() {
      await colleague.run('answer')
      await colleague.event('established')
    }

    // Colleague and trunk hear each other since that moment, until the colleague hangs up.
    async function talksToColleague(joined) {
      await hears(colleague, TRUNK)
      const ended = since()
      await colleague.run('hangup')
      await carrier.event('CALL_CLOSED')
      await gateway.noCalls()
      trunkHeard(COLLEAGUE, AGENT, joined, ended)
    }

    // Agent and trunk hear each other since that moment, and not this, until the agent hangs up.
    async function talksToAgent(back, other) {
      await hears(phone, TRUNK)
      const ended = since()
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      trunkHeard(AGENT, other, back, ended)
    }

    for (const [way, call] of [['it called', callOut], ['that called', callIn]]) {
      test(`a customer ${way} is handed on to a colleague and hears it ring`, async () => {
        await call()
        const asked = since()
        await phone.run('refer', '1002')
        await phone.event('referred 202')
        assert.equal(await colleague.event('incoming'), `incoming ${CUSTOMER}`)
        await phone.event('notified 180')
        await phone.run('listen', TRUNK, 3)
        await colleagueAnswers()
        const joined = since()
        await phone.event('notified 200')
        await phone.event('bye Q.850;cause=16;text="Call transferred"')
        await phone.event('ended')
        await talksToColleague(joined)
        trunkHeard(AGENT, COLLEAGUE, 0, asked)
        assert.ok(carrier.level(RINGBACK, asked, joined) > -30, 'the customer hears it ring')
      })
    }

    test('a colleague who declines leaves the agent its customer', async () => {
      await callOut()
      await phone.run('refer', '1002')
      await colleague.event('incoming')
      await phone.event('notified 180')
      await colleague.run('reject')
      await phone.event('notified 486')
      await talksToAgent(since(), COLLEAGUE)
    })

    test('a held customer comes back held, and is resumed', async () => {
      await callOut()
      await phone.run('hold', 'sendonly')
      await phone.event('changed')
      await phone.run('refer', '777')
      await phone.event('notified 404')
      await phone.run('resume')
      await phone.event('changed')
      await talksToAgent(since(), TRUNK)
    })

    test('an agent who hangs up 280 ms after the 202 has handed its customer on', async () => {
      await callOut()
      await phone.run('refer', '1002')
      await phone.event('referred 202')
      await new Promise((wake) => setTimeout(wake, 280))
      await phone.run('hangup')
      await colleague.event('incoming')
      await colleagueAnswers()
      await talksToColleague(since())
    })

    test('the echo test takes a customer, who hears itself', async () => {
      await callOut()
      await phone.run('refer', '9196')
      await phone.event('notified 200')
      const joined = since()
      await phone.event('bye')
      await new Promise((wake) => setTimeout(wake, 4000))
      const ended = since()
      carrier.hangup()
      await gateway.noCalls()
      trunkHeard(TRUNK, AGENT, joined, ended)
    })

    // The customer is held, and the agent has asked the colleague.
    async function consult() {
      await callOut()
      await phone.run('hold', 'sendonly')
      await phone.event('changed')
      await phone.run('call', '1002')
      assert.equal(await colleague.event('incoming'), 'incoming 1001')
    }

    // An operator makes one of the agent's two calls.
    async function join() {
      const [first, second] = (await gateway.api('GET', '/calls')).data.map(({ id }) => id)
      await gateway.api('POST', `/calls/${first}/transfers`, { mode: 'attended', target: { call_id: second } })
    }

    // The agent is out of it, and its two calls are one.
    async function joined(at) {
      await phone.event('bye')
      await gateway.until(() => gateway.api('GET', '/calls'), ({ data }) => data.length === 1)
      await talksToColleague(at)
    }

    test('a customer is handed on to a colleague who was asked first', async () => {
      await consult()
      await colleague.run('answer')
      await phone.event('established')
      await hears(phone, COLLEAGUE)
      await hears(colleague, AGENT)
      await phone.run('refer')
      await phone.event('referred 202')
      const at = since()
      await phone.event('notified 200')
      await joined(at)
    })

    // Neither library names a dialog that is not established: an operator does.
    test('a customer is handed on to a colleague whose phone still rings', async () => {
      await consult()
      await phone.event('progress 180')
      await join()
      await phone.event('refused 487')
      await colleagueAnswers()
      await joined(since())
    })

    test('an operator joins two calls of an agent over the API', async () => {
      await consult()
      await colleagueAnswers()
      await phone.event('established')
      await join()
      await joined(since())
    })

    test('another browser of the agent takes its call over', async () => {
      await callOut()
      const answers = await phone.frames('received', /^SIP\/2\.0 200 [^]*^CSeq: \d+ INVITE\r$/m)
      const value = (name) => answers.at(-1).match(new RegExp(`^${name}: *(.*)\\r$`, 'mi'))[1]
      const tag = (name) => value(name).match(/;tag=([^;]+)/)[1]
      const second = await browser.phone(other, gateway, agent, COLLEAGUE)
      await second.event('registered')
      await second.run('call', CUSTOMER, `${value('Call-ID')};to-tag=${tag('To')};from-tag=${tag('From')}`)
      await second.event('established')
      const taken = since()
      await phone.event('bye SIP;cause=200;text="Call taken over elsewhere"')
      await hears(second, TRUNK)
      const ended = since()
      await second.run('hangup')
      await carrier.event('CALL_CLOSED')
      await second.run('unregister')
      await second.close()
      trunkHeard(AGENT, COLLEAGUE, 0, taken)
      trunkHeard(COLLEAGUE, AGENT, taken, ended)
    })

    test('an operator hands a customer on over the API', async () => {
      await callOut()
      const { id } = (await gateway.api('GET', '/calls')).data[0]
      await gateway.api('POST', `/calls/${id}/transfers`, { target: { number: '1002' } })
      await colleague.event('incoming')
      await colleagueAnswers()
      const joined = since()
      await phone.event('bye')
      const { data } = await gateway.api('GET', `/calls/${id}/transfers`)
      assert.deepEqual(data.map(({ target, status, sip_status }) => [target, status, sip_status]), [['1002', 'succeeded', 200]])
      await talksToColleague(joined)
    })
  })
}
