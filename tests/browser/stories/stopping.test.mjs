// The gateway is told to stop while an agent phones: no new calls, time for the running one, then a BYE to both sides.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

const CUSTOMER = '+4930123456'
// Seconds: soon enough to be awaited, and too late to be mistaken for the end of a test.
const [SOON, LATE] = [5, 100]

for (const library of ['sipjs', 'jssip']) {
  describe(`stopping with ${library}`, () => {
    let browser, gateway, busy, idle, media, sipp

    before(async () => {
      browser = await Browser.start()
    })

    after(async () => {
      await browser?.stop()
    })

    // One agent in a call, another who is not; running calls get so many seconds.
    async function begin(deadline) {
      gateway = await Gateway.start({ origins: [browser.origin], settings: { CALLS__SHUTDOWN_S: deadline } })
      const port = await freeUdpPort()
      await gateway.trunk(port)
      media = await RtpPeer.open()
      media.play(1000)
      sipp = await Sipp.start('answer', { port, keys: { rtp_port: media.port } })
      busy = await browser.phone(library, gateway, await gateway.agent('100'))
      idle = await browser.phone(library, gateway, await gateway.agent('101'))
      await Promise.all([busy.event('registered'), idle.event('registered')])
      await busy.run('call', CUSTOMER)
      await busy.event('established')
    }

    afterEach(async () => {
      await gateway.stop()
      await sipp.stop()
      media.stop()
      await Promise.all([busy.close(), idle.close()])
    })

    test('a new call is 503, the running one goes on, and both its sides get a BYE at the deadline', async () => {
      await begin(SOON)
      const asked = performance.now()
      gateway.child.kill('SIGTERM')
      const heard = await busy.run('listen', 1000, 1)
      assert.ok(heard.level > -15, `the call goes on: ${JSON.stringify(heard)}`)
      await idle.run('call', CUSTOMER)
      assert.match(await idle.event('refused'), /^refused 503/)
      await busy.event('bye')
      const seconds = (performance.now() - asked) / 1000
      assert.ok(seconds >= SOON, `BYE after ${seconds} s`)
      await sipp.verdict()
      assert.equal(await gateway.ended, 0)
    })

    test('with the last call the gateway is gone, long before the deadline', async () => {
      await begin(LATE)
      const asked = performance.now()
      gateway.child.kill('SIGTERM')
      await busy.run('hangup')
      await sipp.verdict()
      assert.equal(await gateway.ended, 0)
      assert.ok(performance.now() - asked < LATE * 500)
    })

    test('told twice, it ends at once', async () => {
      await begin(LATE)
      const asked = performance.now()
      gateway.child.kill('SIGTERM')
      await idle.run('call', CUSTOMER)
      assert.match(await idle.event('refused'), /^refused 503/)
      gateway.child.kill('SIGTERM')
      assert.equal(await gateway.ended, 143)
      assert.ok(performance.now() - asked < LATE * 500)
    })
  })
}
