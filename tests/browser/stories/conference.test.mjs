// Conference: an agent, a customer behind the trunk and a colleague, each with a tone of its own. Who is asked to join disturbs nobody; then
// each hears both others at the level they speak at; whoever leaves or holds leaves the two others as they were.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'

const CUSTOMER = '+4930123456'
const [AGENT, COLLEAGUE, TRUNK, RINGBACK] = [800, 600, 1000, 425]
// What is left of a tone that is not there, beside others that are.
const SILENT = -45
// Every tone is played at -12 dB.
const SPOKEN = -12
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

for (const [library, other] of [['sipjs', 'jssip'], ['jssip', 'sipjs']]) {
  describe(`conference of an agent on ${library}`, () => {
    let browser, gateway, carrier, phone, colleague, begun

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin] })
      carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
      await gateway.trunk(carrier.sipPort)
      phone = await browser.phone(library, gateway, await gateway.agent('1001'), AGENT)
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

    const since = () => (Date.now() - begun) / 1000

    async function call() {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      begun = Date.now()
      await hears(phone, [TRUNK], [COLLEAGUE])
      return (await gateway.api('GET', '/calls')).data[0].id
    }

    // A page hears these tones as they were played, and none of the others.
    async function hears(page, tones, others) {
      await page.run('listen', tones[0], SETTLE)
      const levels = await page.run('levels', [...tones, ...others], 3)
      check(levels.slice(0, tones.length), levels.slice(tones.length), `in the browser: ${tones}, not ${others}`)
    }

    // So did the trunk from one moment of the call to another.
    function trunkHeard(tones, others, from, to) {
      const stretch = [from + SETTLE, to - SETTLE]
      assert.ok(stretch[1] - stretch[0] > 1, `nothing to hear between ${from} and ${to}`)
      const level = (tone) => carrier.level(tone, ...stretch)
      check(tones.map(level), others.map(level), `at the trunk from ${from} to ${to} s: ${tones}, not ${others}`)
    }

    function check(heard, silent, where) {
      assert.ok(heard.every((level) => Math.abs(level - SPOKEN) < 3), `${where}: ${heard} dB`)
      assert.ok(silent.every((level) => level < SILENT), `${where}: silent ${silent} dB`)
    }

    async function participants(id, wanted) {
      const read = async () => (await gateway.api('GET', `/calls/${id}/participants`)).data
      const found = await gateway.until(read, (all) => all.map(({ party, state }) => `${party} ${state}`).join() === wanted.join())
      return found.at(-1)
    }

    // The colleague was asked to join, answers, and all three hear each other.
    async function threeTalk(id) {
      await colleague.run('answer')
      await colleague.event('established')
      const joined = since()
      await participants(id, ['1001 connected', `${CUSTOMER} connected`, '1002 connected'])
      await hears(phone, [TRUNK, COLLEAGUE], [])
      await hears(colleague, [TRUNK, AGENT], [])
      return joined
    }

    test('a colleague joins a call, is heard and hears, and leaves it again', async () => {
      const id = await call()
      const asked = since()
      const third = await gateway.api('POST', `/calls/${id}/participants`, { target: { number: '1002' } })
      assert.equal(await colleague.event('incoming'), 'incoming 1001')
      const ringing = await participants(id, ['1001 connected', `${CUSTOMER} connected`, '1002 ringing'])
      assert.equal(ringing.id, third.id)
      await hears(phone, [TRUNK], [COLLEAGUE, RINGBACK])
      const joined = await threeTalk(id)
      const left = since()
      await colleague.run('hangup')
      const gone = await participants(id, ['1001 connected', `${CUSTOMER} connected`, '1002 ended'])
      assert.equal(gone.sip_status, 200)
      await hears(phone, [TRUNK], [COLLEAGUE])
      assertHeard(await phone.run('listen', TRUNK, 3), 'the customer in the browser, as before')
      const ended = since()
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      trunkHeard([AGENT], [COLLEAGUE, RINGBACK], asked, joined)
      trunkHeard([AGENT, COLLEAGUE], [], joined, left)
      trunkHeard([AGENT], [COLLEAGUE], left, ended)
    })

    test('the agent leaves, and customer and colleague talk on', async () => {
      const id = await call()
      await gateway.api('POST', `/calls/${id}/participants`, { target: { number: '1002' } })
      await colleague.event('incoming')
      await threeTalk(id)
      const left = since()
      await phone.run('hangup')
      await phone.event('ended')
      await hears(colleague, [TRUNK], [AGENT])
      const ended = since()
      await colleague.run('hangup')
      await carrier.event('CALL_CLOSED')
      trunkHeard([COLLEAGUE], [AGENT], left, ended)
    })

    if (library === 'sipjs') {
      test('the agent holds and resumes, and the two others go on', async () => {
        const id = await call()
        await gateway.api('POST', `/calls/${id}/participants`, { target: { number: '1002' } })
        await colleague.event('incoming')
        await threeTalk(id)
        const held = since()
        await phone.run('hold', 'sendonly')
        await phone.event('changed')
        await hears(colleague, [TRUNK], [AGENT])
        const levels = await phone.run('levels', [TRUNK, COLLEAGUE], 2)
        check([], levels, 'in the browser that holds')
        const resumed = since()
        await phone.run('resume')
        await phone.event('changed')
        await hears(phone, [TRUNK, COLLEAGUE], [])
        await hears(colleague, [TRUNK, AGENT], [])
        const ended = since()
        await gateway.api('POST', `/calls/${id}/hangup`)
        await carrier.event('CALL_CLOSED')
        trunkHeard([COLLEAGUE], [AGENT], held, resumed)
        trunkHeard([AGENT, COLLEAGUE], [], resumed, ended)
      })

      test('two calls of the agent become one of three', async () => {
        const first = await call()
        await phone.run('hold', 'sendonly')
        await phone.event('changed')
        await phone.run('call', '1002')
        await colleague.event('incoming')
        await colleague.run('answer')
        await phone.event('established')
        await hears(phone, [COLLEAGUE], [TRUNK])
        const second = (await gateway.api('GET', '/calls')).data.find(({ id }) => id !== first).id
        // Into the call the agent does not hold.
        await gateway.api('POST', `/calls/${second}/participants`, { target: { call_id: first } })
        await phone.event('bye')
        const joined = since()
        assert.equal((await gateway.api('GET', '/calls')).data.length, 1)
        await hears(phone, [TRUNK, COLLEAGUE], [])
        await hears(colleague, [TRUNK, AGENT], [])
        const ended = since()
        await gateway.api('POST', `/calls/${second}/hangup`)
        await carrier.event('CALL_CLOSED')
        trunkHeard([AGENT, COLLEAGUE], [], joined, ended)
      })
    }
  })
}
