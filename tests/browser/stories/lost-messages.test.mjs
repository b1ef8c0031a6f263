// Messages that are lost on the way to and from a trunk: the call goes on, or ends as it should.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { assertHeard } from '../lib/hearing.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const CUSTOMER = '+4930123456'
const OURS = '+4930555000'
// With T1 at 100 ms an answer nobody acknowledges is given up after 6.4 s.
const SETTINGS = { SIP__T1_MS: 100, SIP__T2_MS: 800, MEDIA__SILENCE_TIMEOUT_S: 2 }

for (const library of ['sipjs', 'jssip']) {
  describe(`lost messages with ${library}`, () => {
    let browser, gateway, phone, port, media
    const running = []

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin], settings: SETTINGS })
      port = await freeUdpPort()
      media = await RtpPeer.open()
      media.play(1000)
      const trunk = await gateway.trunk(port)
      const agent = await gateway.agent('100')
      await gateway.api('POST', '/numbers', {
        e164: OURS, trunk_id: trunk.id, target: { type: 'extension', id: agent.extensionId }
      })
      phone = await browser.phone(library, gateway, agent)
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      media?.stop()
      await gateway?.stop()
    })

    afterEach(async () => {
      for (const peer of running.splice(0)) await peer.stop()
      await gateway.noCalls()
    })

    async function trunk(scenario, options = {}) {
      const keys = { rtp_port: media.port, gateway: `127.0.0.1:${gateway.sipPort}`, caller: CUSTOMER }
      const sipp = await Sipp.start(scenario, { port, keys, resends: false, ...options })
      running.push(sipp)
      return sipp
    }

    const calling = { call: { number: OURS, get port() { return gateway.sipPort } } }

    test('an answer the trunk repeats is acknowledged each time, and a BYE that is lost is sent again', async () => {
      const sipp = await trunk('repeat')
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await phone.run('listen', 1000, 1)
      const heard = await phone.run('listen', 1000, 1)
      assertHeard(heard, 'after the second ACK')
      await phone.run('hangup')
      await phone.event('ended')
      const messages = await sipp.verdict()
      const acks = messages.match(/^ACK [^]*?^CSeq: .*$/gm).map((ack) => /^CSeq: (.*?)\r?$/m.exec(ack)[1])
      assert.equal(new Set(acks).size, 1, `an ACK has the INVITE's number: ${acks}`)
    })

    test('a BYE the trunk repeats is answered each time, and the agent is told once', async () => {
      const sipp = await trunk('hang-up')
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      await phone.event('bye')
      await phone.event('ended')
      await sipp.verdict()
    })

    test('the answer to a caller is repeated until its ACK arrives', async () => {
      const sipp = await trunk('call-late-ack', calling)
      await phone.event('incoming')
      await phone.run('answer')
      await phone.event('established')
      await phone.event('bye')
      await sipp.verdict()
    })

    test('a caller that never acknowledges the answer is hung up on, and so is the agent', async () => {
      const sipp = await trunk('call-no-ack', calling)
      await phone.event('incoming')
      await phone.run('answer')
      await phone.event('established')
      await phone.event('bye')
      const messages = await sipp.verdict()
      const answers = messages.match(/^SIP\/2\.0 200 OK\r?$/gm).length
      assert.ok(answers >= 8, `${answers} answers in 64 times T1`)
    })

    test('a trunk whose media stops is hung up on in the time that is set, and so is the agent', async () => {
      const sipp = await trunk('answer')
      await phone.run('call', CUSTOMER)
      await phone.event('established')
      const heard = await phone.run('listen', 1000, 3)
      assert.ok(heard.level > -15, `the call lives while there is media: ${JSON.stringify(heard)}`)
      media.fallSilent()
      const silent = performance.now()
      assert.match(await phone.event('bye'), /^bye Q\.850;cause=/)
      const seconds = (performance.now() - silent) / 1000
      assert.ok(seconds > 1.5, `ended after ${seconds} s`)
      await sipp.verdict()
    })
  })
}
