// Hold and resume: by the agent, by the trunk, by both, over the API. Who is held hears music and nothing of the other's room; whoever
// holds hears nothing; afterwards both hear each other as before.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'

import { Baresip } from './baresip.mjs'
import { Browser } from './browser.mjs'
import { Gateway } from './gateway.mjs'
import { assertHeard, assertHears } from './hearing.mjs'
import { writeWav } from './wav.mjs'

const CUSTOMER = '+4930123456'
const [AGENT, TRUNK, MUSIC] = [440, 1000, 620]
// What is left of a tone that is not there, beside others that are.
const SILENT = -50
// Seconds a jitter buffer may hold sound back, and a recording may be off.
const SETTLE = 1.5

// What an agent on one library does; each a file of its own, for the time they take.
export function holds(library) {
  describe(`hold with ${library}`, () => {
    let folder, browser, gateway, carrier, phone, begun

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'patchcord-music-'))
      writeWav(join(folder, 'music.wav'), MUSIC, 10)
      browser = await Browser.start()
      const settings = { MEDIA__MUSIC_ON_HOLD: join(folder, 'music.wav') }
      gateway = await Gateway.start({ origins: [browser.origin], settings })
      carrier = await Baresip.start({ number: CUSTOMER, frequency: TRUNK })
      await gateway.trunk(carrier.sipPort)
      phone = await browser.phone(library, gateway, await gateway.agent('1001'), AGENT)
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await carrier?.stop()
      await gateway?.stop()
      rmSync(folder, { recursive: true, force: true })
    })

    afterEach(() => gateway.hangUp())

    async function call() {
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await carrier.event('CALL_ESTABLISHED')
      begun = Date.now()
      await hears(TRUNK)
    }

    // Waits until the API says who holds each leg and what it hears: the agent's, then the trunk's.
    async function state(agent, trunk) {
      const read = async () => (await gateway.api('GET', '/calls')).data[0]?.legs.map(({ hold, hears }) => `${hold} ${hears}`)
      await gateway.until(read, (legs) => legs?.[0] === agent && legs[1] === trunk)
    }

    // The agent hears this tone as it was played, and none of the others.
    async function hears(frequency) {
      await phone.run('listen', frequency, SETTLE)
      await assertHears(phone, frequency, `${frequency} Hz in the browser`)
      await hearsNot([TRUNK, MUSIC].filter((other) => other !== frequency))
    }

    async function hearsNot(frequencies, seconds = 0.5) {
      const levels = await phone.run('levels', frequencies, seconds)
      assert.ok(levels.every((level) => level < SILENT), `${frequencies} Hz in the browser at ${levels} dB`)
    }

    async function hearsNothing() {
      await phone.run('listen', TRUNK, SETTLE)
      await hearsNot([TRUNK, MUSIC], 3)
    }

    // A stretch of the recording at the trunk, of a time when nothing changed.
    const since = () => (Date.now() - begun) / 1000
    const stretch = (from, to) => [from + SETTLE, to - 0.5]

    // The trunk heard this tone as it was played, and nothing of the other.
    function trunkHeard(frequency, other, [from, to]) {
      assert.ok(to - from > 1, `nothing to hear between ${from} and ${to}`)
      assertHeard(carrier.heard(frequency, from, to), `${frequency} Hz at the trunk from ${from} to ${to} s`)
      const level = carrier.level(other, from, to)
      assert.ok(level < SILENT, `${other} Hz at the trunk from ${from} to ${to} s at ${level} dB`)
    }

    async function hangUp() {
      await phone.run('hangup')
      await carrier.event('CALL_CLOSED')
      await gateway.noCalls()
    }

    for (const way of ['sendonly', 'inactive']) {
      test(`the agent holds by ${way} and resumes`, async () => {
        await call()
        const held = since()
        await phone.run('hold', way)
        await phone.event('changed')
        await state('remote nothing', 'none music')
        await hearsNothing()
        const resumed = since()
        await phone.run('resume')
        await phone.event('changed')
        await state('none party', 'none party')
        await hears(TRUNK)
        const ended = since()
        await hangUp()
        trunkHeard(AGENT, MUSIC, stretch(0, held))
        trunkHeard(MUSIC, AGENT, stretch(held, resumed))
        trunkHeard(AGENT, MUSIC, stretch(resumed, ended))
      })
    }

    test('the trunk holds and resumes', async () => {
      await call()
      const held = since()
      carrier.hold()
      await state('none music', 'remote nothing')
      await hears(MUSIC)
      await carrier.receives(0)
      carrier.resume()
      await state('none party', 'none party')
      await hears(TRUNK)
      // It records no more of a call that it held: 64 kbit/s of G.711 are what it can be asked for.
      await carrier.receives(64)
      await hangUp()
      trunkHeard(AGENT, MUSIC, stretch(0, held))
    })

    test('both hold, and each resumes on its own', async () => {
      await call()
      await phone.run('hold', 'sendonly')
      await phone.event('changed')
      carrier.hold()
      await state('remote nothing', 'remote nothing')
      await hearsNothing()
      await phone.run('resume')
      await phone.event('changed')
      await state('none music', 'remote nothing')
      await hears(MUSIC)
      carrier.resume()
      await state('none party', 'none party')
      await hears(TRUNK)
      await hangUp()
    })

    test('the call is held and resumed over the API', async () => {
      await call()
      const [{ id }] = (await gateway.api('GET', '/calls')).data
      const held = since()
      await gateway.api('POST', `/calls/${id}/hold`)
      await state('local nothing', 'none music')
      if (library === 'jssip') await phone.event('held by the other side')
      await phone.frames('received', /^INVITE [^]*a=inactive/m)
      await hearsNothing()
      const resumed = since()
      await gateway.api('POST', `/calls/${id}/resume`)
      await state('none party', 'none party')
      await hears(TRUNK)
      const ended = since()
      await hangUp()
      trunkHeard(AGENT, MUSIC, stretch(0, held))
      trunkHeard(MUSIC, AGENT, stretch(held, resumed))
      trunkHeard(AGENT, MUSIC, stretch(resumed, ended))
    })

    test('either side hangs up while it is held', async () => {
      await call()
      await phone.run('hold', 'sendonly')
      await state('remote nothing', 'none music')
      carrier.hangup()
      await phone.event('bye')
      await gateway.noCalls()
      await call()
      carrier.hold()
      await state('none music', 'remote nothing')
      await hangUp()
    })

    test('an ICE restart during the call keeps both voices', async () => {
      await call()
      await phone.run('restartIce')
      await phone.event('changed')
      const [first, second] = (await phone.frames('received', /^SIP\/2\.0 200 [^]*a=ice-ufrag:/m, 2)).slice(-2)
      const ufrag = (text) => /a=ice-ufrag:(\S+)/.exec(text)[1]
      assert.notEqual(ufrag(first), ufrag(second))
      await hears(TRUNK)
      const ended = since()
      await hangUp()
      trunkHeard(AGENT, MUSIC, [1, ended - 0.5])
    })

    if (library === 'sipjs') {
      test('the agent resumes by asking for an offer', async () => {
        await call()
        await phone.run('hold', 'sendonly')
        await phone.event('changed')
        await state('remote nothing', 'none music')
        await phone.run('resume', true)
        await state('none party', 'none party')
        await hears(TRUNK)
        await hangUp()
      })
    }
  })
}
