// Session timers (RFC 4028) in real time: both sides of a call are refreshed at half of 90 s, the briefest timer there may be, each in the
// way it knows, and are heard as before. The calls run side by side.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard, assertHears } from '../lib/hearing.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'
import { tone } from '../lib/sound.mjs'

const [AGENT, TRUNK] = [440, 1000]
// More than it takes until a refresh, and another one when that is lost.
const PATIENCE_MS = 80_000
// With T1 at 100 ms a request is given up after 6.4 s.
const SETTINGS = { CALLS__SESSION_EXPIRES_S: 90, SIP__T1_MS: 100, SIP__T2_MS: 800 }
const TRUNKS = ['refreshed-by-update', 'refreshed-by-invite', 'refresh-missed']
const RULES = TRUNKS.map((name, index) => `
[[rule]]
context = "agents"
name = "${name}"
prefix = "${index + 1}"
targets = [{ trunks = ["${name}"], number = "$0" }]
`).join('')

describe('keeping a call alive', { concurrency: 3 }, () => {
  let browser, gateway
  const ports = {}
  const running = []

  before(async () => {
    browser = await Browser.start()
    gateway = await Gateway.start({ origins: [browser.origin], settings: SETTINGS, rules: RULES })
    for (const name of TRUNKS) {
      ports[name] = await freeUdpPort()
      await gateway.trunk(ports[name], { name })
    }
  })

  after(async () => {
    for (const peer of running) await peer.stop()
    await browser?.stop()
    await gateway?.stop()
  })

  // An agent's call over one of the trunks, both of whom are heard.
  async function call(library, name) {
    const number = `${TRUNKS.indexOf(name) + 1}00`
    const phone = await browser.phone(library, gateway, await gateway.agent(number), AGENT)
    await phone.event('registered')
    const media = await RtpPeer.open()
    media.play(TRUNK)
    const sipp = await Sipp.start(name, { port: ports[name], keys: { rtp_port: media.port }, seconds: 120 })
    running.push(media, sipp)
    await phone.run('call', `${TRUNKS.indexOf(name) + 1}234`)
    await phone.event('established')
    await phone.run('listen', TRUNK, 1.5)
    await bothHeard(phone, media, 'before')
    return { phone, media, sipp }
  }

  // In the last two seconds.
  async function bothHeard(phone, media, when) {
    await assertHears(phone, TRUNK, `in the browser ${when}`)
    assertHeard(tone(media.samples().subarray(-16_000), 8000, AGENT), `at the trunk ${when}`)
  }

  // Waits until so many messages begin with these words; gives all of SIPp's.
  function met(sipp, words, count) {
    const beginnings = (text) => new Set(text.match(new RegExp(`^${words} [^]*?^CSeq: \\d+`, 'gm'))?.map((found) => found.slice(-8)))
    return gateway.until(() => sipp.read('messages'), (text) => beginnings(text).size >= count, PATIENCE_MS)
  }

  async function endsWell({ phone, media, sipp }) {
    await bothHeard(phone, media, 'afterwards')
    await phone.run('hangup')
    await phone.event('ended')
    return sipp.verdict()
  }

  test('JsSIP, which asks for 90 s, and a trunk that knows UPDATE are refreshed by that', async () => {
    const { phone, ...others } = await call('jssip', 'refreshed-by-update')
    const [answer] = await phone.frames('received', /^SIP\/2\.0 200 [^]*^CSeq: \d+ INVITE\r$/m)
    assert.match(answer, /^Session-Expires: 90;refresher=uas\r$/m)
    await phone.frames('received', /^UPDATE /, 1, PATIENCE_MS)
    await phone.frames('sent', /^SIP\/2\.0 200 [^]*^CSeq: \d+ UPDATE\r$/m)
    await met(others.sipp, 'UPDATE', 1)
    await endsWell({ phone, ...others })
  })

  test('a trunk that does not know UPDATE is refreshed by INVITE, with the description it has, and SIP.js hears nothing of that', async () => {
    const refreshed = await call('sipjs', 'refreshed-by-invite')
    await met(refreshed.sipp, 'INVITE', 2)
    const messages = await endsWell(refreshed)
    const descriptions = messages.match(/^INVITE [^]*?^v=0\r?$[^]*?^m=audio .*$/gm).map((invite) => invite.slice(invite.indexOf('v=0')))
    assert.ok(descriptions.length >= 2)
    assert.equal(new Set(descriptions).size, 1, descriptions.join('\n'))
    assert.equal(refreshed.phone.wire.filter(({ direction, text }) => direction === 'received' && /^(UPDATE|INVITE) /.test(text)).length, 0)
  })

  test('a trunk that misses a refresh is asked once more, and the call goes on', async () => {
    const missed = await call('sipjs', 'refresh-missed')
    await met(missed.sipp, 'UPDATE', 2)
    await endsWell(missed)
  })
})
