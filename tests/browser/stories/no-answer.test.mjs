// An agent phones somebody who does not answer: the trunk refuses, fails over, says nothing, or rings for ever.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'

import { Browser } from '../lib/browser.mjs'
import { Gateway } from '../lib/gateway.mjs'
import { freeUdpPort } from '../lib/ports.mjs'
import { RtpPeer } from '../lib/rtp.mjs'
import { Sipp } from '../lib/sipp.mjs'

// 1... over the first trunk, 2... over the second when the first fails, 3... for one second.
const RULES = `
[[rule]]
context = "agents"
name = "one trunk"
prefix = "1"
targets = [{ trunks = ["first"], number = "$0" }]
[[rule]]
context = "agents"
name = "two trunks"
prefix = "2"
targets = [{ trunks = ["first", "second"], number = "$0" }]
[[rule]]
context = "agents"
name = "little patience"
prefix = "3"
targets = [{ trunks = ["first"], number = "$0", timeout_s = 1 }]
`

for (const library of ['sipjs', 'jssip']) {
  describe(`no answer with ${library}`, () => {
    let browser, gateway, phone, firstPort, secondPort
    let running = []

    before(async () => {
      browser = await Browser.start()
      gateway = await Gateway.start({ origins: [browser.origin], rules: RULES })
      firstPort = await freeUdpPort()
      secondPort = await freeUdpPort()
      await gateway.trunk(firstPort, { name: 'first' })
      await gateway.trunk(secondPort, { name: 'second' })
      phone = await browser.phone(library, gateway, await gateway.agent('100'))
      await phone.event('registered')
    })

    after(async () => {
      await browser?.stop()
      await gateway?.stop()
    })

    afterEach(async () => {
      for (const peer of running.splice(0)) await peer.stop()
    })

    async function trunk(scenario, port, keys = {}) {
      const sipp = await Sipp.start(scenario, { port, keys })
      running.push(sipp)
      return sipp
    }

    for (const [status, cause] of [['486 Busy Here', 17], ['603 Decline', 21], ['404 Not Found', 1], ['503 Service Unavailable', 42]]) {
      test(`the trunk's ${status} reaches the agent with its cause`, async () => {
        const sipp = await trunk('refuse', firstPort, { status })
        await phone.run('call', '1234')
        assert.match(await phone.event('refused'), new RegExp(`^refused ${status.slice(0, 3)} Q\\.850;cause=${cause};`))
        assert.match(await sipp.verdict(), /^INVITE sip:1234@/m)
        await gateway.noCalls()
      })
    }

    test('a trunk that is out of order is passed over for the next', async () => {
      const media = await RtpPeer.open()
      running.push(media)
      const failing = await trunk('refuse', firstPort, { status: '503 Service Unavailable' })
      const working = await trunk('answer', secondPort, { rtp_port: media.port })
      await phone.run('call', '2345')
      assert.equal(await phone.event('progress'), 'progress 180')
      await phone.event('established')
      await failing.verdict()
      await phone.run('hangup')
      await phone.event('ended')
      await working.verdict()
    })

    test('a trunk that says nothing is passed over for the next', async () => {
      const media = await RtpPeer.open()
      running.push(media)
      const working = await trunk('answer', secondPort, { rtp_port: media.port })
      await phone.run('call', '2345')
      assert.equal(await phone.event('progress'), 'progress 180')
      await phone.event('established')
      await phone.run('hangup')
      await working.verdict()
      await gateway.noCalls()
    })

    test('busy is the last word: no other trunk is tried', async () => {
      const busy = await trunk('refuse', firstPort, { status: '486 Busy Here' })
      const other = await trunk('refuse', secondPort, { status: '404 Not Found' })
      await phone.run('call', '2345')
      assert.match(await phone.event('refused'), /^refused 486 /)
      await busy.verdict()
      assert.equal(other.read('messages'), '')
    })

    test('who does not answer in the time of the route is given up', async () => {
      const sipp = await trunk('ring', firstPort)
      await phone.run('call', '3456')
      await phone.event('progress 180')
      assert.match(await phone.event('refused'), /^refused 480 Q\.850;cause=19;text="No answer"/)
      assert.match(await sipp.verdict(), /^CANCEL [^]*^Reason: Q\.850;cause=19;text="No answer"\r?$/m)
      await gateway.noCalls()
    })
  })
}
