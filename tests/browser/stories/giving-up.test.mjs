// An agent gives up a call that nobody has answered, at every moment it can: the trunk is told, and nothing is left of the call.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const CUSTOMER = '+4930123456'

for (const library of ['sipjs', 'jssip']) {
  describe(`giving up with ${library}`, () => {
    let browser, gateway, phone, port, media, sipp

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin], settings: { SIP__T1_MS: 200 } })
      port = await freeUdpPort()
      media = await RtpPeer.open()
      media.play(800)
      await gateway.trunk(port)
      phone = await browser.phone(library, gateway, await gateway.agent('100'))
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      media?.stop()
      await gateway?.stop()
    })

    afterEach(async () => {
      await sipp.stop()
      await gateway.hangUp()
    })

    async function call(scenario, options = {}) {
      phone.wire.length = 0
      sipp = await Sipp.start(scenario, { port, keys: { rtp_port: media.port }, ...options })
      await phone.run('call', CUSTOMER)
    }

    async function giveUp() {
      await phone.run('hangup')
      await phone.event('ended')
      await phone.frames('received', /^SIP\/2\.0 487 [^]*^CSeq: \d+ INVITE\r$/m)
      const messages = await sipp.verdict()
      await gateway.noCalls()
      return messages
    }

    test('before the trunk was heard, its CANCEL waits for the first word', async () => {
      await call('cancel-first', { resends: false })
      // One 100 for the INVITE that is challenged, and one for the INVITE that goes on.
      await phone.frames('received', /^SIP\/2\.0 100 [^]*^CSeq: \d+ INVITE\r$/m, 2)
      const messages = await giveUp()
      assert.ok(messages.indexOf('\nCANCEL ') > messages.indexOf('\nSIP/2.0 100 '), messages)
    })

    test('while it rings', async () => {
      await call('ring')
      await phone.event('progress 180')
      await giveUp()
    })

    test('while early media plays', async () => {
      await call('cancel-early')
      await phone.event('progress 183')
      const heard = await phone.run('listen', 800, 1)
      assert.ok(heard.level > -20, `early media is heard: ${JSON.stringify(heard)}`)
      await giveUp()
    })

    test('in the moment of the answer: the 200 is acknowledged, and a BYE follows', async () => {
      await call('cancel-crossed')
      await phone.event('progress 180')
      await giveUp()
    })
  })
}
