// What the agent hears before anyone answers: the trunk's early media, and else the news that it rings.

import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'

import { Baresip } from '../lib/baresip.mjs'
import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const RULES = `
[[rule]]
context = "agents"
name = "plays before it answers"
prefix = "1"
targets = [{ trunks = ["early"], number = "$0" }]
[[rule]]
context = "agents"
name = "rings"
prefix = "2"
targets = [{ trunks = ["ringing"], number = "$0" }]
`

let browser, gateway, earlyPort, ringing
const phones = {}
const running = []

before(async () => {
  browser = await Browser.start()
  gateway = await Gateway.start({ origins: [browser.origin], rules: RULES })
  ringing = await Baresip.start({ number: '2345', frequency: 1000, answer: 'manual' })
  earlyPort = await freeUdpPort()
  await gateway.trunk(earlyPort, { name: 'early' })
  await gateway.trunk(ringing.sipPort, { name: 'ringing' })
  for (const [library, number] of [['sipjs', '100'], ['jssip', '101']]) {
    phones[library] = await browser.phone(library, gateway, await gateway.agent(number))
    await phones[library].event('registered')
  }
})

afterEach(async () => {
  for (const peer of running.splice(0)) await peer.stop()
})

after(async () => {
  await browser?.stop()
  await ringing?.stop()
  await gateway?.stop()
})

for (const library of ['sipjs', 'jssip']) {
  test(`early media is heard with ${library}, and goes on into the call`, async () => {
    const phone = phones[library]
    const media = await RtpPeer.open()
    const sipp = await Sipp.start('early', { port: earlyPort, keys: { rtp_port: media.port } })
    running.push(media, sipp)
    media.play(800)
    await phone.run('call', '1234')
    assert.equal(await phone.event('progress'), 'progress 183')
    await phone.run('listen', 800, 1.5)
    const before = await phone.run('listen', 800, 3)
    assertHeard(before, 'before the answer')
    const { data } = await gateway.api('GET', '/calls')
    assert.deepEqual(data.map((call) => call.state), ['ringing'])
    await phone.event('established')
    const after = await phone.run('listen', 800, 3)
    assertHeard(after, 'after the answer')
    await phone.run('hangup')
    await sipp.verdict()
  })

  test(`ringing is told with ${library}, and the customer answers`, async () => {
    const phone = phones[library]
    await phone.run('call', '2345')
    assert.equal(await phone.event('progress'), 'progress 180')
    ringing.answer()
    await phone.event('established')
    await ringing.event('CALL_ESTABLISHED')
    await phone.run('hangup')
    await ringing.event('CALL_CLOSED')
  })
}
